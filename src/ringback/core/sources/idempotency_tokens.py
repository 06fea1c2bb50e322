"""Idempotency tokens: the form that each source uses, and the form that receivers accept.

Tokens of different sources are unrelated: a receiver must not compare them with each other.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

TOKEN_BYTES: Final = 16
"""The number of random bytes needed to make an idempotency token."""

_SCHEME: Final = re.compile(r"(?P<prefix>[A-Za-z0-9_.-]{0,32})\{(?P<form>hex|uuid)\}")

MAX_TOKEN: Final = 256
"""The maximum number of characters in an idempotency token that a receiver accepts."""


@dataclass(frozen=True, slots=True)
class IdempotencyTokenFormat:
    """The form of a source's idempotency tokens: a prefix, then random bytes as a UUID or hex."""

    prefix: str = ""
    is_uuid: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a token format from the settings, such as `msg_{hex}`.

        Raises ValueError unless it is a prefix followed by `{hex}` or `{uuid}`.

        >>> IdempotencyTokenFormat.parse("msg_{hex}").make(bytes(16))
        'msg_00000000000000000000000000000000'
        """
        match = _SCHEME.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text!r} is not a token format; it must be like {{uuid}} or msg_{{hex}}"
            )
        return cls(match["prefix"], match["form"] == "uuid")

    def make(self, random_bytes: bytes) -> str:
        """Return a token made from 16 random bytes; raises ValueError for other lengths."""
        if len(random_bytes) != TOKEN_BYTES:
            raise ValueError(
                f"{len(random_bytes)} random bytes are given; a token needs exactly {TOKEN_BYTES}"
            )
        return self.prefix + (uuid4_text(random_bytes) if self.is_uuid else random_bytes.hex())


TWILIO_TOKEN: Final = IdempotencyTokenFormat(is_uuid=True)
KORE_TOKEN: Final = IdempotencyTokenFormat("RQ")


def is_token(text: str) -> bool:
    """Return True if receivers accept this text as an idempotency token, from any source.

    Any printable text of 1 to 256 characters is accepted: if a sender changes the form of its
    tokens, receivers must still recognise repeated callbacks.
    """
    return 0 < len(text) <= MAX_TOKEN and text.isprintable()


def uuid4_text(random_bytes: bytes) -> str:
    """Return the text of a random UUID (version 4) made from 16 random bytes."""
    marked = bytearray(random_bytes)
    marked[6] = marked[6] & 0x0F | 0x40  # RFC 9562: version 4
    marked[8] = marked[8] & 0x3F | 0x80  # RFC 9562: the variant
    text = marked.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
