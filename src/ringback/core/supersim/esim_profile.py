"""eSIM Profiles: ordered, reserved, and fetched by a device from an SM-DP+ server.

The order of the statuses is that of the published enumeration.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from ringback.core.callback_urls.callback_target import NO_TARGET, CallbackTarget

_EID: Final = re.compile(r"[0-9a-fA-F]{32}")

SMDP_PLUS_ADDRESS: Final = "sm-dp-plus.twilio.com"
"""As in the published samples; KORE's name the same one."""


class EsimStatus(StrEnum):
    """The statuses of an eSIM Profile."""

    NEW = "new"
    RESERVING = "reserving"
    AVAILABLE = "available"
    DOWNLOADED = "downloaded"
    INSTALLED = "installed"
    FAILED = "failed"


ESIM_MOVES: Final[Mapping[EsimStatus, frozenset[EsimStatus]]] = {
    EsimStatus.NEW: frozenset({EsimStatus.RESERVING}),
    EsimStatus.RESERVING: frozenset({EsimStatus.AVAILABLE, EsimStatus.FAILED}),
    EsimStatus.AVAILABLE: frozenset({EsimStatus.DOWNLOADED, EsimStatus.FAILED}),
    EsimStatus.DOWNLOADED: frozenset({EsimStatus.INSTALLED}),
    EsimStatus.INSTALLED: frozenset(),
    EsimStatus.FAILED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class EsimProfile:
    """An eSIM Profile as its account sees it."""

    sid: str
    account_sid: str
    status: EsimStatus
    eid: str | None
    """The chip that may fetch it; None if anyone with the matching id may."""
    has_matching_id: bool
    """Whether the order asked for a matching id to fetch it with."""
    date_created: datetime
    date_updated: datetime
    iccid: str | None = None
    """Set from `available` on, like the SIM and the server."""
    sim_sid: str | None = None
    smdp_plus_address: str | None = None
    matching_id: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    callback: CallbackTarget = NO_TARGET

    @property
    def activation_code(self) -> str | None:
        """The text of its QR code (GSMA SGP.22, 4.1); None without a matching id."""
        if self.smdp_plus_address is None or self.matching_id is None:
            return None
        return f"1${self.smdp_plus_address.upper()}${self.matching_id}"

    def moved(self, status: EsimStatus, now: datetime) -> "EsimProfile":
        """Return the profile in another status.

        Raises ValueError where the life cycle has no such move.
        """
        if status not in ESIM_MOVES[self.status]:
            raise ValueError(f"an eSIM Profile that is {self.status} can't become {status}")
        return replace(self, status=status, date_updated=now)


def is_eid(text: str) -> bool:
    """Whether a text can be the number of a chip: 32 digits, and in samples also letters a to f.

    >>> is_eid("89049032005008882600033489aaaaaa")
    True
    """
    return _EID.fullmatch(text) is not None


def make_matching_id(random_bytes: bytes) -> str:
    """Return a matching id from 13 random bytes, in the form of the published sample.

    >>> make_matching_id(bytes(range(13)))
    '00010-20304-05060-70809-0A0B0'
    """
    digits = random_bytes.hex().upper()
    return "-".join(digits[start : start + 5] for start in range(0, 25, 5))


def make_iccid(random_bytes: bytes) -> str:
    """Return an ICCID of a Super SIM from 8 random bytes; its last digit is the check digit.

    Source: those of Super SIM begin with 8988307, and have 20 digits.

    >>> make_iccid(bytes(8))
    '89883070000000000008'
    """
    digits = f"8988307{int.from_bytes(random_bytes) % 10**12:012}"
    return digits + _check_digit(digits)


def _check_digit(digits: str) -> str:
    """Return the Luhn digit that ITU-T E.118 puts at the end."""
    doubled = [
        int(digit) * (2 if index % 2 == 0 else 1) for index, digit in enumerate(digits[::-1])
    ]
    return str(-sum(value - 9 if value > 9 else value for value in doubled) % 10)
