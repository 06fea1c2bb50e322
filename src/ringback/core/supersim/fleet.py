"""Fleets: SIMs that share settings, networks, and callback URLs for what devices send."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ringback.core.callback_urls.callback_target import NO_TARGET, CallbackTarget


@dataclass(frozen=True, slots=True)
class NetworkAccessProfile:
    """A named list of networks."""

    sid: str
    account_sid: str
    unique_name: str | None
    network_sids: tuple[str, ...]
    """In the order in which they were added; without any, SIMs may use all networks."""
    date_created: datetime
    date_updated: datetime


DATA_LIMIT: Final = 1000
"""MB; the default of the create parameter. The resource's own text says 250; our ruling is 1000."""

DATA_LIMITS: Final = (1, 2_000_000)
"""The least and the most, in MB."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """A group of SIMs that share settings."""

    sid: str
    account_sid: str
    unique_name: str | None
    network_access_profile_sid: str
    date_created: datetime
    date_updated: datetime
    data_enabled: bool = True
    data_limit: int = DATA_LIMIT
    """MB that each SIM may use in a billing period, up and down together."""
    sms_commands_enabled: bool = True
    sms_commands: CallbackTarget = NO_TARGET
    """Gets a callback for each SMS from a device."""
    ip_commands: CallbackTarget = NO_TARGET
    """Gets a callback for each datagram from a device."""
