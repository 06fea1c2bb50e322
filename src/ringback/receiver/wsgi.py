"""Receive callbacks in a WSGI application.

application = WsgiCallbackApp(callbacks, work)
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIEnvironment

from ringback.core.deprecated_names import renamed
from ringback.receiver.http import MAX_BODY, TOO_LONG, headers_of, quoted, refusal_of, target_of
from ringback.receiver.receiver import Receiver, Work
from ringback.receiver.results import Answer
from ringback.receiver.verification import Headers, ReceivedRequest

_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_PREFIX: Final = "HTTP_"
_UNPREFIXED: Final = ("CONTENT_TYPE", "CONTENT_LENGTH")
# Servers' names for the raw target. RAW_URI: Gunicorn, Werkzeug. REQUEST_URI: uWSGI, mod_wsgi,
# Werkzeug.
_TARGETS: Final = ("RAW_URI", "REQUEST_URI")


class BodyNotReceived(ValueError):
    """The request's body is too long, incomplete or unreadable; `answer` is the answer to send."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"the request's body was not read: {answer.text}")
        self.answer = answer


class WsgiCallbackApp:
    """A WSGI application that receives callbacks; it can be mounted at any path."""

    def __init__(self, callbacks: Receiver, work: Work, *, max_body: int = MAX_BODY) -> None:
        """Configure the app to call `work` for each new callback.

        If `work` raises, the exception is passed on and the server answers 500. Bodies longer than
        `max_body` bytes are refused with 413.
        """
        self._callbacks = callbacks
        self._work = work
        self._max_body = max_body

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        """Serve one HTTP request and return the answer's body."""
        answer = self._answer(environ)
        body = answer.text.encode()
        headers = headers_of(answer) | {"Content-Length": str(len(body))}
        start_response(f"{answer.status} {HTTPStatus(answer.status).phrase}", [*headers.items()])
        return [body]

    def _answer(self, environ: WSGIEnvironment) -> Answer:
        if (refused := refusal_of(environ["REQUEST_METHOD"])) is not None:
            return refused
        try:
            body = read_body(environ, max_body=self._max_body)
        except BodyNotReceived as bad:
            return bad.answer
        return self._callbacks.handle(request_of(environ, body), self._work)


def request_of(environ: Mapping[str, Any], body: bytes | None = None) -> ReceivedRequest:
    """Return the ReceivedRequest of a WSGI environment.

    If the server doesn't pass the raw target, it is rebuilt from the path, percent-encoded again,
    and the query. WSGI joins repeated headers with commas. If `body` is None, the body is read with
    `read_body`.
    """
    return ReceivedRequest(
        environ["REQUEST_METHOD"],
        _target(environ),
        _headers(environ),
        read_body(environ) if body is None else body,
    )


def read_body(environ: Mapping[str, Any], *, max_body: int = MAX_BODY) -> bytes:
    """Return the request's body, of at most `max_body` bytes.

    Raises BodyNotReceived if the body is too long, is incomplete, or has no valid length. A body
    without a Content-Length can be read only if the server marks its end (`wsgi.input_terminated`).
    """
    given = environ.get("CONTENT_LENGTH") or ""
    if not given:
        return _read_to_end(environ, max_body)
    if not _LENGTH.fullmatch(given):
        raise BodyNotReceived(Answer(400, "bad Content-Length"))
    length = int(given)
    if length > max_body:
        raise BodyNotReceived(TOO_LONG)
    body = environ["wsgi.input"].read(length)
    if len(body) < length:
        raise BodyNotReceived(Answer(400, "incomplete"))
    return body


def _read_to_end(environ: Mapping[str, Any], max_body: int) -> bytes:
    if not environ.get("wsgi.input_terminated"):
        if "HTTP_TRANSFER_ENCODING" in environ:
            raise BodyNotReceived(Answer(411, "no Content-Length"))
        return b""
    body = environ["wsgi.input"].read(max_body + 1)
    if len(body) > max_body:
        raise BodyNotReceived(TOO_LONG)
    return body


def _target(environ: Mapping[str, Any]) -> str:
    for name in _TARGETS:
        if target := environ.get(name):
            return target
    # In WSGI, each character of a string stands for one byte.
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return target_of(quoted(path.encode("latin-1", "replace")), environ.get("QUERY_STRING", ""))


def _headers(environ: Mapping[str, Any]) -> Headers:
    prefixed = [name for name in environ if name.startswith(_PREFIX)]
    # The names without a prefix may be present but empty if the request has no such header.
    others = [name for name in _UNPREFIXED if environ.get(name)]
    return tuple(
        (name.removeprefix(_PREFIX).replace("_", "-").title(), environ[name])
        for name in (*others, *prefixed)
    )


__getattr__ = renamed(__name__, {"CallbackApp": "WsgiCallbackApp"})
