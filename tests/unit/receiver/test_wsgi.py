"""The WSGI application, with environments as servers make them."""

from collections.abc import Iterable
from io import BytesIO
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.policy.source_policy import Source
from ringback.receiver import Callback, MemoryDedupe, Receiver
from ringback.receiver.verification import ReceivedRequest
from ringback.receiver.wsgi import BodyNotReceived, WsgiCallbackApp, request_of
from tests.fakes import AUTH_TOKEN, KORE_SECRET
from tests.senders import URL, rendered


def never(_: Callback) -> None:
    raise AssertionError("there is nothing to work on")


class Served:
    """An application behind wsgiref's validator, which checks both sides of WSGI."""

    def __init__(self, *, max_body: int = 1000, fails: bool = False) -> None:
        receiver = Receiver(
            URL, twilio_auth_tokens=[AUTH_TOKEN], kore_secrets=[KORE_SECRET], seen=MemoryDedupe()
        )
        self.work: list[Callback] = []
        self.fails = fails
        self.app = validator(WsgiCallbackApp(receiver, self._work, max_body=max_body))

    def _work(self, callback: Callback) -> None:
        self.work.append(callback)
        if self.fails:
            raise OSError("the database is gone")

    def ask(self, environ: dict[str, Any]) -> tuple[str, dict[str, str], bytes]:
        answered: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: object = None
        ) -> Any:
            answered.append((status, headers))

        parts: Any = self.app(environ, start_response)
        body = joined(parts)
        parts.close()
        ((status, headers),) = answered
        return status, dict(headers), body


def joined(parts: Iterable[bytes]) -> bytes:
    return b"".join(parts)


def environ_of(request: OutgoingRequest, **more: Any) -> dict[str, Any]:
    """Return a request as wsgiref passes it: without the raw target."""
    path, _, query = request.url.target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": str(request.method),
        "PATH_INFO": path,
        "SCRIPT_NAME": "",
        "QUERY_STRING": query,
        "wsgi.input": BytesIO(request.body),
    }
    for name, value in request.headers:
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    environ |= more
    setup_testing_defaults(environ)
    return environ


@pytest.mark.parametrize("method", HttpMethod)
@pytest.mark.parametrize("source", Source)
def test_a_callback_is_processed_once(source: Source, method: HttpMethod) -> None:
    served = Served()
    for _ in range(2):
        status, headers, body = served.ask(environ_of(rendered(source, method)))
        assert (status, headers["Content-Length"], body) == ("200 OK", "2", b"ok")
        assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert [callback.source for callback in served.work] == [source]


def test_a_rejection_is_answered_according_to_its_reason() -> None:
    served = Served()
    forged = rendered(Source.TWILIO, auth_token="another")
    assert served.ask(environ_of(forged))[::2] == ("403 Forbidden", b"not_explained")
    assert served.work == []


def test_an_error_in_the_work_is_raised_to_the_server() -> None:
    served = Served(fails=True)
    for _ in range(2):
        with pytest.raises(OSError, match="the database is gone"):
            served.ask(environ_of(rendered(Source.KORE)))
    assert [callback.is_retry for callback in served.work] == [False, True]


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS"])
def test_other_methods_are_not_allowed(method: str) -> None:
    environ = environ_of(rendered(Source.KORE), REQUEST_METHOD=method)
    status, headers, body = Served().ask(environ)
    assert (status, headers["Allow"], body) == ("405 Method Not Allowed", "GET, POST", b"")


def test_a_body_that_is_too_long_is_not_read() -> None:
    unread = BytesIO(b"." * 1001)
    environ = environ_of(rendered(Source.KORE), CONTENT_LENGTH="1001")
    status, *_ = Served().ask(environ | {"wsgi.input": unread})
    assert status.startswith("413 ")
    assert unread.tell() == 0


@pytest.mark.parametrize("length", ["-1", "1e3", "x", "٣", "9" * 5000])
def test_an_invalid_length_is_refused(length: str) -> None:
    served = WsgiCallbackApp(Receiver(URL, kore_secrets=[KORE_SECRET]), never)
    answered: list[str] = []
    environ = environ_of(rendered(Source.KORE), CONTENT_LENGTH=length)
    served(environ, lambda status, *_: answered.append(status))  # pyright: ignore[reportArgumentType] - no write()
    assert answered == ["400 Bad Request"]


def test_a_truncated_body_is_not_a_forgery() -> None:
    request = rendered(Source.KORE)
    environ = environ_of(request) | {"wsgi.input": BytesIO(request.body[:10])}
    assert Served().ask(environ)[::2] == ("400 Bad Request", b"incomplete")


# ---- bodies without a length ---------------------------------------------------------------------


def without_length(request: OutgoingRequest, **more: Any) -> dict[str, Any]:
    environ = environ_of(request, HTTP_TRANSFER_ENCODING="chunked", **more)
    del environ["CONTENT_LENGTH"]
    return environ


def test_a_chunked_body_is_read_if_the_server_marks_its_end() -> None:
    environ = without_length(rendered(Source.KORE), **{"wsgi.input_terminated": True})
    assert Served().ask(environ)[0] == "200 OK"
    environ = without_length(rendered(Source.KORE), **{"wsgi.input_terminated": True})
    assert Served(max_body=100).ask(environ)[0].startswith("413 ")


def test_a_chunked_body_needs_a_length_otherwise() -> None:
    assert Served().ask(without_length(rendered(Source.KORE)))[0] == "411 Length Required"


# ---- the request ---------------------------------------------------------------------------------


def asked(**environ: Any) -> ReceivedRequest:
    return request_of({"REQUEST_METHOD": "GET", "PATH_INFO": "/", **environ})


@pytest.mark.parametrize("name", ["REQUEST_URI", "RAW_URI"])
def test_the_raw_target_is_used_if_the_server_has_it(name: str) -> None:
    request = asked(**{name: "/a%2fb?x=%7e"}, PATH_INFO="/a/b", QUERY_STRING="x=~")
    assert request.target == "/a%2fb?x=%7e"


def test_the_target_is_rebuilt_otherwise() -> None:
    path = "/münchen 100%".encode().decode("latin-1")
    request = asked(SCRIPT_NAME="/app", PATH_INFO=path, QUERY_STRING="x=%7e&y")
    assert request.target == "/app/m%C3%BCnchen%20100%25?x=%7e&y"


def test_a_request_has_its_headers_but_no_customary_empty_ones() -> None:
    request = asked(HTTP_KORE_SIGNATURE="a,b", CONTENT_TYPE="", CONTENT_LENGTH="", HTTP_DATE="")
    assert request.headers == (("Kore-Signature", "a,b"), ("Date", ""))
    typed = asked(CONTENT_TYPE="text/plain")
    assert typed.values("content-type") == ["text/plain"]


def test_a_request_reads_its_body_unless_it_is_given() -> None:
    environ = environ_of(rendered(Source.KORE))
    assert request_of(environ, b"given").body == b"given"
    assert request_of(environ).body == rendered(Source.KORE).body
    with pytest.raises(BodyNotReceived, match="too long"):
        request_of(environ | {"CONTENT_LENGTH": str(2**20 + 1)})
