"""Network Access Profiles and the networks in them, in a store in memory."""

import copy
import re

import pytest

from ringback.core.errors import InvalidParameter, NotFound
from ringback.core.sims.mobile_networks import NETWORKS
from ringback.operations.supersim.access_profiles import (
    access_profile_named,
    add_network,
    create_access_profile,
    fetch_access_profile,
    fetch_network,
    fetch_network_of,
    list_access_profiles,
    list_networks,
    networks_of,
    remove_network,
    rename_access_profile,
)
from ringback.ports import PageWindow
from tests.fakes import ACCOUNT_SID, NOW, PROFILE_SID, TAKES, a_context, a_profile
from tests.memory_store import MemoryTransaction

THEIRS = "AC" + "f" * 32
NOWHERE = "HW" + "0" * 32
FIRST, SECOND, *_ = (network.sid for network in NETWORKS)
LATER = NOW + TAKES


@pytest.fixture
def tx() -> MemoryTransaction:
    """There is one profile, with one network."""
    tx = MemoryTransaction()
    tx.supersim.access_profiles.add(a_profile(network_sids=(FIRST,)))
    return tx


def test_a_profile_is_created_with_each_network_once(tx: MemoryTransaction) -> None:
    made = create_access_profile(
        tx,
        ACCOUNT_SID,
        unique_name="new",
        networks=(SECOND, FIRST, SECOND),
        context=a_context(now=LATER),
    )
    assert re.fullmatch("HA[0-9a-f]{32}", made.sid)
    assert made == a_profile(
        sid=made.sid,
        unique_name="new",
        network_sids=(SECOND, FIRST),
        date_created=LATER,
        date_updated=LATER,
    )
    assert tx.supersim.access_profiles.get(made.sid) == made


def test_a_profile_needs_neither_a_name_nor_networks(tx: MemoryTransaction) -> None:
    made = create_access_profile(tx, ACCOUNT_SID, unique_name="", networks=(), context=a_context())
    assert (made.unique_name, made.network_sids) == (None, ())


@pytest.mark.parametrize(
    ("name", "networks", "code"),
    [("my_profile", (), 83011), (None, (FIRST, NOWHERE), 83600), (None, ("AT&T",), 83600)],
)
def test_an_impossible_profile_leaves_nothing(
    tx: MemoryTransaction, name: str | None, networks: tuple[str, ...], code: int
) -> None:
    before = copy.deepcopy(tx.supersim.access_profiles)
    with pytest.raises(InvalidParameter) as refused:
        create_access_profile(
            tx, ACCOUNT_SID, unique_name=name, networks=networks, context=a_context()
        )
    assert refused.value.code == code
    assert tx.supersim.access_profiles == before


@pytest.mark.parametrize("asked", [PROFILE_SID, "my_profile"])
def test_a_profile_is_found_by_sid_or_name(tx: MemoryTransaction, asked: str) -> None:
    assert fetch_access_profile(tx, ACCOUNT_SID, asked).sid == PROFILE_SID
    assert access_profile_named(tx, ACCOUNT_SID, asked).sid == PROFILE_SID


@pytest.mark.parametrize(("account", "asked"), [(ACCOUNT_SID, "nobody's"), (THEIRS, PROFILE_SID)])
def test_an_unknown_profile_is_not_found_in_a_path_and_invalid_in_a_parameter(
    tx: MemoryTransaction, account: str, asked: str
) -> None:
    with pytest.raises(NotFound):
        fetch_access_profile(tx, account, asked)
    with pytest.raises(InvalidParameter) as refused:
        access_profile_named(tx, account, asked)
    assert refused.value.code == 83600


def test_profiles_are_listed_newest_first(tx: MemoryTransaction) -> None:
    other = a_profile(sid="HA" + "e" * 32, unique_name=None)
    tx.supersim.access_profiles.add(other)
    assert [one.sid for one in list_access_profiles(tx, ACCOUNT_SID, PageWindow(9))] == [
        other.sid,
        PROFILE_SID,
    ]


@pytest.mark.parametrize(("name", "kept"), [("renamed", "renamed"), ("", None)])
def test_a_profile_is_renamed(tx: MemoryTransaction, name: str, kept: str | None) -> None:
    rename_access_profile(
        tx, ACCOUNT_SID, "my_profile", unique_name=name, context=a_context(now=LATER)
    )
    assert tx.supersim.access_profiles.get(PROFILE_SID) == a_profile(
        unique_name=kept, network_sids=(FIRST,), date_updated=LATER
    )


def test_an_update_without_a_name_changes_nothing(tx: MemoryTransaction) -> None:
    rename_access_profile(
        tx, ACCOUNT_SID, "my_profile", unique_name=None, context=a_context(now=LATER)
    )
    assert tx.supersim.access_profiles.get(PROFILE_SID) == a_profile(network_sids=(FIRST,))


def test_a_profile_cannot_have_the_name_of_another(tx: MemoryTransaction) -> None:
    tx.supersim.access_profiles.add(a_profile(sid="HA" + "e" * 32, unique_name="taken"))
    with pytest.raises(InvalidParameter) as refused:
        rename_access_profile(
            tx, ACCOUNT_SID, "my_profile", unique_name="taken", context=a_context()
        )
    assert refused.value.code == 83011


def test_a_network_is_added_at_the_end(tx: MemoryTransaction) -> None:
    profile, network = add_network(
        tx, ACCOUNT_SID, PROFILE_SID, network_sid=SECOND, context=a_context(now=LATER)
    )
    assert network.sid == SECOND
    assert profile == a_profile(network_sids=(FIRST, SECOND), date_updated=LATER)
    assert [one.sid for one in networks_of(profile)] == [FIRST, SECOND]
    assert tx.supersim.access_profiles.get(PROFILE_SID) == profile


def test_a_network_that_is_already_in_the_profile_stays(tx: MemoryTransaction) -> None:
    profile, _ = add_network(
        tx, ACCOUNT_SID, PROFILE_SID, network_sid=FIRST, context=a_context(now=LATER)
    )
    assert profile == a_profile(network_sids=(FIRST,))


def test_an_unknown_network_cannot_be_added(tx: MemoryTransaction) -> None:
    with pytest.raises(InvalidParameter) as refused:
        add_network(tx, ACCOUNT_SID, PROFILE_SID, network_sid=NOWHERE, context=a_context())
    assert refused.value.code == 83600


def test_a_network_is_removed(tx: MemoryTransaction) -> None:
    remove_network(tx, ACCOUNT_SID, PROFILE_SID, FIRST, a_context(now=LATER))
    assert tx.supersim.access_profiles.get(PROFILE_SID) == a_profile(date_updated=LATER)


def test_a_network_that_is_not_in_the_profile_is_not_found(tx: MemoryTransaction) -> None:
    with pytest.raises(NotFound):
        fetch_network_of(a_profile(network_sids=(FIRST,)), SECOND)
    with pytest.raises(NotFound):
        remove_network(tx, ACCOUNT_SID, PROFILE_SID, SECOND, a_context())


def test_a_network_is_fetched_by_its_sid() -> None:
    assert fetch_network(FIRST) == NETWORKS[0]
    with pytest.raises(NotFound):
        fetch_network(NOWHERE)


def test_networks_are_listed_by_country_in_either_case() -> None:
    for country in ("US", "us", "Us"):
        assert {network.iso_country for network in list_networks(iso_country=country)} == {"US"}


def test_networks_are_listed_by_codes_that_one_of_their_identifiers_has_both() -> None:
    mcc, mnc = NETWORKS[0].identifiers[0]
    assert NETWORKS[0] in list_networks(mcc=mcc, mnc=mnc)
    assert list_networks(mcc=mcc, mnc="999") == []


def test_all_networks_are_listed_without_a_filter() -> None:
    assert list_networks() == list(NETWORKS)
