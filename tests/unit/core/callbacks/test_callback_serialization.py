"""New callbacks are converted to text and back without loss."""

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.callback_serialization import (
    read_new,
    read_url,
    write_new,
    write_warnings,
)
from ringback.core.callbacks.create_callback import CALLBACK_BYTES, compose
from ringback.core.policy.source_policy import NOTICE

NOON = datetime(2026, 11, 27, 12, tzinfo=UTC)
PLAIN = CallbackUrl.parse("https://a.example/path")


def a_new_callback(
    url: CallbackUrl = PLAIN,
    *,
    body: str = "a=1",
    now: datetime = NOON,
    due: datetime | None = None,
    key: str | None = None,
    order_key: str | None = None,
    method: HttpMethod = HttpMethod.POST,
) -> CallbackRecord:
    return compose(
        body,
        account_sid="AC1",
        to=url,
        method=method,
        policy=NOTICE,
        random_bytes=bytes(range(CALLBACK_BYTES)),
        now=now,
        due=due,
        idempotency_key=key,
        order_key=order_key,
    )


@pytest.mark.parametrize(
    "text",
    [
        "https://a.example/path",
        "http://user:made-up@a.example:8080/?q=1#rc=2&cbs=kore",
        "https://a.example/#cbs=twilio",
        "https://a.example/#e=nowhere&unknown=1",
    ],
)
def test_a_callback_is_unchanged_afterwards_with_its_whole_url(text: str) -> None:
    callback = a_new_callback(CallbackUrl.parse(text))
    again = read_new(write_new(callback))
    assert again == callback
    assert (again.url.credentials, again.warnings, again.url.wire) == (
        callback.url.credentials,
        callback.warnings,
        callback.url.wire,
    )


@given(
    # A form never begins with `{`, which is escaped in it.
    body=st.text().filter(lambda body: not body.startswith("{")),
    keys=st.tuples(st.none() | st.text(), st.none() | st.text()),
    now=st.datetimes(
        min_value=datetime(2000, 1, 1),  # noqa: DTZ001 (it adds the zone itself)
        max_value=datetime(9000, 1, 1),  # noqa: DTZ001 (likewise)
        timezones=st.just(UTC),
    ),
    ahead=st.none() | st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=366)),
    method=st.sampled_from(HttpMethod),
)
def test_a_callback_is_unchanged_afterwards_whatever_its_parameters(
    body: str,
    keys: tuple[str | None, str | None],
    now: datetime,
    ahead: timedelta | None,
    method: HttpMethod,
) -> None:
    due, (key, order_key) = None if ahead is None else now + ahead, keys
    callback = a_new_callback(
        body=body, key=key, order_key=order_key, now=now, due=due, method=method
    )
    again = read_new(write_new(callback))
    assert again == callback
    assert type(again.method) is type(callback.method)
    assert type(again.source) is type(callback.source)


@pytest.mark.parametrize(
    "body", ["CommandSid=HG1&SimSid={}", '{{"CommandSid":"HG1","SimSid":"{}"}}']
)
def test_a_callback_has_its_event_and_its_sim_afterwards(body: str) -> None:
    sim_sid = "HS" + "0a" * 16
    again = read_new(write_new(a_new_callback(body=body.format(sim_sid))))
    assert (again.event, again.sim_sid) == ("ip", sim_sid)
    assert again.body == body.format(sim_sid)


def test_a_callback_has_all_fields_afterwards_unless_an_earlier_version_wrote_it() -> None:
    callback = a_new_callback(order_key="order 7")._replace(created_by="SK1")
    text = write_new(callback)
    assert read_new(text) == callback
    fields = json.loads(text)
    without_key = callback._replace(order_key=None)
    assert read_new(json.dumps(fields[:15])) == without_key
    assert read_new(json.dumps(fields[:14])) == without_key._replace(created_by=None)
    for wrong in (fields[:13], [*fields, ""]):
        with pytest.raises(ValueError, match="values to unpack"):
            read_new(json.dumps(wrong))


@pytest.mark.parametrize("text", ["", "7", "null", "{}", "[]", '["CB"]'])
def test_another_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a list|Expecting value|not enough values"):
        read_new(text)


def with_field(place: int, value: object) -> str:
    fields = json.loads(write_new(a_new_callback(due=NOON)))
    fields[place] = value
    return json.dumps(fields)


@pytest.mark.parametrize("place", range(16))
def test_a_field_of_a_wrong_type_is_refused_and_a_missing_one_unless_optional(place: int) -> None:
    for odd in (7, [], {}):
        with pytest.raises(ValueError, match=f"field {place} is "):
            read_new(with_field(place, odd))
    lacks = with_field(place, None)
    if place in {3, 8, 11, 13, 14, 15}:
        assert isinstance(read_new(lacks), CallbackRecord)
    else:
        with pytest.raises(ValueError, match=f"field {place} is None"):
            read_new(lacks)


@pytest.mark.parametrize("place", range(16))
def test_text_with_another_value_in_a_field_is_read_or_refused(place: int) -> None:
    for odd in ("", "7", "null", "{}", "http://", "2026"):
        with suppress(ValueError):
            assert isinstance(read_new(with_field(place, odd)), CallbackRecord)


def test_text_with_a_changed_byte_is_read_or_refused() -> None:
    text = write_new(a_new_callback(due=NOON))
    for place in range(len(text)):
        for byte in '"[,0n\\':
            with suppress(ValueError):
                assert isinstance(read_new(text[:place] + byte + text[place + 1 :]), CallbackRecord)


def test_the_text_is_one_line() -> None:
    assert "\n" not in write_new(a_new_callback(body="a\nb"))


def test_a_url_is_read_back_with_its_unusual_features() -> None:
    url = PLAIN.with_warnings("it is odd").with_credentials("user:made-up")
    assert read_url(url.shown, url.credentials, write_warnings(url)) == url
    assert write_warnings(PLAIN) == write_warnings(None) == "[]"
