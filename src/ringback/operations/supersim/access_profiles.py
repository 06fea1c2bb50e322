"""Create, find and change Network Access Profiles and the networks in them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ringback.core.errors import InvalidParameter, NotFound
from ringback.core.sids import SidKind
from ringback.core.sims.mobile_networks import NETWORKS, MobileNetwork, network_with
from ringback.core.supersim.fleet import NetworkAccessProfile
from ringback.operations.context import OperationContext
from ringback.operations.lookups import fetch_named, named_in
from ringback.operations.unique_names import check_name_is_free
from ringback.ports import PageWindow, Transaction

_NETWORK: Final = "NetworkAccessProfileNetwork"


def create_access_profile(
    tx: Transaction,
    account_sid: str,
    *,
    unique_name: str | None,
    networks: Sequence[str],
    context: OperationContext,
) -> NetworkAccessProfile:
    """Create a Network Access Profile.

    Raises InvalidParameter if a network is unknown, or the name is taken.
    """
    check_name_is_free(tx.supersim.access_profiles, account_sid, unique_name)
    profile = NetworkAccessProfile(
        **context.record_fields(SidKind.NETWORK_ACCESS_PROFILE, account_sid),
        unique_name=unique_name or None,
        network_sids=tuple(dict.fromkeys(_network(sid, "Networks").sid for sid in networks)),
    )
    tx.supersim.access_profiles.add(profile)
    context.record_of(tx, "CreateNetworkAccessProfile", after=profile)
    return profile


def fetch_access_profile(
    tx: Transaction, account_sid: str, sid_or_name: str
) -> NetworkAccessProfile:
    """Return the account's Network Access Profile with this SID or unique name.

    Raises NotFound if there is no such profile.
    """
    return fetch_named(
        tx.supersim.access_profiles, account_sid, sid_or_name, "Network Access Profile"
    )


def access_profile_named(
    tx: Transaction, account_sid: str, sid_or_name: str
) -> NetworkAccessProfile:
    """Return the profile that a request parameter gives by its SID or unique name.

    Raises InvalidParameter if there is no such profile (83600).
    """
    profiles, given = tx.supersim.access_profiles, ("NetworkAccessProfile", sid_or_name)
    return named_in(profiles, account_sid, given, "Network Access Profile", code=83600)


def list_access_profiles(
    tx: Transaction, account_sid: str, window: PageWindow
) -> list[NetworkAccessProfile]:
    """Return one page of an account's Network Access Profiles, newest first."""
    return tx.supersim.access_profiles.page(account_sid, {}, window)


def rename_access_profile(
    tx: Transaction,
    account_sid: str,
    sid_or_name: str,
    *,
    unique_name: str | None,
    context: OperationContext,
) -> NetworkAccessProfile:
    """Rename a Network Access Profile and return it; None leaves its name as it is.

    An empty name removes the name. Raises NotFound if there is no such profile, and
    InvalidParameter if the name is taken.
    """
    profile = fetch_access_profile(tx, account_sid, sid_or_name)
    if unique_name is None:
        return profile
    check_name_is_free(tx.supersim.access_profiles, account_sid, unique_name, profile.sid)
    renamed = replace(profile, unique_name=unique_name or None, date_updated=context.now)
    tx.supersim.access_profiles.save(renamed)
    context.record_of(tx, "UpdateNetworkAccessProfile", before=profile, after=renamed)
    return renamed


def networks_of(profile: NetworkAccessProfile) -> list[MobileNetwork]:
    """Return the networks of a profile, in the order in which they were added."""
    found = (network_with(sid) for sid in profile.network_sids)
    return [network for network in found if network is not None]


def fetch_network_of(profile: NetworkAccessProfile, sid: str) -> MobileNetwork:
    """Return one network of a profile; raises NotFound if the profile does not include it."""
    network = next((one for one in networks_of(profile) if one.sid == sid), None)
    if network is None:
        raise NotFound(f"there is no Network {sid!r} in {profile.sid}")
    return network


def add_network(
    tx: Transaction,
    account_sid: str,
    profile_sid: str,
    *,
    network_sid: str,
    context: OperationContext,
) -> tuple[NetworkAccessProfile, MobileNetwork]:
    """Add a mobile network, if it is missing, to a Network Access Profile, and return both.

    Raises NotFound if there is no such profile, and InvalidParameter if the network is unknown.
    """
    profile = fetch_access_profile(tx, account_sid, profile_sid)
    network = _network(network_sid, "Network")
    if network.sid not in profile.network_sids:
        networks = *profile.network_sids, network.sid
        profile = _with_networks(tx, f"Create{_NETWORK}", profile, networks, context)
    return profile, network


def remove_network(
    tx: Transaction, account_sid: str, profile_sid: str, network_sid: str, context: OperationContext
) -> None:
    """Remove a network from a profile; raises NotFound if the profile does not include it."""
    profile = fetch_access_profile(tx, account_sid, profile_sid)
    network = fetch_network_of(profile, network_sid)
    left = tuple(sid for sid in profile.network_sids if sid != network.sid)
    _with_networks(tx, f"Delete{_NETWORK}", profile, left, context)


def _with_networks(
    tx: Transaction,
    action: str,
    profile: NetworkAccessProfile,
    networks: tuple[str, ...],
    context: OperationContext,
) -> NetworkAccessProfile:
    changed = replace(profile, network_sids=networks, date_updated=context.now)
    tx.supersim.access_profiles.save(changed)
    context.record_of(tx, action, before=profile, after=changed)
    return changed


def fetch_network(sid: str) -> MobileNetwork:
    """Return a network by its SID; raises NotFound if there is none."""
    network = network_with(sid)
    if network is None:
        raise NotFound(f"there is no Network with the SID {sid!r}")
    return network


def list_networks(
    *, iso_country: str | None = None, mcc: str | None = None, mnc: str | None = None
) -> list[MobileNetwork]:
    """Return the networks with this country, MCC and MNC; None stands for any value."""
    country = None if iso_country is None else iso_country.upper()

    def fits(network: MobileNetwork) -> bool:
        return country in (None, network.iso_country) and any(
            mcc in (None, identifier.mcc) and mnc in (None, identifier.mnc)
            for identifier in network.identifiers
        )

    return [network for network in NETWORKS if fits(network)]


def _network(sid: str, parameter: str) -> MobileNetwork:
    network = network_with(sid)
    if network is None:
        raise InvalidParameter(
            f"{parameter}={sid!r}: there is no Network with this SID; GET /v1/Networks lists all",
            code=83600,
        )
    return network
