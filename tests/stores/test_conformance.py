"""What every store does alike: one suite, and each store passes all of it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.callback import (
    Attempt,
    Callback,
    CallbackStatus,
    Exchange,
    Method,
    RecordedRequest,
    RecordedResponse,
    settle_attempt,
)
from ringback.core.callback_url import CallbackUrl
from ringback.core.errors import Invalid
from ringback.core.outcome import Delivered, Unknown
from ringback.core.sids import Kind
from ringback.core.sim import Fleet, Sim, SimStatus
from ringback.core.sim_update import SimUpdate
from ringback.core.source import Source
from ringback.ports import CallbackFilter, Claim, SimFilter, Store, Transaction, Window
from tests.fakes import NOW
from tests.stores.records import (
    OURS,
    SECOND,
    THEIRS,
    account,
    api_key,
    callback,
    fleet,
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


async def claim(store: Store, now: datetime = NOW, *, limit: int = 100) -> list[Claim]:
    return await store.transact(lambda tx: tx.callbacks.claim(now, limit=limit))


async def settle(store: Store, callback: Callback, attempt: Attempt) -> None:
    await store.transact(lambda tx: tx.callbacks.settle(callback, attempt))


# ---- accounts ------------------------------------------------------------------------------------


async def test_an_account_comes_back_as_it_was(empty: Store) -> None:
    odd = replace(
        account(),
        name="Zoë's",
        auth_token="tökén",
        kore_secret="",
        uses_static_proxy=True,
        date_created=ODD_INSTANT,
    )
    await empty.transact(lambda tx: tx.accounts.add(odd, []))
    assert await empty.transact(lambda tx: tx.accounts.get(OURS)) == odd


async def test_a_saved_account_replaces_the_old_state(store: Store) -> None:
    changed = replace(
        account(), name="B", auth_token="new", kore_secret="newer", uses_static_proxy=True
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


@pytest.mark.parametrize(
    ("which", "numbers"),
    [
        pytest.param(CallbackFilter(status=CallbackStatus.FAILED), [2], id="status"),
        pytest.param(CallbackFilter(source=Source.TWILIO), [3, 1], id="source"),
        pytest.param(CallbackFilter(idempotency_token="token 0"), [0], id="token"),
        pytest.param(
            CallbackFilter(CallbackStatus.SCHEDULED, Source.TWILIO, "token 3"),
            [3],
            id="all at once",
        ),
        pytest.param(CallbackFilter(status=CallbackStatus.DISCARDED), [], id="none such"),
    ],
)
async def test_callbacks_are_filtered(
    store: Store, which: CallbackFilter, numbers: list[int]
) -> None:
    await keep(
        store,
        callback(0),
        replace(callback(1), source=Source.TWILIO),
        replace(callback(2), status=CallbackStatus.FAILED),
        replace(callback(3), source=Source.TWILIO),
        replace(callback(4, THEIRS), source=Source.TWILIO, status=CallbackStatus.FAILED),
    )
    page = await callbacks_on(store, Window(9), which)
    assert [record.sid for record in page] == [callback(number).sid for number in numbers]


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
        date_updated=ODD_INSTANT + timedelta(microseconds=1),
        status=CallbackStatus.FAILED,
        status_reason="the receiver answered 503: «später»",
        attempt_count=7,
        due=ODD_INSTANT + timedelta(microseconds=2),
        round_attempts=2,
        round_began=ODD_INSTANT - timedelta(microseconds=1),
    )
    await keep(store, odd)
    found = await store.transact(lambda tx: tx.callbacks.get(OURS, odd.sid))
    assert found is not None
    assert found == odd
    assert found.url.credentials == "us%40er:p%C3%A4ss"
    assert found.warnings == (
        "the fragment key 'unheard' is unknown and has no effect",
        "the request also had the parameter 'ünheard'",
    )


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
    given = [replace(callback(number), url=url) for number, url in enumerate(urls)]
    await keep(store, *given)
    assert await callbacks_on(store, Window(9)) == given[::-1]


async def test_a_claim_takes_what_is_due_and_leaves_what_is_not(store: Store) -> None:
    later = callback(2, due=NOW + timedelta(microseconds=1))
    await keep(store, callback(1), later, callback(3, due=None))
    assert [taken.callback.sid for taken in await claim(store)] == [callback(1).sid]


async def test_a_claim_opens_an_attempt_and_takes_the_callback_out_of_the_queue(
    store: Store,
) -> None:
    await keep(store, callback(1))
    (taken,) = await claim(store, ODD_INSTANT)
    under_way = replace(
        callback(1),
        attempt_count=1,
        round_attempts=1,
        round_began=ODD_INSTANT,
        due=None,
        date_updated=ODD_INSTANT,
    )
    opened = Attempt(callback(1).sid, OURS, 1, ODD_INSTANT, result="open")
    assert taken == Claim(under_way, opened, account())
    assert await store.transact(lambda tx: tx.callbacks.get(OURS, callback(1).sid)) == under_way
    assert await store.transact(lambda tx: tx.callbacks.attempts(callback(1).sid)) == [opened]


async def test_a_claim_brings_the_account_as_it_is_now(store: Store) -> None:
    await keep(store, callback(1, THEIRS))
    rotated = replace(account(THEIRS), auth_token="new")
    await store.transact(lambda tx: tx.accounts.save(rotated))
    (taken,) = await claim(store)
    assert taken.account == rotated


async def test_what_is_under_way_is_never_claimed_again(store: Store) -> None:
    await keep(store, callback(1))
    await claim(store)
    assert await claim(store, NOW + timedelta(days=365)) == []


async def test_what_has_ended_is_never_claimed_again(store: Store) -> None:
    await keep(store, callback(1))
    (taken,) = await claim(store)
    await settle(store, replace(taken.callback, status=CallbackStatus.DELIVERED), taken.attempt)
    assert await claim(store, NOW + timedelta(days=365)) == []


async def test_the_callback_that_is_longest_due_is_claimed_first(store: Store) -> None:
    seconds = {1: 3, 2: 1, 3: 2, 4: 1}
    await keep(store, *(callback(n, due=NOW + s * SECOND) for n, s in seconds.items()))
    first = await claim(store, NOW + 9 * SECOND, limit=3)
    rest = await claim(store, NOW + 9 * SECOND, limit=3)
    assert [taken.callback.sid for taken in (*first, *rest)] == [
        callback(number).sid for number in (2, 4, 3, 1)
    ]


async def test_a_claim_of_none_takes_none(store: Store) -> None:
    await keep(store, callback(1))
    assert await claim(store, limit=0) == []
    assert len(await claim(store)) == 1


async def test_attempts_are_numbered_over_all_rounds_in_the_order_they_were_made(
    store: Store,
) -> None:
    await keep(store, callback(1), callback(2))
    for number in range(1, 13):
        now = NOW + number * SECOND
        for taken in await claim(store, now):
            fresh = replace(taken.callback, due=now, round_attempts=0, round_began=None)
            await settle(store, fresh, taken.attempt)
    attempts = await store.transact(lambda tx: tx.callbacks.attempts(callback(2).sid))
    assert [attempt.number for attempt in attempts] == list(range(1, 13))
    assert attempts[11].date_started == NOW + 12 * SECOND


async def test_a_fresh_round_begins_with_its_first_claim(store: Store) -> None:
    await keep(store, replace(callback(1), attempt_count=2, round_attempts=0, round_began=None))
    (taken,) = await claim(store, ODD_INSTANT)
    assert (taken.attempt.number, taken.callback.round_attempts) == (3, 1)
    assert taken.callback.round_began == ODD_INSTANT


async def test_a_round_that_goes_on_keeps_its_beginning(store: Store) -> None:
    await keep(store, replace(callback(1), attempt_count=1, round_attempts=1, round_began=NOW))
    (taken,) = await claim(store, NOW + SECOND)
    assert (taken.callback.round_attempts, taken.callback.round_began) == (2, NOW)


async def test_a_round_that_was_held_up_gets_its_time_anew(store: Store) -> None:
    await keep(store, replace(callback(1), attempt_count=1, round_attempts=1, round_began=NOW))
    (taken,) = await claim(store, NOW + 60 * SECOND)
    assert (taken.callback.round_attempts, taken.callback.round_began) == (2, NOW + 60 * SECOND)


async def test_a_settled_attempt_comes_back_as_it_was(store: Store) -> None:
    await keep(store, callback(1))
    (taken,) = await claim(store, ODD_INSTANT)
    settled = replace(
        taken.attempt,
        result="refused",
        status_code=503,
        error_code=11217,
        failure="closed",
        reason="the receiver answered 503: «später»",
        duration_ms=12.345678,
        request=RecordedRequest(
            "POST", "https://receiver.example/?ü", (("Host", "a"), ("host", "ö")), "Name=Zoë"
        ),
        response=RecordedResponse(
            503,
            (("Set-Cookie", "a"), ("Set-Cookie", "b"), ("X", "\xff\x00")),
            bytes(range(256)) * 300,
            is_cut=True,
        ),
    )
    await settle(store, taken.callback, settled)
    assert await store.transact(lambda tx: tx.callbacks.attempts(callback(1).sid)) == [settled]


async def test_an_answer_without_a_body_is_not_no_answer(store: Store) -> None:
    await keep(store, callback(1))
    (taken,) = await claim(store)
    settled = replace(taken.attempt, result="delivered", response=RecordedResponse(204, (), b""))
    await settle(store, taken.callback, settled)
    assert await store.transact(lambda tx: tx.callbacks.attempts(callback(1).sid)) == [settled]


@pytest.mark.parametrize(
    "after",
    [
        pytest.param({"status": CallbackStatus.DELIVERED}, id="delivered"),
        pytest.param(
            {"status": CallbackStatus.FAILED, "status_reason": "the receiver answered 410 Gone"},
            id="failed",
        ),
        pytest.param({"due": ODD_INSTANT}, id="tried again"),
        pytest.param(
            {"due": ODD_INSTANT, "round_attempts": 0, "round_began": None}, id="in a fresh round"
        ),
    ],
)
async def test_settling_says_what_becomes_of_the_callback(
    store: Store, after: dict[str, object]
) -> None:
    await keep(store, callback(1), callback(2))
    (taken, _) = await claim(store)
    left = replace(taken.callback, date_updated=ODD_INSTANT, **after)  # pyright: ignore[reportArgumentType] - by field
    await settle(store, left, settle_attempt(taken.attempt, Exchange(Delivered(200))))
    assert await store.transact(lambda tx: tx.callbacks.get(OURS, callback(1).sid)) == left


async def test_settling_one_attempt_leaves_the_others(store: Store) -> None:
    await keep(store, callback(1), callback(2))
    (first, second) = await claim(store)
    await settle(store, first.callback, settle_attempt(first.attempt, Exchange(Delivered(200))))
    assert await store.transact(lambda tx: tx.callbacks.attempts(callback(2).sid)) == [
        second.attempt
    ]


async def test_a_callback_without_attempts_has_none(store: Store) -> None:
    await keep(store, callback(1))
    assert await store.transact(lambda tx: tx.callbacks.attempts(callback(1).sid)) == []


async def test_what_is_under_way_is_left_open_until_it_is_settled(store: Store) -> None:
    await keep(store, callback(1), callback(2, THEIRS), callback(3))
    (first, second, third) = await claim(store)
    await settle(store, first.callback, settle_attempt(first.attempt, Exchange(Unknown())))
    left_open = await store.transact(lambda tx: tx.callbacks.left_open())
    assert sorted(left_open, key=lambda pair: pair[0].sid) == [
        (second.callback, second.attempt),
        (third.callback, third.attempt),
    ]


async def test_nothing_is_left_open_where_nothing_is_under_way(store: Store) -> None:
    await keep(store, callback(1))
    assert await store.transact(lambda tx: tx.callbacks.left_open()) == []


async def test_the_next_callback_is_due_at_the_earliest_instant(store: Store) -> None:
    assert await store.transact(lambda tx: tx.callbacks.next_due()) is None
    await keep(store, callback(1, due=ODD_INSTANT), callback(2), callback(3, due=None))
    assert await store.transact(lambda tx: tx.callbacks.next_due()) == NOW


async def test_what_is_under_way_is_not_due(store: Store) -> None:
    await keep(store, callback(1), callback(2, due=ODD_INSTANT))
    await claim(store)
    assert await store.transact(lambda tx: tx.callbacks.next_due()) == ODD_INSTANT


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
    for taken in tx.callbacks.claim(NOW, limit=9):
        tx.callbacks.settle(taken.callback, taken.attempt)
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
