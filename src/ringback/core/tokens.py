"""Idempotency tokens: how each source makes them from given bytes, and what a receiver accepts.

A token of one source says nothing about the other's: receivers keep the two apart.
"""

import re
from typing import Final, assert_never

from ringback.core.source import Source

TOKEN_BYTES: Final = 16
"""How many bytes of chance a token is made from."""

TOKEN_FORMS: Final = {
    Source.TWILIO: re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    # The notice: "34 to 43 characters"; ours are its sample's form, RQ and 32 hex digits.
    Source.KORE: re.compile(r"[A-Za-z0-9_-]{34,43}"),
}
"""What a receiver takes for an idempotency token of each source."""


def make_token(source: Source, chance: bytes) -> str:
    """Return the idempotency token of a new callback from 16 bytes of chance.

    >>> make_token(Source.KORE, bytes(range(16)))
    'RQ000102030405060708090a0b0c0d0e0f'
    >>> make_token(Source.TWILIO, bytes(range(16)))
    '00010203-0405-4607-8809-0a0b0c0d0e0f'
    """
    if len(chance) != TOKEN_BYTES:
        raise ValueError(f"a token is made from {TOKEN_BYTES} bytes, not {len(chance)}")
    match source:
        case Source.KORE:
            return f"RQ{chance.hex()}"
        case Source.TWILIO:
            return uuid4_text(chance)
        case _:
            assert_never(source)


def is_token(source: Source, text: str) -> bool:
    """Whether this text can be an idempotency token of this source."""
    return TOKEN_FORMS[source].fullmatch(text) is not None


def uuid4_text(chance: bytes) -> str:
    """Return 16 bytes of chance as a random UUID in text."""
    marked = bytearray(chance)
    marked[6] = marked[6] & 0x0F | 0x40  # RFC 9562: version 4
    marked[8] = marked[8] & 0x3F | 0x80  # RFC 9562: the variant
    text = marked.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
