"""Undoes an earlier step if a later one fails."""

from collections.abc import Callable, Generator
from contextlib import contextmanager


@contextmanager
def on_failure(undo: Callable[[], object]) -> Generator[None]:
    """Call `undo` if the block raises any exception, and raise the exception again."""
    try:
        yield
    except BaseException:
        undo()
        raise
