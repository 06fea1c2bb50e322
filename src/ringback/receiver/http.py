"""Reads request targets and builds answers for the WSGI, ASGI and AWS Lambda adapters."""

from typing import Final
from urllib.parse import quote

from ringback.receiver.results import Answer

MAX_BODY: Final = 1024 * 1024
"""The largest body accepted by default, in bytes; callbacks are far smaller."""
_METHODS: Final = ("GET", "POST")
_NOT_ALLOWED: Final = Answer(405, "", {"Allow": ", ".join(_METHODS)})
TOO_LONG: Final = Answer(413, "too long")

_IN_PATH: Final = "/:@!$&'()*+,;="  # not escaped in a path: RFC 3986, 3.3


def refusal_of(method: str) -> Answer | None:
    """Return a 405 answer for a method that callbacks never use; None for GET and POST."""
    return None if method in _METHODS else _NOT_ALLOWED


def target_of(path: str, query: str) -> str:
    """Return the request target made of a path and a query, which may be empty.

    >>> target_of("/a", "b=c"), target_of("/a", "")
    ('/a?b=c', '/a')
    """
    return f"{path}?{query}" if query else path


def quoted(path: str | bytes, *, kept: str = "") -> str:
    """Return the path percent-encoded for a request target; characters in `kept` stay as they are.

    >>> quoted("/é x/100%"), quoted("/é".encode()), quoted("/é/%41", kept="%")
    ('/%C3%A9%20x/100%25', '/%C3%A9', '/%C3%A9/%41')
    """
    encoded = path.encode("utf-8", "replace") if isinstance(path, str) else path
    return quote(encoded, safe=_IN_PATH + kept)


def headers_of(answer: Answer) -> dict[str, str]:
    """Return the answer's headers with the Content-Type added."""
    return {"Content-Type": "text/plain; charset=utf-8", **answer.headers}
