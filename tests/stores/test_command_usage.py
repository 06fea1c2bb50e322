"""Counts of Commands to and from devices, by period, network and direction."""

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest

from ringback.core.sims.message import Direction
from ringback.core.sims.mobile_networks import NETWORKS
from ringback.core.wireless.usage import CommandCount, WirelessUsageQuery
from ringback.ports import Store
from tests.fakes import NOW
from tests.stores.asking import keep
from tests.stores.records import OURS, THEIRS, WIRELESS_SIMS, command_use, wireless_sim

HOUR = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)
FIRST, SECOND = sorted(network.sid for network in NETWORKS[:2])
FROM, TO = Direction.FROM_SIM, Direction.TO_SIM
SIM_SID, OTHER_SID = WIRELESS_SIMS[OURS].sid, wireless_sim(9).sid


async def counted(
    store: Store,
    question: WirelessUsageQuery,
    *,
    account_sid: str = OURS,
    sim_sid: str | None = None,
) -> list[CommandCount]:
    return await store.transact(
        lambda tx: tx.wireless.command_uses.count(account_sid, sim_sid, question)
    )


def hours(count: int) -> WirelessUsageQuery:
    return WirelessUsageQuery(NOW, NOW + count * HOUR, HOUR)


def slots_of(counts: Iterable[CommandCount]) -> list[tuple[int, int]]:
    """Return the number of Commands in each slot that has any."""
    return [(one.slot, one.messages) for one in counts]


async def test_without_commands_the_counts_are_empty(furnished: Store) -> None:
    assert await counted(furnished, hours(24)) == []


async def test_commands_are_counted_by_period_network_and_direction(furnished: Store) -> None:
    later = NOW + HOUR
    await keep(
        furnished,
        command_use(at=later, network_sid=FIRST, direction=TO),
        command_use(at=NOW, network_sid=SECOND, direction=TO),
        command_use(at=NOW, network_sid=FIRST, direction=FROM),
        command_use(at=NOW, network_sid=SECOND, direction=TO),
        command_use(at=NOW, network_sid=FIRST, direction=TO),
    )
    assert await counted(furnished, hours(2)) == [
        CommandCount(0, FIRST, FROM, 1),
        CommandCount(0, FIRST, TO, 1),
        CommandCount(0, SECOND, TO, 2),
        CommandCount(1, FIRST, TO, 1),
    ]


@pytest.mark.parametrize(
    ("at", "slots"),
    [
        (NOW - INSTANT, []),
        (NOW, [0]),
        (NOW + HOUR - INSTANT, [0]),
        (NOW + HOUR, [1]),
        (NOW + 2 * HOUR - INSTANT, [1]),
        (NOW + 2 * HOUR, []),
    ],
)
async def test_a_command_counts_in_its_period(
    furnished: Store, at: datetime, slots: list[int]
) -> None:
    await keep(furnished, command_use(at=at))
    assert slots_of(await counted(furnished, hours(2))) == [(slot, 1) for slot in slots]


@pytest.mark.parametrize(
    ("span", "expected"),
    [(HOUR, [(0, 1), (1, 1), (25, 1)]), (timedelta(days=1), [(0, 2), (1, 1)]), (None, [(0, 3)])],
    ids=["hours", "days", "all"],
)
async def test_a_query_sets_the_length_of_a_period(
    furnished: Store, span: timedelta | None, expected: list[tuple[int, int]]
) -> None:
    await keep(furnished, *(command_use(at=NOW + number * HOUR) for number in (0, 1, 25)))
    question = WirelessUsageQuery(NOW, NOW + timedelta(days=2), span)
    assert slots_of(await counted(furnished, question)) == expected


async def test_a_query_for_everything_can_cover_a_single_instant(furnished: Store) -> None:
    await keep(furnished, command_use(at=NOW), command_use(at=NOW + INSTANT))
    assert slots_of(await counted(furnished, WirelessUsageQuery(NOW, NOW + INSTANT, None))) == [
        (0, 1)
    ]


async def test_a_query_for_an_empty_time_has_no_result(furnished: Store) -> None:
    await keep(furnished, command_use(at=NOW))
    assert await counted(furnished, WirelessUsageQuery(NOW, NOW, None)) == []


async def test_the_commands_of_one_sim_can_be_counted_separately(furnished: Store) -> None:
    await keep(
        furnished,
        wireless_sim(9),
        *(command_use(sim_sid=sim_sid) for sim_sid in (SIM_SID, OTHER_SID, SIM_SID)),
    )
    for sim_sid, count in ((SIM_SID, 2), (OTHER_SID, 1), (wireless_sim(8).sid, 0), (None, 3)):
        told = slots_of(await counted(furnished, hours(1), sim_sid=sim_sid))
        assert told == ([(0, count)] if count else [])


async def test_an_account_has_only_its_own_commands(furnished: Store) -> None:
    await keep(furnished, command_use(), command_use(THEIRS), command_use(THEIRS))
    assert slots_of(await counted(furnished, hours(1))) == [(0, 1)]
    assert slots_of(await counted(furnished, hours(1), account_sid=THEIRS)) == [(0, 2)]


async def test_commands_of_a_sim_in_another_account_are_not_counted(furnished: Store) -> None:
    await keep(furnished, command_use(THEIRS, sim_sid=SIM_SID), command_use(sim_sid=SIM_SID))
    assert slots_of(await counted(furnished, hours(1), sim_sid=SIM_SID)) == [(0, 1)]


async def test_commands_of_a_sim_are_counted_after_its_removal(furnished: Store) -> None:
    await keep(furnished, command_use())
    await furnished.transact(lambda tx: tx.wireless.sims.remove(SIM_SID))
    assert slots_of(await counted(furnished, hours(1), sim_sid=SIM_SID)) == [(0, 1)]
    assert slots_of(await counted(furnished, hours(1))) == [(0, 1)]
