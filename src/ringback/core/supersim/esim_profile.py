"""eSIM Profiles, which an account orders and a device downloads from an SM-DP+ server.

The order of the statuses is from the published API.
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
"""The SM-DP+ server of the published samples; KORE's samples have the same one."""


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
    """An eSIM Profile, with the fields that its account can see."""

    sid: str
    account_sid: str
    status: EsimStatus
    eid: str | None
    """The id of the only chip that may download the profile; None if the matching id is enough."""
    has_matching_id: bool
    """True if the order asked for a matching id, with which a device can download the profile."""
    date_created: datetime
    date_updated: datetime
    iccid: str | None = None
    """The number of the profile's SIM card; None until the status is `available`."""
    sim_sid: str | None = None
    smdp_plus_address: str | None = None
    matching_id: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    callback: CallbackTarget = NO_TARGET
    created_by: str | None = None
    """Whose request created it: an `Actor.id`; None for the server itself."""

    @property
    def activation_code(self) -> str | None:
        """The text of the profile's QR code (GSMA SGP.22, 4.1); None without a matching id."""
        if self.smdp_plus_address is None or self.matching_id is None:
            return None
        return f"1${self.smdp_plus_address.upper()}${self.matching_id}"

    def moved(self, status: EsimStatus, now: datetime) -> "EsimProfile":
        """Return the profile with another status.

        Raises ValueError if the life cycle does not allow this change.
        """
        if status not in ESIM_MOVES[self.status]:
            raise ValueError(f"an eSIM Profile that is {self.status} can't become {status}")
        return replace(self, status=status, date_updated=now)


def is_eid(text: str) -> bool:
    """Return True if the text can be an eSIM chip's id (EID): 32 digits or letters from a to f.

    >>> is_eid("89049032005008882600033489aaaaaa")
    True
    """
    return _EID.fullmatch(text) is not None


def make_matching_id(random_bytes: bytes) -> str:
    """Return a matching id made from 13 random bytes, in the form of the published sample.

    >>> make_matching_id(bytes(range(13)))
    '00010-20304-05060-70809-0A0B0'
    """
    digits = random_bytes.hex().upper()
    return "-".join(digits[start : start + 5] for start in range(0, 25, 5))


def make_iccid(random_bytes: bytes) -> str:
    """Return a Super SIM's ICCID (card number) made from 8 random bytes, with a check digit.

    Super SIM's ICCIDs begin with 8988307 and have 20 digits.

    >>> make_iccid(bytes(8))
    '89883070000000000008'
    """
    digits = f"8988307{int.from_bytes(random_bytes) % 10**12:012}"
    return digits + check_digit(digits)


def check_digit(digits: str) -> str:
    """Return the Luhn check digit with which an ICCID (ITU-T E.118) or an IMEI ends."""
    doubled = [
        int(digit) * (2 if index % 2 == 0 else 1) for index, digit in enumerate(digits[::-1])
    ]
    return str(-sum(value - 9 if value > 9 else value for value in doubled) % 10)
