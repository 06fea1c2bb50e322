"""Fleets: created, found and updated, in a store in memory."""

import copy
import re
from dataclasses import replace
from typing import Any

import pytest

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.errors import ApiError, InvalidParameter, NotFound
from ringback.core.supersim.fleet import Fleet
from ringback.operations.supersim.fleets import (
    CallbackTargetUpdate,
    FleetParameters,
    create_fleet,
    fetch_fleet,
    fleet_named,
    list_fleets,
    update_fleet,
)
from ringback.ports import PageWindow
from tests.fakes import (
    ACCOUNT_SID,
    FLEET_SID,
    NOW,
    PROFILE_SID,
    TAKES,
    a_context,
    a_fleet,
    a_profile,
)
from tests.memory_store import MemoryTransaction

THEIRS = "AC" + "f" * 32
OTHER_PROFILE = "HA" + "e" * 32
LATER = NOW + TAKES
TO = "https://example.com/told"
URL = CallbackUrl.parse(TO)


@pytest.fixture
def tx() -> MemoryTransaction:
    """Make two profiles, and a fleet with callback URLs for both kinds of command."""
    tx = MemoryTransaction()
    tx.supersim.access_profiles.add(a_profile())
    tx.supersim.access_profiles.add(a_profile(sid=OTHER_PROFILE, unique_name="other_profile"))
    tx.supersim.fleets.add(told_fleet())
    return tx


def told_fleet() -> Fleet:
    return a_fleet(
        sms_commands_url=TO,
        sms_commands_method=HttpMethod.GET,
        ip_commands_url=TO,
        ip_commands_method=HttpMethod.GET,
    )


def create(tx: MemoryTransaction, settings: FleetParameters) -> Fleet:
    return create_fleet(
        tx,
        ACCOUNT_SID,
        settings,
        data_enabled=False,
        sms_commands_enabled=False,
        context=a_context(now=LATER),
    )


@pytest.mark.parametrize("profile", [PROFILE_SID, "my_profile"])
def test_by_default_a_fleet_has_a_limit_of_1000_mb_and_no_callback_urls(
    tx: MemoryTransaction, profile: str
) -> None:
    made = create(tx, FleetParameters(network_access_profile=profile))
    assert re.fullmatch("HF[0-9a-f]{32}", made.sid)
    assert made == a_fleet(
        sid=made.sid,
        unique_name=None,
        data_limit=1000,
        data_enabled=False,
        sms_commands_enabled=False,
        date_created=LATER,
        date_updated=LATER,
    )
    assert tx.supersim.fleets.get(made.sid) == made


def test_a_fleet_has_the_given_values(tx: MemoryTransaction) -> None:
    settings = FleetParameters(
        "new",
        PROFILE_SID,
        7,
        CallbackTargetUpdate(URL, method=HttpMethod.GET),
        CallbackTargetUpdate(URL),
    )
    made = create(tx, settings)
    assert (made.unique_name, made.data_limit) == ("new", 7)
    assert made.sms_commands == CallbackTarget(URL, HttpMethod.GET)
    assert made.ip_commands == CallbackTarget(URL, HttpMethod.POST)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        (FleetParameters(network_access_profile="nobody's"), 83600),
        (FleetParameters(), 83600),
        (FleetParameters("my_fleet", PROFILE_SID), 83011),
    ],
)
def test_an_impossible_fleet_leaves_nothing(
    tx: MemoryTransaction, settings: FleetParameters, code: int
) -> None:
    before = copy.deepcopy(tx.supersim.fleets)
    with pytest.raises(InvalidParameter) as refused:
        create(tx, settings)
    assert refused.value.code == code
    assert tx.supersim.fleets == before


@pytest.mark.parametrize("asked", [FLEET_SID, "my_fleet"])
def test_a_fleet_is_found_by_sid_or_name(tx: MemoryTransaction, asked: str) -> None:
    assert fetch_fleet(tx, ACCOUNT_SID, asked).sid == FLEET_SID
    assert fleet_named(tx, ACCOUNT_SID, asked).sid == FLEET_SID


@pytest.mark.parametrize(("account", "asked"), [(ACCOUNT_SID, "nobody's"), (THEIRS, FLEET_SID)])
def test_an_unknown_fleet_is_not_found_in_a_path_and_invalid_in_a_parameter(
    tx: MemoryTransaction, account: str, asked: str
) -> None:
    with pytest.raises(NotFound):
        fetch_fleet(tx, account, asked)
    with pytest.raises(InvalidParameter) as refused:
        fleet_named(tx, account, asked)
    assert refused.value.code == 83006


@pytest.mark.parametrize(
    ("profile", "found"),
    [
        (None, [FLEET_SID]),
        ("my_profile", [FLEET_SID]),
        (PROFILE_SID, [FLEET_SID]),
        ("other_profile", []),
        ("nobody's", []),
    ],
)
def test_fleets_are_listed_by_the_sid_or_name_of_their_profile(
    tx: MemoryTransaction, profile: str | None, found: list[str]
) -> None:
    listed = list_fleets(tx, ACCOUNT_SID, PageWindow(9), network_access_profile=profile)
    assert [fleet.sid for fleet in listed] == found


CHANGES: dict[str, tuple[FleetParameters, dict[str, Any]]] = {
    "nothing": (FleetParameters(), {}),
    "a name": (FleetParameters("new"), {"unique_name": "new"}),
    "its own name": (FleetParameters("my_fleet"), {}),
    "no name": (FleetParameters(""), {"unique_name": None}),
    "a profile": (
        FleetParameters(network_access_profile="other_profile"),
        {"network_access_profile_sid": OTHER_PROFILE},
    ),
    "a limit": (FleetParameters(data_limit=7), {"data_limit": 7}),
    "an SMS URL": (
        FleetParameters(sms_commands=CallbackTargetUpdate(CallbackUrl.parse("http://new.example"))),
        {"sms_commands": CallbackTarget(CallbackUrl.parse("http://new.example"), HttpMethod.GET)},
    ),
    "no SMS URL": (
        FleetParameters(sms_commands=CallbackTargetUpdate(is_removed=True)),
        {"sms_commands": CallbackTarget(None, HttpMethod.GET)},
    ),
    "an SMS method": (
        FleetParameters(sms_commands=CallbackTargetUpdate(method=HttpMethod.POST)),
        {"sms_commands": CallbackTarget(CallbackUrl.parse(TO), HttpMethod.POST)},
    ),
    "no IP URL": (
        FleetParameters(ip_commands=CallbackTargetUpdate(is_removed=True)),
        {"ip_commands": CallbackTarget(None, HttpMethod.GET)},
    ),
    "an IP method": (
        FleetParameters(ip_commands=CallbackTargetUpdate(method=HttpMethod.POST)),
        {"ip_commands": CallbackTarget(CallbackUrl.parse(TO), HttpMethod.POST)},
    ),
}


@pytest.mark.parametrize("what", CHANGES)
def test_an_update_changes_only_the_given_values(tx: MemoryTransaction, what: str) -> None:
    settings, changes = CHANGES[what]
    updated = update_fleet(tx, ACCOUNT_SID, "my_fleet", settings, a_context(now=LATER))
    assert updated == replace(told_fleet(), **changes, date_updated=LATER)
    assert tx.supersim.fleets.get(FLEET_SID) == updated


@pytest.mark.parametrize(
    ("fleet", "settings", "kind", "code"),
    [
        ("nobody's", FleetParameters(), NotFound, 20404),
        ("my_fleet", FleetParameters("taken", data_limit=7), InvalidParameter, 83011),
        ("my_fleet", FleetParameters("new", "nobody's"), InvalidParameter, 83600),
    ],
)
def test_a_refused_update_changes_nothing(
    tx: MemoryTransaction, fleet: str, settings: FleetParameters, kind: type[ApiError], code: int
) -> None:
    tx.supersim.fleets.add(a_fleet(sid="HF" + "d" * 32, unique_name="taken"))
    before = copy.deepcopy(tx.supersim.fleets)
    with pytest.raises(kind) as refused:
        update_fleet(tx, ACCOUNT_SID, fleet, settings, a_context())
    assert refused.value.code == code
    assert tx.supersim.fleets == before
