"""Replays callbacks that did not arrive, and discards those that should not be sent any more.

A replay sends the same callback again, with the same source, token and payload, so that the
receiver can recognise a duplicate. A replay from the other source is a new callback with its own
token.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Self

from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus, discard, replay
from ringback.core.callbacks.create_callback import CALLBACK_BYTES, repeat
from ringback.core.callbacks.undelivered_groups import GroupIdentity
from ringback.core.errors import Conflict
from ringback.core.sources.source_definition import other_than
from ringback.operations.context import OperationContext
from ringback.operations.lookups import fetch_callback
from ringback.operations.streams.batches import body_from
from ringback.ports import CallbackFilter, RecordPage, Transaction

ANY: Final = frozenset(CallbackStatus)
ENDED: Final = ANY - {CallbackStatus.SCHEDULED}
_EXAMINED: Final = 1000
"""How many callbacks one transaction reads, so that it delays other commits only briefly."""
_SELECTED_AMONG: Final = 200
"""How many callbacks are read at least if only some of them are selected."""

UNDER_WAY: Final = "under_way"
UNKNOWN: Final = "unknown"
TEST: Final = "test"

Replay = Callable[[Transaction, CallbackRecord], CallbackRecord]
"""A function that sends a callback again, and returns the record of the callback it sends."""


Selection = Callable[[Transaction, Sequence[CallbackRecord]], Sequence[CallbackRecord]]
"""A function that returns those callbacks of a page that a bulk replay is for."""


class TestEventNotReplayable(Conflict):
    """A test event can't be replayed from the other source."""


@dataclass(frozen=True, slots=True)
class BulkReplayTotals:
    """The numbers of callbacks that were replayed in bulk, and of those that were skipped."""

    matched: int = 0
    skipped: Counter[str] = field(default_factory=Counter[str])
    """The number of callbacks not replayed, by reason: `UNDER_WAY`, `UNKNOWN`, `TEST` or status."""
    last: str | None = None
    """The SID of the last callback that was read."""
    has_more: bool = False
    """True if there may be more callbacks after `last`."""
    last_place: int | None = None
    """The place of `last` in the list of callbacks, if it is known."""

    @property
    def replayed(self) -> int:
        """The number of callbacks that were, or in a dry run would be, sent again."""
        return self.matched - self.skipped.total()

    def __add__(self, later: Self) -> Self:
        """Return the totals of two parts of a bulk replay, of which `later` is the second."""
        return type(self)(
            self.matched + later.matched,
            self.skipped + later.skipped,
            later.last or self.last,
            later.has_more,
            later.last_place or self.last_place,
        )


def everything(_tx: Transaction, callbacks: Sequence[CallbackRecord]) -> Sequence[CallbackRecord]:
    """Select all callbacks."""
    return callbacks


def in_groups(keys: Collection[str]) -> Selection:
    """Return a function that selects the callbacks of the groups with these keys."""

    def select(tx: Transaction, callbacks: Sequence[CallbackRecord]) -> Sequence[CallbackRecord]:
        last = tx.callbacks.last_attempts(callbacks)
        return [one for one in callbacks if GroupIdentity.of(one, last.get(one.sid)).key in keys]

    return select


def only_look(_tx: Transaction, callback: CallbackRecord) -> CallbackRecord:
    """Return the callback, and send nothing: the dry run of a replay."""
    return callback


def only_look_at_other(_tx: Transaction, callback: CallbackRecord) -> CallbackRecord:
    """Return the callback, and send nothing: the dry run of a replay from the other source.

    Raises TestEventNotReplayable for a test event.
    """
    _refuse_test(callback)
    return callback


def from_same_source(context: OperationContext) -> Replay:
    """Return a function that sends a callback again from its own source, in a new first round."""

    def send_again(tx: Transaction, callback: CallbackRecord) -> CallbackRecord:
        progress = replay(callback.progress, context.now)
        context.queue.change(tx, callback, progress)
        return callback.having(progress)

    return send_again


def from_other_source(context: OperationContext) -> Replay:
    """Return a function that repeats a callback as a new one, sent by the other source.

    The two callbacks refer to each other. A failed callback becomes discarded, so that a later bulk
    replay does not send it again. A batch has the same events again, as the other source writes
    them. The function raises TestEventNotReplayable for a test event.
    """
    sources = context.sources

    def send_again(tx: Transaction, callback: CallbackRecord) -> CallbackRecord:
        _refuse_test(callback)
        source = other_than(callback.source, sources)
        again = repeat(
            callback,
            source=source,
            random_bytes=context.random_source.bytes(CALLBACK_BYTES),
            now=context.now,
            sources=sources,
            created_by=context.actor.id,
            body=body_from(tx, callback, source),
        )
        context.queue.take(tx, again)
        if callback.status is CallbackStatus.FAILED:
            why = f"replayed from {source} as {again.sid}"
            context.queue.change(tx, callback, discard(callback.progress, why, context.now))
        return again

    return send_again


def replay_callback(
    tx: Transaction,
    account_sid: str,
    sid: str,
    send_again: Replay,
    *,
    statuses: frozenset[CallbackStatus],
) -> CallbackRecord:
    """Send one callback again with `send_again`, and return the record of what is sent.

    Raises NotFound if the callback doesn't exist, and Conflict if an attempt is under way, if its
    status is not in `statuses`, or if it is a test event that would come from the other source.
    """
    callback = fetch_callback(tx, account_sid, sid)
    _refuse_under_way(callback)
    if callback.status not in statuses:
        raise Conflict(
            f"{sid} is {callback.status}; the other source can send it only after"
            " it was delivered, failed or discarded"
        )
    return send_again(tx, callback)


def replay_named(
    tx: Transaction,
    account_sid: str,
    sids: Sequence[str],
    send_again: Replay,
    *,
    statuses: frozenset[CallbackStatus],
) -> BulkReplayTotals:
    """Send the callbacks with these SIDs again if their status is in `statuses`, and count them.

    All others are counted as skipped, by reason.
    """
    found = [tx.callbacks.get(account_sid, sid) for sid in sids]
    known = [callback for callback in found if callback is not None]
    strangers = Counter({UNKNOWN: len(sids) - len(known)})
    return _replay(tx, known, send_again, statuses=statuses) + BulkReplayTotals(
        len(sids) - len(known), +strangers
    )


def replay_oldest(
    tx: Transaction,
    account_sid: str,
    which: CallbackFilter,
    send_again: Replay,
    *,
    after: str | int | None,
    limit: int,
    selection: Selection = everything,
) -> BulkReplayTotals:
    """Send the oldest callbacks that match `which` again, and count them.

    At most `limit` callbacks are taken, beginning after the SID or place `after`. With a
    `selection`, only those that it selects are taken.
    """

    def read(most: int) -> RecordPage[CallbackRecord]:
        return tx.callbacks.oldest(account_sid, which, after=after, limit=most, examining=_EXAMINED)

    asked = limit if selection is everything else max(limit, _SELECTED_AMONG)
    oldest = read(asked)
    taken = selection(tx, oldest)
    if len(taken) > limit:
        # Read again, because only the place of the last callback that is read is known.
        asked, taken = oldest.index(taken[limit - 1]) + 1, taken[:limit]
        oldest = read(asked)
    done = _replay(tx, taken, send_again, statuses=ANY)
    has_more = oldest.stopped_at is not None or len(oldest) == asked
    last = oldest.stopped_at or (oldest[-1].sid if oldest else None)
    return replace(done, last=last, has_more=has_more, last_place=oldest.last_place)


def discard_callback(
    tx: Transaction, account_sid: str, sid: str, why: str, context: OperationContext
) -> CallbackRecord:
    """Discard a callback, so that it is not sent any more, and return its record.

    Raises NotFound if the callback doesn't exist, and Conflict if an attempt is under way, or if
    the callback was delivered or discarded before.
    """
    callback = fetch_callback(tx, account_sid, sid)
    _refuse_under_way(callback)
    if callback.status in (CallbackStatus.DELIVERED, CallbackStatus.DISCARDED):
        because = f" ({callback.progress.status_reason})" if callback.progress.status_reason else ""
        raise Conflict(f"{sid} is {callback.status} already{because}; it can't be discarded")
    progress = discard(callback.progress, why, context.now)
    context.queue.change(tx, callback, progress)
    context.record(
        *(tx, "DiscardCallback", sid),
        account_sid=account_sid,
        before={"status": callback.status},
        after={"status": progress.status, "status_reason": why},
    )
    return callback.having(progress)


def _replay(
    tx: Transaction,
    callbacks: Iterable[CallbackRecord],
    send_again: Replay,
    *,
    statuses: frozenset[CallbackStatus],
) -> BulkReplayTotals:
    matched, skipped, last = 0, Counter[str](), None
    for callback in callbacks:
        matched, last = matched + 1, callback.sid
        if callback.progress.is_under_way:
            skipped[UNDER_WAY] += 1
        elif callback.status not in statuses:
            skipped[callback.status.value] += 1
        elif not _send_unless_test(tx, callback, send_again):
            skipped[TEST] += 1
    return BulkReplayTotals(matched, skipped, last)


def _send_unless_test(tx: Transaction, callback: CallbackRecord, send_again: Replay) -> bool:
    """Send a callback again and return True.

    Returns False, and sends nothing, if `send_again` raises because the callback is a test event.
    """
    try:
        send_again(tx, callback)
    except TestEventNotReplayable:
        return False
    return True


def _refuse_test(callback: CallbackRecord) -> None:
    if callback.is_test:
        source = callback.source
        raise TestEventNotReplayable(
            f"{callback.sid} is a test event, which only {source} sends; replay it from {source},"
            " or create a new one"
        )


def _refuse_under_way(callback: CallbackRecord) -> None:
    if callback.progress.is_under_way:
        raise Conflict(f"an attempt of {callback.sid} is in progress; try again when it has ended")
