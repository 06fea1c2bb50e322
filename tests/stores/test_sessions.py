"""Data sessions: how long they go on, and which of them a period is about."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ringback.core.errors import Invalid
from ringback.core.network import NETWORKS
from ringback.core.sids import Kind
from ringback.core.supersim.usage import DataSession
from ringback.ports import Store, Which, Window
from tests.fakes import NOW
from tests.stores.asking import keep, numbers_of
from tests.stores.records import (
    FLEETS,
    ODD_INSTANT,
    OURS,
    SECOND,
    SIMS,
    THEIRS,
    fleet,
    session,
    sid,
    sim,
)

HOUR = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)


async def kept(store: Store, number: int) -> DataSession | None:
    return await store.transact(lambda tx: tx.supersim.sessions.get(session(number).sid))


async def end(store: Store, number: int, at: datetime | None) -> None:
    await store.transact(lambda tx: tx.supersim.sessions.end(session(number).sid, at))


async def of_sim(store: Store, since: datetime, sim_sid: str = SIMS[OURS].sid) -> list[int]:
    return numbers_of(
        await store.transact(lambda tx: tx.supersim.sessions.of_sim(sim_sid, since=since))
    )


async def between(
    store: Store,
    start: datetime = NOW,
    until: datetime = NOW + HOUR,
    *,
    window: Window = Window(9),  # noqa: B008 (it is frozen)
    account_sid: str = OURS,
    which: Which | None = None,
) -> list[int]:
    return numbers_of(
        await store.transact(
            lambda tx: tx.supersim.sessions.between(account_sid, which or {}, start, until, window)
        )
    )


async def test_every_field_comes_back(furnished: Store) -> None:
    odd = DataSession(
        sid=sid(Kind.DATA_SESSION, 1),
        account_sid=OURS,
        sim_sid=SIMS[OURS].sid,
        fleet_sid=FLEETS[OURS].sid,
        network_sid=NETWORKS[7].sid,
        iso_country="BR",
        upload_per_hour=3_600_000_000 * 1_000_000_000,
        download_per_hour=0,
        date_created=ODD_INSTANT,
        date_ended=ODD_INSTANT + INSTANT,
    )
    await keep(furnished, odd, session(2))
    assert await kept(furnished, 1) == odd
    assert await kept(furnished, 2) == session(2)
    assert await kept(furnished, 3) is None


@pytest.mark.parametrize("at", [NOW, ODD_INSTANT, None], ids=["now", "in the future", "open"])
async def test_a_session_ends_when_it_is_said_to(furnished: Store, at: datetime | None) -> None:
    await keep(furnished, session(1, ends=NOW + SECOND), session(2))
    await end(furnished, 1, at)
    assert await kept(furnished, 1) == session(1, ends=at)
    assert await kept(furnished, 2) == session(2)


# ---- of a SIM


async def test_the_sessions_of_a_sim_are_the_oldest_first(furnished: Store) -> None:
    await keep(furnished, sim(9), *map(session, (5, 1, 3)), session(2, THEIRS))
    await keep(furnished, replace(session(4), sim_sid=sim(9).sid))
    assert await of_sim(furnished, NOW) == [5, 1, 3]
    assert await of_sim(furnished, NOW, sim(9).sid) == [4]
    assert await of_sim(furnished, NOW, SIMS[THEIRS].sid) == [2]


async def test_a_session_goes_on_until_its_end_which_is_no_longer_its_own(
    furnished: Store,
) -> None:
    await keep(furnished, session(1, ends=NOW + SECOND), session(2))
    assert await of_sim(furnished, NOW + SECOND - INSTANT) == [1, 2]
    assert await of_sim(furnished, NOW + SECOND) == [2]


async def test_a_session_that_has_yet_to_end_goes_on(furnished: Store) -> None:
    await keep(furnished, session(1))
    await end(furnished, 1, NOW + 2 * HOUR)
    assert await of_sim(furnished, NOW + HOUR) == [1]
    await end(furnished, 1, NOW + HOUR)
    assert await of_sim(furnished, NOW + HOUR) == []


# ---- of a period


@pytest.mark.parametrize(
    ("began", "ends", "is_in"),
    [
        (NOW, NOW + HOUR, True),
        (NOW - HOUR, NOW, False),
        (NOW - HOUR, NOW + INSTANT, True),
        (NOW + HOUR, None, False),
        (NOW + HOUR - INSTANT, None, True),
        (NOW - HOUR, None, True),
        (NOW - HOUR, NOW + 2 * HOUR, True),
        (NOW + SECOND, NOW + 2 * SECOND, True),
        (NOW - 2 * HOUR, NOW - HOUR, False),
    ],
)
async def test_a_period_has_the_sessions_that_overlap_it(
    furnished: Store, began: datetime, ends: datetime | None, *, is_in: bool
) -> None:
    await keep(furnished, session(1, began=began, ends=ends))
    assert await between(furnished) == ([1] if is_in else [])


async def test_a_period_has_the_accounts_own_sessions_newest_first(furnished: Store) -> None:
    await keep(furnished, *map(session, (5, 1)), session(2, THEIRS), session(3))
    assert await between(furnished) == [3, 1, 5]
    assert await between(furnished, account_sid=THEIRS) == [2]


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        ({"sim_sid": sim(9).sid}, [1]),
        ({"fleet_sid": fleet(9).sid}, [2]),
        ({"network_sid": NETWORKS[9].sid}, [3]),
        ({"iso_country": "GB"}, [4]),
        ({"iso_country": "GB", "sim_sid": sim(9).sid}, []),
        ({"iso_country": None, "sim_sid": SIMS[OURS].sid}, [4, 3, 2, 0]),
    ],
)
async def test_a_period_can_be_of_those_whose_fields_are_these(
    furnished: Store, which: Which, numbers: list[int]
) -> None:
    await keep(
        furnished,
        fleet(9),
        sim(9),
        session(0),
        replace(session(1), sim_sid=sim(9).sid),
        replace(session(2), fleet_sid=fleet(9).sid),
        replace(session(3), network_sid=NETWORKS[9].sid),
        replace(session(4), iso_country="GB"),
    )
    assert await between(furnished, which=which) == numbers


async def test_a_period_has_pages(furnished: Store) -> None:
    await keep(furnished, *(session(n, ends=None if n % 3 else NOW) for n in range(10)))
    first = await between(furnished, window=Window(2))
    second = await between(furnished, window=Window(2, after=session(first[-1]).sid))
    third = await between(furnished, window=Window(9, after=session(second[-1]).sid))
    back = await between(furnished, window=Window(1, before=session(second[0]).sid))
    assert (first, second, third, back) == ([8, 7], [5, 4], [2, 1], [7])


async def test_a_session_outside_the_period_still_marks_its_page(furnished: Store) -> None:
    await keep(furnished, session(0), session(1, ends=NOW), session(2))
    assert await between(furnished, window=Window(9, after=session(1).sid)) == [0]
    assert await between(furnished, window=Window(9, before=session(1).sid)) == [2]


@pytest.mark.parametrize("number", [1, 2], ids=["theirs", "unknown"])
async def test_a_page_at_a_session_that_is_none_of_ones_own_is_refused(
    furnished: Store, number: int
) -> None:
    await keep(furnished, session(0), session(1, THEIRS))
    for window in (Window(9, after=session(number).sid), Window(9, before=session(number).sid)):
        with pytest.raises(Invalid) as refused:
            await between(furnished, window=window)
        assert refused.value.code == 83600
