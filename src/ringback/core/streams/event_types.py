"""The types of events that can be subscribed to, their schema, and what Twilio still publishes.

The names, the meanings and the schema's versions are from Twilio's catalogue of event types
(twilio.com/docs/events/event-types/internet-of-things/super-sim); KORE has the same types.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from ringback.core.policy.source_policy import Phase, Source

_PREFIX: Final = "com.twilio.iot.supersim.connection."
_KORE_PREFIX: Final = "com.kore.iot.supersim.connection."


class StreamEventType(StrEnum):
    """The types of events about the connections of a Super SIM."""

    ATTACHMENT_ACCEPTED = f"{_PREFIX}attachment.accepted"
    ATTACHMENT_REJECTED = f"{_PREFIX}attachment.rejected"
    ATTACHMENT_FAILED = f"{_PREFIX}attachment.failed"
    SESSION_STARTED = f"{_PREFIX}data-session.started"
    SESSION_UPDATED = f"{_PREFIX}data-session.updated"
    SESSION_ENDED = f"{_PREFIX}data-session.ended"
    SESSION_FAILED = f"{_PREFIX}data-session.failed"

    @property
    def short(self) -> str:
        """The name without what all types have in common.

        >>> StreamEventType.SESSION_ENDED.short
        'data-session.ended'
        """
        return self.value.removeprefix(_PREFIX)

    @property
    def with_kore_prefix(self) -> str:
        """The name with `com.kore.` in place of `com.twilio.`, as some receivers expect it."""
        return _KORE_PREFIX + self.short


DESCRIPTIONS: Final[Mapping[StreamEventType, str]] = {
    StreamEventType.ATTACHMENT_ACCEPTED: "A Super SIM was allowed to attach to a network",
    StreamEventType.ATTACHMENT_REJECTED: "A Super SIM was not allowed to attach to a network",
    StreamEventType.ATTACHMENT_FAILED: "A Super SIM could not attach because of an internal error",
    StreamEventType.SESSION_STARTED: "A Super SIM's data session has started",
    StreamEventType.SESSION_UPDATED: "A Super SIM's data session goes on; with its usage since",
    StreamEventType.SESSION_ENDED: "A Super SIM's data session has ended; with its usage",
    StreamEventType.SESSION_FAILED: "A Super SIM's data session could not be established",
}
"""What an event of each type reports."""

SCHEMA_ID: Final = "SuperSim.ConnectionEvent"
"""The id of the schema that all types have."""
SCHEMA_VERSIONS: Final[Mapping[int, datetime]] = {
    1: datetime(2021, 11, 23, tzinfo=UTC),
    2: datetime(2022, 6, 15, tzinfo=UTC),
}
"""The schema's versions, and since when there is each.

Twilio's change log dates version 2; the day of version 1 is not documented, so it is our choice.
"""
LATEST_VERSION: Final = max(SCHEMA_VERSIONS)
PRODUCT_GROUP: Final = "Connectivity"
"""KORE's product group of all these types."""


class EventTypeStatus(StrEnum):
    """Whether Twilio publishes events of a type (twilio.com/docs/events/event-types-lifecycle)."""

    AVAILABLE = "available"
    DEPRECATED = "deprecated"
    """Events are still published, and the type can still be subscribed to."""
    RESTRICTED = "restricted"
    DISCONTINUED = "discontinued"
    """No events are published any more, and the type can't be subscribed to."""


def status_at_twilio(phase: Phase) -> EventTypeStatus:
    """Return the status that all types have at Twilio in a phase of the policy.

    They are available while callbacks come from twilio by default, deprecated while a URL can still
    ask for that, and discontinued from then on.
    """
    if phase.default == Source.TWILIO:
        return EventTypeStatus.AVAILABLE
    if Source.TWILIO in phase.may_ask:
        return EventTypeStatus.DEPRECATED
    return EventTypeStatus.DISCONTINUED
