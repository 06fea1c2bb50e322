"""Destinations in all stores: what is set for them, the states of lanes, and what waits there."""

from dataclasses import replace
from datetime import timedelta

from ringback.core.accounts.account import EVERY
from ringback.core.calendar import DAY
from ringback.core.callback_counts import CallbackCounts, CountedMinute
from ringback.core.callbacks.callback import CallbackStatus, ended
from ringback.core.callbacks.shards import shard_of
from ringback.core.destinations.destination_settings import read_values
from ringback.core.destinations.destination_state import WELL, DestinationState
from ringback.core.destinations.effective_settings import SettingsOwner
from ringback.core.policy.source_policy import Source
from ringback.ports import (
    DestinationPause,
    Lane,
    LaneQuota,
    Store,
    StoredDestinationSettings,
    Transaction,
)
from tests.fakes import NOW
from tests.stores.asking import keep
from tests.stores.records import OUR_LANE, OURS, SECOND, THEIRS, callback

OPEN = DestinationState(opened=NOW, probe_at=NOW + SECOND, seen=NOW)


def settings(
    number: int = 1, pattern: str = "https://a.example:443", **given: str
) -> StoredDestinationSettings:
    return StoredDestinationSettings(
        sid=f"DS{number:032x}",
        owner=SettingsOwner.ACCOUNT,
        account_sid=OURS,
        pattern=pattern,
        given=read_values(given, {}),
        date_updated=NOW,
    )


async def save(store: Store, *some: StoredDestinationSettings) -> list[StoredDestinationSettings]:
    return await store.transact(lambda tx: [tx.destinations.save(one) for one in some])


async def test_each_change_gets_the_next_revision(store: Store) -> None:
    before = await store.read(lambda tx: tx.destinations.revision())
    first, second = await save(store, settings(1, rate="5"), settings(2, "https://b.example:443"))
    (again,) = await save(store, replace(first, given=read_values({"rate": "6"}, {})))
    assert (first.revision, second.revision, again.revision) == (before + 1, before + 2, before + 3)
    changed = await store.read(lambda tx: tx.destinations.changed_since(before + 1))
    assert changed == [second, again]
    assert await store.read(lambda tx: tx.destinations.revision()) == before + 3


async def test_settings_are_read_back_as_they_were_saved(store: Store) -> None:
    whole = replace(
        settings(
            1, "https://*.example.com:443/app/*", rate="0.5", order="sim", breaker_window="90s"
        ),
        owner=SettingsOwner.OPERATOR,
        account_sid=EVERY,
        pause=DestinationPause(NOW, NOW + DAY, "a deployment"),
        resumed=NOW - DAY,
    )
    secret = replace(whole.given, headers=(("X-Key", "s3cret"),), client_certificate="PEM", ca="CA")
    (saved,) = await save(store, replace(whole, given=secret))
    found = await store.read(
        lambda tx: tx.destinations.find(SettingsOwner.OPERATOR, EVERY, whole.pattern)
    )
    assert found == saved == replace(whole, given=secret, revision=saved.revision)


async def test_what_is_set_for_nothing_is_not_found(store: Store) -> None:
    await save(store, settings(rate="5"))
    for owner, account_sid, pattern in (
        (SettingsOwner.OPERATOR, OURS, "https://a.example:443"),
        (SettingsOwner.ACCOUNT, EVERY, "https://a.example:443"),
        (SettingsOwner.ACCOUNT, OURS, "https://a.example:444"),
    ):
        assert (
            await store.read(lambda tx, of=(owner, account_sid, pattern): tx.destinations.find(*of))
            is None
        )


async def test_empty_settings_are_kept_for_a_while_and_do_not_count(store: Store) -> None:
    full, empty = settings(1, rate="5"), settings(2, "https://b.example:443")
    await save(store, full, empty)

    def count(tx: Transaction) -> int:
        return tx.destinations.number_set(SettingsOwner.ACCOUNT, OURS)

    assert await store.read(count) == 1
    early = await store.transact(lambda tx: tx.destinations.forget_empty(NOW, limit=10))
    late = await store.transact(lambda tx: tx.destinations.forget_empty(NOW + SECOND, limit=10))
    assert (early, late) == (0, 1)
    assert len(await store.read(lambda tx: tx.destinations.changed_since(0))) == 1


async def test_a_pause_alone_counts_as_set(store: Store) -> None:
    await save(store, replace(settings(), pause=DestinationPause(NOW)))
    assert await store.transact(lambda tx: tx.destinations.forget_empty(NOW + DAY, limit=10)) == 0
    number = await store.read(lambda tx: tx.destinations.number_set(SettingsOwner.ACCOUNT, OURS))
    assert number == 1


async def test_a_state_is_kept_until_it_is_plain_again(store: Store) -> None:
    await keep(store, callback(1))
    lane = OUR_LANE

    async def known() -> tuple[DestinationState | None, list[tuple[Lane, DestinationState]]]:
        return await store.read(
            lambda tx: (tx.destinations.state_of(lane), tx.destinations.states())
        )

    assert await known() == (None, [])
    await store.transact(lambda tx: tx.destinations.save_state(lane, OPEN))
    await store.transact(
        lambda tx: tx.destinations.save_state(lane, OPEN._replace(failed_probes=2))
    )
    assert await known() == (
        OPEN._replace(failed_probes=2),
        [(lane, OPEN._replace(failed_probes=2))],
    )
    await store.transact(lambda tx: tx.destinations.save_state(lane, WELL._replace(seen=NOW)))
    assert await known() == (None, [])


async def test_states_of_destinations_that_nobody_uses_are_forgotten(store: Store) -> None:
    old = NOW - 40 * DAY
    lanes = [OUR_LANE._replace(destination=f"https://h{number}.example:443") for number in range(4)]
    disabled = DestinationState(disabled=old, disabled_why="it is gone", seen=old)
    for number, lane in enumerate(lanes):
        used = NOW if number == 1 else old
        one = callback(number, url=lane.destination + "/", created=used, due=used)
        await keep(store, one)
        if number:  # The first one waits.
            over = one.having(ended(one.progress, CallbackStatus.FAILED, "no answer", used))
            await store.transact(lambda tx, over=over: tx.callbacks.change(over))
        counted = CountedMinute(used, *lane, Source.KORE, CallbackCounts(accepted=1))
        state = disabled if number == 2 else OPEN

        def work(
            tx: Transaction,
            counted: CountedMinute = counted,
            lane: Lane = lane,
            state: DestinationState = state,
        ) -> None:
            tx.counters.add([counted])
            tx.destinations.save_state(lane, state)

        await store.transact(work)
    for limit, count in ((0, 0), (10, 1), (10, 0)):
        forgotten = await store.transact(
            lambda tx, limit=limit: tx.destinations.forget_states(NOW - 30 * DAY, limit=limit)
        )
        assert forgotten == count
    left = await store.read(lambda tx: tx.destinations.states())
    assert sorted(lane for lane, _ in left) == lanes[:3]


async def test_states_can_be_read_by_shard(store: Store) -> None:
    await keep(store, callback(1))
    await store.transact(lambda tx: tx.destinations.save_state(OUR_LANE, OPEN))
    shard = shard_of(OUR_LANE.destination)
    here, elsewhere = await store.read(
        lambda tx: (tx.destinations.states({shard}), tx.destinations.states({shard + 1}))
    )
    assert (len(here), elsewhere) == (1, [])


async def test_the_callbacks_that_wait_in_a_lane_come_in_their_order(store: Store) -> None:
    later = NOW + 5 * SECOND
    await keep(store, callback(1, due=later), callback(2), callback(3, due=NOW + DAY))
    await keep(store, callback(4)._replace(part="/app/*"))

    async def sids(due_by: timedelta, limit: int = 10) -> list[str]:
        found = await store.read(
            lambda tx: tx.destinations.waiting_in(
                OUR_LANE, due_by=NOW + due_by, after=None, limit=limit
            )
        )
        return [one.sid for one in found]

    assert await sids(timedelta(0)) == [callback(2).sid]
    assert await sids(5 * SECOND) == [callback(2).sid, callback(1).sid]
    assert await sids(5 * SECOND, limit=1) == [callback(2).sid]
    first, *_ = await store.read(
        lambda tx: tx.destinations.waiting_in(OUR_LANE, due_by=later, after=None, limit=1)
    )
    rest = await store.read(
        lambda tx: tx.destinations.waiting_in(OUR_LANE, due_by=later, after=first.place, limit=9)
    )
    assert [one.sid for one in rest] == [callback(1).sid]


async def test_what_is_being_sent_or_has_ended_does_not_wait(store: Store) -> None:
    await keep(store, callback(1), callback(2), callback(3))
    await store.transact(lambda tx: tx.callbacks.claim([LaneQuota(OUR_LANE, 1)], NOW))
    over = callback(2)
    progress = ended(over.progress, CallbackStatus.DISCARDED, "unwanted", NOW)
    await store.transact(lambda tx: tx.callbacks.change(over.having(progress)))
    totals = await store.read(lambda tx: tx.destinations.waiting_totals(OUR_LANE, limit=10))
    assert (totals.number, totals.has_more, totals.oldest_due) == (1, False, NOW)


async def test_waiting_callbacks_are_counted_up_to_a_limit(store: Store) -> None:
    empty = await store.read(lambda tx: tx.destinations.waiting_totals(OUR_LANE, limit=2))
    await keep(store, *(callback(number) for number in range(1, 4)))
    some, all_ = await store.read(
        lambda tx: [tx.destinations.waiting_totals(OUR_LANE, limit=most) for most in (2, 3)]
    )
    assert (empty.number, empty.oldest_due) == (0, None)
    assert (some.number, some.has_more, all_.number, all_.has_more) == (2, True, 3, False)


async def lanes_of(store: Store, account_sid: str, *, since: timedelta = DAY) -> list[Lane]:
    found, rest = await store.read(
        lambda tx: tx.destinations.lanes(
            account_sid, after=None, used_since=NOW - since, limit=10, examining=100
        )
    )
    assert rest is None
    return found


async def test_a_destination_exists_as_soon_as_a_callback_goes_there(store: Store) -> None:
    await keep(store, callback(1), callback(2)._replace(part="/app/*"), callback(3, THEIRS))
    part = OUR_LANE._replace(destination=f"{OUR_LANE.destination}/app/*")
    theirs = OUR_LANE._replace(account_sid=THEIRS)
    assert await lanes_of(store, OURS) == [OUR_LANE, part]
    assert sorted(await lanes_of(store, EVERY)) == sorted([OUR_LANE, part, theirs])
    assert await store.read(lambda tx: tx.destinations.has_lane(part))
    assert not await store.read(
        lambda tx: tx.destinations.has_lane(Lane(OURS, "https://nowhere.example:443"))
    )


async def test_lanes_come_in_pages(store: Store) -> None:
    urls = [f"https://h{number}.example/" for number in range(5)]
    await keep(store, *(callback(number, url=url) for number, url in enumerate(urls, 1)))
    seen, after = list[Lane](), None
    while True:
        found, after = await store.read(
            lambda tx, after=after: tx.destinations.lanes(
                OURS, after=after, used_since=NOW, limit=2, examining=3
            )
        )
        seen += found
        if after is None:
            break
    assert [lane.destination for lane in seen] == [
        f"https://h{number}.example:443" for number in range(5)
    ]


async def test_a_lane_is_left_out_once_it_had_no_callback_for_long(store: Store) -> None:
    old = NOW - 40 * DAY
    over = callback(1, created=old, due=old)
    progress = ended(over.progress, CallbackStatus.FAILED, "no answer", old)
    await keep(store, over)
    await store.transact(lambda tx: tx.callbacks.change(over.having(progress)))
    counted = CountedMinute(old, *OUR_LANE, Source.KORE, CallbackCounts(accepted=1))
    await store.transact(lambda tx: tx.counters.add([counted]))
    assert await lanes_of(store, OURS, since=30 * DAY) == []
    assert await lanes_of(store, OURS, since=41 * DAY) == [OUR_LANE]
    await store.transact(lambda tx: tx.destinations.save_state(OUR_LANE, OPEN))
    assert await lanes_of(store, OURS, since=30 * DAY) == [OUR_LANE]
