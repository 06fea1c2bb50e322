"""Splits a batch of an event stream into its events, each of which is processed once.

A batch is acknowledged only when all its events are done. Otherwise the sender sends all of them
again, and those that are done are then duplicates.
"""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sources.idempotency_tokens import is_token
from ringback.receiver.callback import Callback
from ringback.receiver.results import Answer, Duplicate, Result
from ringback.receiver.verification import ReceivedRequest

if TYPE_CHECKING:
    from ringback.receiver.events import CloudEvent

log: Final = logging.getLogger("ringback.receiver")

_DONE: Final = Answer(200, "ok")
# No source of the settings has a space in its name, so no event is taken for a callback.
_OF_BOTH: Final = "events of both"
_OF_ONE: Final = "events of {}"


class EventsNotDone(Exception):
    """The application failed on events of a batch; its cause is the first failure.

    Frameworks answer it with a 500, so that the sender sends the batch again. The failure itself
    could be one that a framework answers with a 4xx, after which Twilio discards the batch
    (twilio.com/docs/events/event-delivery-and-duplication).
    """


def is_event_batch(request: ReceivedRequest) -> bool:
    """Return True if the request has the form of an event stream; verifies no signature.

    A test event that is alone is not a batch.
    """
    if not request.is_json:
        return False
    from ringback.receiver.events import CloudEvents, read_event  # noqa: PLC0415 (not every receiver uses it)

    return isinstance(read_event(request), CloudEvents)


def split_batch(callback: Callback) -> list[Callback] | None:
    """Return a callback for each event of a batch; None if it is not a batch."""
    if not callback.request.is_json:
        return None
    from ringback.receiver.events import CloudEvents  # noqa: PLC0415 (as above)

    batch = callback.event
    if not isinstance(batch, CloudEvents):
        return None
    return [replace(callback, cloud_event=event) for event in batch.events]


def event_key(callback: Callback, scope: str | None) -> tuple[SourceName, str] | None:
    """Return the key under which an event is claimed, in place of a source and a token.

    An event with an `event_sid` has the same key from Twilio and from KORE. `scope` is what the
    event is processed for: None for the URL that it was sent to. Returns None for a test event,
    which is never a duplicate: all those of an account at Twilio have the same id.
    """
    named = (
        None if callback.cloud_event is None else event_name(callback.source, callback.cloud_event)
    )
    if named is None:
        return None
    source, name = named
    where = sha256((callback.url if scope is None else scope).encode("utf-8", "replace"))
    if not is_token(name):  # a store may refuse what is longer, or not printable
        name = sha256(name.encode("utf-8", "replace")).hexdigest()
    return source, f"{where.hexdigest()[:16]} {name}"


def event_name(source: SourceName, event: "CloudEvent") -> tuple[SourceName, str] | None:
    """Return the name of an event that comes from a source, which is the same in every delivery.

    That is its `event_sid`, with the same first part for Twilio and KORE, or else its id. Returns
    None for a test event.
    """
    from ringback.receiver.events import TestEvent, event_sid_of, typed_event  # noqa: PLC0415 (as above)

    if isinstance(typed_event(event), TestEvent):
        return None
    sid = event_sid_of(event) if source in [*Source] else None
    return (_OF_BOTH, sid) if sid else (_OF_ONE.format(source), event.id)


@dataclass(slots=True)
class BatchProgress:
    """What has become of the events of one batch."""

    count: int
    """The number of events in the batch."""
    busy_for: list[timedelta] = field(default_factory=list[timedelta])
    """For each event that another delivery works on, the time until its lease ends."""
    failures: list[Exception] = field(default_factory=list[Exception])

    @classmethod
    def of(cls, events: Sequence[Callback]) -> "BatchProgress":
        """Return the progress before the first event."""
        return cls(len(events))

    def note(self, result: Result) -> None:
        """Note an event that is done, or is under way."""
        if isinstance(result, Duplicate) and result.busy_for is not None:
            self.busy_for.append(result.busy_for)

    def fail(self, event: Callback, failure: Exception) -> None:
        """Log that the application failed on an event; the first failure is raised at the end."""
        name = event.cloud_event and event.cloud_event.id
        log.error("the work of the event %r failed", name, exc_info=failure)
        self.failures.append(failure)

    def answer(self) -> Answer:
        """Return the answer to the batch: 200 if all events are done, 503 if some are under way.

        Raises EventsNotDone if the application failed on an event.
        """
        if self.failures:
            failed = len(self.failures)
            raise EventsNotDone(
                f"the work of {failed} of {self.count} events failed; the sender is to send the"
                " batch again"
            ) from self.failures[0]
        if self.busy_for:
            wait = max(1, math.ceil(max(self.busy_for).total_seconds()))
            return Answer(503, "under way", {"Retry-After": str(wait)})
        return _DONE
