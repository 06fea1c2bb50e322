"""The properties of a callback, and when two callbacks are the same event."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ringback.core.policy.source_policy import Source
from ringback.receiver import Callback, ReceivedRequest
from ringback.receiver.callback import read_date
from ringback.receiver.events import TestEvent, UnknownEvent

URL = "https://a.example/p"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")


def callback(
    body: bytes = b"", *headers: tuple[str, str], method: str = "POST", target: str = "/p"
) -> Callback:
    return Callback(Source.KORE, None, URL, ReceivedRequest(method, target, headers, body))


def dated(*dates: str) -> ReceivedRequest:
    return ReceivedRequest("POST", "/", tuple(("Date", date) for date in dates))


# ---- parameters ---------------------------------------------------------------------------------


def test_of_a_repeated_name_the_last_value_counts_and_all_are_available() -> None:
    told = callback(b"a=1&b=&a=2", FORM)
    assert told.pairs == (("a", "1"), ("b", ""), ("a", "2"))
    assert told.parameters == {"a": "2", "b": ""}


def test_a_gets_parameters_are_its_query_whatever_its_content_type() -> None:
    told = callback(b"", JSON, method="GET", target="/p?a=1&b=x+y")
    assert told.pairs == (("a", "1"), ("b", "x y"))


def test_json_has_no_parameters_but_a_body() -> None:
    told = callback(b'["a=1"]', JSON)
    assert (told.pairs, told.parameters, told.body) == ((), {}, b'["a=1"]')
    assert isinstance(told.event, UnknownEvent)
    event = (
        b'[{"specversion":"1.0","id":"1","source":"kore-events","data":{"test_id":"2"},'
        b'"type":"com.kore.eventstreams.test.event"}]'
    )
    assert callback(event, JSON).event == TestEvent(test_id="2", id="1", time=None)


# ---- the same event -----------------------------------------------------------------------------

ONE = callback(b"SimSid=HS1&SimStatus=active", FORM)


@pytest.mark.parametrize(
    "same",
    [
        replace(ONE, source=Source.TWILIO, token="another", is_retry=True),
        callback(b"SimStatus=active&SimSid=HS1", FORM),
        callback(b"SimSid=HS%31&SimStatus=active"),
        callback(ONE.body, ("Content-Type", f"{FORM[1]}; charset=UTF-8"), target="/elsewhere"),
    ],
)
def test_the_same_content_is_the_same_event_however_it_is_written(same: Callback) -> None:
    assert same.fingerprint == ONE.fingerprint


@pytest.mark.parametrize(
    "other",
    [
        replace(ONE, url="https://a.example/q"),
        callback(b"SimSid=HS1&SimStatus=inactive", FORM),
        callback(b"SimSid=HS1", FORM),
        callback(b"SimSid=HS1&SimStatus=active&SimStatus=active", FORM),
        callback(b"SimSid=HS1SimStatus&active=", FORM),
        callback(ONE.body, JSON),
        callback(method="GET", target="/p?SimSid=HS1&SimStatus=active"),
    ],
)
def test_other_content_or_another_url_is_another_event(other: Callback) -> None:
    assert other.fingerprint != ONE.fingerprint


def test_json_is_the_same_with_any_white_space_and_other_json_is_not() -> None:
    one = callback(b'{"a":"x y"}', JSON).fingerprint
    assert callback(b'{ "a" : "x y" }\n', JSON).fingerprint == one
    assert callback(b'{"a":"xy"}', JSON).fingerprint != one


def test_the_position_of_twilios_body_hash_makes_no_difference() -> None:
    bare = callback(method="GET", target="/p?a=1").fingerprint
    assert callback(method="GET", target="/p?a=1&bodySHA256=00").fingerprint == bare


# ---- its Date -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "2024-07-03T14:40:58Z",
        "Wed, 03 Jul 2024 14:40:58 GMT",
        "Wed, 03 Jul 2024 16:40:58 +0200",
        "Wed, 03 Jul 2024 14:40:58 -0000",
    ],
)
def test_a_date_is_read_in_the_form_of_kore_and_of_http(text: str) -> None:
    at = read_date(dated(text))
    assert at == datetime(2024, 7, 3, 14, 40, 58, tzinfo=UTC)
    assert at is not None
    assert at.tzinfo is UTC


@pytest.mark.parametrize(
    "dates", [(), ("",), ("soon",), ("2024-07-03T14:40:58Z", "2024-07-03T14:40:58Z")]
)
def test_a_date_without_a_time_or_repeated_is_none(dates: tuple[str, ...]) -> None:
    assert read_date(dated(*dates)) is None
