"""Decides who may do a callback's work, for every store that has rows.

Laws of this file. It is given a table, a visit and the time. The store has to make sure that nobody
else changes the rows meanwhile. Where two callbacks are the same event, one row stands for both.
`redis.py` says the same in Redis's own language.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar

from ringback.core.policy.source_policy import Source
from ringback.receiver.dedupe.dedupe_store import (
    Claimed,
    ClaimedByOther,
    ClaimWon,
    DedupeClaimRequest,
    WorkAlreadyDone,
)

T = TypeVar("T")

# Each claim adds one row at most, so what is looked at keeps ahead of what comes.
_LOOKED_AT: Final = 10


@dataclass(frozen=True, slots=True)
class DedupeClaimRow:
    """One event: of one callback, or of one from each source."""

    source: Source
    token: str
    """The token that came first; source and token tell rows apart."""
    other_token: str | None
    """The other source's token for the same event, once that has come."""
    content: str | None
    """The fingerprint to compare with the other source's; None to compare with none."""
    owner: str
    lease_ends: datetime | None
    """Until when the claim holds; None once the work is done, and nobody may claim it again."""
    first_claimed: datetime
    forget_at: datetime
    """From this instant on, it is as if there were no such row."""


class DedupeClaimTable(Protocol):
    """The rows of a store."""

    def find(self, source: Source, token: str) -> DedupeClaimRow | None:
        """Return the row that has this token, as its first or its other; forgotten or not."""
        ...

    def find_unpaired(
        self, source: Source, content: str, *, since: datetime, now: datetime
    ) -> DedupeClaimRow | None:
        """Return the oldest row that this source began, which is of this content and unpaired.

        It was first claimed at `since` or later, and is not to be forgotten by now. Of two that
        are equally old it is the one whose token comes first.
        """
        ...

    def put(self, row: DedupeClaimRow) -> None:
        """Keep a row, in place of the one with the same source and token."""
        ...

    def drop(self, row: DedupeClaimRow) -> None:
        """Drop a row."""
        ...

    def drop_forgotten(self, now: datetime, *, limit: int) -> None:
        """Drop some rows that are to be forgotten by now; look at this many at most."""
        ...


Work = Callable[[DedupeClaimTable, datetime], T]
"""A change of a store's rows at one instant, all of it or nothing."""


class ClaimTableDedupe(ABC):
    """Answers `DedupeStore` from rows."""

    @abstractmethod
    def _at_once(self, work: Work[T]) -> T:
        """Do work that no other may come between."""

    def claim(self, visit: DedupeClaimRequest) -> Claimed:
        """Answer `DedupeStore.claim`."""
        return self._at_once(lambda table, now: claim(table, visit, now))

    def done(self, visit: DedupeClaimRequest) -> bool:
        """Answer `DedupeStore.done`."""
        return self._at_once(lambda table, now: done(table, visit, now))

    def release(self, visit: DedupeClaimRequest) -> None:
        """Answer `DedupeStore.release`."""
        self._at_once(lambda table, now: release(table, visit, now))


def claim(table: DedupeClaimTable, visit: DedupeClaimRequest, now: datetime) -> Claimed:
    """Answer `DedupeStore.claim`."""
    row = _find(table, visit, now) or _pair(table, visit, now)
    if row is None:
        table.put(_first(visit, now))
        answer = ClaimWon(is_retry=False)
    else:
        answer = _answer(row, now)
        table.put(
            _kept(_taken(row, visit, now) if isinstance(answer, ClaimWon) else row, visit, now)
        )
    # A few with each claim, so that no job has to clean up.
    table.drop_forgotten(now, limit=_LOOKED_AT)
    return answer


def done(table: DedupeClaimTable, visit: DedupeClaimRequest, now: datetime) -> bool:
    """Answer `DedupeStore.done`."""
    row = _find(table, visit, now)
    if row is None or row.owner != visit.owner:
        return False
    table.put(_kept(replace(row, lease_ends=None), visit, now))
    return True


def release(table: DedupeClaimTable, visit: DedupeClaimRequest, now: datetime) -> None:
    """Answer `DedupeStore.release`."""
    row = _find(table, visit, now)
    if row is not None and row.owner == visit.owner and row.lease_ends is not None:
        table.put(replace(row, lease_ends=now))


def comparable(visit: DedupeClaimRequest) -> str | None:
    """Return the fingerprint that finds a visit's twin; None where twins don't count."""
    return visit.content if visit.same_event_within > timedelta(0) else None


def remembered(visit: DedupeClaimRequest) -> timedelta:
    """Return for how long a visit has its row kept: never for less than its lease."""
    return max(visit.keep, visit.lease)


def other(source: Source) -> Source:
    """Return the other source."""
    return Source.KORE if source is Source.TWILIO else Source.TWILIO


def _find(
    table: DedupeClaimTable, visit: DedupeClaimRequest, now: datetime
) -> DedupeClaimRow | None:
    row = table.find(visit.source, visit.token)
    if row is None or now < row.forget_at:
        return row
    table.drop(row)
    return None


def _pair(
    table: DedupeClaimTable, visit: DedupeClaimRequest, now: datetime
) -> DedupeClaimRow | None:
    """Return the other source's row of the same event, with the new token added."""
    content = comparable(visit)
    if content is None:
        return None
    since = now - visit.same_event_within
    row = table.find_unpaired(other(visit.source), content, since=since, now=now)
    return row and replace(row, other_token=visit.token)


def _first(visit: DedupeClaimRequest, now: datetime) -> DedupeClaimRow:
    return DedupeClaimRow(
        source=visit.source,
        token=visit.token,
        other_token=None,
        content=comparable(visit),
        owner=visit.owner,
        lease_ends=now + visit.lease,
        first_claimed=now,
        forget_at=now + remembered(visit),
    )


def _answer(row: DedupeClaimRow, now: datetime) -> Claimed:
    if row.lease_ends is None:
        return WorkAlreadyDone()
    if now < row.lease_ends:
        return ClaimedByOther(row.lease_ends - now)
    return ClaimWon(is_retry=True)


def _taken(row: DedupeClaimRow, visit: DedupeClaimRequest, now: datetime) -> DedupeClaimRow:
    return replace(row, owner=visit.owner, lease_ends=now + visit.lease)


def _kept(row: DedupeClaimRow, visit: DedupeClaimRequest, now: datetime) -> DedupeClaimRow:
    return replace(row, forget_at=max(row.forget_at, now + remembered(visit)))
