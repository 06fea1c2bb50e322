"""SIDs: two letters that name the kind of resource, then 32 hex digits, made from given bytes."""

from enum import StrEnum
from typing import Final

SID_BYTES: Final = 16
"""How many bytes of chance a SID is made from."""


class Kind(StrEnum):
    """The kinds of resource; the value is the prefix of their SIDs."""

    ACCOUNT = "AC"
    API_KEY = "SK"
    CALLBACK = "CB"
    FLEET = "HF"
    SIM = "HS"


def make_sid(kind: Kind, chance: bytes) -> str:
    """Return a SID of this kind from 16 bytes of chance.

    >>> make_sid(Kind.SIM, bytes(range(16)))
    'HS000102030405060708090a0b0c0d0e0f'
    """
    if len(chance) != SID_BYTES:
        raise ValueError(f"a SID is made from {SID_BYTES} bytes, not {len(chance)}")
    return f"{kind}{chance.hex()}"
