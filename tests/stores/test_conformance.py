"""What every store does alike: one suite, and each store passes all of it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.callback import (
    UNDELIVERED,
    Attempt,
    Callback,
    CallbackStatus,
    Method,
    Progress,
    RecordedResponse,
    Timings,
    advance,
    begin,
    discard,
)
from ringback.core.callback_url import CallbackUrl
from ringback.core.errors import Invalid
from ringback.core.outcome import Delivered, Refused, Unknown
from ringback.core.rendering import OutgoingRequest, render
from ringback.core.retry import Decision, Done, GiveUp, NewRound, TryAgain
from ringback.core.schedule import FAITHFUL, PERSISTENT, Schedule
from ringback.core.sids import Kind
from ringback.core.sim import Fleet, Sim, SimStatus
from ringback.core.sim_update import SimUpdate
from ringback.core.source import Source
from ringback.ports import (
    CallbackFilter,
    Claim,
    Lane,
    Settlement,
    SimFilter,
    Store,
    Transaction,
    Waiting,
    Window,
)
from tests.fakes import NOW, a_callback
from tests.stores.records import (
    HOST,
    OUR_LANE,
    OURS,
    SECOND,
    THEIR_LANE,
    THEIRS,
    account,
    api_key,
    callback,
    fleet,
    row_of,
    sid,
    sim,
    update_of,
)

ALL_SIMS = SimFilter()
ALL_CALLBACKS = CallbackFilter()
ODD_INSTANT = datetime(2024, 10, 15, 12, 30, 59, 999999, tzinfo=UTC)
ODD_URL = CallbackUrl.parse(
    "HTTP://us%40er:p%C3%A4ss@Receiver.Example:8081/a%2Fb?x=1&y=@#rc=2&cbs=kore&unheard=of"
).with_warnings("the request also had the parameter 'ünheard'")


async def keep(store: Store, *records: Fleet | Sim | SimUpdate | Callback) -> None:
    def work(tx: Transaction) -> None:
        for record in records:
            match record:
                case Fleet():
                    tx.fleets.add(record)
                case Sim():
                    tx.sims.add(record)
                case SimUpdate():
                    tx.sims.begin_update(record)
                case Callback():
                    tx.callbacks.add(record)

    await store.transact(work)


async def sims_on(store: Store, window: Window, which: SimFilter = ALL_SIMS) -> list[Sim]:
    return await store.transact(lambda tx: tx.sims.page(OURS, which, window))


async def callbacks_on(
    store: Store, window: Window, which: CallbackFilter = ALL_CALLBACKS
) -> list[Callback]:
    return await store.transact(lambda tx: tx.callbacks.page(OURS, which, window))


async def oldest_of(
    store: Store,
    which: CallbackFilter = ALL_CALLBACKS,
    *,
    after: str | None = None,
    limit: int = 99,
) -> list[Callback]:
    return await store.transact(
        lambda tx: tx.callbacks.oldest(OURS, which, after=after, limit=limit)
    )


async def claim(
    store: Store, now: datetime = NOW, *, limit: int = 100, lane: Lane = OUR_LANE
) -> list[Claim]:
    return await store.transact(lambda tx: tx.callbacks.claim(lane, now, limit=limit))


async def settle(store: Store, *settlements: Settlement) -> None:
    await store.transact(lambda tx: tx.callbacks.settle(settlements))


async def found(store: Store, number: int) -> Callback:
    callback_sid = callback(number).sid
    one = await store.transact(lambda tx: tx.callbacks.get(OURS, callback_sid))
    assert one is not None
    return one


async def attempts_of(store: Store, number: int) -> list[Attempt]:
    return await store.transact(lambda tx: tx.callbacks.attempts(callback(number).sid))


def ended(claim: Claim, decision: Decision, now: datetime = NOW) -> Settlement:
    """Return the settlement of an attempt that the receiver answered with 503, or with 200."""
    outcome = Delivered(200) if isinstance(decision, Done) else Refused(503)
    attempt = row_of(claim, outcome)
    return Settlement(claim.callback, attempt, advance(claim.progress, decision, now))


def numbers_of(callbacks: list[Callback] | list[Claim]) -> list[int]:
    """Return by which numbers these were made."""
    plain = [one.callback if isinstance(one, Claim) else one for one in callbacks]
    return [int(one.sid[2:], 16) for one in plain]


# ---- accounts ------------------------------------------------------------------------------------


async def test_an_account_comes_back_as_it_was(empty: Store) -> None:
    odd = replace(
        account(),
        name="Zoë's",
        auth_token="tökén",
        kore_secret="",
        uses_static_proxy=True,
        date_created=ODD_INSTANT,
        schedule=Schedule((timedelta(seconds=1.5), timedelta(hours=10), timedelta(0))),
    )
    await empty.transact(lambda tx: tx.accounts.add(odd, []))
    assert await empty.transact(lambda tx: tx.accounts.get(OURS)) == odd


@pytest.mark.parametrize("schedule", [None, FAITHFUL, PERSISTENT])
async def test_an_account_has_its_own_schedule_or_none(
    empty: Store, schedule: Schedule | None
) -> None:
    ours = replace(account(), schedule=schedule)
    await empty.transact(lambda tx: tx.accounts.add(ours, []))
    assert await empty.transact(lambda tx: tx.accounts.get(OURS)) == ours


async def test_all_accounts_come_oldest_first(empty: Store) -> None:
    for account_sid in (THEIRS, OURS):
        added = account(account_sid)
        await empty.transact(lambda tx, added=added: tx.accounts.add(added, []))
    assert await empty.transact(lambda tx: tx.accounts.all()) == [account(THEIRS), account(OURS)]


async def test_a_saved_account_replaces_the_old_state(store: Store) -> None:
    changed = replace(
        account(),
        name="B",
        auth_token="new",
        kore_secret="newer",
        uses_static_proxy=True,
        schedule=PERSISTENT,
    )
    await store.transact(lambda tx: tx.accounts.save(changed))
    assert await store.transact(lambda tx: tx.accounts.get(OURS)) == changed


async def test_saving_one_account_leaves_the_other(store: Store) -> None:
    await store.transact(lambda tx: tx.accounts.save(replace(account(), auth_token="new")))
    assert await store.transact(lambda tx: tx.accounts.get(THEIRS)) == account(THEIRS)


async def test_an_unknown_account_is_none(store: Store) -> None:
    assert await store.transact(lambda tx: tx.accounts.get(sid(Kind.ACCOUNT, 9))) is None


async def test_a_key_is_found_by_its_sid(empty: Store) -> None:
    await empty.transact(lambda tx: tx.accounts.add(account(), [api_key(1)]))
    assert await empty.transact(lambda tx: tx.accounts.key(api_key(1).sid)) == api_key(1)
    assert await empty.transact(lambda tx: tx.accounts.key(api_key(2).sid)) is None


async def test_the_keys_of_an_account_are_its_own_oldest_first(empty: Store) -> None:
    await empty.transact(lambda tx: tx.accounts.add(account(), [api_key(9), api_key(1)]))
    await empty.transact(lambda tx: tx.accounts.add(account(THEIRS), [api_key(5, THEIRS)]))
    assert await empty.transact(lambda tx: tx.accounts.keys_of(OURS)) == [api_key(9), api_key(1)]


# ---- fleets --------------------------------------------------------------------------------------


async def test_a_fleet_is_found_by_sid_and_by_name(store: Store) -> None:
    odd = replace(
        fleet(1), unique_name="Flötte", date_created=ODD_INSTANT, date_updated=ODD_INSTANT
    )
    await keep(store, odd)
    assert await store.transact(lambda tx: tx.fleets.find(OURS, odd.sid)) == odd
    assert await store.transact(lambda tx: tx.fleets.find(OURS, "Flötte")) == odd
    assert await store.transact(lambda tx: tx.fleets.find(OURS, "flötte")) is None


async def test_a_fleet_of_another_account_is_not_found(store: Store) -> None:
    await keep(store, fleet(1, THEIRS))
    assert await store.transact(lambda tx: tx.fleets.find(OURS, fleet(1).sid)) is None
    assert await store.transact(lambda tx: tx.fleets.find(OURS, "fleet 1")) is None


async def test_two_accounts_may_use_one_fleet_name(store: Store) -> None:
    await keep(store, replace(fleet(1), unique_name="x"))
    await keep(store, replace(fleet(2, THEIRS), unique_name="x"))
    found = await store.transact(lambda tx: tx.fleets.find(THEIRS, "x"))
    assert found is not None
    assert found.sid == fleet(2).sid


async def test_the_sid_of_a_fleet_goes_before_the_name_of_another(store: Store) -> None:
    await keep(store, replace(fleet(1), unique_name=fleet(2).sid), fleet(2))
    assert await store.transact(lambda tx: tx.fleets.find(OURS, fleet(2).sid)) == fleet(2)


# ---- SIMs ----------------------------------------------------------------------------------------


async def test_a_sim_comes_back_as_it_was(store: Store) -> None:
    odd = Sim(
        sid(Kind.SIM, 1),
        OURS,
        "89883070000123456789",
        "mön SIM",
        SimStatus.INACTIVE,
        fleet(1).sid,
        ODD_INSTANT,
        ODD_INSTANT + timedelta(microseconds=1),
    )
    await keep(store, fleet(1), odd)
    assert await store.transact(lambda tx: tx.sims.get(odd.sid)) == odd


async def test_a_sim_is_found_by_sid_name_and_iccid(store: Store) -> None:
    named = replace(sim(1), unique_name="my_sim")
    await keep(store, sim(0), named)
    assert await store.transact(lambda tx: tx.sims.find(OURS, named.sid)) == named
    assert await store.transact(lambda tx: tx.sims.find(OURS, "my_sim")) == named
    assert await store.transact(lambda tx: tx.sims.with_iccid(named.iccid)) == named


async def test_an_unknown_sim_is_none(store: Store) -> None:
    await keep(store, sim(1))
    assert await store.transact(lambda tx: tx.sims.get(sim(2).sid)) is None
    assert await store.transact(lambda tx: tx.sims.find(OURS, "")) is None
    assert await store.transact(lambda tx: tx.sims.find(OURS, "None")) is None
    assert await store.transact(lambda tx: tx.sims.with_iccid(sim(2).iccid)) is None


async def test_the_sid_of_a_sim_goes_before_the_name_of_another(store: Store) -> None:
    await keep(store, replace(sim(1), unique_name=sim(2).sid), sim(2))
    assert await store.transact(lambda tx: tx.sims.find(OURS, sim(2).sid)) == sim(2)


async def test_a_sim_of_another_account_is_not_found(store: Store) -> None:
    await keep(store, replace(sim(1, THEIRS), unique_name="my_sim"))
    assert await store.transact(lambda tx: tx.sims.find(OURS, sim(1).sid)) is None
    assert await store.transact(lambda tx: tx.sims.find(OURS, "my_sim")) is None


async def test_the_network_knows_the_sims_of_every_account(store: Store) -> None:
    await keep(store, sim(1, THEIRS))
    assert await store.transact(lambda tx: tx.sims.get(sim(1).sid)) == sim(1, THEIRS)
    assert await store.transact(lambda tx: tx.sims.with_iccid(sim(1).iccid)) == sim(1, THEIRS)


async def test_two_accounts_may_use_one_sim_name(store: Store) -> None:
    theirs = replace(sim(2, THEIRS), unique_name="x")
    await keep(store, replace(sim(1), unique_name="x"), theirs)
    assert await store.transact(lambda tx: tx.sims.find(THEIRS, "x")) == theirs


async def test_a_saved_sim_replaces_the_old_state(store: Store) -> None:
    await keep(store, fleet(1), sim(1), sim(2))
    changed = replace(
        sim(1),
        unique_name="x",
        status=SimStatus.SCHEDULED,
        fleet_sid=fleet(1).sid,
        date_updated=ODD_INSTANT,
    )
    await store.transact(lambda tx: tx.sims.save(changed))
    assert await sims_on(store, Window(9)) == [sim(2), changed]


# ---- pages ---------------------------------------------------------------------------------------


async def test_a_page_is_newest_first_whatever_the_sids_are(store: Store) -> None:
    await keep(store, sim(5), sim(1), sim(9))
    assert await sims_on(store, Window(9)) == [sim(9), sim(1), sim(5)]


async def test_a_page_has_no_more_than_its_size(store: Store) -> None:
    await keep(store, *map(sim, range(5)))
    assert await sims_on(store, Window(2)) == [sim(4), sim(3)]


async def test_the_next_page_follows_the_last_record_of_this_one(store: Store) -> None:
    await keep(store, *map(sim, range(5)))
    assert await sims_on(store, Window(2, after=sim(3).sid)) == [sim(2), sim(1)]


async def test_the_previous_page_leads_up_to_the_first_record_of_this_one(store: Store) -> None:
    await keep(store, *map(sim, range(5)))
    assert await sims_on(store, Window(2, before=sim(1).sid)) == [sim(3), sim(2)]


async def test_nothing_follows_the_oldest_record(store: Store) -> None:
    await keep(store, sim(0), sim(1))
    assert await sims_on(store, Window(2, after=sim(0).sid)) == []


async def test_nothing_leads_up_to_the_newest_record(store: Store) -> None:
    await keep(store, sim(0), sim(1))
    assert await sims_on(store, Window(2, before=sim(1).sid)) == []


async def test_records_added_meanwhile_neither_repeat_nor_hide_one(store: Store) -> None:
    await keep(store, *map(sim, range(10)))
    seen = await sims_on(store, Window(3))
    for number in range(100, 104):
        await keep(store, sim(number))
        seen += await sims_on(store, Window(3, after=seen[-1].sid))
    assert seen == [sim(number) for number in reversed(range(10))]


async def test_going_back_meets_the_records_that_were_added_meanwhile(store: Store) -> None:
    await keep(store, *map(sim, range(6)))
    page = await sims_on(store, Window(3, after=sim(3).sid))
    await keep(store, sim(6), sim(7))
    seen = list(page)
    for _ in range(3):
        seen = [*await sims_on(store, Window(3, before=seen[0].sid)), *seen]
    assert seen == [sim(number) for number in reversed(range(8))]


async def test_a_saved_sim_keeps_its_place(store: Store) -> None:
    await keep(store, *map(sim, range(3)))
    changed = replace(sim(0), unique_name="x")
    await store.transact(lambda tx: tx.sims.save(changed))
    assert await sims_on(store, Window(9)) == [sim(2), sim(1), changed]


async def test_a_page_has_only_the_accounts_own_records(store: Store) -> None:
    await keep(store, sim(0), sim(1, THEIRS), sim(2))
    assert await sims_on(store, Window(9)) == [sim(2), sim(0)]
    await keep(store, callback(0), callback(1, THEIRS), callback(2))
    assert await callbacks_on(store, Window(9)) == [callback(2), callback(0)]


@pytest.mark.parametrize(
    "window",
    [
        lambda sid: Window(9, after=sid),
        lambda sid: Window(9, before=sid),
    ],
    ids=["after", "before"],
)
async def test_a_window_at_anothers_record_is_refused_like_an_unknown_one(
    store: Store, window: Callable[[str], Window]
) -> None:
    await keep(store, sim(0), sim(1, THEIRS), callback(0), callback(1, THEIRS))
    refusals = list[tuple[int, str]]()
    for number in (1, 2):
        for page, record in ((sims_on, sim(number)), (callbacks_on, callback(number))):
            with pytest.raises(Invalid) as refused:
                await page(store, window(record.sid))
            refusals.append((refused.value.code, refused.value.message.replace(record.sid, "…")))
    assert refusals[0][0] == 83600
    assert len(set(refusals)) == 1


@pytest.mark.parametrize(
    "window", [Window(9, after=""), Window(9, before="")], ids=["after", "before"]
)
async def test_a_window_at_an_empty_sid_is_refused(store: Store, window: Window) -> None:
    with pytest.raises(Invalid):
        await sims_on(store, window)


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        pytest.param(SimFilter(status=SimStatus.READY), [3, 1], id="status"),
        pytest.param(SimFilter(fleet_sid=fleet(1).sid), [2, 1], id="fleet"),
        pytest.param(SimFilter(iccid=sim(2).iccid), [2], id="iccid"),
        pytest.param(SimFilter(SimStatus.READY, fleet(1).sid), [1], id="two at once"),
        pytest.param(SimFilter(SimStatus.READY, iccid=sim(2).iccid), [], id="two that exclude"),
        pytest.param(SimFilter(fleet_sid=fleet(9).sid), [], id="a fleet without SIMs"),
    ],
)
async def test_sims_are_filtered(store: Store, which: SimFilter, numbers: list[int]) -> None:
    await keep(
        store,
        fleet(1),
        sim(0),
        replace(sim(1), status=SimStatus.READY, fleet_sid=fleet(1).sid),
        replace(sim(2), status=SimStatus.ACTIVE, fleet_sid=fleet(1).sid),
        replace(sim(3), status=SimStatus.READY),
        replace(sim(4, THEIRS), status=SimStatus.READY),
    )
    page = await sims_on(store, Window(9), which)
    assert [record.sid for record in page] == [sim(number).sid for number in numbers]


ELSEWHERE = "https://else.example/"
SCHEDULED, DELIVERED = CallbackStatus.SCHEDULED, CallbackStatus.DELIVERED
FAILED, DISCARDED = CallbackStatus.FAILED, CallbackStatus.DISCARDED
FILTERS = [
    pytest.param(CallbackFilter(), [5, 4, 3, 2, 1, 0], id="all"),
    pytest.param(CallbackFilter(statuses=frozenset({FAILED})), [2], id="status"),
    pytest.param(CallbackFilter(statuses=frozenset({SCHEDULED})), [5, 4, 3, 0], id="scheduled"),
    pytest.param(CallbackFilter(statuses=UNDELIVERED), [2, 1], id="undelivered"),
    pytest.param(CallbackFilter(statuses=frozenset({DELIVERED})), [], id="none such"),
    pytest.param(CallbackFilter(statuses=frozenset()), [], id="no status at all"),
    pytest.param(CallbackFilter(source=Source.TWILIO), [3, 1], id="source"),
    pytest.param(CallbackFilter(idempotency_token="token 0"), [0], id="token"),
    pytest.param(CallbackFilter(destination="https://else.example:443"), [4, 1], id="destination"),
    pytest.param(CallbackFilter(since=NOW), [5, 4], id="since an instant"),
    pytest.param(CallbackFilter(until=NOW), [3, 2, 1, 0], id="until an instant"),
    pytest.param(CallbackFilter(since=NOW - SECOND, until=NOW), [3, 2], id="between two instants"),
    pytest.param(
        CallbackFilter(
            UNDELIVERED,
            Source.TWILIO,
            "token 1",
            "https://else.example:443",
            NOW - 9 * SECOND,
            NOW,
        ),
        [1],
        id="all at once",
    ),
]


async def keep_different_callbacks(store: Store) -> None:
    """Keep six of ours that differ in what a filter sees, and one of theirs that is like ours."""
    ages = (3, 2, 1, 1, 0, 0)
    ours = [
        callback(number)._replace(date_created=NOW - age * SECOND)
        for number, age in enumerate(ages)
    ]
    else_url = CallbackUrl.parse(ELSEWHERE)
    ours[1] = ours[1]._replace(url=else_url, source=Source.TWILIO).having(Progress(NOW, DISCARDED))
    ours[2] = ours[2].having(Progress(NOW, FAILED))
    ours[3] = ours[3]._replace(source=Source.TWILIO)
    ours[4] = ours[4]._replace(url=else_url)
    theirs = ours[1]._replace(sid=callback(6).sid, account_sid=THEIRS)
    await keep(store, *ours, theirs)


@pytest.mark.parametrize(("which", "numbers"), FILTERS)
async def test_a_page_of_callbacks_has_those_that_the_filter_wants(
    store: Store, which: CallbackFilter, numbers: list[int]
) -> None:
    await keep_different_callbacks(store)
    assert numbers_of(await callbacks_on(store, Window(9), which)) == numbers


@pytest.mark.parametrize(("which", "numbers"), FILTERS)
async def test_the_oldest_callbacks_are_those_that_the_filter_wants_the_other_way_round(
    store: Store, which: CallbackFilter, numbers: list[int]
) -> None:
    await keep_different_callbacks(store)
    oldest = await oldest_of(store, which)
    assert numbers_of(oldest) == numbers[::-1]


async def test_a_filtered_list_has_pages_too(store: Store) -> None:
    ready = SimFilter(status=SimStatus.READY)
    await keep(store, *(replace(sim(n), status=list(SimStatus)[n % 2]) for n in range(10)))
    first = await sims_on(store, Window(2), ready)
    second = await sims_on(store, Window(2, after=first[-1].sid), ready)
    back = await sims_on(store, Window(1, before=second[0].sid), ready)
    assert [s.sid for s in (*first, *second)] == [sim(n).sid for n in (9, 7, 5, 3)]
    assert back == first[-1:]


async def test_a_record_that_left_the_filter_still_marks_its_page(store: Store) -> None:
    new = SimFilter(status=SimStatus.NEW)
    await keep(store, *map(sim, range(3)))
    await store.transact(lambda tx: tx.sims.save(replace(sim(1), status=SimStatus.READY)))
    assert await sims_on(store, Window(9, after=sim(1).sid), new) == [sim(0)]
    assert await sims_on(store, Window(9, before=sim(1).sid), new) == [sim(2)]


# ---- changes that are under way ------------------------------------------------------------------


@pytest.mark.parametrize(
    "update",
    [
        SimUpdate(
            sim(1).sid,
            OURS,
            SimStatus.READY,
            SimStatus.INACTIVE,
            fleet(1).sid,
            ODD_URL,
            Method.GET,
            ODD_INSTANT,
        ),
        replace(update_of(sim(1)), callback_url=None),
    ],
    ids=["every field", "nobody to call back"],
)
async def test_a_change_comes_back_as_it_was(store: Store, update: SimUpdate) -> None:
    await keep(store, fleet(1), sim(1), update)
    due = await store.transact(lambda tx: tx.sims.due_updates(ODD_INSTANT, limit=9))
    assert due == [update]
    assert await store.transact(lambda tx: tx.sims.end_update(sim(1).sid)) == update


async def test_changes_are_due_from_their_instant_on(store: Store) -> None:
    await keep(store, sim(1), update_of(sim(1), due=NOW))
    early = NOW - timedelta(microseconds=1)
    assert await store.transact(lambda tx: tx.sims.due_updates(early, limit=9)) == []
    assert len(await store.transact(lambda tx: tx.sims.due_updates(NOW, limit=9))) == 1


async def test_the_change_that_is_longest_due_comes_first(store: Store) -> None:
    late, early, middle = (
        update_of(sim(number), due=NOW + seconds * SECOND)
        for number, seconds in ((1, 3), (2, 1), (3, 2))
    )
    await keep(store, sim(1), sim(2), sim(3), late, early, middle)
    due = await store.transact(lambda tx: tx.sims.due_updates(NOW + 9 * SECOND, limit=2))
    assert due == [early, middle]


async def test_looking_at_due_changes_takes_none_away(store: Store) -> None:
    await keep(store, sim(1), update_of(sim(1)))
    for _ in range(2):
        due = await store.transact(lambda tx: tx.sims.due_updates(NOW, limit=9))
        assert due == [update_of(sim(1))]


async def test_the_next_change_is_due_at_the_earliest_instant(store: Store) -> None:
    assert await store.transact(lambda tx: tx.sims.next_update_due()) is None
    await keep(store, sim(1), sim(2))
    await keep(store, update_of(sim(1), due=NOW + SECOND), update_of(sim(2), due=ODD_INSTANT))
    assert await store.transact(lambda tx: tx.sims.next_update_due()) == NOW + SECOND


async def test_a_change_ends_once(store: Store) -> None:
    await keep(store, sim(1), sim(2), update_of(sim(1)), update_of(sim(2)))
    assert await store.transact(lambda tx: tx.sims.end_update(sim(1).sid)) == update_of(sim(1))
    assert await store.transact(lambda tx: tx.sims.end_update(sim(1).sid)) is None
    due = await store.transact(lambda tx: tx.sims.due_updates(NOW, limit=9))
    assert due == [update_of(sim(2))]


async def test_a_sim_may_change_again_after_its_change(store: Store) -> None:
    await keep(store, sim(1), update_of(sim(1)))
    await store.transact(lambda tx: tx.sims.end_update(sim(1).sid))
    again = update_of(sim(1), due=ODD_INSTANT)
    await keep(store, again)
    assert await store.transact(lambda tx: tx.sims.end_update(sim(1).sid)) == again


# ---- callbacks -----------------------------------------------------------------------------------


async def test_a_callback_comes_back_as_it_was(store: Store) -> None:
    odd = Callback(
        sid=sid(Kind.CALLBACK, 1),
        account_sid=OURS,
        url=ODD_URL,
        method=Method.GET,
        body="Name=Zoë&Nothing=\0&Emoji=📞",
        source=Source.KORE,
        source_asked=Source.TWILIO,
        source_reason="twilio ended 2024-11-02",
        idempotency_token="RQ000102030405060708090a0b0c0d0e0f",
        date_created=ODD_INSTANT,
        progress=Progress(
            date_updated=ODD_INSTANT + timedelta(microseconds=1),
            status=CallbackStatus.SCHEDULED,
            status_reason="the receiver answered 503: «später»",
            attempt_count=7,
            due=ODD_INSTANT + timedelta(microseconds=2),
            round_attempts=2,
            round_began=ODD_INSTANT - timedelta(microseconds=1),
            round_number=3,
        ),
        idempotency_key="«Schlüssel» 📞",
        replay_of=sid(Kind.CALLBACK, 9),
    )
    await keep(store, odd)
    assert await found(store, 1) == odd


async def test_the_credentials_and_the_warnings_of_a_url_come_back(store: Store) -> None:
    await keep(store, callback(1)._replace(url=ODD_URL))
    kept = await found(store, 1)
    assert kept.url.credentials == "us%40er:p%C3%A4ss"
    assert kept.warnings == (
        "the fragment key 'unheard' is unknown and has no effect",
        "the request also had the parameter 'ünheard'",
    )


@pytest.mark.parametrize("status", CallbackStatus)
async def test_every_status_comes_back(store: Store, status: CallbackStatus) -> None:
    given = callback(1).having(Progress(NOW, status, due=NOW))
    await keep(store, given)
    assert await found(store, 1) == given


async def test_a_callback_of_another_account_is_none(store: Store) -> None:
    await keep(store, callback(1, THEIRS))
    assert await store.transact(lambda tx: tx.callbacks.get(OURS, callback(1).sid)) is None


async def test_two_callbacks_to_one_url_keep_their_own_credentials_and_warnings(
    store: Store,
) -> None:
    urls = [
        CallbackUrl.parse("http://a:1@host.example/#cbs=kore"),
        CallbackUrl.parse("http://b:2@host.example/#cbs=kore").with_warnings("odd"),
        CallbackUrl.parse("http://host.example/#cbs=kore"),
    ]
    given = [callback(number)._replace(url=url) for number, url in enumerate(urls)]
    await keep(store, *given)
    assert await callbacks_on(store, Window(9)) == given[::-1]


async def test_many_callbacks_at_once_come_back_in_their_order(store: Store) -> None:
    given = [callback(number) for number in range(343)]
    await keep(store, *given)
    assert await oldest_of(store, limit=999) == given


async def test_a_callback_is_found_by_the_key_of_its_creator(store: Store) -> None:
    named = callback(1, key="order 7")
    await keep(store, callback(0), named, callback(2, key="order 8"))
    assert await store.transact(lambda tx: tx.callbacks.with_key(OURS, "order 7")) == named
    assert await store.transact(lambda tx: tx.callbacks.with_key(OURS, "order 9")) is None


async def test_a_key_is_its_accounts_own(store: Store) -> None:
    ours, theirs = callback(1, key="x"), callback(2, THEIRS, key="x")
    await keep(store, ours, theirs)
    assert await store.transact(lambda tx: tx.callbacks.with_key(OURS, "x")) == ours
    assert await store.transact(lambda tx: tx.callbacks.with_key(THEIRS, "x")) == theirs


async def test_a_key_is_seen_by_the_work_that_gave_it(store: Store) -> None:
    def work(tx: Transaction) -> Callback | None:
        tx.callbacks.add(callback(1, key="x"))
        return tx.callbacks.with_key(OURS, "x")

    assert await store.transact(work) == callback(1, key="x")


async def test_what_was_changed_is_found_by_its_key_as_it_is_now(store: Store) -> None:
    changed = callback(1, key="x").having(Progress(NOW, DISCARDED, "enough"))
    await keep(store, callback(1, key="x"))

    def work(tx: Transaction) -> Callback | None:
        tx.callbacks.change(changed)
        return tx.callbacks.with_key(OURS, "x")

    assert await store.transact(work) == changed


async def test_what_was_kept_and_changed_at_once_is_found_by_its_key_as_it_is_now(
    store: Store,
) -> None:
    changed = callback(1, key="x").having(Progress(NOW, DISCARDED, "enough"))

    def work(tx: Transaction) -> Callback | None:
        tx.callbacks.add(callback(1, key="x"))
        tx.callbacks.change(changed)
        return tx.callbacks.with_key(OURS, "x")

    assert await store.transact(work) == changed


async def test_what_was_kept_and_claimed_at_once_is_found_by_its_key_as_it_is_now(
    store: Store,
) -> None:
    def work(tx: Transaction) -> Callback | None:
        tx.callbacks.add(callback(1, key="x"))
        tx.callbacks.claim(OUR_LANE, NOW, limit=1)
        return tx.callbacks.with_key(OURS, "x")

    kept = await store.transact(work)
    assert kept is not None
    assert kept.progress.is_under_way


async def test_the_oldest_callbacks_come_in_the_order_of_their_creation(store: Store) -> None:
    await keep(store, callback(5), callback(1, THEIRS), callback(3), callback(9), callback(2))
    assert numbers_of(await oldest_of(store, limit=3)) == [5, 3, 9]


async def test_the_next_oldest_are_those_after_the_last_one(store: Store) -> None:
    await keep(store, *map(callback, (5, 3, 9, 2)))
    assert numbers_of(await oldest_of(store, after=callback(3).sid, limit=9)) == [9, 2]
    assert await oldest_of(store, after=callback(2).sid) == []


async def test_what_left_the_filter_still_marks_the_place(store: Store) -> None:
    failed = Progress(NOW, FAILED)
    await keep(store, *(callback(number).having(failed) for number in range(4)))
    which = CallbackFilter(UNDELIVERED)
    (first, second) = await oldest_of(store, which, limit=2)
    for one in (first, second):
        again = one.having(Progress(NOW, due=NOW))
        await store.transact(lambda tx, again=again: tx.callbacks.change(again))
    assert numbers_of(await oldest_of(store, which, after=second.sid)) == [2, 3]


@pytest.mark.parametrize("after", [callback(9).sid, callback(1).sid, ""])
async def test_a_mark_that_is_none_of_ones_own_begins_with_the_oldest(
    store: Store, after: str
) -> None:
    await keep(store, callback(0), callback(1, THEIRS), callback(2))
    assert numbers_of(await oldest_of(store, after=after)) == [0, 2]


async def test_a_changed_callback_has_its_new_progress_and_all_else_as_it_was(
    store: Store,
) -> None:
    await keep(store, callback(1), callback(2))
    changed = callback(1).having(discard(callback(1).progress, "a person said so", ODD_INSTANT))
    await store.transact(lambda tx: tx.callbacks.change(changed))
    assert await found(store, 1) == changed
    assert await found(store, 2) == callback(2)


async def test_of_two_changes_in_one_transaction_the_last_one_counts(store: Store) -> None:
    await keep(store, callback(1))

    def change_twice(tx: Transaction) -> None:
        tx.callbacks.change(callback(1).having(Progress(NOW, due=ODD_INSTANT)))
        tx.callbacks.change(callback(1).having(Progress(NOW, DISCARDED, "enough")))

    await store.transact(change_twice)
    assert (await found(store, 1)).progress == Progress(NOW, DISCARDED, "enough")


# ---- claims --------------------------------------------------------------------------------------


async def test_a_claim_takes_what_is_due_and_leaves_what_is_not(store: Store) -> None:
    later = callback(2, due=NOW + timedelta(microseconds=1))
    await keep(store, callback(1), later, callback(3).having(Progress(NOW, FAILED)))
    assert numbers_of(await claim(store)) == [1]


async def test_a_claim_takes_from_its_own_lane_alone(store: Store) -> None:
    await keep(
        store,
        callback(0, url=f"{HOST}/another/path"),
        callback(1, url="http://127.0.0.1:9001/path"),
        callback(2, THEIRS),
        callback(3, url="https://127.0.0.1:9000/path"),
        callback(4),
    )
    assert numbers_of(await claim(store, lane=OUR_LANE)) == [0, 4]
    assert numbers_of(await claim(store, lane=THEIR_LANE)) == [2]
    assert numbers_of(await claim(store, lane=Lane(OURS, "http://127.0.0.1:9001"))) == [1]


@pytest.mark.parametrize(
    ("url", "destination"),
    [
        ("http://A.Example", "http://a.example:80"),
        ("HTTPS://a.example:443/", "https://a.example:443"),
        ("http://user:secret@a.example:8080/", "http://a.example:8080"),
        ("http://[::1]/", "http://[::1]:80"),
    ],
)
async def test_a_lane_is_one_however_its_urls_are_spelled(
    store: Store, url: str, destination: str
) -> None:
    await keep(store, callback(1, url=url))
    assert numbers_of(await claim(store, lane=Lane(OURS, destination))) == [1]


async def test_a_claim_opens_an_attempt_and_takes_the_callback_out_of_the_queue(
    store: Store,
) -> None:
    await keep(store, callback(1))
    (taken,) = await claim(store, ODD_INSTANT)
    under_way = Progress(
        date_updated=ODD_INSTANT,
        attempt_count=1,
        due=None,
        round_attempts=1,
        round_began=ODD_INSTANT,
    )
    opened = Attempt(callback(1).sid, OURS, 1, ODD_INSTANT, result="open")
    assert taken == Claim(callback(1), under_way, account())
    assert taken.attempt == opened
    assert await found(store, 1) == callback(1).having(under_way)
    assert await attempts_of(store, 1) == [opened]


async def test_a_claim_brings_the_account_as_it_is_now(store: Store) -> None:
    await keep(store, callback(1, THEIRS))
    rotated = replace(account(THEIRS), auth_token="new", schedule=PERSISTENT)
    await store.transact(lambda tx: tx.accounts.save(rotated))
    (taken,) = await claim(store, lane=THEIR_LANE)
    assert taken.account == rotated


async def test_what_is_under_way_is_never_claimed_again(store: Store) -> None:
    await keep(store, callback(1))
    await claim(store)
    assert await claim(store, NOW + timedelta(days=365)) == []


@pytest.mark.parametrize("decision", [Done(), GiveUp("enough")])
async def test_what_has_ended_is_never_claimed_again(store: Store, decision: Decision) -> None:
    await keep(store, callback(1))
    (taken,) = await claim(store)
    await settle(store, ended(taken, decision))
    assert await claim(store, NOW + timedelta(days=365)) == []


async def test_the_callback_that_is_longest_due_is_claimed_first(store: Store) -> None:
    seconds = {1: 3, 2: 1, 3: 2, 4: 1}
    await keep(store, *(callback(n, due=NOW + s * SECOND) for n, s in seconds.items()))
    first = await claim(store, NOW + 9 * SECOND, limit=3)
    rest = await claim(store, NOW + 9 * SECOND, limit=3)
    assert numbers_of(first) == [2, 4, 3]
    assert numbers_of(rest) == [1]


async def test_a_claim_of_none_takes_none(store: Store) -> None:
    await keep(store, callback(1))
    assert await claim(store, limit=0) == []
    assert len(await claim(store)) == 1


async def test_a_claim_in_a_lane_that_nobody_knows_takes_none(store: Store) -> None:
    await keep(store, callback(1))
    assert await claim(store, lane=Lane(OURS, "http://nobody.example:80")) == []


async def test_a_fresh_round_begins_with_its_first_claim(store: Store) -> None:
    await keep(store, a_callback(sid=callback(1).sid, account_sid=OURS, attempt_count=2))
    (taken,) = await claim(store, ODD_INSTANT)
    assert (taken.attempt.number, taken.progress.round_attempts) == (3, 1)
    assert taken.progress.round_began == ODD_INSTANT


async def test_what_is_kept_under_way_has_its_first_attempt_open_with_it(store: Store) -> None:
    under_way = begin(callback(1).progress, NOW, total_timeout=15 * SECOND)
    await keep(store, callback(1).having(under_way))
    assert await attempts_of(store, 1) == [Attempt(callback(1).sid, OURS, 1, NOW)]
    assert await claim(store, NOW + timedelta(days=365)) == []


async def test_what_is_kept_to_wait_has_no_attempt(store: Store) -> None:
    await keep(store, callback(1))
    assert await attempts_of(store, 1) == []


# ---- claims put back -----------------------------------------------------------------------------


async def test_what_is_put_back_was_never_attempted_and_is_due(store: Store) -> None:
    await keep(store, callback(1), callback(2))
    (first, _) = await claim(store)
    await store.transact(lambda tx: tx.callbacks.put_back([first], ODD_INSTANT))
    assert (await found(store, 1)).progress == Progress(date_updated=ODD_INSTANT, due=ODD_INSTANT)
    assert await attempts_of(store, 1) == []
    assert len(await attempts_of(store, 2)) == 1


async def test_a_retry_that_is_put_back_keeps_its_round_and_the_attempts_before_it(
    store: Store,
) -> None:
    await keep(store, callback(1))
    (taken,) = await claim(store)
    again = begin(taken.progress, NOW + SECOND, total_timeout=15 * SECOND)
    first = row_of(taken, Refused(503))
    await settle(store, Settlement(taken.callback, first, again))
    claimed_again = Claim(taken.callback, again, account())
    await store.transact(lambda tx: tx.callbacks.put_back([claimed_again], ODD_INSTANT))
    assert (await found(store, 1)).progress == Progress(
        date_updated=ODD_INSTANT,
        attempt_count=1,
        due=ODD_INSTANT,
        round_attempts=1,
        round_began=NOW,
    )
    assert await attempts_of(store, 1) == [first]


async def test_what_was_put_back_is_claimed_with_the_same_number(store: Store) -> None:
    await keep(store, callback(1))
    claims = await claim(store)
    await store.transact(lambda tx: tx.callbacks.put_back(claims, NOW))
    (again,) = await claim(store, NOW + SECOND)
    assert (again.attempt.number, again.attempt.date_started) == (1, NOW + SECOND)


async def test_putting_nothing_back_changes_nothing(store: Store) -> None:
    await keep(store, callback(1))
    await store.transact(lambda tx: tx.callbacks.put_back([], NOW))
    assert await found(store, 1) == callback(1)


# ---- settlements ---------------------------------------------------------------------------------


RESPONSES = [
    pytest.param(None, id="no answer"),
    pytest.param(RecordedResponse(204, (), b""), id="neither headers nor body"),
    pytest.param(RecordedResponse(200, (("X", ""), ("Y", "")), b"\n"), id="empty headers"),
    pytest.param(
        RecordedResponse(200, (("X-Url", "a: b: c"), ("X", "\xff\x00\r"), ("x", ":")), b": "),
        id="odd headers",
    ),
    pytest.param(
        RecordedResponse(
            503,
            (("Set-Cookie", "a"), ("Set-Cookie", "b")),
            bytes(range(256)) * 300,
            is_cut=True,
        ),
        id="a binary body that is cut",
    ),
]


@pytest.mark.parametrize("response", RESPONSES)
async def test_what_a_receiver_answered_comes_back(
    store: Store, response: RecordedResponse | None
) -> None:
    await keep(store, callback(1))
    (taken,) = await claim(store)
    settled = taken.attempt._replace(result="refused", response=response)
    await settle(store, Settlement(taken.callback, settled, taken.progress._replace(due=NOW)))
    assert await attempts_of(store, 1) == [settled]


def rendered(claim: Claim) -> OutgoingRequest:
    return render(claim.callback, account=claim.account, at=claim.attempt.date_started)


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000",
        "http://127.0.0.1:9000?",
        "http://127.0.0.1:9000/p?x=1#cbs=kore",
        "http://user:secret@127.0.0.1:9000/p",
    ],
)
async def test_what_was_sent_comes_back(
    store: Store, url: str, method: Method, source: Source
) -> None:
    await keep(store, callback(1, url=url)._replace(method=method, source=source))
    (taken,) = await claim(store)
    request = rendered(taken).recorded()
    settled = row_of(taken, Delivered(200), request)
    await settle(store, Settlement(taken.callback, settled, taken.progress._replace(due=NOW)))
    assert await attempts_of(store, 1) == [settled]


async def test_the_record_of_what_was_sent_hides_credentials(store: Store) -> None:
    await keep(store, callback(1, url="http://user:secret@127.0.0.1:9000/p"))
    (taken,) = await claim(store)
    request = rendered(taken).recorded()
    settled = row_of(taken, Delivered(200), request)
    await settle(store, Settlement(taken.callback, settled, taken.progress._replace(due=NOW)))
    (attempt,) = await attempts_of(store, 1)
    assert attempt.request is not None
    assert ("Authorization", "(hidden)") in attempt.request.headers
    assert attempt.request.url == "http://127.0.0.1:9000/p"


async def test_everything_else_of_a_settled_attempt_comes_back(store: Store) -> None:
    await keep(store, callback(1))
    (taken,) = await claim(store)
    settled = Attempt(
        callback_sid=callback(1).sid,
        account_sid=OURS,
        number=1,
        date_started=ODD_INSTANT,
        result="refused",
        status_code=503,
        error_code=11217,
        failure="closed",
        reason="the receiver answered 503: «später»",
        timings=Timings(total=12.345678, look_up=0.0, connect=1.5, tls=None, first_byte=1e-9),
        local_address="[fe80::1%eth0]:65535",
        proxy="http://proxy.example:3128",
    )
    await settle(store, Settlement(taken.callback, settled, taken.progress._replace(due=NOW)))
    assert await attempts_of(store, 1) == [settled]


@pytest.mark.parametrize(
    "decision",
    [
        Done(),
        GiveUp("the receiver answered 410 Gone"),
        TryAgain(),
        NewRound(ODD_INSTANT, 4),
    ],
)
async def test_settling_says_what_becomes_of_the_callback(store: Store, decision: Decision) -> None:
    await keep(store, callback(1), callback(2))
    (taken, other) = await claim(store)
    settlement = ended(taken, decision, ODD_INSTANT)
    await settle(store, settlement)
    assert await found(store, 1) == callback(1).having(settlement.progress)
    assert await found(store, 2) == callback(2).having(other.progress)


async def test_settling_can_begin_the_next_attempt(store: Store) -> None:
    await keep(store, callback(1))
    (taken,) = await claim(store)
    first, _, after = ended(taken, TryAgain(), NOW + SECOND)[1], None, NOW + SECOND
    again = begin(taken.progress, after, total_timeout=15 * SECOND)
    await settle(store, Settlement(taken.callback, first, again))
    assert await found(store, 1) == callback(1).having(again)
    assert await attempts_of(store, 1) == [first, Attempt(callback(1).sid, OURS, 2, after)]
    assert await claim(store, NOW + timedelta(days=365)) == []


async def test_many_are_settled_at_once(store: Store) -> None:
    await keep(store, *map(callback, range(300)))
    claims = await claim(store, limit=300)
    await settle(store, *(ended(taken, Done()) for taken in claims))
    assert await store.transact(lambda tx: tx.callbacks.left_open()) == []
    delivered = await oldest_of(store, CallbackFilter(frozenset({DELIVERED})), limit=999)
    assert numbers_of(delivered) == list(range(300))


async def test_attempts_are_numbered_over_all_rounds_in_the_order_they_were_made(
    store: Store,
) -> None:
    await keep(store, callback(1), callback(2))
    for number in range(1, 13):
        now = NOW + number * SECOND
        for taken in await claim(store, now):
            await settle(store, ended(taken, NewRound(now, number), now))
    attempts = await attempts_of(store, 2)
    assert [attempt.number for attempt in attempts] == list(range(1, 13))
    assert attempts[11].date_started == NOW + 12 * SECOND


async def test_a_claim_and_its_settlement_may_share_a_transaction(store: Store) -> None:
    await keep(store, callback(1))

    def do_both(tx: Transaction) -> None:
        (taken,) = tx.callbacks.claim(OUR_LANE, NOW, limit=1)
        tx.callbacks.settle([ended(taken, Done())])

    await store.transact(do_both)
    assert (await found(store, 1)).status is DELIVERED
    assert [attempt.result for attempt in await attempts_of(store, 1)] == ["delivered"]
    assert await store.transact(lambda tx: tx.callbacks.left_open()) == []


async def test_a_claim_may_be_put_back_by_its_own_transaction(store: Store) -> None:
    await keep(store, callback(1))

    def do_both(tx: Transaction) -> None:
        tx.callbacks.put_back(tx.callbacks.claim(OUR_LANE, NOW, limit=1), NOW)

    await store.transact(do_both)
    assert await found(store, 1) == callback(1)
    assert await attempts_of(store, 1) == []


# ---- what is left open, what waits, and how much -------------------------------------------------


async def test_what_is_under_way_is_left_open_until_it_is_settled(store: Store) -> None:
    await keep(store, callback(1), callback(2, THEIRS), callback(3))
    (first, third) = await claim(store)
    (second,) = await claim(store, lane=THEIR_LANE)
    unknown = row_of(first, Unknown())
    await settle(
        store, Settlement(first.callback, unknown, advance(first.progress, GiveUp("no"), NOW))
    )
    left_open = await store.transact(lambda tx: tx.callbacks.left_open())
    assert {(one.callback.sid, one.attempt, one.account) for one in left_open} == {
        (second.callback.sid, second.attempt, account(THEIRS)),
        (third.callback.sid, third.attempt, account()),
    }


async def test_what_is_left_open_has_its_progress(store: Store) -> None:
    await keep(store, callback(1))
    (taken,) = await claim(store, ODD_INSTANT)
    (left_open,) = await store.transact(lambda tx: tx.callbacks.left_open())
    assert left_open.progress == taken.progress


async def test_nothing_is_left_open_where_nothing_is_under_way(store: Store) -> None:
    await keep(store, callback(1))
    assert await store.transact(lambda tx: tx.callbacks.left_open()) == []


async def test_the_next_of_a_lane_is_due_at_the_earliest_instant(store: Store) -> None:
    await keep(store, callback(1, due=ODD_INSTANT), callback(2, due=NOW + SECOND))
    await keep(store, callback(3, THEIRS), callback(4, url=ELSEWHERE))
    assert await store.transact(lambda tx: tx.callbacks.next_due(OUR_LANE)) == NOW + SECOND


async def test_where_nothing_waits_nothing_is_due_next(store: Store) -> None:
    await keep(store, callback(1), callback(2, THEIRS))
    await claim(store)
    assert await store.transact(lambda tx: tx.callbacks.next_due(OUR_LANE)) is None


async def test_what_waits_is_told_once_for_each_lane_with_its_earliest_instant(
    store: Store,
) -> None:
    await keep(
        store,
        callback(1, due=NOW + 2 * SECOND),
        callback(2, due=NOW + SECOND),
        callback(3, THEIRS, due=ODD_INSTANT),
        callback(4, url=ELSEWHERE),
        callback(5).having(Progress(NOW, FAILED)),
        callback(6, url="http://under-way.example"),
    )
    await claim(store, lane=Lane(OURS, "http://under-way.example:80"))
    waiting = await store.transact(lambda tx: tx.callbacks.waiting())
    assert sorted(waiting) == [
        Waiting(OUR_LANE, NOW + SECOND),
        Waiting(Lane(OURS, "https://else.example:443"), NOW),
        Waiting(THEIR_LANE, ODD_INSTANT),
    ]


async def test_nothing_waits_in_an_empty_store(empty: Store) -> None:
    assert await empty.transact(lambda tx: tx.callbacks.waiting()) == []


async def test_what_waits_and_what_is_under_way_is_unfinished(store: Store) -> None:
    await keep(store, *map(callback, range(3)), callback(3, THEIRS))
    (taken, _) = await claim(store, limit=2)
    await settle(store, ended(taken, Done()))
    assert await store.transact(lambda tx: tx.callbacks.unfinished()) == {OURS: 2, THEIRS: 1}


async def test_an_account_without_anything_unfinished_is_not_named(store: Store) -> None:
    await keep(store, callback(1).having(Progress(NOW, FAILED)))
    assert await store.transact(lambda tx: tx.callbacks.unfinished()) == {}


async def test_how_many_wait_is_told_for_each_instant(store: Store) -> None:
    await keep(
        store,
        callback(1),
        callback(2, THEIRS, due=NOW + SECOND),
        callback(3, due=NOW + SECOND),
        callback(4).having(Progress(NOW, FAILED)),
    )
    instants = [NOW + 9 * SECOND, NOW, NOW + timedelta(microseconds=1)]
    assert await store.transact(lambda tx: tx.callbacks.due_before(instants)) == [3, 0, 1]


async def test_nothing_is_due_in_an_empty_store(empty: Store) -> None:
    assert await empty.transact(lambda tx: tx.callbacks.due_before([NOW, ODD_INSTANT])) == [0, 0]


# ---- transactions --------------------------------------------------------------------------------


class Broken(Exception):
    """What goes wrong in the middle of some work."""


def do_everything_and_break(tx: Transaction) -> None:
    tx.accounts.save(replace(account(), auth_token="changed"))
    tx.fleets.add(fleet(9))
    tx.sims.add(sim(9))
    tx.sims.save(replace(sim(1), unique_name="changed"))
    tx.sims.begin_update(update_of(sim(9)))
    tx.sims.end_update(sim(1).sid)
    tx.callbacks.add(callback(9))
    claims = tx.callbacks.claim(OUR_LANE, NOW, limit=9)
    tx.callbacks.settle([ended(taken, Done()) for taken in claims])
    raise Broken


def everything(tx: Transaction) -> tuple[object, ...]:
    return (
        tx.accounts.get(OURS),
        tx.fleets.find(OURS, fleet(9).sid),
        tx.sims.page(OURS, ALL_SIMS, Window(99)),
        tx.sims.due_updates(ODD_INSTANT, limit=99),
        tx.callbacks.page(OURS, ALL_CALLBACKS, Window(99)),
        tx.callbacks.attempts(callback(1).sid),
        tx.callbacks.left_open(),
    )


async def test_work_that_fails_has_done_nothing(store: Store) -> None:
    await keep(store, sim(1), update_of(sim(1)), callback(1))
    before = await store.transact(everything)
    with pytest.raises(Broken):
        await store.transact(do_everything_and_break)
    assert await store.transact(everything) == before


async def test_work_that_fails_leaves_the_work_beside_it(store: Store) -> None:
    await keep(store, sim(1))
    endings = await asyncio.gather(
        keep(store, sim(2)),
        store.transact(do_everything_and_break),
        keep(store, sim(3)),
        return_exceptions=True,
    )
    assert [type(ending) for ending in endings] == [type(None), Broken, type(None)]
    assert await sims_on(store, Window(9)) == [sim(3), sim(2), sim(1)]


async def test_what_the_work_raises_is_raised_as_it_is(store: Store) -> None:
    refusal = Invalid("no", code=83010)

    def refuse(tx: Transaction) -> None:
        raise refusal

    with pytest.raises(Invalid) as raised:
        await store.transact(refuse)
    assert raised.value is refusal


async def test_work_is_done_in_the_order_in_which_it_was_asked_for(store: Store) -> None:
    done = list[int]()
    await asyncio.gather(
        *(store.transact(lambda tx, n=number: done.append(n)) for number in range(50))
    )
    assert done == list(range(50))


async def test_each_caller_gets_the_result_of_its_own_work(store: Store) -> None:
    results = await asyncio.gather(
        *(store.transact(lambda tx, n=number: n * n) for number in range(50))
    )
    assert results == [number * number for number in range(50)]


async def test_work_sees_what_it_has_done_so_far(store: Store) -> None:
    def work(tx: Transaction) -> list[Sim]:
        tx.sims.add(sim(1))
        tx.sims.save(replace(sim(1), unique_name="x"))
        return tx.sims.page(OURS, ALL_SIMS, Window(9))

    assert await store.transact(work) == [replace(sim(1), unique_name="x")]


async def test_work_sees_the_callbacks_it_has_kept_so_far(store: Store) -> None:
    def work(tx: Transaction) -> tuple[object, ...]:
        tx.callbacks.add(callback(1, key="x"))
        return (
            tx.callbacks.get(OURS, callback(1).sid),
            tx.callbacks.next_due(OUR_LANE),
            tx.callbacks.unfinished(),
            tx.callbacks.due_before([NOW + SECOND]),
        )

    assert await store.transact(work) == (callback(1, key="x"), NOW, {OURS: 1}, [1])


async def test_writing_nothing_changes_nothing(store: Store) -> None:
    await keep(store, sim(1), callback(1))
    before = await store.transact(everything)
    assert await store.transact(lambda tx: tx.write_nothing()) is None
    assert await store.transact(everything) == before


# ---- afterwards ----------------------------------------------------------------------------------


def telling(told: list[str], name: str, *, breaks: bool = False) -> Callable[[Transaction], None]:
    """Return work that says, in this list, how it ended."""

    def work(tx: Transaction) -> None:
        tx.afterwards(
            lambda: told.append(f"{name} durable"), undone=lambda: told.append(f"{name} undone")
        )
        if breaks:
            raise Broken

    return work


async def test_who_asks_is_called_when_all_is_durable(store: Store) -> None:
    told = list[str]()
    await store.transact(telling(told, "it"))
    assert told == ["it durable"]


async def test_who_asks_is_called_when_all_is_undone(store: Store) -> None:
    told = list[str]()
    with pytest.raises(Broken):
        await store.transact(telling(told, "it", breaks=True))
    assert told == ["it undone"]


async def test_who_asks_for_nothing_in_case_of_undoing_is_not_called(store: Store) -> None:
    told = list[str]()

    def work(tx: Transaction) -> None:
        tx.afterwards(lambda: told.append("durable"))
        raise Broken

    with pytest.raises(Broken):
        await store.transact(work)
    assert told == []


async def test_all_are_called_in_the_order_in_which_they_asked(store: Store) -> None:
    told = list[str]()

    def work(tx: Transaction) -> None:
        for name in ("first", "second", "third"):
            telling(told, name)(tx)

    await store.transact(work)
    assert told == ["first durable", "second durable", "third durable"]


async def test_all_are_called_in_the_order_of_the_work(store: Store) -> None:
    told = list[str]()
    await asyncio.gather(
        store.transact(telling(told, "first")),
        store.transact(telling(told, "second", breaks=True)),
        store.transact(telling(told, "third")),
        return_exceptions=True,
    )
    assert told == ["first durable", "second undone", "third durable"]


async def test_who_asks_is_called_in_the_event_loop_before_the_caller_goes_on(
    store: Store,
) -> None:
    told = list[object]()

    def work(tx: Transaction) -> None:
        tx.afterwards(lambda: told.append(asyncio.get_running_loop()))

    await store.transact(work)
    assert told == [asyncio.get_running_loop()]
