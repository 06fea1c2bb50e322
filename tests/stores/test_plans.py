"""Jobs of plans in each store: they move URLs, and change nothing more once they are stopped."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from itertools import count

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.audit import AuditEntry
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome, RefusedOutcome
from ringback.core.job import Job, JobStatus, JobStopped, cancel, pause
from ringback.core.policy.source_policy import Source
from ringback.migration.journal import JournalEntryType, JournalLine, journal_line
from ringback.migration.stored_journal import StoredJournal
from ringback.migration.url_source import UrlEntry
from ringback.operations.plan_jobs import PlanAction, PlanWork
from ringback.ports import AuditFilter, PageWindow, Store, Transaction
from tests.unit.migration.sim_platform import Platform, url_of

APPLY = PlanWork(action=PlanAction.APPLY)
REVERT = PlanWork(action=PlanAction.REVERT)
URLS = 60
"""Two batches of the executor."""
Event = Callable[[Platform, Job], Awaitable[object]]


@pytest.fixture
async def platform(empty: Store) -> Platform:
    platform = Platform(empty)
    await platform.begin(URLS)
    return platform


async def stopped_by(move: Callable[[Job, datetime], Job], platform: Platform, asked: Job) -> None:
    def save(tx: Transaction) -> None:
        found = tx.jobs.get(asked.sid)
        assert found is not None
        tx.jobs.save(move(found, platform.clock.now()))

    await platform.store.transact(save)


async def is_paused(platform: Platform, asked: Job) -> None:
    await stopped_by(pause, platform, asked)


async def is_cancelled(platform: Platform, asked: Job) -> None:
    await stopped_by(cancel, platform, asked)


async def is_reverted(platform: Platform, asked: Job) -> None:
    await platform.order(REVERT)


async def is_continued_elsewhere(platform: Platform, asked: Job) -> None:
    await StoredJournal.open(platform.store, asked, now=platform.clock.now())


@pytest.fixture(params=[is_paused, is_cancelled, is_reverted, is_continued_elsewhere])
def event(request: pytest.FixtureRequest) -> Event:
    return request.param


async def everything(platform: Platform) -> tuple[object, ...]:
    """Return all that the work of a job could change."""
    which, window = AuditFilter(), PageWindow(999)
    return (
        await platform.marks(),
        await platform.moved(),
        await platform.callbacks(),
        await platform.store.read(lambda tx: tx.jobs.page(EVERY, {}, window)),
        await platform.store.read(lambda tx: tx.audit.page(EVERY, which, window)),
    )


async def test_an_apply_ends_wherever_its_job_is_stopped(platform: Platform, event: Event) -> None:
    asked, after = await platform.order(APPLY), list[object]()
    probed = count(1)

    async def check(_: UrlEntry) -> str | None:
        if next(probed) == URLS:
            await event(platform, asked)
            after.append(await everything(platform))
        return None

    with pytest.raises(JobStopped):
        await platform.carrier(check).carry_out(asked, platform.clock)
    assert [await everything(platform)] == after
    assert len(await platform.moved()) == 50  # the first batch


async def test_no_url_changes_in_the_transaction_after_its_job_was_stopped(
    platform: Platform, event: Event
) -> None:
    asked = await platform.order(APPLY)
    journal = await StoredJournal.open(platform.store, asked, now=platform.clock.now())
    source = replace(platform.source, guard=journal.guard)
    edits = list(platform.plan.edits)
    await source.replace(edits[:1])
    assert len(await platform.moved()) == 1
    (called,) = await platform.call(edits[0].old)
    await event(platform, asked)
    before = await everything(platform)

    def discard(tx: Transaction) -> tuple[None, JournalLine]:
        tx.callbacks.change(called.having(called.progress._replace(attempt_count=7)))
        return None, journal_line(JournalEntryType.PASSED, platform.clock.now())

    with pytest.raises(JobStopped):
        await source.replace(edits)
    with pytest.raises(JobStopped):
        await journal.record(discard)
    with pytest.raises(JobStopped):
        await journal.append(JournalEntryType.PASSED, at=platform.clock.now())
    assert await everything(platform) == before


async def test_of_two_processes_that_begin_a_job_at_once_one_goes_on(platform: Platform) -> None:
    asked = await platform.order(APPLY)
    ends = await asyncio.gather(
        *(platform.carrier().carry_out(asked, platform.clock) for _ in range(3)),
        return_exceptions=True,
    )
    assert sorted(map(repr, ends)).count("None") == 1
    assert all(end is None or isinstance(end, JobStopped) for end in ends)
    assert len(await platform.moved()) == URLS
    moving = [mark for mark in await platform.marks() if mark in ("moving", "moved")]
    assert moving == ["moving", "moved"] * 2
    assert len(await _replacements(platform)) == URLS


async def _replacements(platform: Platform) -> list[AuditEntry]:
    which, window = AuditFilter(), PageWindow(999)
    entries = await platform.store.read(lambda tx: tx.audit.page(EVERY, which, window))
    return [entry for entry in entries if entry.action == "ReplaceCallbackUrl"]


async def test_a_revert_takes_over_from_an_apply_that_it_cancels(platform: Platform) -> None:
    asked, probed, reverts = await platform.order(APPLY), count(1), list[Job]()

    async def check(_: UrlEntry) -> str | None:
        if next(probed) == URLS:
            reverts.append(await platform.order(REVERT))
        return None

    with pytest.raises(JobStopped):
        await platform.carrier(check).carry_out(asked, platform.clock)
    assert len(await platform.moved()) == 50
    assert await platform.carrier().carry_out(reverts[0], platform.clock) is None
    assert await platform.moved() == set()
    assert (await platform.job(asked.sid)).status is JobStatus.CANCELLED


async def test_what_a_receiver_refused_is_sent_again_and_what_it_may_know_is_listed(
    empty: Store,
) -> None:
    platform = Platform(empty, {0: RefusedOutcome(403)})
    await platform.begin(1)
    await platform.carry_out(APPLY)
    new = f"{url_of(0)}#cbs=kore"
    refused = await platform.call(*[new] * 60)  # more than a piece
    await platform.deliver()
    platform.outcomes[0] = NoAnswerOutcome(AttemptFailure.READ_TIMEOUT, "it was too slow")
    hung = await platform.call(new)
    await platform.deliver()
    waiting = await platform.call(new)
    asked = await platform.order(REVERT)
    assert await platform.carrier().carry_out(asked, platform.clock) is None
    again, summary = await platform.sent_again(), await platform.summary()
    assert again.keys() == {one.sid for one in refused}
    assert all(len(each) == 1 for each in again.values())
    # The one that was waiting was tried while the job waited for it.
    assert summary.maybe_acted_on.keys() == {one.sid for one in (*hung, *waiting)}
    assert summary.fates == {"sent_again": 60, "maybe_acted_on": 2}
    await platform.deliver()
    statuses = Counter(one.status for one in await platform.callbacks())
    assert (statuses[CallbackStatus.DISCARDED], statuses[CallbackStatus.FAILED]) == (60, 2)
    assert {one.source for (one,) in again.values()} == {Source.TWILIO}
