"""Count how often each callback has come, by source and idempotency token."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from ringback.core.newest_entries import NewestEntries
from ringback.core.policy.source_policy import SourceName

REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class SeenTokenCount:
    """The number of times that one callback was received, and when it was received first."""

    times: int
    since: datetime

    @property
    def before(self) -> bool:
        """True if the callback was received before this time."""
        return self.times > 1


class SeenTokens:
    """Counts idempotency tokens in memory; above a limit, forgets the tokens seen longest ago.

    The same token from different sources counts as two callbacks.
    """

    def __init__(self, *, limit: int = REMEMBERED) -> None:
        self._seen = NewestEntries[tuple[SourceName, str], SeenTokenCount](limit)

    def note(self, source: SourceName, token: str, *, at: datetime) -> SeenTokenCount:
        """Count a callback that came at this time, and return its new count."""
        key = (source, token)
        earlier = self._seen.get(key, SeenTokenCount(0, at))
        seen = self._seen[key] = replace(earlier, times=earlier.times + 1)
        return seen
