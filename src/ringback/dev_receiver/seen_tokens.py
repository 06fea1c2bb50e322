"""Which callbacks came before, by source and token."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ringback.core.newest_entries import NewestEntries
from ringback.core.policy.source_policy import Source

REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class SeenTokenCount:
    """How often a callback has come, this time included, and when it came first."""

    times: int
    since: datetime

    @property
    def before(self) -> bool:
        """Whether this is not the first time."""
        return self.times > 1


class SeenTokens:
    """Remembers tokens in memory; of too many, those that have not come for longest are forgotten.

    A token of one source says nothing about the other's, so the two are kept apart.
    """

    def __init__(self, *, limit: int = REMEMBERED) -> None:
        self._seen = NewestEntries[tuple[Source, str], SeenTokenCount](limit)

    def note(self, source: Source, token: str, *, at: datetime) -> SeenTokenCount:
        """Count this arrival, and return what is known with it."""
        key = (source, token)
        earlier = self._seen.get(key, SeenTokenCount(0, at))
        seen = self._seen[key] = replace(earlier, times=earlier.times + 1)
        return seen
