"""Builders of what is set for destinations, by a settings file and at run time."""

from datetime import datetime
from typing import Final

from ringback.core.accounts.account import EVERY
from ringback.core.destinations.destination_pattern import DestinationPattern
from ringback.core.destinations.destination_settings import DestinationValues, read_values
from ringback.core.destinations.effective_settings import DestinationRule, SettingsOwner
from ringback.ports import DestinationPause, StoredDestinationSettings
from tests.fakes import ACCOUNT_SID, NOW

OPERATOR: Final = SettingsOwner.OPERATOR
ACCOUNT: Final = SettingsOwner.ACCOUNT


def values(**given: str) -> DestinationValues:
    """Return the values that these texts give to settings."""
    return read_values(given, {})


def a_rule(
    pattern: str = "*",
    *,
    owner: SettingsOwner = OPERATOR,
    account_sid: str | None = None,
    is_in_file: bool = True,
    **given: str,
) -> DestinationRule:
    """Return what a place sets; without an account, an operator sets it for all accounts."""
    of = DestinationPattern.parse(pattern)
    sid = account_sid or (EVERY if owner is OPERATOR else ACCOUNT_SID)
    return DestinationRule(owner, sid, of, values(**given), is_in_file)


def set_at_run_time(
    pattern: str = "*",
    *,
    owner: SettingsOwner = ACCOUNT,
    account_sid: str | None = None,
    revision: int = 1,
    pause: DestinationPause | None = None,
    resumed: datetime | None = None,
    **given: str,
) -> StoredDestinationSettings:
    """Return what is stored for a pattern."""
    of = DestinationPattern.parse(pattern).text
    sid = account_sid or (EVERY if owner is OPERATOR else ACCOUNT_SID)
    return StoredDestinationSettings(
        sid=f"DT{revision:032x}",
        owner=owner,
        account_sid=sid,
        pattern=of,
        given=values(**given),
        pause=pause,
        resumed=resumed,
        date_updated=NOW,
        revision=revision,
    )
