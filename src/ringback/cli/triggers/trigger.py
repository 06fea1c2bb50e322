"""One word for `ringback trigger`, and what it stands for."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ringback.cli.triggers.stage import Record, Stage, Step

Told = Mapping[str, str]
"""Parameters that a callback has, among others."""


class Trigger(NamedTuple):
    """One word, and what it stands for."""

    name: str
    words: str
    calls_back: Sequence[Told]
    """What arrives, in this order."""
    steps: Sequence[Step]
    product: str = "supersim"
    has_sim: bool = True
    """Whether `--sim` means something to it."""
    has_payload: bool = False
    """Whether `--payload` does."""

    def pull(self, stage: Stage) -> list[Record]:
        """Have it happen, and return the callbacks, which may still be on their way."""
        with stage.undo:
            for step in self.steps:
                step(stage)
            return stage.told(len(self.calls_back))

    def is_as_promised(self, callbacks: Sequence[Record]) -> bool:
        """Whether these are the callbacks that it is for."""
        return len(callbacks) == len(self.calls_back) and all(
            told.items() <= callback["parameters"].items()
            for told, callback in zip(self.calls_back, callbacks, strict=True)
        )
