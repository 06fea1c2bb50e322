"""Events as each source writes them."""

import json
from datetime import datetime
from typing import Any

import pytest

from ringback.core.policy.source_policy import Source
from ringback.core.streams.event_schema import SUMS
from ringback.core.streams.event_types import StreamEventType
from ringback.core.streams.stream_event import (
    EventChoice,
    write_batch,
    write_event,
    write_twilio_test_event,
)
from tests.unit.core.streams.vectors import DATA, TEST_BODY, event

STARTED = event(StreamEventType.SESSION_STARTED)
UPDATED = event(StreamEventType.SESSION_UPDATED)


@pytest.mark.parametrize("type_", StreamEventType)
@pytest.mark.parametrize("source", Source)
def test_an_event_has_the_same_data_from_both_sources(
    type_: StreamEventType, source: Source
) -> None:
    written = write_event(source, event(type_), 2)
    assert event(type_).data in written
    read = json.loads(written)
    assert read["data"] == DATA[type_]
    assert (read["id"], read["type"]) == (DATA[type_]["event_sid"], type_.value)


def test_twilio_writes_cloud_events_in_its_order() -> None:
    written: dict[str, Any] = json.loads(write_event(Source.TWILIO, STARTED, 2))
    del written["data"]
    assert list(written.items()) == [
        ("specversion", "1.0"),
        ("type", "com.twilio.iot.supersim.connection.data-session.started"),
        ("source", f"/v1/SuperSim/ConnectionEvents/{STARTED.sid}"),
        ("id", STARTED.sid),
        ("dataschema", "https://events-schemas.twilio.com/SuperSim.ConnectionEvent/2"),
        ("datacontenttype", "application/json"),
        ("time", "2024-10-15T08:30:02.000Z"),
    ]
    assert list(json.loads(write_event(Source.TWILIO, STARTED, 2)))[-1] == "data"


def test_kore_writes_cloud_events_in_its_order() -> None:
    written: dict[str, Any] = json.loads(write_event(Source.KORE, STARTED, 2))
    assert next(iter(written)) == "data"
    del written["data"]
    assert list(written.items()) == [
        ("id", STARTED.sid),
        ("time", "2024-10-15T08:30:02Z"),
        ("type", "com.twilio.iot.supersim.connection.data-session.started"),
        ("source", "kore-events"),
        ("dataschema", "https://events-schemas.korewireless.com/SuperSim.ConnectionEvent/2"),
        ("specversion", "1.0"),
        ("datacontenttype", "application/json"),
    ]


def test_only_the_type_of_an_event_from_kore_can_have_its_prefix() -> None:
    written = json.loads(write_event(Source.KORE, STARTED, 2, has_kore_prefix=True))
    assert written["type"] == "com.kore.iot.supersim.connection.data-session.started"
    assert written["data"]["event_type"] == StreamEventType.SESSION_STARTED


@pytest.mark.parametrize("source", Source)
def test_version_1_lacks_the_sums_of_the_session(source: Source) -> None:
    written = json.loads(write_event(source, UPDATED, 1))
    assert written["dataschema"].endswith("/SuperSim.ConnectionEvent/1")
    assert DATA[UPDATED.type].keys() - written["data"].keys() == {*SUMS}


def test_a_batch_is_an_array_without_spaces_even_of_one_event() -> None:
    batch = write_batch(Source.KORE, [EventChoice(STARTED), EventChoice(UPDATED, 1)])
    assert [one["id"] for one in json.loads(batch)] == [STARTED.sid, UPDATED.sid]
    assert (
        batch == f"[{write_event(Source.KORE, STARTED, 2)},{write_event(Source.KORE, UPDATED, 1)}]"
    )
    assert len(json.loads(write_batch(Source.TWILIO, [EventChoice(STARTED)]))) == 1


def test_batches_have_the_length_of_the_vectors() -> None:
    lengths = [len(write_batch(source, [EventChoice(STARTED)])) for source in Source]
    assert lengths == [1158, 1107]


def test_twilios_test_event_is_like_the_published_one() -> None:
    at = datetime.fromisoformat("2026-06-10T06:02:54.377999+00:00")
    test_id = bytes.fromhex("cae2f9e2c27746128ad393c1a7a3ef88")
    account = "AC11111111111111111111111111111111"
    assert write_twilio_test_event(test_id, account_sid=account, at=at) == TEST_BODY
