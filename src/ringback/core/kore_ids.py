"""The ids of KORE's global resources: a word, then a ULID in lower case.

KORE's documentation shows `whs_01jf8c4889ehtbzt0n9mzk1prc`, of exactly 30 characters; the part
after the word has the form of a ULID (github.com/ulid/spec): the time in milliseconds and random
bits, in Crockford's Base32.
"""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from ringback.core.sids import dated

ULID_BYTES: Final = 10
"""The number of random bytes needed to make an id."""

_DIGITS: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH: Final = 26
_BITS: Final = 5
_TIME_DIGITS: Final = 10
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ULID: Final = re.compile(f"[0-7][{_DIGITS}]{{{_LENGTH - 1}}}")


class KoreIdKind(StrEnum):
    """The kinds of KORE's global resources; the value is the word that their ids begin with."""

    ACCOUNT = "acct"
    API_CLIENT = "apiclient"
    WEBHOOK_SECRET = "whs"  # noqa: S105 (a word, not a secret)


def make_kore_id(kind: KoreIdKind, now: datetime, random_bytes: bytes) -> str:
    """Return an id of this kind made from the time and 10 random bytes.

    Raises ValueError for another number of bytes.

    >>> from datetime import UTC
    >>> make_kore_id(KoreIdKind.WEBHOOK_SECRET, datetime(2024, 12, 17, tzinfo=UTC), bytes(10))
    'whs_01jf8ym6000000000000000000'
    """
    if len(random_bytes) != ULID_BYTES:
        raise ValueError(
            f"{len(random_bytes)} random bytes are given; an id needs exactly {ULID_BYTES}"
        )
    # A ULID begins with the time as `dated` writes it.
    number = int.from_bytes(dated(bytes(6) + random_bytes, now))
    places = range(_BITS * (_LENGTH - 1), -1, -_BITS)
    return f"{kind}_{''.join(_DIGITS[number >> place & 31] for place in places)}"


def is_kore_id(text: str, kind: KoreIdKind) -> bool:
    """Return True if the text has the form of an id of this kind.

    >>> is_kore_id("whs_01jf8c4889ehtbzt0n9mzk1prc", KoreIdKind.WEBHOOK_SECRET)
    True
    """
    word, _, ulid = text.partition("_")
    return word == kind and _ULID.fullmatch(ulid) is not None


def made_at(kore_id: str) -> datetime | None:
    """Return when an id was made, to the millisecond; None if it has not the form of an id.

    >>> made_at("whs_01jf8ym6000000000000000000").isoformat()
    '2024-12-17T00:00:00+00:00'
    """
    ulid = kore_id.partition("_")[2]
    if _ULID.fullmatch(ulid) is None:
        return None
    milliseconds = 0
    for digit in ulid[:_TIME_DIGITS]:
        milliseconds = milliseconds << _BITS | _DIGITS.index(digit)
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None


def id_of_account(sid: str, created: datetime) -> str:
    """Return KORE's id for the account with this SID; the same SID and time give the same id."""
    digest = hashlib.sha256(sid.encode()).digest()
    return make_kore_id(KoreIdKind.ACCOUNT, created, digest[:ULID_BYTES])
