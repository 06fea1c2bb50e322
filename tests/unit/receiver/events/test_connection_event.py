"""The typed records of event streams, from both sources."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest

from ringback.core.policy.source_policy import Source
from ringback.receiver.events import (
    CellLocation,
    CloudEvent,
    CloudEvents,
    ConnectionEvent,
    ConnectionEventType,
    EventError,
    TestEvent,
    TypedEvent,
    UnknownEvent,
    VisitedNetwork,
    event_of_json,
    event_sid_of,
    typed_event,
)
from ringback.receiver.events.cloud_events import read_rfc3339
from tests.stream_events import B1, PREFIX, compact, data_of, enveloped, events_of

both_sources = pytest.mark.parametrize("source", list(Source))


def read(event: object) -> TypedEvent:
    batch = event_of_json(compact([event]))
    assert isinstance(batch, CloudEvents), batch
    return typed_event(batch.events[0])


def connection(number: int, source: Source = Source.KORE, **changes: object) -> ConnectionEvent:
    event = read(enveloped(data_of(number, **changes), source))
    assert isinstance(event, ConnectionEvent), event
    return event


def at(time: str) -> datetime:
    return datetime.fromisoformat(f"2024-10-15T{time}+00:00").astimezone(UTC)


@both_sources
def test_all_seven_types_are_read_from_both_sources(source: Source) -> None:
    batch = event_of_json(compact(events_of(source, *range(1, 8))))
    assert isinstance(batch, CloudEvents)
    read = [typed_event(event) for event in batch.events]
    assert [isinstance(event, ConnectionEvent) and event.type for event in read] == [
        *ConnectionEventType
    ]
    assert {event.cloud_event.source for event in read if isinstance(event, ConnectionEvent)} != {}


@pytest.mark.parametrize("number", range(1, 8))
def test_an_event_is_the_same_from_both_sources(number: int) -> None:
    assert connection(number, Source.TWILIO) == connection(number, Source.KORE)


def test_the_fields_of_a_data_session() -> None:
    event = connection(6)
    assert event == ConnectionEvent(
        type=ConnectionEventType.DATA_SESSION_ENDED,
        event_sid="EZ00000000000000000000000000000006",
        timestamp=at("08:45:02"),
        account_sid="AC3ba717b1d236e6c4a835e46130267eb4",
        sim_sid="HSab3f06be8f5d32caecb91e8a306c6c08",
        sim_iccid="89883070000123456789",
        sim_unique_name="my_super_sim",
        fleet_sid="HF0123456789abcdef0123456789abcdef",
        imsi="732123200000001",
        imei="358600840000001",
        network=VisitedNetwork(
            "310", "260", "HW89abcdef0123456789abcdef01234567", "T-Mobile", "US"
        ),
        location=CellLocation("47322374", "15170", 34.166991, -118.5720773),
        rat_type="4G LTE",
        apn="super",
        ip_address="100.68.56.159",
        data_session_sid="PIfedcba9876543210fedcba9876543210",
        data_session_start_time=at("08:30:02"),
        data_session_end_time=at("08:45:02"),
        data_session_update_start_time=at("08:42:02"),
        data_session_update_end_time=at("08:45:02"),
        data_upload=100,
        data_download=300,
        data_total=400,
        data_session_data_upload=4196,
        data_session_data_download=12588,
        data_session_data_total=16784,
        cloud_event=event.cloud_event,
    )
    assert event.cloud_event.type == f"{PREFIX}data-session.ended"


def test_the_error_of_a_rejected_attachment() -> None:
    event = connection(2)
    assert event.error == EventError(83705, "Attachment Rejected Due To SIM In Inactive State")
    assert (event.location, event.apn, event.data_total) == (None, None, None)


def test_fields_may_be_null_absent_unknown_or_whole_numbers() -> None:
    event = connection(
        5,
        imei=None,
        location={"lat": 34, "lon": -118, "accuracy": [1]},
        network={"mcc": "310"},
        color="blue",
        data_modifier="blocked",
    )
    assert event.imei is None
    assert event.location == CellLocation(None, None, 34.0, -118.0)
    assert event.network == VisitedNetwork("310")
    assert event.data_modifier == "blocked"
    assert isinstance(event.cloud_event.data, dict)
    assert event.cloud_event.data["color"] == "blue"


def test_an_event_of_version_1_has_no_sums() -> None:
    data = {
        name: value
        for name, value in data_of(5).items()
        if not name.startswith("data_session_data_")
    }
    event = read(enveloped(data, Source.TWILIO))
    assert isinstance(event, ConnectionEvent)
    assert (event.data_total, event.data_session_data_total) == (8192, None)


def test_kores_prefix_is_read_too() -> None:
    kind = f"{PREFIX.replace('twilio', 'kore')}attachment.accepted"
    event = read(enveloped(data_of(1), Source.KORE) | {"type": kind})
    assert isinstance(event, ConnectionEvent)
    assert event.type is ConnectionEventType.ATTACHMENT_ACCEPTED


def test_names_that_are_not_ascii_are_read() -> None:
    assert connection(1, sim_unique_name="Zürich, 東京, 🛰").sim_unique_name == "Zürich, 東京, 🛰"


_WRONG: Final[list[dict[str, Any]]] = [
    {"sim_sid": None},
    {"sim_sid": 7},
    {"timestamp": "yesterday"},
    {"timestamp": "2024-02-30T00:00:00Z"},
    {"data_total": "8192"},
    {"data_total": True},
    {"data_total": 1.5},
    {"location": "here"},
    {"location": {"lat": "34"}},
    {"location": {"lat": 10**400}},
    {"location": {"lat": True}},
    {"network": []},
    {"error": {"message": "without a code"}},
]


@pytest.mark.parametrize("changes", _WRONG, ids=str)
def test_an_event_with_a_wrong_field_stays_generic(changes: dict[str, Any]) -> None:
    event = read(enveloped(data_of(5), Source.KORE) | {"data": data_of(5, **changes)})
    assert isinstance(event, CloudEvent)


@pytest.mark.parametrize(
    "kind", [f"{PREFIX}attachment.renewed", PREFIX, "attachment.accepted", "x"]
)
def test_an_event_of_another_type_stays_generic(kind: str) -> None:
    event = read(enveloped(data_of(1), Source.TWILIO) | {"type": kind})
    assert isinstance(event, CloudEvent)
    assert event_sid_of(event) == "EZ00000000000000000000000000000001"


def test_an_event_without_an_object_has_no_sid() -> None:
    event = read(enveloped(data_of(1), Source.TWILIO) | {"data": "text"})
    assert isinstance(event, CloudEvent)
    assert event_sid_of(event) is None


# ---- test events, and single objects ------------------------------------------------------------


def test_twilios_test_event_is_read_as_kores() -> None:
    assert event_of_json(B1) == TestEvent(
        test_id="cae2f9e2-c277-4612-8ad3-93c1a7a3ef88",
        id="AC11111111111111111111111111111111",
        time=datetime(2026, 6, 10, 6, 2, 54, 377000, UTC),
    )


def test_a_test_event_among_others_is_typed() -> None:
    test = {"type": "com.twilio.eventstreams.test-event", "data": {"test_id": "7"}}
    batch = event_of_json(
        compact([enveloped(data_of(1), Source.TWILIO) | test, *events_of(Source.TWILIO, 2)])
    )
    assert isinstance(batch, CloudEvents)
    assert [type(typed_event(event)) for event in batch.events] == [TestEvent, ConnectionEvent]


def test_a_test_event_without_an_id_of_the_test_cannot_be_read() -> None:
    test = {"type": "com.twilio.eventstreams.test-event", "data": {}}
    read = event_of_json(compact([enveloped(data_of(1), Source.TWILIO) | test]))
    assert isinstance(read, UnknownEvent)


def test_a_single_object_is_read_as_an_array_of_one() -> None:
    (event,) = events_of(Source.TWILIO, 1)
    assert event_of_json(compact(event)) == event_of_json(compact([event]))


@pytest.mark.parametrize("text", ["", "2024-10-15", "2024-10-15T08:30:02", "2024-02-30T08:30:02Z"])
def test_other_texts_are_no_times(text: str) -> None:
    assert read_rfc3339(text) is None
