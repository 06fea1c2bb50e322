"""A mapping with room for so many entries, in which the oldest make room for new ones."""

from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class NewestEntries(OrderedDict[K, V]):
    """The entries that were set last, `most` at once, the oldest first.

    An entry that is set again is the newest again; one that is only read is not.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def __setitem__(self, key: K, value: V) -> None:
        """Set an entry as the newest, and forget the oldest where there is no room for both."""
        super().__setitem__(key, value)
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)
