"""Sinks: the webhooks and Kinesis streams that events are sent to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.policy.source_policy import Source

MOST_OF_AN_ACCOUNT: Final = 100
"""How many sinks an account can have, and how many subscriptions, at each vendor."""


class SinkType(StrEnum):
    """The kinds of sinks that events can be sent to."""

    WEBHOOK = "webhook"
    KINESIS = "kinesis"


class SinkStatus(StrEnum):
    """The statuses of a sink; only an active one can be subscribed to."""

    INITIALIZED = "initialized"
    VALIDATING = "validating"
    """A test event was sent, and its id has to be returned."""
    ACTIVE = "active"
    FAILED = "failed"
    """The last test event could not be delivered."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """What the settings say about event streams."""

    most: int = MOST_OF_AN_ACCOUNT
    """How many sinks an account can have at each source, and how many subscriptions."""
    has_beta_flow: bool = False
    """True if a Kinesis sink at twilio has to be validated, as in the beta of Event Streams."""
    kore_wait: timedelta = timedelta(seconds=1)
    """How long a batch from kore waits for more events."""
    has_kore_prefix: bool = False
    """True if the types of events from kore begin with `com.kore.` in place of `com.twilio.`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSink:
    """Where the events of a stream go: Twilio's Sink, or KORE's destination."""

    sid: str
    account_sid: str
    source: Source
    """The infrastructure that sends the events."""
    description: str
    """Its description at Twilio, its name at KORE."""
    sink_type: SinkType
    url: CallbackUrl
    """Where requests go; for a Kinesis stream, see `kinesis_stream`."""
    method: HttpMethod = HttpMethod.POST
    has_batches: bool = False
    """True if requests from twilio may have several events."""
    configuration: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """The configuration as it was given, without the URL, which may have a password.

    It may have names that mean nothing here, so their values could be secrets.
    """
    status: SinkStatus = SinkStatus.ACTIVE
    test_id: str | None = None
    """The id in the newest test event; None if none was sent."""
    test_sid: str | None = None
    """The SID of the callback with this test event."""
    date_created: datetime
    date_updated: datetime
    created_by: str | None = None
    """Whose request created it: an `Actor.id`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSubscription:
    """Which events go to a sink: Twilio's Subscription, or KORE's streaming rule."""

    sid: str
    account_sid: str
    sink_sid: str
    source: Source
    description: str
    """Its description at Twilio, its name at KORE."""
    types: Mapping[str, int]
    """The types of events, and the version of the schema in which each is sent."""
    is_enabled: bool = True
    product_group: str | None = None
    """KORE's product group; None at Twilio."""
    notes: tuple[str, ...] = ()
    """What was asked for and has no effect, in words."""
    date_created: datetime
    date_updated: datetime
    created_by: str | None = None
