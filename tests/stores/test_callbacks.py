"""Callbacks, added and changed, in every store."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import (
    CallbackRecord,
    CallbackStatus,
    DeliveryProgress,
    discard,
    replay,
)
from ringback.core.callbacks.retry import GiveUp, RetryNow
from ringback.core.policy.source_policy import Source
from ringback.core.sids import SidKind
from ringback.ports import CallbackFilter, PageWindow, Store, Transaction
from tests.fakes import NOW, claim_from
from tests.stores.asking import (
    attempts_of,
    callbacks_on,
    claim,
    ended,
    found,
    keep,
    oldest_of,
    opened,
    rendered,
    settle,
)
from tests.stores.records import (
    ODD_INSTANT,
    ODD_URL,
    OUR_LANE,
    OURS,
    SECOND,
    THEIRS,
    account,
    callback,
    sid,
)


async def test_a_callback_is_read_back_unchanged(store: Store) -> None:
    odd = CallbackRecord(
        sid=callback(1).sid,
        account_sid=OURS,
        url=ODD_URL,
        method=HttpMethod.GET,
        body="Name=Zoë&Nothing=\0&Emoji=📞",
        source=Source.KORE,
        source_asked=Source.TWILIO,
        source_reason="the URL asks for twilio, but twilio ended on 2024-11-02",
        idempotency_token="RQ000102030405060708090a0b0c0d0e0f",
        date_created=ODD_INSTANT,
        progress=DeliveryProgress(
            date_updated=ODD_INSTANT + timedelta(microseconds=1),
            attempt_count=7,
            due=ODD_INSTANT + timedelta(microseconds=2),
            round_attempts=2,
            round_began=ODD_INSTANT - timedelta(microseconds=1),
            round_number=3,
        ),
        idempotency_key="«Schlüssel» 📞",
        replay_of=sid(SidKind.CALLBACK, 9),
        is_test=True,
        secret_id="whs_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        created_by="Zoë",
    )
    ended = odd._replace(
        sid=callback(2).sid,
        progress=DeliveryProgress(
            date_updated=ODD_INSTANT + timedelta(microseconds=1),
            status=CallbackStatus.FAILED,
            status_reason="the receiver answered 503: «später»",
            attempt_count=7,
            round_number=3,
        ),
        idempotency_key=None,
    )
    await keep(store, odd, ended)
    assert await found(store, 1) == odd
    assert await found(store, 2) == ended


async def test_the_credentials_and_the_warnings_of_a_url_are_read_back(store: Store) -> None:
    await keep(store, callback(1)._replace(url=ODD_URL))
    kept = await found(store, 1)
    assert kept.url.credentials == "us%40er:p%C3%A4ss"
    assert kept.warnings == (
        "the fragment key 'unheard' is unknown and has no effect",
        "the request also had the parameter 'ünheard'",
    )


@pytest.mark.parametrize("status", CallbackStatus)
async def test_every_status_is_read_back(store: Store, status: CallbackStatus) -> None:
    due = NOW if status is CallbackStatus.SCHEDULED else None
    given = callback(1).having(DeliveryProgress(NOW, status, due=due))
    await keep(store, given)
    assert await found(store, 1) == given


async def test_a_callback_of_another_account_is_not_found(store: Store) -> None:
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
    assert await callbacks_on(store, PageWindow(9)) == given[::-1]


async def test_many_callbacks_at_once_are_read_back_in_their_order(store: Store) -> None:
    given = [callback(number) for number in range(343)]
    await keep(store, *given)
    assert await oldest_of(store, limit=999) == given


async def test_a_callback_is_found_by_the_key_of_its_creator(store: Store) -> None:
    named = callback(1, key="order 7")
    await keep(store, callback(0), named, callback(2, key="order 8"))
    assert await store.transact(lambda tx: tx.callbacks.with_key(OURS, "order 7")) == named
    assert await store.transact(lambda tx: tx.callbacks.with_key(OURS, "order 9")) is None


async def test_a_key_is_valid_only_in_its_account(store: Store) -> None:
    ours, theirs = callback(1, key="x"), callback(2, THEIRS, key="x")
    await keep(store, ours, theirs)
    assert await store.transact(lambda tx: tx.callbacks.with_key(OURS, "x")) == ours
    assert await store.transact(lambda tx: tx.callbacks.with_key(THEIRS, "x")) == theirs


async def test_a_key_is_visible_to_the_work_that_used_it(store: Store) -> None:
    def work(tx: Transaction) -> CallbackRecord | None:
        tx.callbacks.add(callback(1, key="x"))
        return tx.callbacks.with_key(OURS, "x")

    assert await store.transact(work) == callback(1, key="x")


async def test_a_changed_callback_is_found_by_its_key_in_its_new_state(store: Store) -> None:
    changed = callback(1, key="x").having(DeliveryProgress(NOW, CallbackStatus.DISCARDED, "enough"))
    await keep(store, callback(1, key="x"))

    def work(tx: Transaction) -> CallbackRecord | None:
        tx.callbacks.change(changed)
        return tx.callbacks.with_key(OURS, "x")

    assert await store.transact(work) == changed


async def test_a_callback_stored_and_changed_at_once_is_found_by_its_key_in_its_new_state(
    store: Store,
) -> None:
    changed = callback(1, key="x").having(DeliveryProgress(NOW, CallbackStatus.DISCARDED, "enough"))

    def work(tx: Transaction) -> CallbackRecord | None:
        tx.callbacks.add(callback(1, key="x"))
        tx.callbacks.change(changed)
        return tx.callbacks.with_key(OURS, "x")

    assert await store.transact(work) == changed


async def test_a_callback_stored_and_claimed_at_once_is_found_by_its_key_in_its_new_state(
    store: Store,
) -> None:
    def work(tx: Transaction) -> CallbackRecord | None:
        tx.callbacks.add(callback(1, key="x"))
        claim_from(tx, OUR_LANE, NOW, limit=1)
        return tx.callbacks.with_key(OURS, "x")

    kept = await store.transact(work)
    assert kept is not None
    assert kept.progress.is_under_way


async def test_changing_a_callback_changes_only_its_progress(store: Store) -> None:
    await keep(store, callback(1), callback(2))
    changed = callback(1).having(discard(callback(1).progress, "a person said so", ODD_INSTANT))
    await store.transact(lambda tx: tx.callbacks.change(changed))
    assert await found(store, 1) == changed
    assert await found(store, 2) == callback(2)


async def test_of_two_changes_in_one_transaction_the_last_one_counts(store: Store) -> None:
    await keep(store, callback(1))

    def change_twice(tx: Transaction) -> None:
        tx.callbacks.change(callback(1).having(DeliveryProgress(NOW, due=ODD_INSTANT)))
        tx.callbacks.change(
            callback(1).having(DeliveryProgress(NOW, CallbackStatus.DISCARDED, "enough"))
        )

    await store.transact(change_twice)
    assert (await found(store, 1)).progress == DeliveryProgress(
        NOW, CallbackStatus.DISCARDED, "enough"
    )


@pytest.mark.parametrize("method", HttpMethod)
async def test_callbacks_may_share_a_body(tmp_path: Path, method: HttpMethod) -> None:
    path, body = tmp_path / "ringback.db", "Event=connected&Note=«für jeden»"
    one, other = (callback(number)._replace(method=method) for number in (1, 2))
    async with opened(path) as store:
        await store.transact(lambda tx: tx.accounts.add(account(), []))
        await keep(store, one, other, callback(3))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("INSERT INTO bodies (id, body) VALUES (7, ?)", [body])
        connection.execute(
            "UPDATE callbacks SET body_id = 7, body = NULL WHERE sid IN (?, ?)",
            [one.sid, other.sid],
        )
    async with opened(path) as store:
        claims = await claim(store)
        requests = {each.callback.sid: rendered(each) for each in claims}
        await settle(
            store,
            *(ended(each, RetryNow(), request=requests[each.callback.sid]) for each in claims),
        )
        assert [each.callback.body for each in claims] == [body, body, callback(3).body]
        assert [each.body for each in await oldest_of(store)] == [body, body, callback(3).body]
        for number, each in ((1, one), (2, other)):
            assert (await found(store, number)).body == body
            (attempt,) = await attempts_of(store, number)
            assert attempt.request == requests[each.sid].recorded()


# ---- many changes after one read


async def test_a_callback_can_be_changed_twice_after_it_was_read_with_others(store: Store) -> None:
    await keep(store, *map(callback, (1, 2)))

    def work(tx: Transaction) -> None:
        for one in tx.callbacks.oldest(OURS, CallbackFilter(), after=None, limit=9):
            tx.callbacks.change(one.having(discard(one.progress, "first", NOW)))
            tx.callbacks.change(one.having(replay(one.progress, NOW + SECOND)))
            tx.callbacks.change(one.having(discard(one.progress, "last", NOW + SECOND)))

    await store.transact(work)
    reasons = [(await found(store, number)).progress.status_reason for number in (1, 2)]
    assert reasons == ["last", "last"]


async def test_a_callback_is_changed_after_its_attempt_although_it_was_read_before(
    store: Store,
) -> None:
    await keep(store, callback(1))
    (claimed,) = await claim(store)

    def work(tx: Transaction) -> None:
        (one,) = tx.callbacks.oldest(OURS, CallbackFilter(), after=None, limit=9)
        tx.callbacks.settle([ended(claimed, GiveUp("made up"))])
        tx.callbacks.change(one.having(discard(one.progress, "last", NOW + SECOND)))

    await store.transact(work)
    assert (await found(store, 1)).progress.status_reason == "last"
    assert (await store.transact(lambda tx: tx.callbacks.unfinished())) == {}
