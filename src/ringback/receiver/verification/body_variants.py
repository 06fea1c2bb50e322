"""Makes the variants of a received body that the sender may have signed."""

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qs

from ringback.core.sources.signature import BODY_HASH

_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]+")
# A JSON string, closed or not, or white space outside of strings. The pattern never backtracks.
_STRING_OR_SPACE: Final = re.compile(rb'("(?:[^"\\]|\\.)*+"?)|[ \t\r\n]+', re.DOTALL)


def hashes_in(query: str) -> list[str]:
    """Return the values of `bodySHA256` in a query."""
    return parse_qs(query, keep_blank_values=True).get(BODY_HASH, [])


def compact_forms(body: bytes) -> Iterator[bytes]:
    """Yield the variants of a JSON body that KORE may have signed, other than the body itself.

    KORE signs JSON without white space. KORE does not document if characters that are not ASCII are
    escaped, so both variants are yielded.
    """
    compact = compacted(body)
    yield compact
    yield escaped(compact)


def compacted(body: bytes) -> bytes:
    r"""Return JSON without the white space between its tokens; never raises for invalid JSON.

    The JSON is not parsed, so nothing but white space can change.

    >>> compacted(b'{ "a b": [1, "\\ "] }')
    b'{"a b":[1,"\\ "]}'
    """
    return _STRING_OR_SPACE.sub(lambda match: match[1] or b"", body)


def escaped(body: bytes) -> bytes:
    r"""Return JSON with non-ASCII characters as \u escapes; bytes not in UTF-8 are left unchanged.

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
