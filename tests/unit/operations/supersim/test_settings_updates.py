"""Settings Updates: begun once for each SIM card, in a store in memory."""

import re

import pytest

from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.settings_update import OtaSettingsUpdate, OtaSettingsUpdateStatus
from ringback.core.supersim.sim import SimStatus
from ringback.operations.supersim.settings_updates import list_settings_updates
from ringback.ports import PageWindow
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, TAKES, a_sim
from tests.unit.operations.supersim.bench import World
from tests.unit.operations.worlds import DAY


def updates(world: World) -> list[OtaSettingsUpdate]:
    return list_settings_updates(world.tx, ACCOUNT_SID, PageWindow(9))


@pytest.mark.parametrize("status", [SimStatus.READY, SimStatus.ACTIVE])
def test_a_card_gets_its_settings_at_its_first_connection(status: SimStatus) -> None:
    world = World(a_sim(status=status))
    (update,) = updates(world)
    assert re.fullmatch("OB[0-9a-f]{32}", update.sid)
    assert update == OtaSettingsUpdate(
        sid=update.sid,
        account_sid=ACCOUNT_SID,
        iccid=world.sim.iccid,
        sim_sid=SIM_SID,
        status=OtaSettingsUpdateStatus.SCHEDULED,
        date_created=NOW,
        date_updated=NOW,
    )
    assert world.due(TaskKind.BEGIN_SETTINGS, update.sid) == NOW + TAKES


@pytest.mark.parametrize("status", [SimStatus.NEW, SimStatus.INACTIVE])
def test_a_card_that_is_not_connected_gets_no_settings(status: SimStatus) -> None:
    assert updates(World(a_sim(status=status))) == []


def test_a_card_gets_its_settings_once() -> None:
    world = World()
    world.become(SimStatus.READY, SimStatus.ACTIVE, SimStatus.INACTIVE, SimStatus.ACTIVE)
    world.advance(DAY)
    assert len(updates(world)) == 1


@pytest.mark.parametrize(
    ("sim", "status", "count"),
    [
        (None, None, 1),
        (SIM_SID, None, 1),
        ("my_super_sim", None, 1),
        ("nobody", None, 0),
        (None, OtaSettingsUpdateStatus.SCHEDULED, 1),
        (None, OtaSettingsUpdateStatus.FAILED, 0),
    ],
)
def test_settings_updates_are_listed_by_sim_and_status(
    sim: str | None, status: OtaSettingsUpdateStatus | None, count: int
) -> None:
    tx = World(a_sim()).tx
    found = list_settings_updates(tx, ACCOUNT_SID, PageWindow(9), sim=sim, status=status)
    assert len(found) == count
