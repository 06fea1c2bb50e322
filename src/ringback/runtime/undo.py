"""Undoes what was begun, where what follows fails."""

from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def on_failure(undo: Callable[[], object]) -> Generator[None]:
    """Call this where the block fails, in whatever way; the failure goes on."""
    try:
        yield
    except BaseException:
        undo()
        raise
