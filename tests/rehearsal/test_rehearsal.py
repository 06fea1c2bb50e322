"""A whole migration: 5,000 URLs through the three phases of the notice, with constant traffic."""

import asyncio
from collections import Counter
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.callbacks.callback import UNDELIVERED, CallbackRecord
from ringback.core.http.outcome import is_refusal
from ringback.core.policy.source_policy import Source
from ringback.http_client.http_sender import HttpTransport
from ringback.migration.canary_step import CanarySettings
from ringback.migration.edit_status import EditState
from ringback.migration.executor import ApplyOutcome, PlanExecutor
from ringback.migration.journal import JournalFile, JournalLine, JournalSummary, journal_of
from ringback.migration.plan import MigrationPlan, make_plan
from ringback.migration.progress import CanaryStarted, CanaryStopped, ProgressEvent, ProgressReader
from ringback.migration.url_source import UrlEntry
from ringback.migration.url_sources.own_data import OwnDataUrlSource
from ringback.ports import CallbackFilter, Transaction
from ringback.probe.quick_check import quick_check
from ringback.runtime.system_clock import SystemRandomSource
from tests.rehearsal.receivers import Kind
from tests.rehearsal.world import SleepersClock, World, a_world

SOAK = timedelta(hours=1)
BETWEEN, AFTER = datetime(2024, 10, 16, tzinfo=UTC), datetime(2024, 11, 2, tzinfo=UTC)


@dataclass
class ProbedReadiness:
    """Implements `ReceiverReadinessCheck` by the quick check, as `ringback migrate apply`."""

    url_source: OwnDataUrlSource
    sender: HttpTransport

    async def __call__(self, entry: UrlEntry) -> str | None:
        account = await self.url_source.account(entry.place.account_sid or "")
        assert account is not None
        fault = await quick_check(
            CallbackUrl.parse(entry.url),
            method=entry.method,
            source=Source.KORE,
            account=account,
            transport=self.sender,
            limits=Timeouts(5, 15, 15),
            random_source=SystemRandomSource(),
            now=self.url_source.clock.now(),
        )
        return fault and fault.words


class Rehearsal:
    """An operator with a migration plan."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.clock = SleepersClock(world.clock)
        self.url_source = OwnDataUrlSource(
            world.application.storage.store, folder="", clock=world.clock
        )
        self.news = list[ProgressEvent]()

    async def plan(self, name: str) -> MigrationPlan:
        """Write a plan to a file, and read it back."""
        path = self.folder / name
        plan = make_plan(
            await self.url_source.entries(),
            to=Source.KORE,
            url_source=self.url_source.spec,
            phase="before",
            now=self.world.clock.now(),
            plan_id=name,
        )
        plan.write(path)
        return MigrationPlan.read(path)

    async def apply(self, plan: MigrationPlan) -> ApplyOutcome:
        """Apply a plan, a tenth of it first, while events continue."""
        canary = CanarySettings((10,), SOAK, self.url_source)
        with self._move(plan) as move:
            ready = ProbedReadiness(self.url_source, self.world.application.workers.network.sender)
            task = asyncio.create_task(move.apply(readiness=ready, canary=canary))
            await self.world.traffic_until(task, sleeper=self.clock, events=self._traffic)
            return task.result()

    def _traffic(self) -> int:
        """Return the events per step: more once all URLs have moved, so that each is called."""
        steps = [news.share for news in self.news if isinstance(news, CanaryStarted)]
        urls = len(self.world.urls)
        return urls // 13 if steps[-1:] == [100] else urls // 60

    async def revert(self, plan: MigrationPlan) -> None:
        with self._move(plan) as move:
            await move.revert()

    async def states(self, plan: MigrationPlan) -> dict[Kind, Counter[EditState]]:
        """Return the states of a plan's edits, by the kind of the receiver."""
        with self._move(plan) as move:
            statuses = await move.statuses()
        found = {kind: Counter[EditState]() for kind in Kind}
        for status in statuses.values():
            path = CallbackUrl.parse(status.edit.old).path
            found[self.world.receivers.kinds[path]][status.state] += 1
        return found

    @contextmanager
    def _move(self, plan: MigrationPlan) -> Generator[PlanExecutor]:
        path = journal_of(self.folder / plan.id)
        reader = ProgressReader()

        def follow(line: JournalLine, summary: JournalSummary) -> None:
            self.news += reader.read(line, summary)

        with JournalFile(path, plan_id=plan.id, follow=follow) as journal:
            yield PlanExecutor(plan, self.url_source, journal, self.clock)


async def urls_of(url_source: OwnDataUrlSource) -> dict[str, str]:
    return {entry.place.name: entry.url for entry in await url_source.entries()}


@pytest.mark.parametrize(
    "urls",
    [
        pytest.param(1000, marks=pytest.mark.timeout(240)),
        pytest.param(5000, marks=[pytest.mark.long, pytest.mark.timeout(1200)]),
    ],
)
async def test_urls_are_moved_and_rolled_back_without_losing_a_callback(
    urls: int, tmp_path: Path
) -> None:
    async with a_world(tmp_path / "data", urls=urls) as world:
        rehearsal = Rehearsal(world, tmp_path)
        at_first = await urls_of(rehearsal.url_source)
        assert len(at_first) == urls

        # Until October 15. At the first try many receivers have a problem that no probe shows: the
        # first tenth is rolled back.
        await world.traffic(urls // 2)
        first = await rehearsal.plan("first")
        assert len(first.edits) == urls
        world.receivers.is_gateway_down = True
        assert await rehearsal.apply(first) is ApplyOutcome.WENT_BACK
        assert await urls_of(rehearsal.url_source) == at_first
        assert any(isinstance(news, CanaryStopped) for news in rehearsal.news)

        # At the second try the problem is fixed. Receivers that aren't ready, or get worse
        # themselves, stay behind.
        world.receivers.is_gateway_down = False
        plan = await rehearsal.plan("second")
        assert await rehearsal.apply(plan) is ApplyOutcome.DONE
        kinds = Counter(world.receivers.kinds.values())
        assert await rehearsal.states(plan) == {
            Kind.BOTH: {EditState.MOVED: kinds[Kind.BOTH]},
            Kind.KORE: {EditState.MOVED: kinds[Kind.KORE]},
            Kind.TWILIO: {EditState.SKIPPED: kinds[Kind.TWILIO]},
            Kind.FRAGILE: {EditState.BEHIND: kinds[Kind.FRAGILE]},
        }

        # After October 15, and after November 1.
        for date in (BETWEEN, AFTER):
            await world.advance(date - world.clock.now())
            await world.traffic(urls // 4)

        await rehearsal.revert(plan)
        assert await urls_of(rehearsal.url_source) == at_first
        await world.traffic(urls // 10)
        await world.advance(timedelta(hours=1))
        await nothing_is_lost(world)


async def callbacks_of(world: World, account_sid: str) -> list[CallbackRecord]:
    """Return all callbacks of an account, the oldest first."""
    found, which = list[CallbackRecord](), CallbackFilter()
    while True:
        after = found[-1].sid if found else None
        page = await world.application.storage.store.transact(
            lambda tx, after=after: tx.callbacks.oldest(account_sid, which, after=after, limit=1000)
        )
        if not page:
            return found
        found += page


async def requests_for(world: World, callbacks: Sequence[CallbackRecord]) -> Counter[str]:
    """Return how many requests were sent, by path.

    On a busy machine, the time for an attempt may be over before its request is sent.
    """

    def read(tx: Transaction) -> Counter[str]:
        sent = Counter[str]()
        for callback in callbacks:
            for attempt in tx.callbacks.attempts(callback.sid):
                was_never_sent = attempt.status_code is None and is_refusal(None, attempt.failure)
                sent[callback.url.path] += not was_never_sent
        return sent

    return await world.application.storage.store.read(read)


async def nothing_is_lost(world: World) -> None:
    """Check that each event had its effect exactly once, or is listed as undelivered."""
    delivered, undelivered = Counter[str](), Counter[str]()
    requests = Counter[str]()
    for account in world.accounts:
        callbacks = await callbacks_of(world, account.sid)
        requests += await requests_for(world, callbacks)
        for callback in callbacks:
            payload = dict(callback.parameters)["Payload"]
            assert callback.progress.is_ended, callback.sid
            is_lost = callback.status in UNDELIVERED
            (undelivered if is_lost else delivered)[payload] += 1
    assert delivered.keys() | undelivered.keys() == world.sent_to.keys()
    assert set((delivered + undelivered).values()) == {1}
    worked = Counter[str]()
    for path, effects in world.receivers.effects.items():
        worked.update(effects)
        assert all(world.sent_to[event].path == path for event in effects)
    assert worked == delivered
    # Undelivered callbacks belong to receivers that refuse the callback's source, or that are
    # behind the gateway, if it was down for all rounds.
    kinds = {world.sent_to[event].kind for event in undelivered.keys() - world.receivers.refused}
    assert kinds == {Kind.TWILIO, Kind.KORE}
    assert any(world.sent_to[event].kind is Kind.FRAGILE for event in undelivered)
    assert requests == world.receivers.requests
    assert world.receivers.repeats > 0
