"""The SQLite store beside its model in memory: the same work, the same results, whatever comes."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from ringback.core.callback import (
    Attempt,
    Callback,
    CallbackStatus,
    Exchange,
    RecordedResponse,
    settle_attempt,
    settle_callback,
)
from ringback.core.errors import Invalid
from ringback.core.outcome import Delivered, Failure, Outcome, Refused, Unknown, Unreachable
from ringback.core.retry import Decision, Done, GiveUp, TryAgain
from ringback.core.sids import Kind
from ringback.core.sim import Sim, SimStatus
from ringback.ports import CallbackFilter, Claim, SimFilter, Transaction, Window
from ringback.stores.memory import MemoryStore
from ringback.stores.sqlite.store import SqliteStore
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

T = TypeVar("T")

ACCOUNTS = st.sampled_from([OURS, THEIRS])
NAMES = st.sampled_from([None, "a", "b", "ü", sim(0).sid, fleet(0).sid])
NUMBERS = st.integers(0, 11)
FLEETS = {OURS: fleet(0), THEIRS: fleet(1, THEIRS)}
LIMITS = st.integers(0, 4)
AHEAD = st.integers(0, 5).map(lambda seconds: seconds * SECOND)
ENDINGS: list[tuple[Outcome, Callable[[timedelta], Decision]]] = [
    (Delivered(204), lambda ahead: Done()),
    (Refused(410), lambda ahead: GiveUp("the receiver wants no more")),
    (Refused(503), lambda ahead: TryAgain(NOW + ahead)),
    (Unreachable(Failure.CONNECT, "nobody listens"), lambda ahead: TryAgain(NOW + ahead)),
    (Unknown(), lambda ahead: TryAgain(NOW + ahead, fresh_round=True)),
]


def windows(record: Callable[[int], Sim | Callback]) -> st.SearchStrategy[Window]:
    """Windows of all sizes, with and without an edge, which may be anyone's or nobody's record."""
    sizes, edges = st.integers(1, 4), NUMBERS.map(lambda number: record(number).sid)
    return st.one_of(
        st.builds(Window, sizes),
        st.builds(Window, sizes, after=edges),
        st.builds(Window, sizes, before=edges),
    )


class Stop(Exception):
    """What undoes some work."""


class BothStores(RuleBasedStateMachine):
    """Does everything in both stores, and compares what comes of it."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.Runner()
        self._folder = tempfile.TemporaryDirectory()
        self._memory = MemoryStore()
        self._sqlite = self._open()
        self._sims = dict[str, str]()
        self._callbacks = dict[str, str]()
        self._under_way = list[Claim]()
        self._now = NOW
        self.both(self._begin)

    def teardown(self) -> None:
        self._loop.run(self._sqlite.close())
        self._loop.close()
        self._folder.cleanup()

    def _open(self) -> SqliteStore:
        return SqliteStore.open(Path(self._folder.name) / "ringback.db")

    def _begin(self, tx: Transaction) -> None:
        for account_sid, its_fleet in FLEETS.items():
            tx.accounts.add(account(account_sid), [api_key(int(account_sid[-1]), account_sid)])
            tx.fleets.add(its_fleet)

    def both(self, work: Callable[[Transaction], T]) -> T | str:
        """Do the work in both stores; return its result, or what it was refused with."""
        modelled = self._loop.run(_ending_of(self._memory.transact(work)))
        stored = self._loop.run(_ending_of(self._sqlite.transact(work)))
        assert stored == modelled
        return stored

    # ---- SIMs

    @rule(number=NUMBERS, account_sid=ACCOUNTS, name=NAMES, status=st.sampled_from(SimStatus))
    def add_sim(self, number: int, account_sid: str, name: str | None, status: SimStatus) -> None:
        added = replace(sim(number, account_sid), unique_name=name, status=status)
        if added.sid not in self._sims:
            self._sims[added.sid] = account_sid
            self.both(lambda tx: None if _is_taken(tx, account_sid, name) else tx.sims.add(added))

    @rule(number=NUMBERS, name=NAMES, status=st.sampled_from(SimStatus), has_fleet=st.booleans())
    def save_sim(self, number: int, name: str | None, status: SimStatus, has_fleet: bool) -> None:
        def work(tx: Transaction) -> None:
            found = tx.sims.get(sim(number).sid)
            if found is not None and not _is_taken(tx, found.account_sid, name):
                fleet_sid = FLEETS[found.account_sid].sid if has_fleet else None
                tx.sims.save(
                    replace(
                        found,
                        unique_name=name,
                        status=status,
                        fleet_sid=fleet_sid,
                        date_updated=self._now,
                    )
                )

        self.both(work)

    @rule(account_sid=ACCOUNTS, number=NUMBERS, name=NAMES)
    def find_sim(self, account_sid: str, number: int, name: str | None) -> None:
        self.both(
            lambda tx: (
                tx.sims.find(account_sid, sim(number).sid),
                tx.sims.find(account_sid, name or ""),
                tx.sims.get(sim(number).sid),
                tx.sims.with_iccid(sim(number).iccid),
            )
        )

    @rule(
        account_sid=ACCOUNTS,
        status=st.none() | st.sampled_from(SimStatus),
        fleet_sid=st.sampled_from([None, fleet(0).sid, fleet(1).sid]),
        window=windows(sim),
    )
    def page_sims(
        self, account_sid: str, status: SimStatus | None, fleet_sid: str | None, window: Window
    ) -> None:
        which = SimFilter(status, fleet_sid)
        self.both(lambda tx: tx.sims.page(account_sid, which, window))

    @rule(number=NUMBERS, ahead=AHEAD)
    def begin_update(self, number: int, ahead: timedelta) -> None:
        due = self._now + ahead

        def work(tx: Transaction) -> None:
            found = tx.sims.get(sim(number).sid)
            if found is not None:
                tx.sims.end_update(found.sid)
                tx.sims.begin_update(update_of(found, due=due))

        self.both(work)

    @rule(number=NUMBERS)
    def end_update(self, number: int) -> None:
        self.both(lambda tx: tx.sims.end_update(sim(number).sid))

    @rule(limit=LIMITS)
    def look_for_updates(self, limit: int) -> None:
        self.both(
            lambda tx: (tx.sims.due_updates(self._now, limit=limit), tx.sims.next_update_due())
        )

    # ---- callbacks

    @rule(number=NUMBERS, account_sid=ACCOUNTS, ahead=st.none() | AHEAD)
    def add_callback(self, number: int, account_sid: str, ahead: timedelta | None) -> None:
        due = None if ahead is None else self._now + ahead
        added = callback(number, account_sid, due=due)
        if added.sid not in self._callbacks:
            self._callbacks[added.sid] = account_sid
            self.both(lambda tx: tx.callbacks.add(added))

    @rule(limit=LIMITS)
    def claim(self, limit: int) -> None:
        claims = self.both(lambda tx: tx.callbacks.claim(self._now, limit=limit))
        assert isinstance(claims, list)
        taken = {claim.callback.sid for claim in self._under_way}
        assert not taken & {claim.callback.sid for claim in claims}
        self._under_way += claims

    @precondition(lambda self: self._under_way)
    @rule(which=st.integers(0, 99), ending=st.sampled_from(ENDINGS), ahead=AHEAD)
    def settle(
        self,
        which: int,
        ending: tuple[Outcome, Callable[[timedelta], Decision]],
        ahead: timedelta,
    ) -> None:
        claim = self._under_way.pop(which % len(self._under_way))
        outcome, decide = ending
        exchange = Exchange(outcome, 1.5, response=RecordedResponse(200, (("A", "b"),), b"\0\xff"))
        left = settle_callback(claim.callback, decide(ahead), self._now)
        attempt = settle_attempt(claim.attempt, exchange)
        self.both(lambda tx: tx.callbacks.settle(left, attempt))

    @rule()
    def die_and_recover(self) -> None:
        """Open the file anew, and settle as unknown what nobody is making any more."""
        self._loop.run(self._sqlite.close())
        self._sqlite = self._open()

        def work(tx: Transaction) -> list[tuple[Callback, Attempt]]:
            left_open = tx.callbacks.left_open()
            for found, attempt in left_open:
                again = TryAgain(self._now, fresh_round=True)
                tx.callbacks.settle(
                    settle_callback(found, again, self._now),
                    settle_attempt(attempt, Exchange(Unknown())),
                )
            return _by_sid(left_open)

        left_open = self.both(work)
        assert left_open == _by_sid([(c.callback, c.attempt) for c in self._under_way])
        self._under_way.clear()

    @rule(
        account_sid=ACCOUNTS,
        status=st.none() | st.sampled_from(CallbackStatus),
        window=windows(callback),
    )
    def page_callbacks(
        self, account_sid: str, status: CallbackStatus | None, window: Window
    ) -> None:
        which = CallbackFilter(status)
        self.both(lambda tx: tx.callbacks.page(account_sid, which, window))

    @rule(number=NUMBERS, account_sid=ACCOUNTS)
    def look_at_callback(self, number: int, account_sid: str) -> None:
        self.both(
            lambda tx: (
                tx.callbacks.get(account_sid, callback(number).sid),
                tx.callbacks.attempts(callback(number).sid),
                tx.callbacks.next_due(),
                _by_sid(tx.callbacks.left_open()),
            )
        )

    # ---- and what else happens

    @rule(account_sid=ACCOUNTS, secret=st.sampled_from(["", "new", "newer"]))
    def rotate(self, account_sid: str, secret: str) -> None:
        self.both(lambda tx: tx.accounts.save(replace(account(account_sid), kore_secret=secret)))

    @rule(number=NUMBERS, limit=LIMITS)
    def fail(self, number: int, limit: int) -> None:
        """Do much and then fail: the rules that follow find that nothing was done."""

        def work(tx: Transaction) -> None:
            found = tx.sims.get(sim(number).sid)
            if found is not None:
                tx.sims.save(replace(found, unique_name="undone"))
                tx.sims.end_update(found.sid)
            tx.callbacks.claim(self._now, limit=limit)
            tx.callbacks.add(replace(callback(99), sid=sid(Kind.CALLBACK, 99)))
            raise Stop

        assert self.both(work) == "Stop"

    @rule(by=AHEAD)
    def pass_time(self, by: timedelta) -> None:
        self._now += by


async def _ending_of(work: Coroutine[Any, Any, T]) -> T | str:
    """Return what the work returns, or which refusal it ends in; the words are each store's own."""
    try:
        return await work
    except Invalid as refusal:
        return f"Invalid {refusal.code}"
    except Stop:
        return "Stop"


def _is_taken(tx: Transaction, account_sid: str, name: str | None) -> bool:
    return name is not None and tx.sims.find(account_sid, name) is not None


def _by_sid(pairs: Sequence[tuple[Callback, Attempt]]) -> list[tuple[Callback, Attempt]]:
    return sorted(pairs, key=lambda pair: pair[0].sid)


# Some seconds on a quiet machine, which a busy one may make many of.
@pytest.mark.timeout(300)
class TestBothStores(BothStores.TestCase):
    settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
