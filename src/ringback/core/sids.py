"""SIDs, the ids of resources: two letters for the kind, then 32 hex digits from random bytes."""

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

SID_BYTES: Final = 16
"""The number of random bytes needed to make a SID."""
TIME_BYTES: Final = 6
"""The number of bytes at the start of a dated SID that contain the time."""

_HEX: Final = re.compile(r"[0-9a-fA-F]{32}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


class SidKind(StrEnum):
    """The kinds of resource; the value is the prefix of their SIDs."""

    ACCOUNT = "AC"
    API_KEY = "SK"
    AUDIT_ENTRY = "AU"
    BILLING_PERIOD = "HB"
    CALLBACK = "CB"
    COMMAND = "DC"
    CONSOLE_SESSION = "CS"
    DATA_SESSION = "WN"
    DESTINATION_SETTINGS = "DT"
    ESIM_PROFILE = "HP"
    FLEET = "HF"
    IP_COMMAND = "HG"
    JOB = "JO"
    NETWORK = "HW"
    NETWORK_ACCESS_PROFILE = "HA"
    RATE_PLAN = "WP"
    SETTINGS_UPDATE = "OB"
    SHADOW = "CC"
    SHARED_LINK = "SL"
    STREAM_EVENT = "EZ"
    STREAM_SINK = "DG"
    STREAM_SUBSCRIPTION = "DF"
    SIM = "HS"
    SMS_COMMAND = "HC"
    WIRELESS_SIM = "DE"


def make_sid(kind: SidKind, random_bytes: bytes) -> str:
    """Return a SID of this kind made from 16 random bytes; raises ValueError for other lengths.

    >>> make_sid(SidKind.SIM, bytes(range(16)))
    'HS000102030405060708090a0b0c0d0e0f'
    """
    if len(random_bytes) != SID_BYTES:
        raise ValueError(
            f"{len(random_bytes)} random bytes are given; a SID needs exactly {SID_BYTES}"
        )
    # Not by an f-string, which takes twice as long with an enum.
    return kind + random_bytes.hex()


def is_sid(text: str, kind: SidKind) -> bool:
    """Return True if the text has the form of a SID of this kind, in either letter case.

    >>> is_sid("HS000102030405060708090a0b0c0d0e0f", SidKind.SIM)
    True
    """
    return text.startswith(kind) and _HEX.fullmatch(text[len(kind) :]) is not None


def dated(random_bytes: bytes, now: datetime) -> bytes:
    """Return 16 bytes: the time, as in UUIDs of version 7 (RFC 9562, 5.7), then random bytes.

    SIDs made from these bytes sort by age, so that a large index grows only at its end.

    >>> dated(bytes(16), datetime(2024, 7, 3, tzinfo=UTC)).hex()
    '019075e4140000000000000000000000'
    """
    return time_bytes(now) + random_bytes[TIME_BYTES:]


def time_bytes(now: datetime) -> bytes:
    """Return the first 6 bytes of `dated`: the milliseconds since 1970."""
    return ((now - _EPOCH) // _MILLISECOND).to_bytes(TIME_BYTES)
