"""The engine's regular queries cost the same, however many callbacks have been sent before."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.callback import UNDELIVERED, CallbackRecord, CallbackStatus
from ringback.core.callbacks.retry import NoRetryNeeded
from ringback.core.destinations.destination_state import DestinationState
from ringback.core.policy.source_policy import Source
from ringback.ports import CallbackFilter, DeliveryClaim, Lane, PageWindow, Transaction
from tests.fakes import NOW, claim_from, next_due_in
from tests.stores.asking import ended
from tests.stores.history import CountedStore
from tests.stores.records import OURS, callback
from tests.streams import a_sink, a_subscription, add_stream, an_event_of

LANES = 40
LANE = Lane(OURS, "https://h1.example:443")
LITTLE, MUCH = 10_000, 50_000


def store_with(history: int) -> CountedStore:
    """Return a store with this number of ended callbacks, and two waiting ones in each lane."""
    store = CountedStore()
    store.make_history(history)
    waiting = [
        callback(history + number, url=f"https://h{number % LANES}.example/", key=str(number))
        for number in range(1, 2 * LANES + 1)
    ]
    store.do(lambda tx: [tx.callbacks.add(one) for one in waiting])
    store.connection.execute("VACUUM")
    return store


def settle_one(tx: Transaction) -> None:
    (claim,) = claim_from(tx, LANE, NOW, limit=1)
    tx.callbacks.settle([ended(claim, NoRetryNeeded())])


def claim_and_put_back(tx: Transaction) -> None:
    tx.callbacks.put_back(claim_from(tx, LANE, NOW, limit=9), NOW)


WORK: dict[str, Callable[[Transaction], Any]] = {
    "the sweep": lambda tx: tx.callbacks.waiting(),
    "a slice of the sweep": lambda tx: tx.callbacks.waiting(after=LANE, limit=5),
    "a claim": lambda tx: claim_from(tx, LANE, NOW, limit=9),
    "a claim of what has been waiting": lambda tx: claim_from(
        tx, LANE, NOW + timedelta(days=9), limit=1
    ),
    "when a lane is due": lambda tx: next_due_in(tx, LANE),
    "when a lane is due in which nothing waits": lambda tx: next_due_in(
        tx, Lane(OURS, "https://h1.example:444")
    ),
    "the lanes of nobody": lambda tx: tx.callbacks.waiting(after=Lane("B", "")),
    "an ending": settle_one,
    "what is put back": claim_and_put_back,
    "a key": lambda tx: tx.callbacks.with_key(OURS, "1"),
    "a new callback": lambda tx: (
        tx.callbacks.add(callback(10**6, key="new")),
        tx.callbacks.find(callback(10**6).sid),
    ),
    "a batch": lambda tx: tx.batches.remove(tx.batches.add(["x"])),
    "what was left open": lambda tx: tx.callbacks.left_open(),
    "the state of a destination": lambda tx: (
        tx.destinations.save_state(LANE, DestinationState(opened=NOW)),
        tx.destinations.state_of(LANE),
        tx.destinations.states(),
    ),
    "what waits for a destination": lambda tx: (
        tx.destinations.waiting_in(LANE, due_by=NOW, after=None, limit=9),
        tx.destinations.waiting_totals(LANE, limit=9),
        tx.destinations.has_lane(LANE),
    ),
    "the destinations of an account": lambda tx: tx.destinations.lanes(
        OURS, after=None, used_since=NOW, limit=9, examining=9
    ),
    "how much has not ended": lambda tx: tx.callbacks.unfinished(),
}


@pytest.fixture(scope="module")
def stores() -> Iterator[tuple[CountedStore, CountedStore]]:
    pair = store_with(LITTLE), store_with(MUCH)
    yield pair
    for store in pair:
        store.connection.close()


class _Undone(Exception):
    """The error that ends a piece of work, so that its changes are undone."""


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_the_engines_queries_cost_the_same_after_any_history(
    stores: tuple[CountedStore, CountedStore], work: Callable[[Transaction], Any]
) -> None:
    def undone(tx: Transaction) -> None:
        work(tx)
        raise _Undone

    counts = list[int]()
    for store in stores:
        before = store.steps
        with pytest.raises(_Undone):
            store.do(undone)
        counts.append(store.steps - before)
    little, much = counts
    # SQLite counts in large increments, so a few steps more or less mean nothing.
    assert 0 < much <= little + 10


def test_a_sweep_has_a_fixed_cost_for_each_lane(stores: tuple[CountedStore, CountedStore]) -> None:
    store = stores[1]
    half = store.steps_of(lambda tx: tx.callbacks.waiting(limit=LANES // 2))
    assert store.steps_of(lambda tx: tx.callbacks.waiting()) < 2.5 * half
    assert half < 100 * LANES


# ---- callbacks in order --------------------------------------------------------------------------

ORDERED = Lane(OURS, "https://ordered.example:443")
WORK_IN_ORDER: dict[str, Callable[[Transaction], Any]] = {
    "a new callback": lambda tx: tx.callbacks.add(ordered(10**6)),
    "an ending": lambda tx: tx.callbacks.settle([ended(claim_ordered(tx), NoRetryNeeded())]),
    "a lane in which all wait": lambda tx: (claim_ordered(tx), next_due_in(tx, ORDERED)),
    "the sweep": lambda tx: (claim_ordered(tx), tx.callbacks.waiting()),
}


def ordered(number: int) -> CallbackRecord:
    return callback(number, url="https://ordered.example/")._replace(order_key="SIM")


def claim_ordered(tx: Transaction) -> DeliveryClaim:
    (claimed,) = claim_from(tx, ORDERED, NOW, limit=9)
    return claimed


@pytest.mark.parametrize("work", WORK_IN_ORDER.values(), ids=WORK_IN_ORDER)
def test_the_cost_is_the_same_however_many_wait_for_their_turn(
    work: Callable[[Transaction], Any],
) -> None:
    costs = list[int]()
    for number in (10, 1000):
        store = CountedStore()
        store.make_history(1)
        waiting = [ordered(one) for one in range(100, 100 + number)]
        store.do(lambda tx, waiting=waiting: [tx.callbacks.add(one) for one in waiting])
        costs.append(store.steps_of(work))
        store.connection.close()
    few, many = costs
    assert 0 < many <= few + 30


# ---- what waits ----------------------------------------------------------------------------------

SUBSCRIPTION = a_subscription(1, account_sid=OURS)


def settle_three(tx: Transaction) -> None:
    tx.callbacks.settle([ended(one, NoRetryNeeded()) for one in claim_from(tx, LANE, NOW, limit=3)])


def take_three(tx: Transaction) -> None:
    waiting = tx.streams.events.pending(SUBSCRIPTION.sid, limit=3)
    tx.streams.events.take(SUBSCRIPTION.sid, [one.number for one in waiting])


WORK_ON_WAITING: dict[str, Callable[[Transaction], Any]] = {
    "endings": settle_three,
    "events that a batch takes": take_three,
    "events of nobody": lambda tx: tx.streams.events.drop_pending("DF0", limit=9),
}


@pytest.mark.parametrize("work", WORK_ON_WAITING.values(), ids=WORK_ON_WAITING)
def test_the_cost_is_the_same_however_much_waits(work: Callable[[Transaction], Any]) -> None:
    costs = list[int]()
    for number in (10, 1000):
        store = CountedStore()
        store.do(lambda tx: add_stream(tx, a_sink(1, account_sid=OURS), SUBSCRIPTION))
        store.do(lambda tx, number=number: let_wait(tx, number))
        costs.append(store.steps_of(work))
        store.connection.close()
    few, many = costs
    assert 0 < many <= few + 30


def let_wait(tx: Transaction, number: int) -> None:
    for one in range(1, number + 1):
        tx.callbacks.add(callback(one, url="https://h1.example/"))
        tx.streams.events.add(an_event_of(one, account_sid=OURS), [SUBSCRIPTION.sid])


# ---- lists ---------------------------------------------------------------------------------------

EXAMINED = 100
FILTERS: dict[str, Any] = {
    "statuses": (
        None,
        frozenset({CallbackStatus.SCHEDULED}),
        frozenset({CallbackStatus.DELIVERED}),
        frozenset({CallbackStatus.FAILED}),
        frozenset({CallbackStatus.DISCARDED}),
        UNDELIVERED,
    ),
    "source": (None, Source.KORE),
    "idempotency_token": (None, "none"),
    "destination": (None, "https://nowhere.example:443"),
    "since": (None, NOW + timedelta(days=400)),
    "until": (None, NOW - timedelta(days=40_000)),
}
COMBINATIONS = [
    CallbackFilter(**dict(zip(FILTERS, values, strict=True)))
    for values in product(*FILTERS.values())
]


@pytest.mark.parametrize("edge", ["newest", "after", "before"])
@pytest.mark.parametrize("account_sid", [OURS, EVERY])
def test_a_page_costs_the_same_after_any_history_with_any_filter(
    stores: tuple[CountedStore, CountedStore], account_sid: str, edge: str
) -> None:
    def steps_of(store: CountedStore, which: CallbackFilter) -> int:
        sid = store.middle
        at = {} if edge == "newest" else {edge: sid}
        window = replace(PageWindow(50, examining=EXAMINED), **at)
        return store.steps_of(lambda tx: tx.callbacks.page(account_sid, which, window))

    for store in stores:
        steps_of(store, COMBINATIONS[0])  # the first page also reads the targets, which are kept
    little, much = ([steps_of(store, one) for one in COMBINATIONS] for store in stores)
    costs = zip(COMBINATIONS, little, much, strict=True)
    assert [one for one in costs if one[2] > one[1] + 20 or one[2] > 60 * EXAMINED] == []


@pytest.mark.parametrize("account_sid", [OURS, EVERY])
def test_the_search_for_callbacks_to_replay_costs_the_same(
    stores: tuple[CountedStore, CountedStore], account_sid: str
) -> None:
    def steps_of(store: CountedStore, which: CallbackFilter) -> int:
        return store.steps_of(
            lambda tx: tx.callbacks.oldest(
                account_sid, which, after=None, limit=50, examining=EXAMINED
            )
        )

    for which in COMBINATIONS:
        little, much = (steps_of(store, which) for store in stores)
        assert much <= little + 20
