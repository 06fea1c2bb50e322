"""Create, find and update fleets."""

from dataclasses import dataclass, replace
from typing import Any

from ringback.core.callback_urls.callback_target import NO_TARGET, CallbackTargetUpdate
from ringback.core.sids import SidKind
from ringback.core.supersim.fleet import DATA_LIMIT, Fleet
from ringback.operations.context import OperationContext
from ringback.operations.lookups import fetch_named, list_of, named_in
from ringback.operations.supersim.access_profiles import access_profile_named
from ringback.operations.unique_names import check_name_is_free
from ringback.ports import PageWindow, Transaction


@dataclass(frozen=True, slots=True)
class FleetParameters:
    """The parameters of a request that creates or updates a fleet; None for those left out."""

    unique_name: str | None = None
    """The new name; empty to remove the name."""
    network_access_profile: str | None = None
    """The SID or unique name of a Network Access Profile."""
    data_limit: int | None = None
    sms_commands: CallbackTargetUpdate = CallbackTargetUpdate()
    ip_commands: CallbackTargetUpdate = CallbackTargetUpdate()


def create_fleet(
    tx: Transaction,
    account_sid: str,
    settings: FleetParameters,
    *,
    data_enabled: bool,
    sms_commands_enabled: bool,
    context: OperationContext,
) -> Fleet:
    """Create a fleet.

    Raises InvalidParameter if the Network Access Profile is unknown, or the name is taken (83011).
    """
    profile = access_profile_named(tx, account_sid, settings.network_access_profile or "")
    check_name_is_free(tx.supersim.fleets, account_sid, settings.unique_name)
    fleet = Fleet(
        **context.record_fields(SidKind.FLEET, account_sid),
        unique_name=settings.unique_name or None,
        network_access_profile_sid=profile.sid,
        data_enabled=data_enabled,
        data_limit=settings.data_limit or DATA_LIMIT,
        sms_commands_enabled=sms_commands_enabled,
        sms_commands=settings.sms_commands.after(NO_TARGET),
        ip_commands=settings.ip_commands.after(NO_TARGET),
    )
    tx.supersim.fleets.add(fleet)
    context.record_of(tx, "CreateFleet", after=fleet)
    return fleet


def fetch_fleet(tx: Transaction, account_sid: str, sid_or_name: str) -> Fleet:
    """Return the account's fleet with this SID or unique name; raises NotFound if there is none."""
    return fetch_named(tx.supersim.fleets, account_sid, sid_or_name, "Fleet")


def fleet_named(tx: Transaction, account_sid: str, sid_or_name: str) -> Fleet:
    """Return the fleet that a request parameter gives by its SID or unique name.

    Raises InvalidParameter if there is no such fleet (83006).
    """
    return named_in(tx.supersim.fleets, account_sid, ("Fleet", sid_or_name), "Fleet", code=83006)


def list_fleets(
    tx: Transaction, account_sid: str, window: PageWindow, **given: str | None
) -> list[Fleet]:
    """Return one page of an account's fleets, newest first.

    `given` may have `network_access_profile`, the SID or unique name of a profile to filter by. For
    an unknown profile, the page is empty.
    """
    return list_of(
        tx.supersim.fleets,
        account_sid,
        window,
        given,
        network_access_profile=tx.supersim.access_profiles,
    )


def update_fleet(
    tx: Transaction,
    account_sid: str,
    sid_or_name: str,
    settings: FleetParameters,
    context: OperationContext,
) -> Fleet:
    """Change a fleet, and return it.

    Raises NotFound if there is no such fleet, and InvalidParameter if the Network Access Profile is
    unknown, or the name is taken (83011).
    """
    before = fetch_fleet(tx, account_sid, sid_or_name)
    check_name_is_free(tx.supersim.fleets, account_sid, settings.unique_name, before.sid)
    fleet = replace(
        before,
        **_changes(tx, account_sid, settings),
        sms_commands=settings.sms_commands.after(before.sms_commands),
        ip_commands=settings.ip_commands.after(before.ip_commands),
        date_updated=context.now,
    )
    tx.supersim.fleets.save(fleet)
    context.record_of(tx, "UpdateFleet", before=before, after=fleet)
    return fleet


def _changes(tx: Transaction, account_sid: str, settings: FleetParameters) -> dict[str, Any]:
    changes = dict[str, Any]()
    if settings.unique_name is not None:
        changes["unique_name"] = settings.unique_name or None
    if settings.network_access_profile is not None:
        profile = access_profile_named(tx, account_sid, settings.network_access_profile)
        changes["network_access_profile_sid"] = profile.sid
    if settings.data_limit is not None:
        changes["data_limit"] = settings.data_limit
    return changes
