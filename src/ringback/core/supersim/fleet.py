"""Fleets: groups of SIMs that share settings, networks and callback URLs for device messages."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ringback.core.callback_urls.callback_target import NO_TARGET, CallbackTarget


@dataclass(frozen=True, slots=True)
class NetworkAccessProfile:
    """A Network Access Profile: a list of the mobile networks that a Fleet's SIMs may use."""

    sid: str
    account_sid: str
    unique_name: str | None
    network_sids: tuple[str, ...]
    """The allowed networks, in the order they were added; if empty, all networks are allowed."""
    date_created: datetime
    date_updated: datetime


DATA_LIMIT: Final = 1000
"""The default data limit in MB, from the documentation of the parameter for creating a Fleet.

The documentation of the Fleet resource says 250 instead.
"""

DATA_LIMITS: Final = (1, 2_000_000)
"""The minimum and the maximum of the data limit, in MB."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """A Fleet: a group of SIMs that share settings, networks and callback URLs."""

    sid: str
    account_sid: str
    unique_name: str | None
    network_access_profile_sid: str
    date_created: datetime
    date_updated: datetime
    data_enabled: bool = True
    data_limit: int = DATA_LIMIT
    """The data limit of each SIM for a billing period in MB, uploads and downloads together."""
    sms_commands_enabled: bool = True
    sms_commands: CallbackTarget = NO_TARGET
    """The URL that gets a callback for each SMS from a device."""
    ip_commands: CallbackTarget = NO_TARGET
    """The URL that gets a callback for each datagram from a device."""
