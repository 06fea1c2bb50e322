"""A platform whose URLs are in a store, with devices that call them and receivers that answer."""

import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ringback.core.accounts.account import EVERY
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.create_callback import CALLBACK_BYTES, compose
from ringback.core.callbacks.retry import GiveUp, NoRetryNeeded
from ringback.core.http.http_exchange import AttemptResult
from ringback.core.http.outcome import DeliveredOutcome, Outcome
from ringback.core.job import Job
from ringback.core.policy.source_policy import NOTICE, Source
from ringback.migration.canary_step import up_to
from ringback.migration.executor import ReceiverReadinessCheck
from ringback.migration.journal import JournalSummary
from ringback.migration.plan import MigrationPlan, make_plan, plan_lines
from ringback.migration.plan_carrier import PlanCarrier
from ringback.migration.stored_journal import read_lines
from ringback.migration.url_source import UrlEntry
from ringback.migration.url_sources.own_data import OwnDataUrlSource
from ringback.operations.context import OperationContext
from ringback.operations.plan_jobs import PlanOrder, PlanWork
from ringback.ports import (
    CallbackFilter,
    DeliveryClaim,
    PageWindow,
    Settlement,
    Store,
    Transaction,
    no_checkpoint,
)
from tests.callback_queues import RecordingQueue
from tests.fakes import (
    A_KEY,
    ACCOUNT_SID,
    SeededRandomness,
    a_context,
    a_fleet,
    a_profile,
    an_account,
    claim_from,
)
from tests.memory_store import MemoryStore
from tests.stores.asking import ended, keep
from tests.unit.migration.url_sources import PassingClock

PLAN_ID = "p1"
SECOND = timedelta(seconds=1)


class BusyClock(PassingClock):
    """Implements `ports.Clock`: in each second of a sleep, the platform has some traffic."""

    def __init__(self, traffic: Callable[[], Awaitable[None]]) -> None:
        super().__init__()
        self.traffic = traffic

    async def sleep_until(self, instant: datetime) -> None:
        while self.now() < instant:
            await super().sleep_until(min(instant, self.now() + SECOND))
            await self.traffic()

    def pass_by(self, by: timedelta) -> None:
        """Let this much time pass."""
        self._now += by


@dataclass
class Platform:
    """An account with a URL for each receiver, and the plan to move them to kore."""

    store: Store
    outcomes: dict[int, Outcome] = field(default_factory=dict[int, Outcome])
    """How attempts from kore end, by the number of the receiver; the others are delivered."""
    silent: set[int] = field(default_factory=set[int])
    """The receivers to which no device sends anything."""
    room: int = 1_000_000
    """How many callbacks the queue accepts at once when they are sent again."""

    def __post_init__(self) -> None:
        self.clock = BusyClock(self.pass_traffic)
        self.random_source = SeededRandomness()

    async def begin(self, urls: int) -> None:
        """Configure this number of URLs, and make the plan."""
        await self.store.transact(lambda tx: tx.accounts.add(an_account(), []))
        profile = a_profile()
        fleets = [
            a_fleet(
                sid=f"HF{number:032x}",
                unique_name=None,
                network_access_profile_sid=profile.sid,
                sms_commands_url=url_of(number),
            )
            for number in range(urls)
        ]
        await keep(self.store, profile, *fleets)
        self.plan = make_plan(
            await self.source.entries(),
            to=Source.KORE,
            url_source=self.source.spec,
            phase="before",
            now=self.clock.now(),
            plan_id=PLAN_ID,
        )

    @property
    def source(self) -> OwnDataUrlSource:
        return OwnDataUrlSource(self.store, folder="", clock=self.clock)

    # ---- the job

    async def order(self, work: PlanWork, *, journal: Sequence[str] = ()) -> Job:
        """Create a job of the plan."""
        order = PlanOrder(
            plan_id=PLAN_ID,
            lines=lines_of_plan(self.plan),
            edits=len(self.plan.edits),
            work=work,
            journal=journal,
        )
        context = replace(self.context(), actor=A_KEY)
        return await self.store.transact(
            lambda tx: order.create(tx, context, account_sid=EVERY, created_by="the operator")
        )

    def carrier(
        self,
        readiness: ReceiverReadinessCheck | None = None,
        *,
        store: Store | None = None,
        sends: bool = True,
        checkpoint: Callable[[str], None] = no_checkpoint,
    ) -> PlanCarrier:
        """Return a process that carries out plans; without `readiness`, all receivers are ready."""

        async def is_ready(_: UrlEntry) -> str | None:
            return None

        return PlanCarrier(
            store=store or self.store,
            readiness=lambda _: readiness or is_ready,
            context=self.context if sends else None,
            checkpoint=checkpoint,
        )

    def context(self) -> OperationContext:
        return a_context(
            now=self.clock.now(), random_source=self.random_source, queue=RecordingQueue(self.room)
        )

    async def carry_out(
        self, work: PlanWork, readiness: ReceiverReadinessCheck | None = None
    ) -> str | None:
        """Create a job, and do all its work; return why it failed."""
        return await self.carrier(readiness).carry_out(await self.order(work), self.clock)

    async def summary(self) -> JournalSummary:
        summary = JournalSummary()
        await read_lines(self._lines, lambda line, _: summary.take(line))
        return summary

    async def marks(self) -> list[str]:
        """Return the types of all lines of the journal."""
        marks = list[str]()
        await read_lines(self._lines, lambda line, _: marks.append(line["ringback_journal"]))
        return marks

    async def _lines(self, after: int) -> Sequence[str]:
        return await self.store.read(lambda tx: tx.plans.after(EVERY, PLAN_ID, after))

    async def job(self, sid: str) -> Job:
        found = await self.store.read(lambda tx: tx.jobs.get(sid))
        assert found is not None
        return found

    async def moved(self) -> set[int]:
        """Return the numbers of the receivers whose URLs have moved."""
        entries = await self.source.entries()
        return {number_of(entry.url) for entry in entries if entry.url.endswith("#cbs=kore")}

    # ---- the callbacks

    async def pass_traffic(self) -> None:
        """Let devices send a message to each URL, and end all attempts that are due."""
        entries = await self.source.entries()
        await self.call(
            *(entry.url for entry in entries if number_of(entry.url) not in self.silent)
        )
        await self.deliver()

    async def call(self, *urls: str) -> list[CallbackRecord]:
        """Create a callback to each of these URLs."""
        callbacks = [
            compose(
                f"Payload={number_of(url)}",
                account_sid=ACCOUNT_SID,
                to=CallbackUrl.parse(url),
                method=HttpMethod.POST,
                policy=NOTICE,
                random_bytes=self.random_source.bytes(CALLBACK_BYTES),
                now=self.clock.now(),
            )
            for url in urls
        ]
        await keep(self.store, *callbacks)
        return callbacks

    async def deliver(self) -> None:
        """Claim the callbacks that are due, and end their attempts."""
        now = self.clock.now()

        def claim(tx: Transaction) -> list[DeliveryClaim]:
            lanes = [each.lane for each in tx.callbacks.waiting()]
            return [one for lane in lanes for one in claim_from(tx, lane, now, limit=999)]

        claims = await self.store.transact(claim)
        settlements = list[Settlement]()
        for one in claims:
            outcome = self._outcome_of(one.callback)
            is_delivered = isinstance(outcome, DeliveredOutcome)
            decision = NoRetryNeeded() if is_delivered else GiveUp("it was refused")
            settlements.append(ended(one, decision, now, result=AttemptResult(outcome)))
        await self.store.transact(lambda tx: tx.callbacks.settle(settlements))

    def _outcome_of(self, callback: CallbackRecord) -> Outcome:
        delivered = DeliveredOutcome(200)
        if callback.source == Source.TWILIO:
            return delivered
        return self.outcomes.get(number_of(callback.url.shown), delivered)

    async def callbacks(self) -> list[CallbackRecord]:
        """Return all callbacks, the oldest first."""
        which, window = CallbackFilter(), PageWindow(9999)
        page = await self.store.read(lambda tx: tx.callbacks.page(ACCOUNT_SID, which, window))
        return page[::-1]

    async def sent_again(self) -> dict[str, list[CallbackRecord]]:
        """Return the callbacks that repeat another, by the SID of that one."""
        again = dict[str, list[CallbackRecord]]()
        for one in await self.callbacks():
            if one.replay_of is not None:
                again.setdefault(one.replay_of, []).append(one)
        return again


def url_of(number: int) -> str:
    return f"https://r{number}.example/"


def number_of(url: str) -> int:
    return int(url.partition(".example")[0].rpartition("r")[2])


def lines_of_plan(plan: MigrationPlan) -> Sequence[str]:
    with tempfile.TemporaryDirectory() as folder:
        plan.write(Path(folder) / "move.plan")
        return plan_lines(Path(folder) / "move.plan")


async def a_platform(
    outcomes: dict[int, Outcome] | None = None, *, urls: int = 20, **fields: Any
) -> Platform:
    platform = Platform(MemoryStore(), outcomes or {}, **fields)
    await platform.begin(urls)
    return platform


async def carried_out(platform: Platform, work: PlanWork) -> str | None:
    """Carry out a plan after all its earlier jobs have ended."""
    await finish(platform)
    return await platform.carry_out(work)


async def finish(platform: Platform) -> None:
    """Save the end of all jobs, as the runner does."""

    def save(tx: Transaction) -> None:
        for one in tx.jobs.claim():
            tx.jobs.save(one.failed("it ended", platform.clock.now()))

    await platform.store.transact(save)


def first_step(platform: Platform) -> set[int]:
    """Return the receivers whose URLs move in the first step of a canary with a share of 50 %."""
    first = up_to(50, platform.plan.edits)
    return {number_of(edit.old) for edit in platform.plan.edits if edit.place in first}
