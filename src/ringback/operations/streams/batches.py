"""Batches: the events they have, how the other source writes them, and which have an event."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.errors import Conflict, NotFound
from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sids import SidKind, is_sid
from ringback.core.streams.event_references import body_of_references, read_references
from ringback.core.streams.stream_event import EventChoice, StreamEvent
from ringback.ports import CallbackFilter, PageWindow, Transaction

_EXAMINED: Final = 2000
"""How many batches are looked through for an event."""
_NEWEST: Final = 500
"""Among how many of an account's newest callbacks the last batch of a stream is looked for."""


class BatchesOfEvent(NamedTuple):
    """The batches that have an event, the newest first."""

    batches: Sequence[CallbackRecord]
    has_more: bool
    """True if there may be more, since only some batches were looked through."""


def events_of(tx: Transaction, callback: CallbackRecord) -> Sequence[EventChoice]:
    """Return the events of a batch in their order; none for a callback and for a test event."""
    if callback.stream is None or not callback.stream.references:
        return ()
    references = read_references(callback.stream.references)
    events = tx.streams.events.numbered([one.number for one in references])
    pairs = zip(events, references, strict=True)
    return [EventChoice(event, reference.version) for event, reference in pairs]


def body_from(tx: Transaction, callback: CallbackRecord, source: SourceName) -> str | None:
    """Return the body of a batch as another source writes the same events; None for a callback.

    Raises Conflict if that source sends no events, or if it is a test event, which only its own
    source sends.
    """
    if callback.stream is None:
        return None
    if not callback.stream.references:
        raise Conflict(
            f"{callback.sid} is a test event, which only {callback.source} sends; send a new one"
        )
    if source not in list(Source):
        raise Conflict(
            f"{callback.sid} is a batch of events, which only {' and '.join(Source)} send, not"
            f" {source!r}"
        )
    references = callback.stream.references
    return body_of_references(references, Source(source), tx.streams.events.numbered)


def fetch_event(tx: Transaction, account_sid: str, sid: str) -> StreamEvent:
    """Return an account's event; raises NotFound if there is none any more."""
    event = tx.streams.events.get(sid) if is_sid(sid, SidKind.STREAM_EVENT) else None
    if event is None or event.account_sid != account_sid:
        raise NotFound(
            f"there is no event {sid}; events are kept as long as a batch has them or a"
            " subscription waits for them"
        )
    return event


def batches_with(tx: Transaction, account_sid: str, sid: str) -> BatchesOfEvent:
    """Return the batches that have an account's event; raises NotFound if there is no such event.

    Replays of a batch count, too.
    """
    event = fetch_event(tx, account_sid, sid)
    sids, has_more = tx.streams.events.batches_with(event.sid, examining=_EXAMINED)
    found = [tx.callbacks.get(account_sid, one) for one in sids]
    batches = [one for one in found if one is not None]
    return BatchesOfEvent(sorted(batches, key=lambda one: one.sid, reverse=True), has_more)


def last_batch(tx: Transaction, account_sid: str, stream_sid: str) -> CallbackRecord | None:
    """Return the newest batch of a subscription, or the newest test event of a sink.

    None if there is none among the account's newest callbacks.
    """
    which = CallbackFilter(stream_sid=stream_sid)
    page = tx.callbacks.page(account_sid, which, PageWindow(1, examining=_NEWEST))
    return next(iter(page), None)
