"""What a benchmark prints: figures, and their ratios to the baseline of the same run."""

import contextlib
import subprocess
import sys
from collections.abc import Generator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    name: str
    value: float
    unit: str
    ratio: str = ""

    def __str__(self) -> str:
        return f"{self.name:<58} {self.value:>12,.1f} {self.unit:<12} {self.ratio}"


@contextlib.contextmanager
def a_receiver() -> Generator[str]:
    """Run a receiver in a process of its own; give its URL."""
    command = [sys.executable, "-m", "benchmarks.receiver"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}/hook?tenant=7"
        finally:
            process.kill()


def quantile(samples: list[float], share: float) -> float:
    return sorted(samples)[min(len(samples) - 1, int(len(samples) * share))]
