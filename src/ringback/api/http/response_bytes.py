"""Answers -> bytes, as HTTP/1.1 has them."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
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
    """The date of answers, made once a second."""

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], datetime]) -> None:
        self._loop = loop
        self._now = now
        self._second = -1
        self._line = b""

    def line(self) -> bytes:
        """Return the header's line."""
        second = int(self._loop.time())
        if second != self._second:
            self._second = second
            date = format_datetime(self._now().astimezone(UTC), usegmt=True)
            self._line = f"date: {date}\r\n".encode()
        return self._line


def head_of(status: int, headers: Headers, *more: bytes) -> bytes:
    """Return an answer's head, with these whole lines behind its headers.

    Raises ValueError where a header has what would end it.
    """
    line = _LINES.get(status) or f"HTTP/1.1 {status} \r\n".encode()
    fields = [b"%b: %b\r\n" % header for header in headers]
    head = b"".join((line, *fields, *more, b"\r\n"))
    lines = 2 + len(fields) + sum(map(bool, more))
    if head.count(b"\n") != lines or head.count(b"\r") != lines or b"\0" in head:
        raise ValueError("a header of the answer has a line end or a NUL in it")
    return head


def refusal(status: int, why: str, date: bytes) -> bytes:
    """Return the answer to what can't be read as a request; the connection ends with it."""
    return _last(unreadable(why, status=status), date)


def internal_error(date: bytes) -> bytes:
    """Return the answer where none was made; the connection ends with it."""
    return _last(failed(), date)


def _last(answer: Response, date: bytes) -> bytes:
    head = head_of(answer.status_code, answer.raw_headers, date, b"connection: close\r\n")
    return head + bytes(answer.body)
