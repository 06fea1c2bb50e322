"""eSIM Profiles: ordered, found and listed, in a store in memory."""

import re
from typing import Any, Final

import pytest

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.errors import InvalidParameter, NotFound
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.esim_profile import EsimProfile, EsimStatus
from ringback.operations.supersim.esim_profiles import (
    EsimProfileOrder,
    fetch_esim_profile,
    list_esim_profiles,
    order_esim_profile,
)
from ringback.ports import PageWindow
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, TAKES
from tests.unit.core.builders import an_esim_profile
from tests.unit.operations.supersim.bench import URL, World

THEIRS: Final = "AC" + "f" * 32
EID: Final = "89049032005008882600033489aaaaaa"


@pytest.mark.parametrize(("eid", "makes_id"), [(EID, False), (None, True), (EID, True)])
def test_a_profile_is_ordered_for_a_chip_or_with_a_matching_id(
    eid: str | None, makes_id: bool
) -> None:
    world = World()
    order = EsimProfileOrder(eid, makes_id, CallbackTarget(URL, HttpMethod.GET))
    ordered = order_esim_profile(world.tx, ACCOUNT_SID, order, world.context())
    assert re.fullmatch("HP[0-9a-f]{32}", ordered.sid)
    assert ordered == EsimProfile(
        sid=ordered.sid,
        account_sid=ACCOUNT_SID,
        status=EsimStatus.NEW,
        eid=eid,
        has_matching_id=makes_id,
        date_created=NOW,
        date_updated=NOW,
        callback=CallbackTarget(URL, HttpMethod.GET),
    )
    assert fetch_esim_profile(world.tx, ACCOUNT_SID, ordered.sid) == ordered
    assert world.due(TaskKind.RESERVE_PROFILE, ordered.sid) == NOW + TAKES


def test_an_order_that_no_device_could_download_is_refused() -> None:
    world = World()
    with pytest.raises(InvalidParameter) as refused:
        order_esim_profile(world.tx, ACCOUNT_SID, EsimProfileOrder(), world.context())
    assert refused.value.code == 20002
    assert list_esim_profiles(world.tx, ACCOUNT_SID, PageWindow(9)) == []


def test_a_profile_of_another_account_is_not_found() -> None:
    world = World()
    world.tx.supersim.esim_profiles.add(profile := an_esim_profile())
    with pytest.raises(NotFound):
        fetch_esim_profile(world.tx, THEIRS, profile.sid)
    with pytest.raises(NotFound):
        fetch_esim_profile(world.tx, ACCOUNT_SID, "HP" + "0" * 32)


@pytest.mark.parametrize(
    ("which", "count"),
    [
        ({}, 2),
        ({"eid": EID}, 1),
        ({"eid": "0" * 32}, 0),
        ({"sim_sid": SIM_SID}, 1),
        ({"status": EsimStatus.AVAILABLE}, 1),
        ({"status": EsimStatus.FAILED}, 0),
    ],
)
def test_profiles_are_listed_by_chip_sim_and_status(which: dict[str, str], count: int) -> None:
    world = World()
    world.tx.supersim.esim_profiles.add(an_esim_profile())
    world.tx.supersim.esim_profiles.add(
        an_esim_profile(sid="HP" + "9" * 32, eid=EID, sim_sid=SIM_SID, status=EsimStatus.AVAILABLE)
    )
    asked: Any = which  # each value is of its own type
    assert len(list_esim_profiles(world.tx, ACCOUNT_SID, PageWindow(9), **asked)) == count
