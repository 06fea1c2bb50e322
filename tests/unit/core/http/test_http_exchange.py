from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.http.http_exchange import (
    OutgoingRequest,
    ReceiverResponseRecord,
    SentRequestRecord,
)

PLAIN = CallbackUrl.parse("http://a.example/")


def test_a_request_is_its_head_an_empty_line_and_its_body() -> None:
    request = OutgoingRequest("POST", PLAIN, (("HoSt", "a.example"), ("x", "")), b"A=1")
    assert request.to_bytes() == b"POST / HTTP/1.1\r\nHoSt: a.example\r\nx: \r\n\r\nA=1"
    assert request.recorded().head == "POST / HTTP/1.1\r\nHoSt: a.example\r\nx: "


def test_the_record_of_a_request_hides_the_credentials_of_its_url() -> None:
    url = CallbackUrl.parse("http://user:hunter2@a.example/")
    headers = (("Authorization", url.authorization or ""), ("X", "Authorization: shown"))
    assert OutgoingRequest("GET", url, headers, b"").recorded().headers == [
        ("Authorization", "(hidden)"),
        ("X", "Authorization: shown"),
    ]


def test_a_request_without_a_source_has_none() -> None:
    assert OutgoingRequest("GET", PLAIN, (), b"").source is None


def test_the_record_of_a_binary_body_shows_its_printable_parts() -> None:
    request = OutgoingRequest("POST", PLAIN, (), b"A=\xff")
    assert request.recorded().body == "A=\ufffd"


def test_a_recorded_request_has_its_headers_in_their_order() -> None:
    head = "POST / HTTP/1.1\r\nHost: a.example\r\nX: a: b\r\nX: \r\nx: c"
    request = SentRequestRecord("POST", "http://a.example/", head, "")
    assert request.headers == [("Host", "a.example"), ("X", "a: b"), ("X", ""), ("x", "c")]


def test_an_answer_is_whole_by_default_and_its_text_has_no_body() -> None:
    response = ReceiverResponseRecord(200, (), b"a long answer")
    assert not response.is_cut
    assert repr(response) == "RecordedResponse(status=200, headers=())"
