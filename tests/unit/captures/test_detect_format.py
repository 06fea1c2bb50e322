"""Pasted text is read as the request that it shows, or refused with one error that says why."""

import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ringback.captures import (
    CapturedRequest,
    CaptureFormat,
    UnreadableCapture,
    choose,
    read_captures,
)
from ringback.core.accounts.account import Account
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.rendering import render
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.policy.source_policy import Source
from ringback.receiver import Accepted, Receiver
from tests.fakes import AUTH_TOKEN, KORE_SECRET, NOW, a_callback, an_account
from tests.golden.test_golden import ALL, CAPTURES, TEST_EVENTS
from tests.properties.strategies import accounts, callbacks
from tests.unit.captures import writers

GOLDEN = {name: told.url for name, (_, _, told) in ALL.items()} | dict.fromkeys(
    TEST_EVENTS, "http://your-callback-url.com/path?foo=bar"
)


def read_one(given: bytes) -> CapturedRequest:
    [capture] = read_captures(given)
    return capture


@pytest.mark.parametrize("write", writers.WRITERS, ids=lambda write: write.__name__)
@given(callbacks(), accounts())
@settings(max_examples=30)
def test_a_request_is_read_back_as_it_was_written(
    write: Callable[[OutgoingRequest], bytes], callback: CallbackRecord, account: Account
) -> None:
    sent = render(callback, account=account, at=NOW)
    got, expected = read_one(write(sent)).request, writers.as_received(sent)
    assert got.method == expected.method
    assert got.target == expected.target
    assert sorted(got.headers) == sorted(expected.headers)
    assert got.body == expected.body


@pytest.mark.parametrize("name", GOLDEN)
def test_each_golden_capture_is_genuine(name: str) -> None:
    receiver = Receiver(
        GOLDEN[name],
        twilio_auth_tokens=[AUTH_TOKEN],
        kore_secrets=[KORE_SECRET],
        accept_unsigned_kore=True,
    )
    capture = read_one((CAPTURES / f"{name}.http").read_bytes())
    result = receiver.receive_request(capture.request)
    assert isinstance(result, Accepted), result
    assert result.callback.source == Source(name.partition("-")[0])
    assert capture.notes == ()


@given(st.binary() | st.text().map(str.encode))
@example(b"[" * 100_000)
@example(b'{"log": ' + b"[" * 100_000)
@example(b'{"log": {"entries": [' + b"1" * 5000 + b"]}}")
def test_any_input_is_read_or_refused(given: bytes) -> None:
    with suppress(UnreadableCapture):
        assert read_captures(given)


STARTS = [
    "POST /p\n",
    "HEADERS:\nA: b\n",
    "curl ",
    "curl ^\n",
    "> POST / HTTP/1.1\n> ",
    ":path: /\n",
    f"CB{0:032}  delivered\n\nattempt 1  x\n  > POST / HTTP/1.1\n  > ",
]


@given(st.sampled_from(STARTS), st.text())
def test_any_text_after_a_valid_start_is_read_or_refused(start: str, rest: str) -> None:
    with suppress(UnreadableCapture):
        assert read_captures((start + rest).encode())


_JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "value", "text", "encoding", "params", "method", "url"]), inner
        )
    ),
    max_leaves=6,
)


@given(_JSON, _JSON, _JSON)
@example([], "\ud800", None)
@example([], {"text": "a", "encoding": "base64"}, None)
@example([], {"params": [{"name": "\ud800", "value": ""}]}, None)
def test_any_har_entry_is_read_or_refused(headers: object, data: object, url: object) -> None:
    request = {"method": "POST", "url": url or "https://a", "headers": headers, "postData": data}
    line = {"signature": 1, "method": "POST", "path": "/", "headers": headers, "body": data}
    shown = {"sid": "CB", "attempts": [{"request": request | {"body": data}}]}
    for document in (shown, {"log": {"entries": [{"request": request}]}}, line):
        with suppress(UnreadableCapture):
            assert read_captures(json.dumps(document).encode())


# ---- recognising the format ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "form"),
    [
        ("\n\nPOST /p HTTP/1.1\nHost: a\n\nx=1", CaptureFormat.RAW),
        ("Host: a\n\nx=1", CaptureFormat.RAW),
        ("$ curl https://a", CaptureFormat.CURL),
        ("curl.exe https://a", CaptureFormat.CURL),
        (
            '{"log": {"entries": [{"request": {"method": "GET", "url": "u", "headers": []}}]}}',
            "har",
        ),
    ],
)
def test_the_format_is_detected_from_the_content(given: str, form: str) -> None:
    assert read_one(given.encode()).form == form


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_of_windows_are_ignored(encoding: str) -> None:
    assert read_one("POST /p HTTP/1.1\r\n\r\nx=1".encode(encoding)).request.body == b"x=1"


def test_each_line_of_a_listener_is_a_capture() -> None:
    lines = [writers.listen_line(one.request) for one in map(read_one, (b"GET /1", b"GET /2"))]
    given = "\n".join(['{"listening": "http://127.0.0.1:9000"}', *lines])
    assert [capture.request.target for capture in read_captures(given.encode())] == ["/1", "/2"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("", "nothing was given; expected an HTTP request"),
        (" \n", "nothing was given"),
        ("some words\nand more", "this is text of 2 lines, and its first line has no known format"),
        ("SimSid=HS01&SimStatus=active", "this looks like the body alone"),
        ('[{"id": "1"}]', "this is a JSON array, perhaps the body alone"),
        ("{}", "this is a JSON object with nothing in it"),
        (
            '{"base_url": "http://a", "auth_token": "t"}',
            "JSON object with 'base_url', 'auth_token'",
        ),
        ('{"log"', "it begins like JSON, but is not valid JSON"),
        ('{"signature": 1, "method": "GET"}\n{"a', "line 2: "),
        ('{"log": {"entries": []}}', "has no entries"),
        ('{"log": {}}', "has no list log.entries"),
        ('{"log": {"entries": [{}]}}', "entry 1 of the HAR file has no request with method"),
    ],
)
def test_an_unknown_format_is_refused_with_the_list_of_formats(given: str, found: str) -> None:
    with pytest.raises(UnreadableCapture) as refused:
        read_captures(given.encode())
    assert found in str(refused.value)


def test_a_secret_pasted_by_mistake_is_not_shown() -> None:
    for pasted in (KORE_SECRET, json.dumps({"kore_secret": KORE_SECRET})):
        with pytest.raises(UnreadableCapture) as refused:
            read_captures(pasted.encode())
        assert KORE_SECRET not in str(refused.value)


# ---- choosing one of several ---------------------------------------------------------------------


def entries(*signed: bool) -> tuple[CapturedRequest, ...]:
    return tuple(
        read_one(f"GET /{number} HTTP/1.1\n{'kore-signature: 0' if one else 'A: b'}".encode())
        for number, one in enumerate(signed, start=1)
    )


def test_the_only_signed_entry_is_chosen() -> None:
    assert choose(entries(False, True, False), None).request.target == "/2"


def test_a_single_entry_is_chosen_whether_signed_or_not() -> None:
    assert choose(entries(False), None).request.target == "/1"


def test_an_entry_is_chosen_by_its_number() -> None:
    assert choose(entries(True, True, False), 3).request.target == "/3"


@pytest.mark.parametrize(
    ("signed", "entry", "why"),
    [
        ((True, False, True), None, "2 requests have a signature"),
        ((False, False), None, "no request has a signature"),
        ((True, False), 3, "there is no entry 3"),
    ],
)
def test_several_possible_entries_are_all_listed(
    signed: tuple[bool, ...], entry: int | None, why: str
) -> None:
    with pytest.raises(UnreadableCapture) as refused:
        choose(entries(*signed), entry)
    first, *listed = str(refused.value).splitlines()
    assert first == f"{why}; pick one with --entry:"
    assert listed == [
        f"  {number}  GET /{number}{'  (signed)' if one else ''}"
        for number, one in enumerate(signed, start=1)
    ]


def test_a_long_list_is_truncated_and_without_control_characters() -> None:
    request = {"method": "GET\x1b[2J", "url": f"https://a/{'x' * 100}", "headers": []}
    document = {"log": {"entries": [{"request": request}] * 50}}
    with pytest.raises(UnreadableCapture) as refused:
        choose(read_captures(json.dumps(document).encode()), None)
    assert "\x1b" not in str(refused.value)
    assert "  … and 10 more" in str(refused.value)
    assert max(map(len, str(refused.value).splitlines())) < 100


# ---- several attempts of one callback ------------------------------------------------------------


@pytest.mark.parametrize("write", [writers.callbacks_show, writers.callbacks_show_json])
def test_of_several_attempts_the_last_one_is_chosen_with_a_note(
    write: Callable[..., bytes],
) -> None:
    first, last = (
        render(a_callback(source=source), account=an_account(), at=NOW) for source in Source
    )
    captures = read_captures(write(first, last))
    assert [capture.form for capture in captures] == [CaptureFormat.SHOW] * 2
    chosen = choose(captures, None)
    assert chosen.request.body == last.body
    assert chosen.notes == ("this is the request of the last of 2 attempts; --entry picks another",)
    assert (choose(captures, 1).request.headers, choose(captures, 1).notes) == (first.headers, ())


@pytest.mark.parametrize("write", [writers.callbacks_show, writers.callbacks_show_json])
def test_a_callback_without_a_request_is_refused(write: Callable[..., bytes]) -> None:
    with pytest.raises(UnreadableCapture, match="has no request; expected a callback with an"):
        read_captures(write())


@pytest.mark.parametrize(
    "request_", [{"method": "POST"}, {"method": "GET", "url": "a", "headers": [[1]], "body": ""}]
)
def test_a_changed_record_is_refused(request_: object) -> None:
    record = {"sid": "CB", "attempts": [{"request": request_}]}
    with pytest.raises(UnreadableCapture, match="show --json` was changed: each request"):
        read_captures(json.dumps(record).encode())
