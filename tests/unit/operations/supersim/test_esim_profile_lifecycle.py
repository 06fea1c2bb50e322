"""The life cycles of eSIM Profiles and Settings Updates, and the callbacks about them."""

import re
from typing import Final

import pytest

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.scenario import (
    CARRIED_OUT,
    CarrierFailure,
    CarrierResult,
    CarrierTimeout,
    TaskKind,
)
from ringback.core.supersim.esim_profile import SMDP_PLUS_ADDRESS, EsimProfile, EsimStatus
from ringback.core.supersim.settings_update import OtaSettingsUpdate, OtaSettingsUpdateStatus
from ringback.core.supersim.sim import SimStatus
from ringback.operations.supersim.device_actions import download_profile
from ringback.operations.supersim.esim_profiles import EsimProfileOrder, order_esim_profile
from tests.fakes import ACCOUNT_SID, NOW, TAKES, a_sim
from tests.unit.operations.supersim.bench import URL, World
from tests.unit.operations.worlds import DAY, INSTANT

EID: Final = "89049032005008882600033489aaaaaa"
FOR_CHIP: Final = EsimProfileOrder(EID, callback=CallbackTarget(URL))
FAILURE: Final = CarrierFailure(83500, "no eSIM Profiles are available")


def order(world: World, wanted: EsimProfileOrder = FOR_CHIP) -> str:
    return order_esim_profile(world.tx, ACCOUNT_SID, wanted, world.context()).sid


def profile_in(world: World) -> EsimProfile:
    (profile,) = world.tx.supersim.esim_profiles.records.values()
    return profile


def settings_in(world: World) -> OtaSettingsUpdate:
    (update,) = world.tx.supersim.settings_updates.records.values()
    return update


def statuses_reported(world: World) -> list[str]:
    return [told["Status"] for told in world.reported()]


# ---- eSIM Profiles -------------------------------------------------------------------------------


def test_a_profile_is_reserved_and_offered_and_only_its_availability_is_reported() -> None:
    world = World()
    order(world)
    world.advance(TAKES)
    assert (profile_in(world).status, world.reported()) == (EsimStatus.RESERVING, [])
    world.advance(TAKES)
    assert profile_in(world).status is EsimStatus.AVAILABLE
    world.advance(30 * DAY)
    assert profile_in(world).status is EsimStatus.AVAILABLE
    assert statuses_reported(world) == ["available"]


def test_an_available_profile_has_a_new_sim_of_its_own() -> None:
    world = World()
    order(world)
    world.advance(DAY)
    profile = profile_in(world)
    sim = world.tx.supersim.sims.get(profile.sim_sid or "")
    assert sim is not None
    assert re.fullmatch(r"8988307[0-9]{13}", sim.iccid)
    assert sim == a_sim(
        sid=sim.sid,
        iccid=profile.iccid or "",
        unique_name=None,
        status=SimStatus.NEW,
        fleet_sid=None,
        date_created=NOW + 2 * TAKES,
        date_updated=NOW + 2 * TAKES,
        device_ip=sim.device_ip,
    )
    assert sim.device_ip is not None
    told = world.reported()[0]
    assert (told["SimSid"], told["Iccid"], told["Eid"]) == (sim.sid, sim.iccid, EID)


@pytest.mark.parametrize("eid", [EID, None])
def test_only_a_profile_ordered_with_a_matching_id_has_one(eid: str | None) -> None:
    world = World()
    order(world, EsimProfileOrder(eid, generates_matching_id=eid is None))
    world.advance(DAY)
    profile = profile_in(world)
    assert profile.smdp_plus_address == SMDP_PLUS_ADDRESS
    assert (profile.matching_id is None) is (profile.activation_code is None) is (eid is not None)


def test_a_download_is_reported_and_the_installation_is_not() -> None:
    world = World()
    sid = order(world)
    world.advance(DAY)
    download_profile(world.tx, ACCOUNT_SID, sid, world.context())
    world.advance(TAKES)
    assert profile_in(world).status is EsimStatus.DOWNLOADED
    world.advance(TAKES)
    assert profile_in(world).status is EsimStatus.INSTALLED
    world.advance(DAY)
    assert statuses_reported(world) == ["available", "downloaded"]


@pytest.mark.parametrize(
    ("result", "code", "message"),
    [
        (FAILURE, "83500", "no eSIM Profiles are available"),
        (CarrierTimeout(), "20500", "the network did not answer"),
    ],
)
def test_an_impossible_order_fails_is_reported_and_leaves_no_sim(
    result: CarrierResult, code: str, message: str
) -> None:
    world = World()
    world.results[TaskKind.OFFER_PROFILE] = result
    order(world)
    world.advance(DAY)
    profile = profile_in(world)
    assert profile.status is EsimStatus.FAILED
    assert (profile.error_code, profile.error_message) == (code, message)
    assert (profile.iccid, profile.sim_sid) == (None, None)
    assert [(told["Status"], told["ErrorCode"]) for told in world.reported()] == [("failed", code)]
    assert len(world.tx.supersim.sims.records) == 1


def test_a_failing_download_is_reported_and_nothing_is_installed() -> None:
    world = World()
    world.results[TaskKind.DOWNLOAD_PROFILE] = FAILURE
    sid = order(world)
    world.advance(DAY)
    download_profile(world.tx, ACCOUNT_SID, sid, world.context())
    world.advance(DAY)
    assert profile_in(world).status is EsimStatus.FAILED
    assert statuses_reported(world) == ["available", "failed"]


def test_a_profile_without_a_free_address_for_its_device_fails() -> None:
    world = World(devices="10.0.0.0/32")
    for _ in range(2):
        order(world)
    world.advance(DAY)
    statuses = [profile.status for profile in world.tx.supersim.esim_profiles.records.values()]
    assert statuses == ["available", "failed"]
    assert world.reported()[-1]["ErrorCode"] == "83000"


@pytest.mark.parametrize("result", [FAILURE, CarrierTimeout()])
def test_a_profile_continues_if_its_life_cycle_allows_failure_only_later(
    result: CarrierResult,
) -> None:
    world = World()
    world.results[TaskKind.RESERVE_PROFILE] = result
    order(world)
    world.advance(TAKES)
    assert profile_in(world).status is EsimStatus.RESERVING


@pytest.mark.parametrize("result", [FAILURE, CarrierTimeout()])
def test_a_profile_that_cannot_be_installed_stays_downloaded(result: CarrierResult) -> None:
    world = World()
    world.results[TaskKind.INSTALL_PROFILE] = result
    sid = order(world)
    world.advance(DAY)
    download_profile(world.tx, ACCOUNT_SID, sid, world.context())
    world.advance(DAY)
    assert profile_in(world).status is EsimStatus.DOWNLOADED
    assert statuses_reported(world) == ["available", "downloaded"]


def test_a_device_that_asks_twice_downloads_once() -> None:
    world = World()
    sid = order(world)
    world.advance(DAY)
    download_profile(world.tx, ACCOUNT_SID, sid, world.context())
    world.advance(TAKES - INSTANT)
    download_profile(world.tx, ACCOUNT_SID, sid, world.context())
    world.advance(DAY)
    assert statuses_reported(world) == ["available", "downloaded"]


# ---- Settings Updates ----------------------------------------------------------------------------


def test_settings_are_written_in_two_steps_without_a_callback() -> None:
    world = World(a_sim())
    world.advance(TAKES)
    assert (settings_in(world).status, settings_in(world).date_completed) == ("in-progress", None)
    world.advance(TAKES)
    done = settings_in(world)
    assert (done.status, done.date_completed) == (
        OtaSettingsUpdateStatus.SUCCESSFUL,
        NOW + 2 * TAKES,
    )
    assert world.reported() == []


@pytest.mark.parametrize("result", [FAILURE, CarrierTimeout()])
def test_settings_that_cannot_be_written_fail(result: CarrierResult) -> None:
    world = World(a_sim())
    world.results = {TaskKind.BEGIN_SETTINGS: result, TaskKind.END_SETTINGS: result}
    world.advance(DAY)
    failed = settings_in(world)
    assert (failed.status, failed.date_completed) == (OtaSettingsUpdateStatus.FAILED, None)


@pytest.mark.parametrize(
    "step",
    [
        TaskKind.RESERVE_PROFILE,
        TaskKind.OFFER_PROFILE,
        TaskKind.DOWNLOAD_PROFILE,
        TaskKind.INSTALL_PROFILE,
        TaskKind.BEGIN_SETTINGS,
        TaskKind.END_SETTINGS,
    ],
)
def test_a_step_of_a_deleted_resource_does_nothing(step: TaskKind) -> None:
    world = World()
    task = ScheduledTask(step, "HP" + "0" * 32, ACCOUNT_SID, NOW)
    assert world.begin_task(task) is None
    world.end_task(task, CARRIED_OUT)
    assert world.tx.tasks.tasks == {}
