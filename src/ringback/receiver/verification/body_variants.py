"""The bytes of a body that a sender may have signed, where others arrived."""

import hashlib
import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qs

HASH_PARAMETER: Final = "bodySHA256"
"""The URL parameter by which a Twilio signature covers a body that is not a form."""

_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]+")
# A string of JSON, closed or not, or white space outside of one. It never has to look twice.
_STRING_OR_SPACE: Final = re.compile(rb'("(?:[^"\\]|\\.)*+"?)|[ \t\r\n]+', re.DOTALL)


def hash_of(body: bytes) -> str:
    """Return the hash that the URL has for a body."""
    return hashlib.sha256(body).hexdigest()


def hashes_in(query: str) -> list[str]:
    """Return the hashes of the body that a query names."""
    return parse_qs(query, keep_blank_values=True).get(HASH_PARAMETER, [])


def compact_forms(body: bytes) -> Iterator[bytes]:
    """Yield the forms of a JSON body that KORE may have signed, other than the body itself.

    KORE signs JSON without white space. How it writes what is not ASCII is undocumented, and
    both ways are seen. The text is compacted without being parsed: what is read later is what
    was checked.
    """
    compact = compacted(body)
    yield compact
    yield escaped(compact)


def compacted(body: bytes) -> bytes:
    r"""Return JSON without the white space between its tokens; any bytes will do.

    >>> compacted(b'{ "a b": [1, "\\ "] }')
    b'{"a b":[1,"\\ "]}'
    """
    return _STRING_OR_SPACE.sub(lambda match: match[1] or b"", body)


def escaped(body: bytes) -> bytes:
    r"""Return JSON with what is not ASCII as escapes; bytes that are no UTF-8 as they are.

    >>> escaped('{"a":"é😀"}'.encode())
    b'{"a":"\\u00e9\\ud83d\\ude00"}'
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return body
    return _NOT_ASCII.sub(_escape, text).encode()


def _escape(match: re.Match[str]) -> str:
    units = match[0].encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
