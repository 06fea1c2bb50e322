"""Signing in: once asked of the store, a sign-in holds for a second."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ringback.api.sign_in import SignIns
from ringback.core.account import ApiKey
from ringback.core.errors import NotSignedIn, StoreUnavailable
from ringback.ports import Transaction
from ringback.stores.memory import MemoryStore
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, FakeClock, an_account
from tests.unit.api.caller import basic
from tests.unit.api.world import KEY, THEIRS, fill

RIGHT = basic(ACCOUNT_SID, AUTH_TOKEN)
ALMOST_A_SECOND = timedelta(seconds=1) - timedelta(microseconds=1)


class CountingStore:
    """A store in memory that counts what is asked of it, and can be away."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.asked = 0
        self.is_away = False

    async def transact(self, work: Callable[[Transaction], Any]) -> Any:
        self.asked += 1
        if self.is_away:
            raise StoreUnavailable("the disk is full")
        return await self.store.transact(work)


@pytest.fixture
async def store() -> CountingStore:
    counting = CountingStore()
    await counting.store.transact(fill)
    return counting


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def sign_ins(store: CountingStore, clock: FakeClock) -> SignIns:
    return SignIns(store, clock)


async def change_token(store: CountingStore) -> None:
    changed = replace(an_account(), auth_token="changed")
    await store.store.transact(lambda tx: tx.accounts.save(changed))


async def test_a_second_sign_in_within_a_second_asks_nobody(
    sign_ins: SignIns, store: CountingStore, clock: FakeClock
) -> None:
    first = await sign_ins.account_of(RIGHT)
    clock.advance(ALMOST_A_SECOND)
    store.is_away = True
    assert await sign_ins.account_of(RIGHT) == first == an_account()
    assert store.asked == 1


async def test_after_a_second_the_store_is_asked_again(
    sign_ins: SignIns, store: CountingStore, clock: FakeClock
) -> None:
    await sign_ins.account_of(RIGHT)
    clock.advance(timedelta(seconds=1))
    await sign_ins.account_of(RIGHT)
    assert store.asked == 2


async def test_a_second_counts_from_the_asking_not_from_the_last_use(
    sign_ins: SignIns, store: CountingStore, clock: FakeClock
) -> None:
    for _ in range(3):
        await sign_ins.account_of(RIGHT)
        clock.advance(timedelta(seconds=0.5))
    assert store.asked == 2


async def test_a_changed_token_ends_the_old_one_within_a_second(
    sign_ins: SignIns, store: CountingStore, clock: FakeClock
) -> None:
    await sign_ins.account_of(RIGHT)
    await change_token(store)
    clock.advance(timedelta(seconds=1))
    with pytest.raises(NotSignedIn):
        await sign_ins.account_of(RIGHT)


async def test_a_changed_token_is_taken_at_once(sign_ins: SignIns, store: CountingStore) -> None:
    await sign_ins.account_of(RIGHT)
    await change_token(store)
    account = await sign_ins.account_of(basic(ACCOUNT_SID, "changed"))
    assert account.auth_token == "changed"


async def test_what_was_wrong_is_not_remembered(sign_ins: SignIns, store: CountingStore) -> None:
    for _ in range(2):
        with pytest.raises(NotSignedIn):
            await sign_ins.account_of(basic(ACCOUNT_SID, "changed"))
    await change_token(store)
    assert (await sign_ins.account_of(basic(ACCOUNT_SID, "changed"))).sid == ACCOUNT_SID


async def test_a_right_sign_in_opens_nothing_for_a_wrong_one(sign_ins: SignIns) -> None:
    await sign_ins.account_of(RIGHT)
    for wrong in (basic(ACCOUNT_SID, "wrong"), basic(THEIRS, "wrong"), f"{RIGHT}x", None):
        with pytest.raises(NotSignedIn):
            await sign_ins.account_of(wrong)


async def test_each_pair_signs_in_to_its_own_account(
    sign_ins: SignIns, store: CountingStore
) -> None:
    theirs = ApiKey("SK" + "b" * 32, THEIRS, "their-secret")
    await store.store.transact(
        lambda tx: tx.accounts.add(an_account(sid="AC" + "e" * 32), [theirs])
    )
    ours = basic(KEY.sid, KEY.secret)
    others = basic(theirs.sid, theirs.secret)
    for _ in range(2):
        assert (await sign_ins.account_of(ours)).sid == ACCOUNT_SID
        assert (await sign_ins.account_of(others)).sid == THEIRS


async def test_a_clock_that_is_set_back_lengthens_nothing(
    sign_ins: SignIns, store: CountingStore, clock: FakeClock
) -> None:
    await sign_ins.account_of(RIGHT)
    clock.advance(timedelta(seconds=-1))
    await sign_ins.account_of(RIGHT)
    assert store.asked == 2


async def test_it_remembers_only_so_many_the_newest(store: CountingStore, clock: FakeClock) -> None:
    sign_ins = SignIns(store, clock, most=2)
    headers = [RIGHT, basic(KEY.sid, KEY.secret), RIGHT.replace("Basic", "basic")]
    for header in headers:
        await sign_ins.account_of(header)
    await sign_ins.account_of(headers[1])
    await sign_ins.account_of(headers[2])
    assert store.asked == 3
    await sign_ins.account_of(headers[0])
    assert store.asked == 4


async def test_one_that_was_renewed_is_among_the_newest(
    store: CountingStore, clock: FakeClock
) -> None:
    sign_ins = SignIns(store, clock, most=3)
    ours, others = RIGHT, basic(KEY.sid, KEY.secret)
    for header in (ours, others):
        await sign_ins.account_of(header)
    clock.advance(timedelta(seconds=1))
    for header in (ours, ours.replace("Basic", "basic"), ours.replace("Basic", "BASIC")):
        await sign_ins.account_of(header)
    store.is_away = True
    assert (await sign_ins.account_of(ours)).sid == ACCOUNT_SID


async def test_what_it_keeps_holds_no_password(sign_ins: SignIns) -> None:
    await sign_ins.account_of(basic(KEY.sid, KEY.secret))
    kept = repr(vars(sign_ins)["_remembered"])
    assert KEY.secret not in kept
    assert basic(KEY.sid, KEY.secret) not in kept
