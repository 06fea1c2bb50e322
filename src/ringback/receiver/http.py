"""Helpers that turn requests and answers into the forms of the different servers."""

from typing import Final
from urllib.parse import quote

from ringback.receiver.results import Answer

MAX_BODY: Final = 1024 * 1024
"""Bytes; no callback comes near."""
_METHODS: Final = ("GET", "POST")
_NOT_ALLOWED: Final = Answer(405, "", {"Allow": ", ".join(_METHODS)})
TOO_LONG: Final = Answer(413, "too long")

_IN_PATH: Final = "/:@!$&'()*+,;="  # as it is: RFC 3986, 3.3


def refusal_of(method: str) -> Answer | None:
    """Return the answer to a method that callbacks don't use; None for the others."""
    return None if method in _METHODS else _NOT_ALLOWED


def target_of(path: str, query: str) -> str:
    """Return a target from its parts.

    >>> target_of("/a", "b=c"), target_of("/a", "")
    ('/a?b=c', '/a')
    """
    return f"{path}?{query}" if query else path


def quoted(path: str | bytes, *, kept: str = "") -> str:
    """Return a path as it is in a target; `kept` stays as it is, too.

    >>> quoted("/é x/100%"), quoted("/é".encode()), quoted("/é/%41", kept="%")
    ('/%C3%A9%20x/100%25', '/%C3%A9', '/%C3%A9/%41')
    """
    encoded = path.encode("utf-8", "replace") if isinstance(path, str) else path
    return quote(encoded, safe=_IN_PATH + kept)


def headers_of(answer: Answer) -> dict[str, str]:
    """Return all headers of an answer but those that a server adds by itself."""
    return {"Content-Type": "text/plain; charset=utf-8", **answer.headers}
