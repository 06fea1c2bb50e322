"""A mapping with a maximum size, in which a new entry replaces the oldest one."""

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class NewestEntries(OrderedDict[K, V]):
    """A mapping that keeps only the `most` newest entries, in order from oldest to newest.

    Setting an entry again makes it the newest; reading it does not.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        """Set an entry, which becomes the newest; remove the oldest one if there are too many."""
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)
