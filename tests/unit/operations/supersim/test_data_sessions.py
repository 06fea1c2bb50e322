"""The data usage of Super SIMs, in a store in memory."""

from datetime import timedelta
from typing import Final

import pytest

from ringback.core.calendar import months_after
from ringback.core.errors import InvalidParameter
from ringback.core.sims.mobile_networks import NETWORKS
from ringback.core.supersim.sim import SimStatus
from ringback.core.supersim.usage import SuperSimDataSession, UsageGranularity, UsageQuery
from ringback.operations.supersim.data_sessions import is_out_of_data, sessions_of, used_since
from ringback.operations.supersim.device_actions import transfer_data
from ringback.operations.supersim.fleets import FleetParameters, update_fleet
from ringback.ports import PageWindow
from tests.fakes import ACCOUNT_SID, FLEET_SID, NOW, TAKES, a_fleet, a_profile, a_sim
from tests.unit.operations.supersim.bench import World
from tests.unit.operations.worlds import DAY, INSTANT

MEGABYTE: Final = 1_000_000
A_MONTH: Final = months_after(NOW) - NOW


def used(world: World) -> int:
    return used_since(world.tx.supersim.sessions, world.sim.sid, NOW, world.now)


def use(world: World, upload: int, download: int = 0) -> None:
    transfer_data(world.tx, world.sim, upload=upload, download=download, context=world.context())


def sessions(world: World) -> list[SuperSimDataSession]:
    return list(world.tx.supersim.sessions.sessions.values())


def fleet_of(world: World) -> bool:
    fleet = world.tx.supersim.fleets.get(FLEET_SID)
    assert fleet is not None
    return is_out_of_data(world.tx, world.sim, fleet, world.context())


# ---- automatic usage -----------------------------------------------------------------------------


def test_a_connected_sim_uses_about_the_configured_data_each_day() -> None:
    world = World(a_sim(), data_per_day=MEGABYTE)
    world.advance(DAY)
    assert 0.75 * MEGABYTE - 24 <= used(world) <= 1.25 * MEGABYTE
    assert used(world) == sum(world.simulation.data_per_hour(world.sim.iccid)) * 24


@pytest.mark.parametrize("status", [SimStatus.NEW, SimStatus.INACTIVE])
def test_a_sim_that_is_not_connected_uses_nothing(status: SimStatus) -> None:
    world = World(a_sim(status=status), data_per_day=MEGABYTE)
    world.advance(DAY)
    assert sessions(world) == []


def test_without_data_in_the_fleet_a_sim_uses_nothing() -> None:
    world = World(a_sim(), a_fleet(data_enabled=False), data_per_day=MEGABYTE)
    world.advance(DAY)
    assert sessions(world) == []


def test_an_inactive_sim_uses_nothing_more() -> None:
    world = World(a_sim(), data_per_day=MEGABYTE)
    world.advance(DAY)
    world.become(SimStatus.INACTIVE)
    before = used(world)
    world.advance(DAY)
    assert used(world) == before > 0


def test_a_sim_uses_a_network_of_its_fleets_profile() -> None:
    world = World(a_sim(status=SimStatus.NEW), data_per_day=MEGABYTE)
    world.tx.supersim.access_profiles.save(a_profile(network_sids=(NETWORKS[3].sid,)))
    world.become(SimStatus.ACTIVE)
    (session,) = sessions(world)
    assert (session.network_sid, session.iso_country, session.fleet_sid) == (
        NETWORKS[3].sid,
        NETWORKS[3].iso_country,
        FLEET_SID,
    )


def test_usage_stops_at_the_limit_and_continues_with_the_next_period() -> None:
    world = World(a_sim(), a_fleet(data_limit=2), data_per_day=MEGABYTE)
    world.advance(5 * DAY)
    assert used(world) == 2 * MEGABYTE
    assert fleet_of(world)
    world.advance(A_MONTH - 5 * DAY - INSTANT)
    assert used(world) == 2 * MEGABYTE
    world.advance(INSTANT)
    assert not fleet_of(world)
    world.advance(DAY)
    assert used(world) > 2 * MEGABYTE + 0.7 * MEGABYTE
    world.advance(5 * DAY)
    assert used(world) == 4 * MEGABYTE


def test_a_limit_not_reached_in_its_period_leaves_the_session_open() -> None:
    world = World(a_sim(), a_fleet(data_limit=2_000_000), data_per_day=1000)
    (session,) = sessions(world)
    assert session.date_ended is None or session.date_ended > NOW + A_MONTH
    assert sum(session.bytes_between(NOW, NOW + DAY)) > 0


# ---- usage by a call -----------------------------------------------------------------------------


def test_usage_by_a_call_is_visible_at_once() -> None:
    world = World(a_sim())
    world.advance(DAY)
    use(world, 300, 700)
    (session,) = sessions(world)
    assert session.bytes_between(world.now - INSTANT, world.now) == (300, 700)
    assert used(world) == 1000


def test_usage_by_a_call_in_the_first_instant_of_all_counts_too() -> None:
    world = World(a_sim(), a_fleet(data_limit=1))
    use(world, MEGABYTE)
    assert used(world) == MEGABYTE
    assert fleet_of(world)


def test_a_device_can_use_exactly_its_limit_and_no_more() -> None:
    world = World(a_sim(), a_fleet(data_limit=1))
    world.advance(DAY)
    use(world, 400_000, 599_999)
    with pytest.raises(
        InvalidParameter, match="may use 1 more bytes in this Billing Period"
    ) as refused:
        use(world, 1, 1)
    assert refused.value.code == 83600
    assert used(world) == 999_999
    use(world, 1)
    with pytest.raises(InvalidParameter, match="may use 0 more bytes"):
        use(world, 1)


def test_usage_by_a_call_lets_the_automatic_usage_reach_the_limit_earlier() -> None:
    world = World(a_sim(), a_fleet(data_limit=2), data_per_day=MEGABYTE)
    use(world, 1_900_000)
    world.advance(DAY)
    assert used(world) == 2 * MEGABYTE


def test_the_next_period_has_a_limit_of_its_own() -> None:
    world = World(a_sim(), a_fleet(data_limit=1))
    use(world, MEGABYTE)
    world.advance(A_MONTH + INSTANT)
    use(world, MEGABYTE)
    assert used(world) == 2 * MEGABYTE


def test_a_lower_limit_includes_the_data_used_already() -> None:
    world = World(a_sim())
    use(world, 2 * MEGABYTE)
    settings = FleetParameters(data_limit=1)
    update_fleet(world.tx, ACCOUNT_SID, FLEET_SID, settings, world.context())
    assert fleet_of(world)
    with pytest.raises(InvalidParameter, match="may use 0 more bytes"):
        use(world, 1)


# ---- reading -------------------------------------------------------------------------------------


def test_sessions_are_found_by_period_and_by_their_fields() -> None:
    world = World(a_sim(), data_per_day=MEGABYTE)
    world.advance(TAKES)
    of_fleet = {"fleet_sid": FLEET_SID}
    for of, end, count in (
        (of_fleet, world.now, 1),
        (of_fleet, NOW, 0),
        ({"fleet_sid": "HF" + "0" * 32}, world.now, 0),
    ):
        query = UsageQuery(NOW - timedelta(days=1), end, UsageGranularity.ALL, None, of)
        assert len(sessions_of(world.tx, ACCOUNT_SID, query, PageWindow(9))) == count
