"""Writes the heads of HTTP/1.1 responses, and whole error responses, as bytes."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from ringback.api.errors import failed, unreadable

_LINES: Final = {
    status: f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
    for status in map(int, HTTPStatus)
}
BODILESS: Final = frozenset((204, 304))
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

Headers = Iterable[tuple[bytes, bytes]]


class DateHeader:
    """The `Date` header of responses, which is formatted at most once a second."""

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], datetime]) -> None:
        self._loop = loop
        self._now = now
        self._second = -1
        self._line = b""

    def line(self) -> bytes:
        """Return the `Date` header line for the current time."""
        second = int(self._loop.time())
        if second != self._second:
            self._second = second
            date = format_datetime(self._now().astimezone(UTC), usegmt=True)
            self._line = f"date: {date}\r\n".encode()
        return self._line


def head_of(status: int, headers: Headers, *more: bytes) -> bytes:
    """Return a response's status line and headers; the complete lines in `more` come last.

    Raises ValueError if a header contains a line end or a NUL.
    """
    line = _LINES.get(status) or f"HTTP/1.1 {status} \r\n".encode()
    return b"".join([line, *[_field(name, value) for name, value in headers], *more, b"\r\n"])


# Most responses have the same few headers.
@lru_cache(1024)
def _field(name: bytes, value: bytes) -> bytes:
    field = b"%b: %b\r\n" % (name, value)
    if field.count(b"\n") != 1 or field.count(b"\r") != 1 or b"\0" in field:
        raise ValueError("a header of the response contains a line end or a NUL")
    return field


def refusal(status: int, why: str, date: bytes) -> bytes:
    """Return the error response to a malformed or too slow request, with `Connection: close`."""
    return _last(unreadable(why, status=status), date)


def internal_error(date: bytes) -> bytes:
    """Return the response 500 for a failed request, with `Connection: close`."""
    return _last(failed(), date)


def _last(answer: Response, date: bytes) -> bytes:
    head = head_of(answer.status_code, answer.raw_headers, date, b"connection: close\r\n")
    return head + bytes(answer.body)
