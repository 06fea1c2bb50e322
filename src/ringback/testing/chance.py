"""Chance that can be foreseen: the same for the same seed, so that a test is the same each time."""

from hashlib import shake_128
from itertools import count


class SeededChance:
    """Answers `ports.Chance`; not for secrets that matter."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._numbers = count()

    def bytes(self, count: int) -> bytes:
        """Return the next bytes of this seed's."""
        return shake_128(f"{self._seed} {next(self._numbers)}".encode()).digest(count)
