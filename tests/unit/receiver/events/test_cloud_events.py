"""The JSON that KORE's infrastructure sends."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.core.events.kore_test_event import TEST_EVENT_BYTES, write_test_event
from ringback.receiver.events import CloudEvent, CloudEvents, TestEvent, UnknownEvent, event_of_json
from tests.golden.test_golden import TEST_EVENT

# An event as in KORE's documentation, with made-up values.
EVENT: Final = {
    "data": {"sim": {"iccid": "89883070000123456789"}, "used": [1, 2.5, None, True]},
    "id": "EZ01",
    "time": "2024-09-25T19:09:48.5842087+02:00",
    "type": "com.kore.supersim.connection.ended",
    "source": "kore-events",
    "dataschema": "/schemas/connection/1",
    "specversion": "1.0",
    "datacontenttype": "application/json",
    "subject": "a SIM",
}
READ: Final = CloudEvent(
    id="EZ01",
    source="kore-events",
    type="com.kore.supersim.connection.ended",
    time=datetime(2024, 9, 25, 19, 9, 48, 584208, timezone(timedelta(hours=2))),
    subject="a SIM",
    dataschema="/schemas/connection/1",
    data={"sim": {"iccid": "89883070000123456789"}, "used": [1, 2.5, None, True]},
)


def body_of(*events: object) -> bytes:
    return json.dumps(events).encode()


def without(*names: str) -> dict[str, Any]:
    return {name: value for name, value in EVENT.items() if name not in names}


def a_test_event(**changes: object) -> dict[str, Any]:
    (event,) = json.loads(TEST_EVENT)
    return event | changes


# ---- the test event ------------------------------------------------------------------------------


def test_kores_test_event_is_a_record_of_its_own() -> None:
    assert event_of_json(TEST_EVENT.encode()) == TestEvent(
        test_id="88bf54a9-f2fb-40b6-8faf-e6c5a3c348d2",
        id="fff521c2-c7db-4b53-a5a0-c5d5d01f66ce",
        time=datetime(2024, 9, 25, 19, 9, 48, 584208, UTC),
    )


def test_the_senders_test_event_is_read() -> None:
    at = datetime(2024, 7, 3, 14, 40, 58, tzinfo=UTC)
    read = event_of_json(write_test_event(bytes(range(TEST_EVENT_BYTES)), at=at).encode())
    assert read == TestEvent(
        test_id="00010203-0405-4607-8809-0a0b0c0d0e0f",
        id="10111213-1415-4617-9819-1a1b1c1d1e1f",
        time=at,
    )


def test_a_test_event_among_others_is_one_of_the_events() -> None:
    read = event_of_json(body_of(a_test_event(), EVENT))
    assert isinstance(read, CloudEvents)
    assert [event.type for event in read.events] == [a_test_event()["type"], EVENT["type"]]


# ---- events --------------------------------------------------------------------------------------


def test_events_are_read_in_order() -> None:
    other = EVENT | {"id": "EZ02"}
    read = event_of_json(body_of(EVENT, other))
    assert isinstance(read, CloudEvents)
    assert read.events[0] == READ
    assert [event.id for event in read.events] == ["EZ01", "EZ02"]


def test_missing_optional_fields_are_none() -> None:
    body = body_of(without("data", "time", "dataschema", "subject", "datacontenttype"))
    bare = CloudEvent(READ.id, READ.source, READ.type, None, None, None, None)
    assert event_of_json(body) == CloudEvents((bare,))


def test_an_empty_array_is_read_as_no_events() -> None:
    assert event_of_json(b" [] ") == CloudEvents(())


@pytest.mark.parametrize(
    ("given", "instant"),
    [
        ("2024-09-25T19:09:48Z", datetime(2024, 9, 25, 19, 9, 48, tzinfo=UTC)),
        ("2024-09-25t19:09:48.5z", datetime(2024, 9, 25, 19, 9, 48, 500_000, UTC)),
        (
            "2024-09-25T19:09:48.123456789012-03:30",
            datetime(2024, 9, 25, 19, 9, 48, 123_456, timezone(-timedelta(hours=3, minutes=30))),
        ),
    ],
)
def test_a_time_is_read_in_the_form_of_rfc_3339(given: str, instant: datetime) -> None:
    read = event_of_json(body_of(EVENT | {"time": given}))
    assert isinstance(read, CloudEvents)
    time = read.events[0].time
    assert time is not None
    assert time == instant
    assert time.utcoffset() == instant.utcoffset()


# ---- damage --------------------------------------------------------------------------------------


def why(body: bytes) -> str:
    read = event_of_json(body)
    assert isinstance(read, UnknownEvent)
    assert read.parameters == ()
    return read.why


@pytest.mark.parametrize("name", ["id", "source", "type", "specversion"])
def test_a_missing_required_field_is_reported(name: str) -> None:
    expected = f"[1].{name} is missing; expected a text"
    assert why(body_of(EVENT, without(name))) == expected
    assert why(body_of(EVENT, EVENT | {name: ""})) == expected
    assert why(body_of(EVENT, EVENT | {name: None})) == expected


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (7, "[0] is a number; expected an object"),
        (EVENT | {"id": 7}, "[0].id is a number; expected a text"),
        (EVENT | {"subject": ["x"]}, "[0].subject is an array; expected a text"),
        (EVENT | {"dataschema": False}, "[0].dataschema is a truth value; expected a text"),
        (EVENT | {"specversion": "0.3"}, "[0].specversion is '0.3'; expected '1.0'"),
        (a_test_event(data=None), "[0].data is null; expected an object"),
        (a_test_event(data={}), "[0].data.test_id is missing; expected a text"),
        (a_test_event(data={"test_id": 1.5}), "[0].data.test_id is a number; expected a text"),
    ],
)
def test_an_invalid_event_is_unknown_with_the_reason(event: object, words: str) -> None:
    assert why(body_of(event)) == words


@pytest.mark.parametrize(
    "given",
    [
        "2024-09-25",
        "2024-09-25T19:09:48",
        "20240925T190948Z",
        "2024-09-25 19:09:48Z",
        "2024-02-30T19:09:48Z",
        "0000-09-25T19:09:48Z",
        "2024-09-25T19:09:60Z",
        "2024-09-25T19:09:48+99:00",
        "٢٠٢٤-09-25T19:09:48Z",
        "now",
    ],
)
def test_an_invalid_time_is_unknown(given: str) -> None:
    expected = f"[0].time is {given!r}; expected a time in the format of RFC 3339"
    assert why(body_of(EVENT | {"time": given})) == expected


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body can't be read as JSON: Expecting value"),
        (b"[", "the body can't be read as JSON: Expecting value"),
        (b"[] x", "the body can't be read as JSON: Extra data"),
        (b'["\xff"]', "the body can't be read as JSON: 'utf-8' codec can't decode"),
        ("[]".encode("utf-16"), "the body can't be read as JSON: 'utf-8' codec can't decode"),
        (b"\xef\xbb\xbf[]", "the body can't be read as JSON: Unexpected UTF-8 BOM"),
        (b"[" + b"1" * 5000 + b"]", "the body can't be read as JSON: Exceeds the limit"),
        (b"[" * 100_000, "the body is nested too deeply to be read; expected JSON"),
        (b'[{"a":' * 100_000, "the body is nested too deeply to be read; expected JSON"),
        (b"[NaN]", "the body holds NaN, which is not valid JSON; expected a number"),
        (b"[-Infinity]", "the body holds -Infinity, which is not valid JSON; expected a number"),
        (b'[{"id":"1","id":"1"}]', "the name 'id' is given twice in one object; expected it once"),
        (b"{}", "the body is an object; expected an array of CloudEvents"),
        (b"null", "the body is null; expected an array of CloudEvents"),
        (b'"x"', "the body is a text; expected an array of CloudEvents"),
    ],
)
def test_a_body_that_is_not_an_array_of_events_is_unknown_with_the_reason(
    body: bytes, words: str
) -> None:
    assert why(body).startswith(words)


leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters()))
documents = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from([*EVENT, "test_id", "x"]), inner, max_size=6),
    ),
    max_leaves=12,
)
damaged_events = st.dictionaries(st.sampled_from(list(EVENT)), documents, max_size=3).map(
    lambda changes: body_of(EVENT | changes)
)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(st.binary(), documents.map(json.dumps).map(str.encode), damaged_events),
    st.integers(0, 400),
)
def test_any_bytes_give_one_of_the_records(body: bytes, cut: int) -> None:
    for came in (body, body[:cut]):
        match event_of_json(came):
            case UnknownEvent(parameters=parameters, why=words):
                assert parameters == ()
                assert words
            case CloudEvents(events=events):
                assert len(json.loads(came)) == len(events)
            case TestEvent(test_id=test_id):
                assert test_id
