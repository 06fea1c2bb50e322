"""Customers who create, replay and discard callbacks, with the same calls as the API."""

from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Protocol

from ringback.core.accounts.account import Account
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import (
    UNDELIVERED,
    CallbackRecord,
    CallbackStatus,
    discard,
    replay,
)
from ringback.core.callbacks.callback_serialization import write_new
from ringback.core.callbacks.create_callback import CALLBACK_BYTES, compose
from ringback.core.errors import BacklogFull, InvalidParameter, StoreUnavailable
from ringback.core.policy.source_policy import NOTICE
from ringback.core.retry_schedule import RetrySchedule
from ringback.ports import (
    BulkCallbackQueue,
    CallbackFilter,
    NewCallbackQueue,
    RandomSource,
    Store,
    Transaction,
)
from tests.simulation.loop import SimClock
from tests.simulation.plan import Asked, Plan, Request
from tests.simulation.trace import Trace
from tests.simulation.watch import Promise


class CustomerWatch(Protocol):
    """Sees what customers ask for, and what they are answered."""

    trace: Trace
    now: Callable[[], float]
    promises: dict[str, Promise]

    def asked(self, callbacks: list[CallbackRecord], schedule: RetrySchedule) -> list[Promise]: ...

    def accepted(self, batch: list[Promise]) -> None: ...

    def refused(self, batch: list[Promise]) -> None: ...


class Customers:
    """All customers who use the API of one process."""

    def __init__(
        self,
        *,
        plan: Plan,
        accounts: list[Account],
        watch: CustomerWatch,
        random: Random,
        clock: SimClock,
        random_source: RandomSource,
        is_quick: bool = False,
    ) -> None:
        self._plan = plan
        self._accounts = accounts
        self._watch = watch
        self._random = random
        self._clock = clock
        self._random_source = random_source
        self._is_quick = is_quick

    async def ask(
        self,
        request: Request,
        *,
        store: Store,
        queue: NewCallbackQueue,
        batch_queue: BulkCallbackQueue,
        is_there: Callable[[], bool],
    ) -> None:
        """Create the callbacks of a request: all of them, or none.

        An answer arrives only if the process `is_there`.
        """
        account = self._accounts[request.callbacks[0].account]
        callbacks = [self._compose(asked, account, request.key) for asked in request.callbacks]
        batch = self._watch.asked(callbacks, self._schedule_of(account))
        self._watch.trace.note(self._watch.now(), "asked", *(one.sid for one in callbacks))

        def accept(tx: Transaction) -> bool:
            if request.key and tx.callbacks.with_key(account.sid, request.key):
                return False
            for callback in callbacks:
                queue.take(tx, callback)
            if request.is_refused:
                raise InvalidParameter("the last one is wrong", code=20001)
            return True

        async def take_in() -> bool:
            if request.is_big:
                texts = list(map(write_new, callbacks))
                records = await batch_queue.keep(account.sid, callbacks, texts)
                return [record.sid for record in records] == [one.sid for one in callbacks]
            queue.make_room(account.sid, len(callbacks))
            return await store.transact(accept, is_quick=self._is_quick)

        try:
            is_new = await take_in()
        except (StoreUnavailable, BacklogFull, InvalidParameter) as failure:
            if is_there():
                self._watch.trace.note(self._watch.now(), "refused", type(failure).__name__)
                self._watch.refused(batch)
            return
        if not is_there():
            return
        self._watch.trace.note(self._watch.now(), "acknowledged", *(one.sid for one in callbacks))
        if is_new:
            self._watch.accepted(batch)
        else:
            self._watch.refused(batch)

    async def replay_some(self, *, store: Store, queue: NewCallbackQueue) -> None:
        """Replay some callbacks that were not delivered, and one that was."""

        def work(tx: Transaction) -> None:
            for callback in self._some(tx, UNDELIVERED | {CallbackStatus.DELIVERED}):
                self._watch.promises[callback.sid].replays += 1
                self._watch.trace.note(self._watch.now(), "replay", callback.sid)
                queue.change(tx, callback, replay(callback.progress, self._clock.now()))

        await self._try(store, work)

    async def discard_some(self, *, store: Store, queue: NewCallbackQueue) -> None:
        """Discard some waiting callbacks."""

        def work(tx: Transaction) -> None:
            for callback in self._some(tx, frozenset({CallbackStatus.SCHEDULED})):
                if callback.progress.due is not None:
                    self._watch.promises[callback.sid].discards += 1
                    self._watch.trace.note(self._watch.now(), "discard", callback.sid)
                    now = self._clock.now()
                    queue.change(tx, callback, discard(callback.progress, "no use", now))

        await self._try(store, work)

    async def _try(self, store: Store, work: Callable[[Transaction], None]) -> None:
        try:
            await store.transact(work)
        except StoreUnavailable:
            return

    def _some(self, tx: Transaction, statuses: frozenset[CallbackStatus]) -> list[CallbackRecord]:
        account = self._random.choice(self._accounts)
        which = CallbackFilter(statuses=statuses)
        found = tx.callbacks.oldest(account.sid, which, after=None, limit=20)
        return self._random.sample(found, min(len(found), self._random.choice((1, 3))))

    def _compose(self, asked: Asked, account: Account, key: str | None) -> CallbackRecord:
        place = self._plan.places[asked.place]
        fragment = f"#{asked.fragment}" if asked.fragment else ""
        host = f"[{place.host}]" if ":" in place.host else place.host
        url = f"{place.scheme}://{host}:{place.port}{asked.path}{fragment}"
        due = None
        if asked.delay is not None:
            # By the customer's own clock.
            due = self._clock.true() + timedelta(seconds=asked.delay)
        return compose(
            asked.body,
            account_sid=account.sid,
            to=CallbackUrl.parse(url),
            method=HttpMethod(asked.method),
            policy=NOTICE,
            random_bytes=self._random_source.bytes(CALLBACK_BYTES),
            now=self._clock.now(),
            due=due,
            idempotency_key=key,
            order_key=asked.order_key,
        )

    def _schedule_of(self, account: Account) -> RetrySchedule:
        return account.schedule or self._plan.schedule
