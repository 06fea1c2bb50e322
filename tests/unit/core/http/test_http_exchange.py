from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.http.connection_profile import ConnectionProfile
from ringback.core.http.http_exchange import (
    HeadTemplate,
    OutgoingRequest,
    ReceiverResponseRecord,
    SentRequestRecord,
    date_of,
    recorded_head,
)
from ringback.core.policy.source_policy import Source

PLAIN = CallbackUrl.parse("http://a.example/")


def test_a_request_is_its_head_an_empty_line_and_its_body() -> None:
    request = OutgoingRequest.with_headers(
        "POST", PLAIN, (("HoSt", "a.example"), ("x", "")), b"A=1"
    )
    assert request.to_bytes() == b"POST / HTTP/1.1\r\nHoSt: a.example\r\nx: \r\n\r\nA=1"
    assert request.recorded().head == "POST / HTTP/1.1\r\nHoSt: a.example\r\nx: "


def test_the_record_of_a_request_hides_the_credentials_of_its_url() -> None:
    url = CallbackUrl.parse("http://user:hunter2@a.example/")
    headers = (("Authorization", url.authorization or ""), ("X", "Authorization: shown"))
    assert OutgoingRequest.with_headers("GET", url, headers, b"").recorded().headers == [
        ("Authorization", "(hidden)"),
        ("X", "Authorization: shown"),
    ]


def test_the_record_of_a_request_hides_the_headers_of_its_profile() -> None:
    headers = (("x-team", "shown"), ("X-Team", "a secret"), ("X-Key+", "x"), ("X", "X-Key+: y"))
    profile = ConnectionProfile((("X-Team", "a secret"), ("X-Key+", "x")))
    request = replace(OutgoingRequest.with_headers("GET", PLAIN, headers, b""), profile=profile)
    assert request.recorded().headers == [
        ("x-team", "shown"),
        ("X-Team", "(hidden)"),
        ("X-Key+", "(hidden)"),
        ("X", "X-Key+: y"),
    ]
    assert request.headers == headers


def test_the_record_of_a_request_hides_credentials_and_the_headers_of_its_profile() -> None:
    url = CallbackUrl.parse("http://user:hunter2@a.example/")
    head = "GET / HTTP/1.1\r\nAuthorization: Basic x\r\nX-Team: secret"
    assert recorded_head(head, url, (("X-Team", "secret"),)) == (
        "GET / HTTP/1.1\r\nAuthorization: (hidden)\r\nX-Team: (hidden)"
    )


@pytest.mark.parametrize(("hidden", "is_same"), [(None, True), ("\x01", True), ("x", False)])
def test_a_template_is_its_own_record_if_it_has_nothing_to_hide(
    hidden: str | None, is_same: bool
) -> None:
    template = HeadTemplate("\x01", recorded=hidden)
    assert (template.recorded is template) is is_same


def test_a_template_is_filled_with_its_values_only() -> None:
    template = HeadTemplate("GET \x01 HTTP/1.1\r\nX: 100% \x04\x04 \x03\r\nAt: \x05 \x06")
    head = template.fill("/p", 3, "t", "s", datetime(2024, 7, 3, 14, 40, 58, 999999, UTC))
    expected = "GET /p HTTP/1.1\r\nX: 100% ss t\r\nAt: 2024-07-03T14:40:58Z 1720017658"
    assert head == expected
    assert HeadTemplate(expected).fill("/q", 4, "u", "v", datetime.now(UTC)) == expected
    assert template.fill_with("/p", "3", "t", "s", "2024-07-03T14:40:58Z", "1720017658") == head


@pytest.mark.parametrize(
    ("at", "date"),
    [
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
        (datetime(1969, 12, 31, 23, 59, 59, 999999, UTC), "1969-12-31T23:59:59Z"),
        (datetime(2024, 7, 3, 14, 40, 58, 999999, UTC), "2024-07-03T14:40:58Z"),
        (datetime(2024, 7, 3, 14, 40, 59, tzinfo=UTC), "2024-07-03T14:40:59Z"),
        (datetime(2106, 2, 7, 6, 28, 15, 999999, UTC), "2106-02-07T06:28:15Z"),
        (datetime(9999, 12, 31, 23, 59, 59, 999999, UTC), "9999-12-31T23:59:59Z"),
    ],
)
def test_a_date_has_whole_seconds_in_any_year(at: datetime, date: str) -> None:
    assert date_of(at) == date


def test_templates_with_the_same_text_are_equal() -> None:
    one, same, other = HeadTemplate("\x01"), HeadTemplate("\x01"), HeadTemplate("\x02")
    assert {one, same, other} == {one, other}
    assert one != "\x01"


def test_a_copy_of_a_request_has_another_url_header_or_body_and_no_template() -> None:
    headers = (("Host", "a.example"),)
    template, profile = HeadTemplate("\x01"), ConnectionProfile(egress="dublin")
    request = OutgoingRequest(
        "POST", PLAIN, "POST / HTTP/1.1", b"A=1", Source.KORE, "AC1", template, profile=profile
    )
    assert request.having(headers=headers).to_bytes() == (
        b"POST / HTTP/1.1\r\nHost: a.example\r\n\r\nA=1"
    )
    other = CallbackUrl.parse("http://b.example/p")
    assert request.having(url=other, body=b"") == OutgoingRequest(
        "POST", other, "POST /p HTTP/1.1", b"", Source.KORE, "AC1", profile=profile
    )
    assert request.having(url=other).template is None


def test_a_request_without_a_source_has_none() -> None:
    assert OutgoingRequest.with_headers("GET", PLAIN, (), b"").source is None


def test_the_record_of_a_binary_body_shows_its_printable_parts() -> None:
    request = OutgoingRequest.with_headers("POST", PLAIN, (), b"A=\xff")
    assert request.recorded().body == "A=\ufffd"


def test_a_recorded_request_has_its_headers_in_their_order() -> None:
    head = "POST / HTTP/1.1\r\nHost: a.example\r\nX: a: b\r\nX: \r\nx: c"
    request = SentRequestRecord("POST", "http://a.example/", head, "")
    assert request.headers == [("Host", "a.example"), ("X", "a: b"), ("X", ""), ("x", "c")]


def test_an_answer_is_whole_by_default_and_its_text_has_no_body() -> None:
    response = ReceiverResponseRecord(200, (), b"a long answer")
    assert not response.is_cut
    assert repr(response) == "RecordedResponse(status=200, headers=())"
