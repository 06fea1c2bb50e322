"""Deletes what has been kept for long enough, in small pieces beside the other work.

A pass begins every ten minutes by the clock, and at once after a change of the times. It looks for
expired callbacks of each account in reads, and deletes a few in each transaction. Then it pauses
for several times as long as that took. Once a day, it also looks for what no callback needs any
more. Ended jobs, checks of receivers, entries of the audit and links have fixed times.

While the server is paused, nothing is deleted: restored data stays as it was in the backup.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from ringback.core.accounts.account import EVERY
from ringback.core.accounts.shared_link import KEPT_AFTER_EXPIRY
from ringback.core.audit import AUDIT_KEPT, SIGN_INS_KEPT
from ringback.core.errors import StoreUnavailable
from ringback.core.retention import (
    KINDS,
    RetentionCutoffs,
    RetentionPolicy,
    RetentionTimes,
    SetTimes,
    StoredTimes,
    show_time,
)
from ringback.ports import Clock, Cluster, RetentionCounts, Store, Transaction
from ringback.runtime.sending_gate import SendingGate
from ringback.runtime.wakeup import Wakeup

T = TypeVar("T")
PassWork = Callable[[RetentionPolicy, datetime], Awaitable[bool]]
"""Does a part of a pass: deletes what has expired at an instant, by the times in force.

Returns True if it was left for now because it took long: the next pass goes on.
"""

PASS_EVERY: Final = timedelta(minutes=10)
"""The time between two passes."""
SWEEP_EVERY: Final = timedelta(days=1)
"""The time between two searches for what is not needed any more."""
_AFTER_A_FAILURE: Final = timedelta(minutes=1)
_DUTY: Final = "retention"
"""The name of the lease, since only one of several processes does this."""
PIECE: Final = 200
"""The most callbacks that one transaction deletes: a few milliseconds."""
_REST: Final = 19
"""The pause after each step, as a multiple of the time that it took.

So most other commits never wait for it.
"""
_REST_IN_ARREARS: Final = 4
"""The same, once a pass has lasted for as long as there should be between two passes."""
_SHORTEST_REST: Final = 0.001
_LONGEST_REST: Final = 1.0
_SPARE: Final = 16 << 20
"""The free bytes that stay in a data file, since new rows will need them."""
_GIVEN_BACK: Final = 256 << 10
"""The most free bytes by which one transaction makes the file smaller."""

RemoveBefore = Callable[[Transaction, datetime], int]
"""Deletes at most `PIECE` records that are older than an instant; returns how many it deleted."""
JOBS_KEPT: Final = timedelta(days=90)
"""How long a job is kept after its end."""
PLANS_KEPT: Final = timedelta(days=730)
"""The same for a job that carried out a plan: until then, the server can revert the plan."""
CHECKS_KEPT: Final = timedelta(days=30)
"""How long the check of a receiver is kept, unless a newer one replaces it."""
EMPTY_KEPT: Final = timedelta(days=30)
"""How long the record of a destination is kept after all in it was unset.

The state of a destination is kept as long after its last callback, unless it is disabled.
"""
EVENTS_KEPT: Final = timedelta(days=30)
"""How long an event of a stream is kept, and longer while it waits or a batch has it."""
_FIXED: Final[Sequence[tuple[timedelta, RemoveBefore]]] = (
    (JOBS_KEPT, lambda tx, instant: tx.jobs.remove_ended_before(instant, limit=PIECE)),
    (
        PLANS_KEPT,
        lambda tx, instant: tx.jobs.remove_ended_before(instant, limit=PIECE, have_plans=True),
    ),
    (CHECKS_KEPT, lambda tx, instant: tx.receiver_checks.remove_before(instant, limit=PIECE)),
    (SIGN_INS_KEPT, lambda tx, instant: tx.audit.remove_sign_ins_before(instant, limit=PIECE)),
    (AUDIT_KEPT, lambda tx, instant: tx.audit.remove_before(instant, limit=PIECE)),
    (EVENTS_KEPT, lambda tx, instant: tx.streams.events.remove_before(instant, limit=PIECE)),
    (
        KEPT_AFTER_EXPIRY,
        lambda tx, instant: tx.shared_links.remove_expired_before(instant, limit=PIECE),
    ),
    (EMPTY_KEPT, lambda tx, instant: tx.destinations.forget_empty(instant, limit=PIECE)),
    (EMPTY_KEPT, lambda tx, instant: tx.destinations.forget_states(instant, limit=PIECE)),
)

_log = logging.getLogger(__name__)


class RetentionWorker:
    """Runs the passes; see the module's text."""

    def __init__(
        self,
        store: Store,
        *,
        cluster: Cluster,
        clock: Clock,
        stopwatch: Callable[[], float],
        in_settings: StoredTimes,
        gate: SendingGate | None = None,
        weeks: PassWork | None = None,
    ) -> None:
        """Delete by the times in the settings and those in the store.

        While `gate` is closed, nothing is deleted. `weeks` replaces whole weeks of a database that
        keeps its rows in partitions. With it, only callbacks that a week does not take with it are
        deleted one by one.
        """
        self._store = store
        self._cluster = cluster
        self._clock = clock
        self._stopwatch = stopwatch
        self._in_settings = in_settings
        self._gate = gate or SendingGate()
        self._weeks = weeks
        self._wakeup = Wakeup(clock)
        self._gate.listen(self._wakeup.wake)
        self._places = dict[str, object]()
        """How far the searches of each account have come."""
        self._began = 0.0
        """When the last pass began, by the stopwatch."""
        self._last = clock.now()
        self._next_sweep = self._last
        self._policy: RetentionPolicy | None = None
        self.next_pass_after = PASS_EVERY
        """The time from the end of the last pass to the next one."""

    def wake(self) -> None:
        """Begin a pass now, since times were changed."""
        self._wakeup.wake()

    async def run(self) -> None:
        """Do all passes, until the task is cancelled."""
        while True:
            try:
                await self.do_pass()
                wait = self.next_pass_after
            except StoreUnavailable as failure:
                _log.info("retention: %s; it goes on in a minute", failure)
                wait = _AFTER_A_FAILURE
            await self._wakeup.wait(self._clock.now() + wait)

    async def do_pass(self) -> RetentionCounts:
        """Delete all that has expired by now; return how much that was."""
        now, self._began = self._clock.now(), self._stopwatch()
        self.next_pass_after = PASS_EVERY
        times, accounts = await self._store.read(self._times_and_accounts)
        policy = times.in_force()
        self._learn(policy, now, is_set=bool(times.in_settings or times.in_store))
        if not self._gate.is_open or not await self._cluster.hold(_DUTY):
            return RetentionCounts()
        if self._weeks is not None and await self._weeks(policy, now):
            rest = timedelta(seconds=_REST * (self._stopwatch() - self._began))
            self.next_pass_after = min(rest, PASS_EVERY)
        done = RetentionCounts()
        cutoffs = dict[str, RetentionCutoffs]()
        for account_sid in accounts:
            times = policy.of(account_sid)
            if times != RetentionTimes():
                cutoffs[account_sid] = its = times.before(now)
                more = await self._delete_expired(account_sid, its, policy)
                done = RetentionCounts(*map(int.__add__, done, more))
        if now >= self._next_sweep:
            await self._sweep(
                {sid: its for sid, its in cutoffs.items() if self._is_by_row(sid, policy)}
            )
            self._next_sweep = now + SWEEP_EVERY
        for kept_for, remove in _FIXED:
            await self._remove_before(now - kept_for, remove)
        await self._give_space_back()
        if any(done):
            _log.info("retention: deleted %d callbacks, and the attempts of %d", *done)
        return done

    def _times_and_accounts(self, tx: Transaction) -> tuple[SetTimes, list[str]]:
        times = SetTimes(self._in_settings, tx.retention.times())
        return times, [account.sid for account in tx.accounts.all()]

    def _learn(self, policy: RetentionPolicy, now: datetime, *, is_set: bool) -> None:
        """Begin anew where needed: after a change of the times, and if the clock was set back."""
        if now < self._last:
            self._places.clear()
            self._next_sweep = min(self._next_sweep, now + SWEEP_EVERY)
        self._last = now
        if policy == self._policy:
            return
        if not is_set:
            _log.warning(
                "retention: no times are set, so everything is kept, and the data grows for ever;"
                " set times with `ringback retention set` or in the settings"
            )
        else:
            _log.info("retention: %s", in_words(policy))
        self._policy, self._next_sweep = policy, now

    def _is_by_row(self, account_sid: str, policy: RetentionPolicy) -> bool:
        """Return True if all that expires of an account is deleted row by row."""
        return self._weeks is None or account_sid in policy.accounts

    async def _delete_expired(
        self, account_sid: str, cutoffs: RetentionCutoffs, policy: RetentionPolicy
    ) -> RetentionCounts:
        done, is_over = RetentionCounts(), False
        is_walked = self._is_by_row(account_sid, policy)
        while not is_over and self._gate.is_open:
            place = self._places.get(account_sid)
            rows, place, is_over = await self._resting(
                lambda place=place: self._store.read(
                    lambda tx: tx.retention.find_expired(
                        account_sid, cutoffs, place, limit=PIECE, is_walked=is_walked
                    ),
                    asked_by=_DUTY,
                )
            )
            if rows:
                more = await self._resting(
                    lambda rows=rows: self._store.transact(
                        lambda tx: tx.retention.remove_expired(rows, cutoffs)
                    )
                )
                done = RetentionCounts(*map(int.__add__, done, more))
            # Not earlier: if the deletion fails, the same callbacks are found again.
            self._places[account_sid] = place
        return done

    async def _sweep(self, cutoffs: Mapping[str, RetentionCutoffs]) -> None:
        place: object = None
        while True:
            rows, place = await self._resting(
                lambda place=place: self._store.read(
                    lambda tx: tx.retention.find_unused(cutoffs, place, limit=PIECE), asked_by=_DUTY
                )
            )
            if rows:
                await self._resting(
                    lambda rows=rows: self._store.transact(
                        lambda tx: tx.retention.remove_unused(rows)
                    )
                )
            if place is None:
                return

    async def _remove_before(self, instant: datetime, remove: RemoveBefore) -> None:
        while (
            await self._resting(lambda: self._store.transact(lambda tx: remove(tx, instant)))
            == PIECE
        ):
            pass

    async def _give_space_back(self) -> None:
        while True:
            space = await self._store.read(lambda tx: tx.retention.free_space(), asked_by=_DUTY)
            excess = space.free - max(_SPARE, space.bytes // 10)
            if excess <= 0 or not space.can_shrink:
                return
            most = min(excess, _GIVEN_BACK)
            await self._resting(
                lambda most=most: self._store.transact(lambda tx: tx.retention.give_back(most))
            )

    async def _resting(self, step: Callable[[], Awaitable[T]]) -> T:
        """Do a step, then pause, so that all steps together take a twentieth of the time."""
        began = self._stopwatch()
        result = await step()
        ended = self._stopwatch()
        is_late = ended - self._began > PASS_EVERY.total_seconds()
        rest = (_REST_IN_ARREARS if is_late else _REST) * (ended - began)
        await asyncio.sleep(min(max(rest, _SHORTEST_REST), _LONGEST_REST))
        return result


def in_words(policy: RetentionPolicy) -> str:
    """Return a line about the times in force."""
    texts = [
        ", ".join(f"{kind} {show_time(time)}" for kind, time in zip(KINDS, times, strict=True))
        + ("" if subject == EVERY else f" for {subject}")
        for subject, times in ((EVERY, policy.server), *policy.accounts.items())
    ]
    return "; ".join(texts)
