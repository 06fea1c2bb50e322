"""Decides which delivery may do a callback's work, for stores with a row for each event.

A row represents one event, even if both sources have sent a callback for it. A "visit" is one
delivery that asks to do the work. While a function of this module runs, the store must prevent
others from changing the rows.

The functions are coroutines, so that asynchronous drivers can use them. For all other stores,
`finish` runs them: these coroutines never wait.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeVar

from ringback.core.policy.source_policy import Source, SourceName
from ringback.receiver.dedupe.dedupe_store import (
    AsyncDedupeStore,
    Claimed,
    ClaimedByOther,
    ClaimWon,
    DedupeClaimRequest,
    WorkAlreadyDone,
)

T = TypeVar("T")

# How many expired rows each claim may drop. A claim adds at most one row, so dropping keeps up.
_LOOKED_AT: Final = 10
_OTHERS: Final[Mapping[SourceName, Source]] = {
    Source.TWILIO: Source.KORE,
    Source.KORE: Source.TWILIO,
}


@dataclass(frozen=True, slots=True)
class DedupeClaimRow:
    """A stored event: one callback, or the pair of callbacks that both sources sent for it."""

    source: SourceName
    token: str
    """The token that was received first; source and token identify the row."""
    other_token: str | None
    """The other source's token for the same event; None until its callback arrives."""
    content: str | None
    """A fingerprint to match with the other source's callback; None if not to be matched."""
    owner: str
    """The random `owner` of the DedupeClaimRequest that last got the right to do the work.

    Empty once that delivery has released its claim.
    """
    lease_ends: datetime | None
    """The time when the claim ends; None once the work is done."""
    first_claimed: datetime
    forget_at: datetime
    """The time when the row expires; from then on, it is treated as if it did not exist."""


class DedupeClaimTable(Protocol):
    """Reads and writes the rows of a store, within one transaction."""

    async def find(self, source: SourceName, token: str) -> DedupeClaimRow | None:
        """Return the row with this token, received first or second, even if expired; or None."""
        ...

    async def find_unpaired(
        self, source: SourceName, content: str, *, since: datetime, now: datetime
    ) -> DedupeClaimRow | None:
        """Return a source's oldest row with this content that has no token of the other source.

        The row must have been claimed first at `since` or later, and must not have expired at
        `now`. Of two equally old rows, returns the one whose token sorts first. Returns None if no
        row matches.
        """
        ...

    async def put(self, row: DedupeClaimRow) -> None:
        """Save a row, replacing the row with the same source and token if there is one."""
        ...

    async def drop(self, row: DedupeClaimRow) -> None:
        """Delete this row from the table."""
        ...

    async def drop_forgotten(self, now: datetime, *, limit: int) -> None:
        """Delete expired rows, but look at no more than `limit` rows."""
        ...


Work = Callable[[DedupeClaimTable, datetime], Coroutine[Any, Any, T]]
"""What a store does in one transaction, from its rows and the current time."""


class ClaimTableDedupe(ABC):
    """Base class that implements `DedupeStore` on top of a DedupeClaimTable."""

    @abstractmethod
    def _at_once(self, work: Work[T]) -> T:
        """Run `work` in a transaction in which nobody else changes rows, and return its result."""

    def claim(self, visit: DedupeClaimRequest) -> Claimed:
        """Ask for the right to do the callback's work; see `DedupeStore.claim`."""
        return self._at_once(lambda table, now: claim(table, visit, now))

    def renew(self, visit: DedupeClaimRequest) -> bool:
        """Let the lease begin anew; see `DedupeStore.renew`."""
        return self._at_once(lambda table, now: renew(table, visit, now))

    def done(self, visit: DedupeClaimRequest) -> bool:
        """Record that this delivery has done the callback's work; see `DedupeStore.done`."""
        return self._at_once(lambda table, now: done(table, visit, now))

    def release(self, visit: DedupeClaimRequest) -> None:
        """Give up this delivery's claim to the callback's work; see `DedupeStore.release`."""
        self._at_once(lambda table, now: release(table, visit, now))


class FinishedAtOnceDedupe:
    """Base class of a `DedupeStore` that consists of an AsyncDedupeStore whose driver blocks."""

    def __init__(self, store: AsyncDedupeStore) -> None:
        self._store = store

    def claim(self, visit: DedupeClaimRequest) -> Claimed:
        """Ask for the right to do a callback's work; see `DedupeStore.claim`."""
        return finish(self._store.claim(visit))

    def renew(self, visit: DedupeClaimRequest) -> bool:
        """Let the lease begin anew; see `DedupeStore.renew`."""
        return finish(self._store.renew(visit))

    def done(self, visit: DedupeClaimRequest) -> bool:
        """Record that the work is done; see `DedupeStore.done`."""
        return finish(self._store.done(visit))

    def release(self, visit: DedupeClaimRequest) -> None:
        """Give up this delivery's claim to the callback's work; see `DedupeStore.release`."""
        finish(self._store.release(visit))


def finish(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never waits, and return its result.

    Raises TypeError if it waits: then its driver is asynchronous.
    """
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    coroutine.close()
    raise TypeError(
        "the database client is asynchronous; use AsyncPostgresDedupe or AsyncRedisDedupe for it"
    )


async def given_by(result: Any) -> Any:
    """Return the result of a driver's function; await it first if the driver is asynchronous.

    >>> finish(given_by(1))
    1
    """
    return (await result) if hasattr(result, "__await__") else result


async def claim(table: DedupeClaimTable, visit: DedupeClaimRequest, now: datetime) -> Claimed:
    """Ask, for this delivery, for the right to do the callback's work; see `DedupeStore.claim`."""
    row = await _find(table, visit, now) or await _pair(table, visit, now)
    if row is None:
        await table.put(_first(visit, now))
        answer = ClaimWon(is_retry=False)
    else:
        answer = _answer(row, now)
        await table.put(
            _kept(_taken(row, visit, now) if isinstance(answer, ClaimWon) else row, visit, now)
        )
    # Each claim drops a few expired rows, so that no separate clean-up job is needed.
    await table.drop_forgotten(now, limit=_LOOKED_AT)
    return answer


async def renew(table: DedupeClaimTable, visit: DedupeClaimRequest, now: datetime) -> bool:
    """Let the lease of the delivery's claim begin anew; see `DedupeStore.renew`."""
    row = await _find(table, visit, now)
    if row is None or row.owner != visit.owner or row.lease_ends is None:
        return False
    await table.put(_kept(_taken(row, visit, now), visit, now))
    return True


async def done(table: DedupeClaimTable, visit: DedupeClaimRequest, now: datetime) -> bool:
    """Record in this table that the delivery has done the work; see `DedupeStore.done`."""
    row = await _find(table, visit, now)
    if row is None or row.owner != visit.owner:
        return False
    await table.put(_kept(replace(row, lease_ends=None), visit, now))
    return True


async def release(table: DedupeClaimTable, visit: DedupeClaimRequest, now: datetime) -> None:
    """Give up this delivery's claim to the callback's work; see `DedupeStore.release`."""
    row = await _find(table, visit, now)
    if row is not None and row.owner == visit.owner and row.lease_ends is not None:
        # Without an owner, a renewal that is still on its way changes nothing.
        await table.put(replace(row, owner="", lease_ends=now))


def comparable(visit: DedupeClaimRequest) -> str | None:
    """Return the fingerprint to compare with the other source's callbacks; None to not compare."""
    return visit.content if visit.same_event_within > timedelta(0) else None


def remembered(visit: DedupeClaimRequest) -> timedelta:
    """Return how long to remember a callback: for `keep`, but never for less than the lease."""
    return max(visit.keep, visit.lease)


def other(source: SourceName) -> SourceName:
    """Return the other source of the two built in; empty for a source of the settings.

    Only the callbacks of the two built-in sources are compared with each other.
    """
    return _OTHERS.get(source, "")


async def _find(
    table: DedupeClaimTable, visit: DedupeClaimRequest, now: datetime
) -> DedupeClaimRow | None:
    row = await table.find(visit.source, visit.token)
    if row is None or now < row.forget_at:
        return row
    await table.drop(row)
    return None


async def _pair(
    table: DedupeClaimTable, visit: DedupeClaimRequest, now: datetime
) -> DedupeClaimRow | None:
    """Return the other source's row for the same event, with this delivery's token added; or None.

    The returned row is not saved.
    """
    content = comparable(visit)
    if content is None:
        return None
    since = now - visit.same_event_within
    row = await table.find_unpaired(other(visit.source), content, since=since, now=now)
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
