"""Callbacks under WSGI.

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
# What servers call the target as it came: Gunicorn and Werkzeug; uWSGI, mod_wsgi and Werkzeug.
_TARGETS: Final = ("RAW_URI", "REQUEST_URI")


class BodyNotReceived(ValueError):
    """The body can't be had; `answer` is what to answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"the request's body is not taken: {answer.text}")
        self.answer = answer


class WsgiCallbackApp:
    """A WSGI application that receives callbacks, at whatever path it is put."""

    def __init__(self, callbacks: Receiver, work: Work, *, max_body: int = MAX_BODY) -> None:
        """Call `work` for each callback, and refuse bodies longer than `max_body`.

        Its errors are raised, and the server answers 500.
        """
        self._callbacks = callbacks
        self._work = work
        self._max_body = max_body

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
        """Answer one request."""
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
    """Return the request of an environment.

    Where the server doesn't hand over the raw target, it is put together from its parts, with the
    path quoted again. Repeated headers are joined by commas, as WSGI has them. The body is read
    unless it is given: see `read_body`.
    """
    return ReceivedRequest(
        environ["REQUEST_METHOD"],
        _target(environ),
        _headers(environ),
        read_body(environ) if body is None else body,
    )


def read_body(environ: Mapping[str, Any], *, max_body: int = MAX_BODY) -> bytes:
    """Read the body, of up to so many bytes; raises BodyNotReceived where there is none to be read.

    A body without a length can only be read where the server marks its end.
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
    # In WSGI, the characters of a text are bytes.
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    return target_of(quoted(path.encode("latin-1", "replace")), environ.get("QUERY_STRING", ""))


def _headers(environ: Mapping[str, Any]) -> Headers:
    prefixed = [name for name in environ if name.startswith(_PREFIX)]
    # Those without a prefix are there as empty texts where the request has none.
    others = [name for name in _UNPREFIXED if environ.get(name)]
    return tuple(
        (name.removeprefix(_PREFIX).replace("_", "-").title(), environ[name])
        for name in (*others, *prefixed)
    )


__getattr__ = renamed(__name__, {"CallbackApp": "WsgiCallbackApp"})
