"""The SQLite store beside its model in memory: the same work, the same results, whatever comes.

Work comes in jobs of several steps, and several jobs share a commit; some of them break off, and
some give the database what it refuses. What is left must be what the model has, which does one job
after the other.
"""

import asyncio
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from ringback.core.account import Account
from ringback.core.callback import (
    UNDELIVERED,
    Callback,
    CallbackStatus,
    Exchange,
    RecordedResponse,
    Timings,
    advance,
    begin,
    discard,
    replay,
)
from ringback.core.callback import settle as settled
from ringback.core.errors import Invalid
from ringback.core.outcome import Delivered, Failure, Outcome, Refused, Unknown, Unreachable
from ringback.core.rendering import render
from ringback.core.retry import Decision, Done, GiveUp, NewRound, TryAgain
from ringback.core.sim import Sim, SimStatus
from ringback.ports import CallbackFilter, Claim, Lane, Settlement, SimFilter, Transaction, Window
from ringback.stores.memory import MemoryStore, MemoryTransaction
from ringback.stores.sqlite.committer import Committer, Job
from ringback.stores.sqlite.store import connect
from tests.fakes import NOW
from tests.stores.records import (
    OURS,
    SECOND,
    THEIRS,
    account,
    api_key,
    callback,
    fleet,
    sim,
    update_of,
)

ACCOUNTS = st.sampled_from([OURS, THEIRS])
NAMES = st.sampled_from([None, "a", "b", "ü", sim(0).sid, fleet(0).sid])
KEYS = st.sampled_from([None, None, "a", "b"])
NUMBERS = st.integers(0, 11)
FLEETS = {OURS: fleet(0), THEIRS: fleet(1, THEIRS)}
URLS = ("http://127.0.0.1:9000/p#cbs=kore", "http://a:b@127.0.0.1:9000", "https://a.example#tt=900")
DESTINATIONS = ("http://127.0.0.1:9000", "https://a.example:443")
LIMITS = st.sampled_from([0, 1, 2, 3, 9])
AHEAD = st.sampled_from([0, 0, 0, 1, 2, 5]).map(lambda seconds: seconds * SECOND)
STATUSES = st.sampled_from([None, UNDELIVERED, *(frozenset({status}) for status in CallbackStatus)])
ENDINGS: list[tuple[Outcome, Callable[[timedelta], Decision]]] = [
    (Delivered(204), lambda ahead: Done()),
    (Refused(410), lambda ahead: GiveUp("the receiver wants no more")),
    (Refused(503), lambda ahead: TryAgain()),
    (Unreachable(Failure.CONNECT, "nobody listens"), lambda ahead: NewRound(NOW + ahead, 1)),
    (Unknown(), lambda ahead: NewRound(NOW, 0)),
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


def nothing(*_: Any) -> None:
    """Do nothing."""


@dataclass
class Step:
    """A part of a job, and what follows where the job is done, or undone."""

    work: Callable[[Transaction], Any]
    done: Callable[[Any], None] = nothing
    undone: Callable[[], None] = nothing


@dataclass
class Ask:
    """A job to be done by both stores."""

    number: int
    steps: list[Step] = field(default_factory=list[Step])
    breaks: bool = False

    def __call__(self, tx: Transaction, told: list[str]) -> list[Any]:
        told.append(f"{self.number} begins")
        tx.afterwards(
            lambda: told.append(f"{self.number} durable"),
            undone=lambda: told.append(f"{self.number} undone"),
        )
        results = [step.work(tx) for step in self.steps]
        if self.breaks:
            raise Stop
        return results

    def end(self, ending: list[Any] | str) -> None:
        for number, step in enumerate(self.steps):
            if isinstance(ending, str):
                step.undone()
            else:
                step.done(ending[number])


class BothStores(RuleBasedStateMachine):
    """Does everything in both stores, and compares what comes of it."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = asyncio.Runner()
        self._folder = tempfile.TemporaryDirectory()
        self._memory = MemoryStore()
        self._connect()
        self._asks = list[Ask]()
        self._now = NOW
        self._add(Step(self._begin))
        self.commit()

    def teardown(self) -> None:
        try:
            self.commit()
        finally:
            self._committer.close()
            self._loop.close()
            self._folder.cleanup()

    def _connect(self) -> None:
        self._committer = Committer(connect(Path(self._folder.name) / "ringback.db"))

    def _begin(self, tx: Transaction) -> None:
        for account_sid, its_fleet in FLEETS.items():
            tx.accounts.add(account(account_sid), [api_key(int(account_sid[-1]), account_sid)])
            tx.fleets.add(its_fleet)

    # ---- jobs and commits

    def _add(self, step: Step) -> None:
        """Have this done as a part of the last job."""
        if not self._asks:
            self.next_job()
        self._asks[-1].steps.append(step)

    @rule()
    def next_job(self) -> None:
        self._asks.append(Ask(len(self._asks)))

    @precondition(lambda self: self._asks)
    @rule()
    def break_off(self) -> None:
        """Let the last job fail after all that it did, and another one begin."""
        self._asks[-1].breaks = True
        self.next_job()

    @rule(by=AHEAD)
    def pass_time(self, by: timedelta) -> None:
        self._now += by

    @rule()
    def commit(self) -> None:
        """Do all jobs: one by one in memory, in a single commit in the file."""
        asks, self._asks = self._asks, []
        told_by_model, told = list[str](), list[str]()
        modelled = [self._in_memory(lambda tx, a=ask: a(tx, told_by_model)) for ask in asks]
        stored = self._in_file([lambda tx, a=ask: a(tx, told) for ask in asks])
        assert stored == modelled
        # A job that was done anew has told so, too; each time ends once, and in the jobs' order.
        assert [line for line in told if "durable" in line] == [
            line for line in told_by_model if "durable" in line
        ]
        assert sum("begins" in line for line in told) == sum("begins" not in line for line in told)
        for ask, ending in zip(asks, modelled, strict=True):
            ask.end(ending)
        assert self._in_file([_everything]) == [self._in_memory(_everything)]

    def _in_memory(self, work: Callable[[Transaction], Any]) -> Any:
        try:
            return self._loop.run(self._memory.transact(work))
        except (Stop, sqlite3.IntegrityError) as failure:
            return type(failure).__name__

    def _in_file(self, works: Sequence[Callable[[Transaction], Any]]) -> list[Any]:
        jobs = [Job(work) for work in works]
        self._committer.commit(jobs)
        for job in jobs:
            job.end()
        return [type(job.failure).__name__ if job.failure else job.result for job in jobs]


class SimsInBothStores(BothStores):
    """SIMs, and the changes to them that are under way."""

    def __init__(self) -> None:
        self._sims = set[str]()
        super().__init__()

    @rule(number=NUMBERS, account_sid=ACCOUNTS, name=NAMES, status=st.sampled_from(SimStatus))
    def add_sim(self, number: int, account_sid: str, name: str | None, status: SimStatus) -> None:
        added = replace(sim(number, account_sid), unique_name=name, status=status)
        if added.sid not in self._sims:
            self._sims.add(added.sid)
            self._add(
                Step(
                    lambda tx: None if _is_taken(tx, account_sid, name) else tx.sims.add(added),
                    undone=lambda: self._sims.discard(added.sid),
                )
            )

    @rule(number=NUMBERS, name=NAMES, status=st.sampled_from(SimStatus), has_fleet=st.booleans())
    def save_sim(self, number: int, name: str | None, status: SimStatus, has_fleet: bool) -> None:
        now = self._now

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
                        date_updated=now,
                    )
                )

        self._add(Step(work))

    @rule(number=NUMBERS, ahead=AHEAD)
    def begin_update(self, number: int, ahead: timedelta) -> None:
        due = self._now + ahead

        def work(tx: Transaction) -> None:
            found = tx.sims.get(sim(number).sid)
            if found is not None:
                tx.sims.end_update(found.sid)
                tx.sims.begin_update(update_of(found, due=due))

        self._add(Step(work))

    @rule(number=NUMBERS)
    def end_update(self, number: int) -> None:
        self._add(Step(lambda tx: tx.sims.end_update(sim(number).sid)))

    @rule(
        account_sid=ACCOUNTS,
        number=NUMBERS,
        name=NAMES,
        status=st.none() | st.sampled_from(SimStatus),
        fleet_sid=st.sampled_from([None, fleet(0).sid, fleet(1).sid]),
        window=windows(sim),
        limit=LIMITS,
    )
    def look(
        self,
        *,
        account_sid: str,
        number: int,
        name: str | None,
        status: SimStatus | None,
        fleet_sid: str | None,
        window: Window,
        limit: int,
    ) -> None:
        now, which = self._now, SimFilter(status, fleet_sid)
        self._add(
            Step(
                lambda tx: (
                    tx.sims.find(account_sid, sim(number).sid),
                    tx.sims.find(account_sid, name or ""),
                    tx.sims.get(sim(number).sid),
                    tx.sims.with_iccid(sim(number).iccid),
                    tx.sims.due_updates(now, limit=limit),
                    tx.sims.next_update_due(),
                    _or_refused(lambda: tx.sims.page(account_sid, which, window)),
                )
            )
        )


class CallbacksInBothStores(BothStores):
    """Callbacks, their attempts, and the accounts that they need."""

    def __init__(self) -> None:
        self._numbers = count()
        self._kept = list[Callback]()
        self._under_way = list[Claim]()
        super().__init__()

    @rule(
        how_many=st.integers(1, 4),
        account_sid=ACCOUNTS,
        ahead=AHEAD,
        url=st.sampled_from(URLS),
        key=KEYS,
    )
    def keep_callbacks(
        self, *, how_many: int, account_sid: str, ahead: timedelta, url: str, key: str | None
    ) -> None:
        """Keep new callbacks that wait; where one has a key, only the first with this key."""
        due = self._now + ahead
        for _ in range(how_many):
            added = callback(next(self._numbers), account_sid, due=due, url=url, key=key)
            self._add(Step(lambda tx, added=added: _add_once(tx, added), self._note))

    @rule(account_sid=ACCOUNTS, url=st.sampled_from(URLS), key=KEYS)
    def send_off(self, account_sid: str, url: str, key: str | None) -> None:
        """Keep a new callback with its attempt under way."""
        given = callback(next(self._numbers), account_sid, url=url, key=key)
        begun = begin(given.progress, self._now, total_timeout=15 * SECOND)
        added = given.having(begun)

        def done(kept: Callback) -> None:
            self._note(kept)
            if kept.sid == added.sid:
                self._under_way.append(Claim(added, begun, account(account_sid)))

        self._add(Step(lambda tx: _add_once(tx, added), done))

    @precondition(lambda self: self._kept)
    @rule(which=st.integers(0, 99))
    def give_what_is_refused(self, which: int) -> None:
        """Let a job add what there is already; it is refused with all that the job did."""
        kept = self._kept[which % len(self._kept)]

        def work(tx: Transaction) -> None:
            if isinstance(tx, MemoryTransaction):
                raise sqlite3.IntegrityError
            tx.callbacks.add(kept)

        self._add(Step(work))
        self.next_job()

    def _note(self, kept: Callback) -> None:
        self._kept.append(kept)

    @precondition(lambda self: self._kept)
    @rule(which=st.integers(0, 99), limit=LIMITS)
    def claim(self, which: int, limit: int) -> None:
        now, lane = self._now, self._lane(which)

        def done(claims: list[Claim]) -> None:
            taken = {claim.callback.sid for claim in self._under_way}
            assert not taken & {claim.callback.sid for claim in claims}
            self._under_way += claims

        self._add(Step(lambda tx: tx.callbacks.claim(lane, now, limit=limit), done))

    def _lane(self, which: int) -> Lane:
        kept = self._kept[which % len(self._kept)]
        return Lane(kept.account_sid, kept.url.destination)

    @precondition(lambda self: self._kept)
    @rule(which=st.integers(0, 99), limit=LIMITS, ending=st.sampled_from(ENDINGS))
    def claim_and_settle_at_once(
        self,
        which: int,
        limit: int,
        ending: tuple[Outcome, Callable[[timedelta], Decision]],
    ) -> None:
        now, lane, (outcome, decide) = self._now, self._lane(which), ending

        def work(tx: Transaction) -> list[Claim]:
            claims = tx.callbacks.claim(lane, now, limit=limit)
            settlements = [_settlement(claim, outcome, decide(SECOND)) for claim in claims]
            tx.callbacks.settle(settlements)
            return _going_on(claims, settlements)

        self._add(Step(work, self._under_way.extend))

    @precondition(lambda self: self._under_way)
    @rule(most=st.integers(1, 3), ending=st.sampled_from(ENDINGS), ahead=AHEAD)
    def settle(
        self,
        most: int,
        ending: tuple[Outcome, Callable[[timedelta], Decision]],
        ahead: timedelta,
    ) -> None:
        claims = self._take(most)
        outcome, decide = ending
        settlements = [_settlement(claim, outcome, decide(ahead)) for claim in claims]
        going_on = _going_on(claims, settlements)
        self._add(
            Step(
                lambda tx: tx.callbacks.settle(settlements),
                lambda _: self._under_way.extend(going_on),
                lambda: self._under_way.extend(claims),
            )
        )

    def _take(self, most: int) -> list[Claim]:
        """Take some of what is under way, for its end."""
        taken = self._under_way[:most]
        del self._under_way[:most]
        return taken

    @precondition(lambda self: self._under_way)
    @rule(most=st.integers(1, 3))
    def put_back(self, most: int) -> None:
        now = self._now
        claims = self._take(most)
        self._add(
            Step(
                lambda tx: tx.callbacks.put_back(claims, now),
                undone=lambda: self._under_way.extend(claims),
            )
        )

    @precondition(lambda self: self._kept)
    @rule(which=st.integers(0, 99), is_replayed=st.booleans())
    def change(self, which: int, is_replayed: bool) -> None:
        """Replay or discard a callback that has no attempt under way."""
        now, kept = self._now, self._kept[which % len(self._kept)]

        def work(tx: Transaction) -> None:
            found = tx.callbacks.get(kept.account_sid, kept.sid)
            if found is not None and not found.progress.is_under_way:
                before = found.progress
                after = replay(before, now) if is_replayed else discard(before, "enough", now)
                tx.callbacks.change(found.having(after))

        self._add(Step(work))

    @rule()
    def die_and_recover(self) -> None:
        """Open the file anew, and settle as unknown what nobody is making any more."""
        self.commit()
        self._committer.close()
        self._connect()
        now = self._now

        def work(tx: Transaction) -> list[Claim]:
            left_open = tx.callbacks.left_open()
            tx.callbacks.settle(
                [
                    _settlement(claim, Unknown(), NewRound(now, claim.progress.round_number))
                    for claim in left_open
                ]
            )
            return _by_sid(left_open)

        def done(left_open: list[Claim]) -> None:
            assert {claim.attempt for claim in left_open} == {
                claim.attempt for claim in self._under_way
            }
            self._under_way.clear()

        self._add(Step(work, done))
        self.commit()

    @rule(
        account_sid=ACCOUNTS,
        statuses=STATUSES,
        destination=st.none() | st.sampled_from(DESTINATIONS),
        window=windows(callback),
        number=NUMBERS,
        limit=LIMITS,
        ahead=AHEAD,
    )
    def look(
        self,
        *,
        account_sid: str,
        statuses: frozenset[CallbackStatus] | None,
        destination: str | None,
        window: Window,
        number: int,
        limit: int,
        ahead: timedelta,
    ) -> None:
        which = CallbackFilter(statuses, destination=destination)
        sid = callback(number).sid
        instants = [self._now, self._now + ahead]
        self._add(
            Step(
                lambda tx: (
                    _or_refused(lambda: tx.callbacks.page(account_sid, which, window)),
                    tx.callbacks.oldest(account_sid, which, after=sid, limit=limit),
                    tx.callbacks.get(account_sid, sid),
                    tx.callbacks.with_key(account_sid, "a"),
                    tx.callbacks.attempts(sid),
                    [tx.callbacks.next_due(Lane(account_sid, one)) for one in DESTINATIONS],
                    tx.callbacks.unfinished(),
                    tx.callbacks.due_before(instants),
                    tx.accounts.get(account_sid),
                )
            )
        )

    @rule()
    def look_for_what_waits(self) -> None:
        self._add(Step(lambda tx: sorted(tx.callbacks.waiting())))

    @rule(account_sid=ACCOUNTS, secret=st.sampled_from(["", "new", "newer"]))
    def rotate(self, account_sid: str, secret: str) -> None:
        rotated = replace(account(account_sid), kore_secret=secret)

        def work(tx: Transaction) -> list[Account]:
            tx.accounts.save(rotated)
            return [tx.accounts.get(account_sid) or rotated, *tx.accounts.all()]

        self._add(Step(work))


def _settlement(claim: Claim, outcome: Outcome, decision: Decision) -> Settlement:
    now = claim.progress.date_updated + SECOND
    response = RecordedResponse(200, (("A", "b"), ("C", "")), b"\0\xff", is_cut=True)
    exchange = Exchange(outcome, Timings(1.5, tls=0.0), response, "127.0.0.1:1", None)
    request = render(claim.callback, account=claim.account, at=now).recorded()
    after = advance(claim.progress, decision, now)
    if isinstance(decision, TryAgain):
        after = begin(after, now, total_timeout=claim.callback.url.connection.total_timeout)
    return Settlement(claim.callback, settled(claim.attempt, exchange, request, started=now), after)


def _going_on(claims: list[Claim], settlements: list[Settlement]) -> list[Claim]:
    """Return the claims whose next attempts began with the settlement of the last ones."""
    return [
        claim._replace(progress=settlement.progress)
        for claim, settlement in zip(claims, settlements, strict=True)
        if settlement.progress.is_under_way
    ]


def _add_once(tx: Transaction, given: Callback) -> Callback:
    """Keep this callback, unless there is one with its key; return the one that is kept."""
    key = given.idempotency_key
    kept = None if key is None else tx.callbacks.with_key(given.account_sid, key)
    if kept is None:
        tx.callbacks.add(given)
    return kept or given


def _or_refused(read: Callable[[], Any]) -> Any:
    """Return what is read, or which refusal that ends in; the words are each store's own."""
    try:
        return read()
    except Invalid as refusal:
        return f"Invalid {refusal.code}"


def _everything(tx: Transaction) -> tuple[object, ...]:
    pages = (tx.callbacks.page(sid, CallbackFilter(), Window(999)) for sid in FLEETS)
    callbacks = [callback for page in pages for callback in page]
    return (
        callbacks,
        [tx.callbacks.attempts(one.sid) for one in callbacks],
        _by_sid(tx.callbacks.left_open()),
        [tx.sims.page(sid, SimFilter(), Window(99)) for sid in FLEETS],
        tx.accounts.all(),
    )


def _is_taken(tx: Transaction, account_sid: str, name: str | None) -> bool:
    return name is not None and tx.sims.find(account_sid, name) is not None


def _by_sid(claims: Sequence[Claim]) -> list[Claim]:
    return sorted(claims, key=lambda claim: claim.callback.sid)


SETTINGS = settings(max_examples=100, stateful_step_count=60, deadline=None)


# Some seconds on a quiet machine, which a busy one may make many of.
@pytest.mark.timeout(300)
class TestSimsInBothStores(SimsInBothStores.TestCase):
    settings = settings(SETTINGS, max_examples=30)


@pytest.mark.timeout(300)
class TestCallbacksInBothStores(CallbacksInBothStores.TestCase):
    settings = SETTINGS
