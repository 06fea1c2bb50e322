"""The data usage of Programmable Wireless SIMs, in a store in memory."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from ringback.core.errors import InvalidParameter
from ringback.core.sims.scenario import SCENARIOS, TaskKind
from ringback.core.sims.simulated_network import SimulationSettings
from ringback.core.wireless.data_session import THROTTLED, WirelessDataSession
from ringback.core.wireless.radio import RadioTechnology
from ringback.core.wireless.rate_plan import DataLimitStrategy, RatePlan, RoamingZone
from ringback.core.wireless.sim import WirelessSim, WirelessStatus
from ringback.operations.metering import used_since
from ringback.operations.wireless.data_sessions import network_of, plan_of
from tests.fakes import ACCOUNT_SID, NOW, TAKES
from tests.unit.operations.wireless.bench import OTHER_PLAN, World, a_card_in, sim_that_is
from tests.unit.operations.worlds import DAY, INSTANT
from tests.wireless_fakes import HOME, RATE_PLAN_SID, WIRELESS_ICCID, WIRELESS_SIM_SID, a_rate_plan

NEW, READY, ACTIVE, SUSPENDED = list(WirelessStatus)[:4]
MEGABYTE: Final = 1_000_000
IN_A_MONTH: Final = datetime(2024, 8, 3, 14, 40, 58, tzinfo=UTC)
ROAMING: Final = a_rate_plan(
    national_roaming_enabled=True,
    international_roaming=("data",),
    data_limit=1,
    national_roaming_data_limit=2,
    international_roaming_data_limit=3,
)
LIMIT_IN: Final = {RoamingZone.HOME: 1, RoamingZone.NATIONAL: 2, RoamingZone.INTERNATIONAL: 3}


def active_world(plan: RatePlan | None = None, *, data_per_day: int = MEGABYTE) -> World:
    return World(sim_that_is(ACTIVE), plan, data_per_day=data_per_day)


def used(world: World, *, since: datetime = NOW) -> int:
    return used_since(world.tx.wireless.sessions, WIRELESS_SIM_SID, since, world.now)


def sessions(world: World) -> list[WirelessDataSession]:
    return list(world.tx.wireless.sessions.sessions.values())


# ---- automatic usage -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [READY, ACTIVE])
def test_a_connected_sim_uses_about_the_configured_data_each_day(status: WirelessStatus) -> None:
    world = World(sim_that_is(status), data_per_day=200_000)
    world.advance(DAY)
    assert used(world) == sum(world.simulation.data_per_hour(world.sim.iccid)) * 24
    assert 0.75 * 200_000 - 24 <= used(world) <= 1.25 * 200_000


@pytest.mark.parametrize("status", [one for one in WirelessStatus if one not in (READY, ACTIVE)])
def test_a_sim_that_is_not_connected_uses_nothing(status: WirelessStatus) -> None:
    world = World(replace(sim_that_is(status), metered_since=NOW), data_per_day=MEGABYTE)
    world.advance(DAY)
    assert sessions(world) == []


@pytest.mark.parametrize(
    ("sim", "plan"),
    [
        (sim_that_is(ACTIVE), a_rate_plan(data_enabled=False)),
        (replace(sim_that_is(ACTIVE), rate_plan_sid=None), a_rate_plan()),
    ],
    ids=["no data in its plan", "no plan"],
)
def test_a_sim_without_data_in_its_plan_uses_none(sim: WirelessSim, plan: RatePlan) -> None:
    world = World(sim, plan, data_per_day=MEGABYTE)
    world.advance(DAY)
    assert sessions(world) == []


def test_without_automatic_usage_there_are_no_sessions() -> None:
    world = active_world(data_per_day=0)
    world.advance(100 * DAY)
    assert sessions(world) == []


def test_a_session_has_its_plan_its_network_and_its_radio() -> None:
    (session,) = sessions(active_world())
    assert (session.account_sid, session.sim_sid) == (ACCOUNT_SID, WIRELESS_SIM_SID)
    assert (session.rate_plan_sid, session.network_sid) == (RATE_PLAN_SID, HOME.sid)
    assert (session.iccid, session.radio_link) == (WIRELESS_ICCID, RadioTechnology.LTE)
    assert session.sid.startswith("WN")


def test_the_session_of_a_narrowband_sim_has_its_own_radio() -> None:
    sim = replace(sim_that_is(ACTIVE), is_narrowband=True)
    (session,) = sessions(World(sim, data_per_day=MEGABYTE))
    assert session.radio_link is RadioTechnology.NARROWBAND


def test_a_suspended_sim_uses_nothing_more() -> None:
    world = active_world()
    world.advance(DAY)
    world.become(SUSPENDED)
    before = used(world)
    assert world.due(TaskKind.METER_SIM) is None
    world.advance(40 * DAY)
    assert used(world) == before > 0


def test_a_sim_is_on_one_network_of_its_plan() -> None:
    world = World(sim_that_is(ACTIVE, iccid=a_card_in(RoamingZone.NATIONAL, ROAMING)), ROAMING)
    network = network_of(world.sim, ROAMING, world.context())
    assert network.sid in ROAMING.networks
    assert network == network_of(world.sim, ROAMING, world.context())


def test_a_sim_uses_its_present_plan_or_none() -> None:
    world = active_world()
    assert plan_of(world.tx, world.sim) == a_rate_plan()
    assert plan_of(world.tx, replace(world.sim, rate_plan_sid=None)) is None


# ---- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("zone", RoamingZone)
def test_usage_stops_at_the_limit_of_its_zone_and_continues_with_the_next_month(
    zone: RoamingZone,
) -> None:
    sim = sim_that_is(ACTIVE, iccid=a_card_in(zone, ROAMING))
    world = World(sim, ROAMING, data_per_day=MEGABYTE)
    limit = LIMIT_IN[zone] * MEGABYTE
    world.advance(5 * DAY)
    assert used(world) == limit
    assert {session.zone for session in sessions(world)} == {zone}
    world.advance(IN_A_MONTH - world.now - INSTANT)
    assert used(world) == limit
    world.advance(INSTANT)
    world.advance(DAY / 2)
    assert limit < used(world) < 2 * limit
    world.advance(5 * DAY)
    assert used(world) == 2 * limit


def test_a_throttling_plan_continues_at_home_at_a_lower_speed() -> None:
    plan = a_rate_plan(data_limit=1, data_limit_strategy=DataLimitStrategy.THROTTLE)
    world = active_world(plan, data_per_day=24_000 * MEGABYTE)
    world.advance(DAY)
    first, slow = sessions(world)
    assert first.upload_per_hour > slow.upload_per_hour == THROTTLED
    assert first.download_per_hour > slow.download_per_hour == THROTTLED
    assert first.date_ended == slow.date_created
    assert used(world, since=slow.date_created) == pytest.approx(2 * THROTTLED * 24, rel=0.001)


def test_little_usage_is_not_slowed_down_by_a_throttle() -> None:
    plan = a_rate_plan(data_limit=1, data_limit_strategy=DataLimitStrategy.THROTTLE)
    world = active_world(plan)
    world.advance(10 * DAY)
    assert len({session.upload_per_hour for session in sessions(world)}) == 1
    assert used(world) > 7 * MEGABYTE


@pytest.mark.parametrize("zone", [RoamingZone.NATIONAL, RoamingZone.INTERNATIONAL])
def test_a_throttling_plan_blocks_elsewhere(zone: RoamingZone) -> None:
    plan = replace(ROAMING, data_limit_strategy=DataLimitStrategy.THROTTLE)
    world = World(sim_that_is(ACTIVE, iccid=a_card_in(zone, plan)), plan, data_per_day=MEGABYTE)
    world.advance(20 * DAY)
    assert used(world) == LIMIT_IN[zone] * MEGABYTE


def test_after_a_throttled_month_the_next_one_is_fast_again() -> None:
    plan = a_rate_plan(data_limit=1, data_limit_strategy=DataLimitStrategy.THROTTLE)
    world = active_world(plan, data_per_day=24_000 * MEGABYTE)
    world.advance(IN_A_MONTH - NOW)
    fast, slow, again = sessions(world)
    assert again.upload_per_hour == fast.upload_per_hour > slow.upload_per_hour
    assert (slow.date_ended, again.date_created) == (IN_A_MONTH, IN_A_MONTH)


def test_abroad_a_sim_uses_data_if_its_plan_lists_it() -> None:
    plan = a_rate_plan(international_roaming=("messaging",))
    world = World(
        sim_that_is(ACTIVE, iccid=a_card_in(RoamingZone.INTERNATIONAL, plan)),
        plan,
        data_per_day=MEGABYTE,
    )
    world.advance(DAY)
    assert sessions(world) == []
    with pytest.raises(InvalidParameter) as refused:
        world.use(1)
    assert refused.value.code == 33201


def test_a_plan_with_a_higher_limit_lets_a_sim_continue() -> None:
    world = active_world(a_rate_plan(data_limit=1))
    world.tx.wireless.rate_plans.add(a_rate_plan(sid=OTHER_PLAN, unique_name="more", data_limit=3))
    world.advance(5 * DAY)
    assert used(world) == MEGABYTE
    world.update(rate_plan="more")
    world.advance(TAKES + 5 * DAY)
    assert used(world) == 3 * MEGABYTE


# ---- months --------------------------------------------------------------------------------------


def test_months_begin_with_the_first_connection_and_do_not_drift() -> None:
    first = datetime(2024, 1, 31, 12, tzinfo=UTC)
    world = World(replace(sim_that_is(NEW), date_created=first))
    world.now = first - TAKES
    world.simulation = SimulationSettings(TAKES, data_per_day=1000)
    world.become(ACTIVE)
    world.advance(datetime(2024, 6, 1, tzinfo=UTC) - world.now)
    assert [f"{session.date_created:%m-%d %H:%M}" for session in sessions(world)] == [
        "01-31 12:00",
        "02-29 12:00",
        "03-31 12:00",
        "04-30 12:00",
        "05-31 12:00",
    ]


def test_months_continue_while_a_sim_is_suspended() -> None:
    world = active_world(a_rate_plan(data_limit=1))
    world.advance(5 * DAY)
    world.become(SUSPENDED)
    world.advance(DAY)
    world.become(ACTIVE)
    world.advance(5 * DAY)
    assert used(world) == MEGABYTE
    assert world.due(TaskKind.METER_SIM) == IN_A_MONTH


def test_a_month_that_ends_while_a_change_waits_is_metered_with_the_old_state() -> None:
    world = active_world(a_rate_plan(data_limit=1))
    world.choose(SCENARIOS["operator-busy"])
    world.advance(IN_A_MONTH - NOW - timedelta(minutes=30))
    world.update(SUSPENDED)
    world.advance(timedelta(minutes=45))
    assert used(world) > MEGABYTE
    world.advance(DAY)
    after = used(world)
    world.advance(DAY)
    assert (world.sim.status, used(world)) == (SUSPENDED, after)


# ---- usage by a call -----------------------------------------------------------------------------


def test_usage_by_a_call_is_visible_at_once() -> None:
    world = active_world(data_per_day=0)
    world.advance(DAY)
    world.use(300, 700)
    (session,) = sessions(world)
    assert session.bytes_between(world.now - INSTANT, world.now) == (300, 700)
    assert used(world) == 1000


def test_usage_by_a_call_in_the_first_instant_of_all_counts_too() -> None:
    world = active_world(a_rate_plan(data_limit=1), data_per_day=0)
    world.use(MEGABYTE)
    with pytest.raises(InvalidParameter):
        world.use(1)


@pytest.mark.parametrize("zone", RoamingZone)
def test_a_device_can_use_exactly_its_limit_and_no_more(zone: RoamingZone) -> None:
    world = World(sim_that_is(ACTIVE, iccid=a_card_in(zone, ROAMING)), ROAMING)
    limit = LIMIT_IN[zone] * MEGABYTE
    world.advance(DAY)
    world.use(limit - 600_000, 599_999)
    with pytest.raises(InvalidParameter) as refused:
        world.use(1, 1)
    assert (refused.value.code, refused.value.message) == (
        33201,
        f"SIM {WIRELESS_SIM_SID} may use 1 more bytes this month: RatePlan {RATE_PLAN_SID} allows"
        f" {LIMIT_IN[zone]} MB in {zone}",
    )
    assert used(world) == limit - 1
    world.use(1)
    with pytest.raises(InvalidParameter, match="may use 0 more bytes this month"):
        world.use(1)


def test_with_a_throttling_plan_a_device_can_exceed_its_limit() -> None:
    plan = a_rate_plan(data_limit=1, data_limit_strategy=DataLimitStrategy.THROTTLE)
    world = active_world(plan, data_per_day=0)
    world.use(5 * MEGABYTE)
    assert used(world) == 5 * MEGABYTE


def test_a_lower_limit_includes_the_data_used_already() -> None:
    world = active_world(data_per_day=0)
    world.use(2 * MEGABYTE)
    world.tx.wireless.rate_plans.save(a_rate_plan(data_limit=1))
    with pytest.raises(InvalidParameter, match="may use 0 more bytes this month"):
        world.use(1)


def test_usage_in_another_zone_counts_only_there() -> None:
    card = a_card_in(RoamingZone.NATIONAL, ROAMING)
    world = World(sim_that_is(ACTIVE, iccid=card), ROAMING)
    at_home = replace(ROAMING, sid=OTHER_PLAN, unique_name="home", national_roaming_enabled=False)
    world.tx.wireless.rate_plans.add(replace(at_home, international_roaming=()))
    world.use(2 * MEGABYTE)
    world.update(rate_plan="home")
    world.advance(TAKES)
    world.use(MEGABYTE)
    assert [session.zone for session in sessions(world)] == [RoamingZone.NATIONAL, RoamingZone.HOME]
    with pytest.raises(InvalidParameter, match="allows 1 MB in home"):
        world.use(1)


def test_usage_by_a_call_lets_the_automatic_usage_reach_the_limit_earlier() -> None:
    world = active_world(a_rate_plan(data_limit=2))
    world.use(1_900_000)
    world.advance(5 * DAY)
    assert used(world) == 2 * MEGABYTE


def test_the_next_month_has_a_limit_of_its_own() -> None:
    world = active_world(a_rate_plan(data_limit=1), data_per_day=0)
    world.use(MEGABYTE)
    world.advance(IN_A_MONTH - NOW - INSTANT)
    with pytest.raises(InvalidParameter):
        world.use(1)
    world.advance(INSTANT)
    world.use(MEGABYTE)
    assert used(world) == 2 * MEGABYTE
    with pytest.raises(InvalidParameter):
        world.use(1)
