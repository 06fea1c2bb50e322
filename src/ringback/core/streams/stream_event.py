"""Events, and how each source writes them: as CloudEvents 1.0 in JSON, alone or in a batch.

The order of the names is that of each vendor's real events. An event's `data` is made once, and is
the same text from both sources.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from ringback.core.policy.source_policy import Source
from ringback.core.sources.idempotency_tokens import uuid4_text
from ringback.core.streams.event_schema import SUMS
from ringback.core.streams.event_types import LATEST_VERSION, SCHEMA_ID, StreamEventType

TWILIO_TEST_TYPE: Final = "com.twilio.eventstreams.test-event"
"""The type of the event that tests a sink at Twilio."""
_TWILIO_SCHEMA: Final = f"https://events-schemas.twilio.com/{SCHEMA_ID}"
_KORE_SCHEMA: Final = f"https://events-schemas.korewireless.com/{SCHEMA_ID}"
_TWILIO_TEST_SCHEMA: Final = "https://events-schemas.twilio.com/EventStreams.TestSink/1.json"


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """Something that happened to a SIM, as it is sent to its subscribers."""

    sid: str
    account_sid: str
    sim_sid: str
    type: StreamEventType
    date_created: datetime
    """When it happened."""
    data: str
    """The event's data in the latest version of the schema: a JSON object, without spaces."""

    def data_in(self, version: int) -> str:
        """Return the event's data in this version of the schema."""
        if version == LATEST_VERSION:
            return self.data
        fields = json.loads(self.data)
        return compact({name: value for name, value in fields.items() if name not in SUMS})


class EventChoice(NamedTuple):
    """An event of a batch, and the version of the schema in which the batch has it."""

    event: StreamEvent
    version: int = LATEST_VERSION


def write_event(
    source: Source, event: StreamEvent, version: int, *, has_kore_prefix: bool = False
) -> str:
    """Return an event as a source writes it: a JSON object, without spaces.

    With `has_kore_prefix`, the type of an event from kore begins with `com.kore.`.

    The text is put together from parts, because an event's data never has to be read for that.
    """
    sid, data, type_ = event.sid, event.data_in(version), event.type
    if source is Source.TWILIO:
        return (
            f'{{"specversion":"1.0","type":"{type_}"'
            f',"source":"/v1/SuperSim/ConnectionEvents/{sid}","id":"{sid}"'
            f',"dataschema":"{_TWILIO_SCHEMA}/{version}","datacontenttype":"application/json"'
            f',"time":"{event.date_created:%Y-%m-%dT%H:%M:%S}.000Z","data":{data}}}'
        )
    shown = type_.with_kore_prefix if has_kore_prefix else type_
    return (
        f'{{"data":{data},"id":"{sid}","time":"{event.date_created:%Y-%m-%dT%H:%M:%SZ}"'
        f',"type":"{shown}","source":"kore-events"'
        f',"dataschema":"{_KORE_SCHEMA}/{version}","specversion":"1.0"'
        ',"datacontenttype":"application/json"}'
    )


def write_batch(
    source: Source, choices: Iterable[EventChoice], *, has_kore_prefix: bool = False
) -> str:
    """Return the body of a request with these events: a JSON array, even of one event."""
    written = (
        write_event(source, event, version, has_kore_prefix=has_kore_prefix)
        for event, version in choices
    )
    return f"[{','.join(written)}]"


def write_twilio_test_event(test_id: bytes, *, account_sid: str, at: datetime) -> str:
    """Return the event that tests a sink at Twilio, as JSON text; `test_id` is 16 random bytes.

    All test events of an account have the same `id`: the account's SID.
    """
    event = {
        "specversion": "1.0",
        "type": TWILIO_TEST_TYPE,
        "source": "Sink",
        "id": account_sid,
        "dataschema": _TWILIO_TEST_SCHEMA,
        "datacontenttype": "application/json",
        "time": f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z",
        "data": {"test_id": uuid4_text(test_id)},
    }
    return compact([event])


def compact(value: object) -> str:
    """Return a value as JSON without spaces, with all characters as they are (UTF-8)."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
