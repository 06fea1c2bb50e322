"""Data Sessions of both products: their start and end, and the sessions within a period."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from ringback.core.errors import InvalidParameter
from ringback.core.sids import SidKind
from ringback.core.sims.mobile_networks import NETWORKS
from ringback.core.supersim.usage import SuperSimDataSession
from ringback.core.wireless.data_session import WirelessDataSession
from ringback.core.wireless.radio import RadioTechnology
from ringback.ports import FieldFilter, PageWindow, Store
from tests.fakes import NOW
from tests.stores.asking import keep, numbers_of, table_of
from tests.stores.records import (
    FLEETS,
    ODD_INSTANT,
    OURS,
    RATE_PLANS,
    SECOND,
    SIMS,
    THEIRS,
    WIRELESS_SIMS,
    fleet,
    rate_plan,
    session,
    sid,
    sim,
    wireless_session,
    wireless_sim,
)

HOUR = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)
ODD: dict[str, Any] = {
    "sid": sid(SidKind.DATA_SESSION, 1),
    "account_sid": OURS,
    "network_sid": NETWORKS[7].sid,
    "upload_per_hour": 3_600_000_000 * 1_000_000_000,
    "download_per_hour": 0,
    "date_created": ODD_INSTANT,
    "date_ended": ODD_INSTANT + INSTANT,
}


@dataclass
class Product:
    """What tests do with the Data Sessions of one product."""

    session: Callable[..., Any]
    sims: Mapping[str, Any]
    sim: Callable[..., Any]
    odd: Any
    """A session in which every field differs from the usual."""
    others: Mapping[str, Any]
    """Other values of the fields that lists are filtered by."""

    def table_of(self, tx: Any) -> Any:
        return table_of(tx, type(self.odd))

    async def kept(self, store: Store, number: int) -> Any:
        return await store.transact(lambda tx: self.table_of(tx).get(self.session(number).sid))

    async def end(self, store: Store, number: int, at: datetime | None) -> None:
        sid = self.session(number).sid
        await store.transact(lambda tx: self.table_of(tx).end(sid, at))

    async def of_sim(self, store: Store, since: datetime, sim_sid: str | None = None) -> list[int]:
        sim_sid = sim_sid or self.sims[OURS].sid
        return numbers_of(
            await store.transact(lambda tx: self.table_of(tx).of_sim(sim_sid, since=since))
        )

    async def between(
        self,
        store: Store,
        start: datetime = NOW,
        until: datetime = NOW + HOUR,
        *,
        window: PageWindow = PageWindow(9),  # noqa: B008 (it is frozen)
        account_sid: str = OURS,
        which: FieldFilter | None = None,
    ) -> list[int]:
        return numbers_of(
            await store.transact(
                lambda tx: self.table_of(tx).between(account_sid, which or {}, start, until, window)
            )
        )


SUPER_SIM = Product(
    session,
    SIMS,
    sim,
    SuperSimDataSession(
        **ODD,
        sim_sid=SIMS[OURS].sid,
        fleet_sid=FLEETS[OURS].sid,
        iso_country="BR",
        reported_until=ODD_INSTANT + INSTANT,
        reported_upload=2**62,
        reported_download=7,
    ),
    {
        "sim_sid": sim(9).sid,
        "fleet_sid": fleet(9).sid,
        "network_sid": NETWORKS[9].sid,
        "iso_country": "GB",
    },
)
WIRELESS = Product(
    wireless_session,
    WIRELESS_SIMS,
    wireless_sim,
    WirelessDataSession(
        **ODD,
        sim_sid=WIRELESS_SIMS[OURS].sid,
        rate_plan_sid=RATE_PLANS[OURS].sid,
        iccid="8901340000000000019",
        radio_link=RadioTechnology.NARROWBAND,
    ),
    {
        "sim_sid": wireless_sim(9).sid,
        "rate_plan_sid": rate_plan(9).sid,
        "network_sid": NETWORKS[9].sid,
        "radio_link": RadioTechnology.THREE_G,
    },
)


@pytest.fixture(params=[SUPER_SIM, WIRELESS], ids=["Super SIM", "Wireless"])
def product(request: pytest.FixtureRequest) -> Product:
    return request.param


async def test_every_field_is_read_back(furnished: Store, product: Product) -> None:
    await keep(furnished, product.odd, product.session(2))
    assert await product.kept(furnished, 1) == product.odd
    assert await product.kept(furnished, 2) == product.session(2)
    assert await product.kept(furnished, 3) is None


@pytest.mark.parametrize("at", [NOW, ODD_INSTANT, None], ids=["now", "in the future", "open"])
async def test_a_session_ends_at_the_given_time(
    furnished: Store, product: Product, at: datetime | None
) -> None:
    await keep(furnished, product.session(1, ends=NOW + SECOND), product.session(2))
    await product.end(furnished, 1, at)
    assert await product.kept(furnished, 1) == product.session(1, ends=at)
    assert await product.kept(furnished, 2) == product.session(2)


# ---- of a SIM


async def test_the_sessions_of_a_sim_are_listed_oldest_first(
    furnished: Store, product: Product
) -> None:
    other = product.sim(9)
    await keep(furnished, other, *map(product.session, (5, 1, 3)), product.session(2, THEIRS))
    await keep(furnished, replace(product.session(4), sim_sid=other.sid))
    assert await product.of_sim(furnished, NOW) == [5, 1, 3]
    assert await product.of_sim(furnished, NOW, other.sid) == [4]
    assert await product.of_sim(furnished, NOW, product.sims[THEIRS].sid) == [2]


async def test_a_session_continues_until_its_end_and_does_not_include_it(
    furnished: Store, product: Product
) -> None:
    await keep(furnished, product.session(1, ends=NOW + SECOND), product.session(2))
    assert await product.of_sim(furnished, NOW + SECOND - INSTANT) == [1, 2]
    assert await product.of_sim(furnished, NOW + SECOND) == [2]


async def test_a_session_without_an_end_continues(furnished: Store, product: Product) -> None:
    await keep(furnished, product.session(1))
    await product.end(furnished, 1, NOW + 2 * HOUR)
    assert await product.of_sim(furnished, NOW + HOUR) == [1]
    await product.end(furnished, 1, NOW + HOUR)
    assert await product.of_sim(furnished, NOW + HOUR) == []


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
    furnished: Store, product: Product, began: datetime, ends: datetime | None, *, is_in: bool
) -> None:
    await keep(furnished, product.session(1, began=began, ends=ends))
    assert await product.between(furnished) == ([1] if is_in else [])


async def test_a_period_has_only_the_accounts_own_sessions_newest_first(
    furnished: Store, product: Product
) -> None:
    await keep(
        furnished, *map(product.session, (5, 1)), product.session(2, THEIRS), product.session(3)
    )
    assert await product.between(furnished) == [3, 1, 5]
    assert await product.between(furnished, account_sid=THEIRS) == [2]


async def test_a_period_can_be_filtered_by_fields(furnished: Store, product: Product) -> None:
    await keep(furnished, fleet(9), sim(9), rate_plan(9), wireless_sim(9))
    usual, others = product.session(0), product.others
    special = [
        replace(product.session(number), **{name: value})
        for number, (name, value) in enumerate(others.items(), 1)
    ]
    await keep(furnished, usual, *special)
    for number, (name, value) in enumerate(others.items(), 1):
        assert await product.between(furnished, which={name: value}) == [number]
    of_two = dict(list(others.items())[:2])
    assert await product.between(furnished, which=of_two) == []
    open_ended = {"network_sid": None, "sim_sid": usual.sim_sid}
    assert await product.between(furnished, which=open_ended) == [4, 3, 2, 0]


async def test_a_period_has_pages(furnished: Store, product: Product) -> None:
    await keep(furnished, *(product.session(n, ends=None if n % 3 else NOW) for n in range(10)))
    first = await product.between(furnished, window=PageWindow(2))
    second = await product.between(
        furnished, window=PageWindow(2, after=product.session(first[-1]).sid)
    )
    third = await product.between(
        furnished, window=PageWindow(9, after=product.session(second[-1]).sid)
    )
    back = await product.between(
        furnished, window=PageWindow(1, before=product.session(second[0]).sid)
    )
    assert (first, second, third, back) == ([8, 7], [5, 4], [2, 1], [7])


async def test_a_session_outside_the_period_still_marks_its_page(
    furnished: Store, product: Product
) -> None:
    await keep(furnished, product.session(0), product.session(1, ends=NOW), product.session(2))
    assert await product.between(furnished, window=PageWindow(9, after=product.session(1).sid)) == [
        0
    ]
    assert await product.between(
        furnished, window=PageWindow(9, before=product.session(1).sid)
    ) == [2]


@pytest.mark.parametrize("number", [1, 2], ids=["theirs", "unknown"])
async def test_a_page_at_a_session_of_another_account_is_refused(
    furnished: Store, product: Product, number: int
) -> None:
    await keep(furnished, product.session(0), product.session(1, THEIRS))
    for window in (
        PageWindow(9, after=product.session(number).sid),
        PageWindow(9, before=product.session(number).sid),
    ):
        with pytest.raises(InvalidParameter) as refused:
            await product.between(furnished, window=window)
        assert refused.value.code == 83600


# ---- what event streams have got of a session ----------------------------------------------------


async def followed(store: Store, account_sid: str = OURS) -> list[SuperSimDataSession]:
    sim_sid = SIMS[account_sid].sid
    return await store.transact(lambda tx: tx.supersim.sessions.followed(sim_sid))


async def test_a_report_about_a_session_is_noted_and_changes_nothing_else(furnished: Store) -> None:
    await keep(furnished, session(1), session(2), session(3, THEIRS))
    reported = replace(
        session(2), reported_until=ODD_INSTANT, reported_upload=2**62, reported_download=7
    )
    # Another field of the given session is not saved.
    given = replace(reported, upload_per_hour=9)
    await furnished.transact(lambda tx: tx.supersim.sessions.note_report(given))
    assert await SUPER_SIM.kept(furnished, 2) == reported
    assert await SUPER_SIM.kept(furnished, 1) == session(1)


async def test_only_a_sims_followed_sessions_are_found_oldest_first(furnished: Store) -> None:
    def follow(number: int, account_sid: str = OURS) -> SuperSimDataSession:
        ended = session(number, account_sid, ends=NOW + number * HOUR)
        return replace(ended, reported_until=NOW - number * HOUR)

    ours = [follow(3), follow(1)]
    await keep(furnished, ours[0], session(2), follow(4, THEIRS), ours[1])
    assert await followed(furnished) == ours
    assert await followed(furnished, THEIRS) == [follow(4, THEIRS)]
    over = replace(ours[0], reported_until=None)
    await furnished.transact(lambda tx: tx.supersim.sessions.note_report(over))
    assert await followed(furnished) == ours[1:]
