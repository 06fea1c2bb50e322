"""Idempotency tokens: how each source makes them from given bytes, and what a receiver accepts.

Tokens of different sources are unrelated: receivers must keep them apart.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

TOKEN_BYTES: Final = 16
"""How many random bytes a token is made from."""

_SCHEME: Final = re.compile(r"(?P<prefix>[A-Za-z0-9_.-]{0,32})\{(?P<form>hex|uuid)\}")

MAX_TOKEN: Final = 256
"""The most characters that a receiver takes for an idempotency token."""


@dataclass(frozen=True, slots=True)
class IdempotencyTokenFormat:
    """The form of a source's idempotency tokens: a prefix, then random bytes as a UUID or hex."""

    prefix: str = ""
    is_uuid: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a scheme as it is written in the settings.

        Raises ValueError for anything but a prefix and `{hex}` or `{uuid}` behind it.

        >>> IdempotencyTokenFormat.parse("msg_{hex}").make(bytes(16))
        'msg_00000000000000000000000000000000'
        """
        match = _SCHEME.fullmatch(text)
        if match is None:
            raise ValueError(
                f"{text!r} is no form of a token; it must be like {{uuid}}, msg_{{hex}}"
            )
        return cls(match["prefix"], match["form"] == "uuid")

    def make(self, random_bytes: bytes) -> str:
        """Return the idempotency token of a new callback from 16 random bytes."""
        if len(random_bytes) != TOKEN_BYTES:
            raise ValueError(f"a token is made from {TOKEN_BYTES} bytes, not {len(random_bytes)}")
        return self.prefix + (uuid4_text(random_bytes) if self.is_uuid else random_bytes.hex())


TWILIO_TOKEN: Final = IdempotencyTokenFormat(is_uuid=True)
KORE_TOKEN: Final = IdempotencyTokenFormat("RQ")


def is_token(text: str) -> bool:
    """Whether a receiver takes this text for an idempotency token, of whatever source.

    Any printable text of up to 256 characters is accepted: if a sender changes the form of its
    tokens, receivers must go on recognising repeated callbacks.
    """
    return 0 < len(text) <= MAX_TOKEN and text.isprintable()


def uuid4_text(random_bytes: bytes) -> str:
    """Return 16 random bytes as a random UUID in text."""
    marked = bytearray(random_bytes)
    marked[6] = marked[6] & 0x0F | 0x40  # RFC 9562: version 4
    marked[8] = marked[8] & 0x3F | 0x80  # RFC 9562: the variant
    text = marked.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
