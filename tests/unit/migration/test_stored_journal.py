"""The journal in the store: its lines, and the job whose counts it keeps."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.errors import ConfigurationError, StoreUnavailable
from ringback.core.job import Job, JobKind, JobStatus, JobStopped
from ringback.migration.journal import JournalEntryType, JournalLine, journal_line
from ringback.migration.plan import edit_record
from ringback.migration.stored_journal import StoredJournal, plan_id_of, read_lines
from ringback.migration.url_source import UrlEdit, UrlLocation
from ringback.ports import LINES_AT_ONCE, Transaction
from tests.fakes import NOW
from tests.memory_store import MemoryStore
from tests.stores.records import job

PLAN = "p1"
SECOND = timedelta(seconds=1)
PLACES = [UrlLocation(f"fleet {number}", "AC1") for number in range(3)]
EDITS = [UrlEdit(place, "https://a.example/", "https://a.example/#cbs=kore") for place in PLACES]
MOVING = [edit_record(edit) for edit in EDITS[:2]]


def a_move() -> Job:
    return replace(job(1), account_sid=EVERY, kind=JobKind.MIGRATION, plan_id=PLAN)


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()
    await store.transact(lambda tx: tx.jobs.add(a_move()))
    return store


def fetching(store: MemoryStore) -> Callable[[int], Awaitable[Sequence[str]]]:
    """Return the function that fetches lines of the plan."""
    return lambda after: store.read(lambda tx: tx.plans.after(EVERY, PLAN, after))


async def lines_in(store: MemoryStore) -> list[JournalLine]:
    lines = list[JournalLine]()
    await read_lines(fetching(store), lambda line, _: lines.append(line))
    return lines


async def job_in(store: MemoryStore) -> Job:
    found = await store.read(lambda tx: tx.jobs.get(a_move().sid))
    assert found is not None
    return found


async def moved(journal: StoredJournal) -> None:
    """Add the lines of a step in which one URL moved, one was skipped, and one went back."""
    await journal.append(JournalEntryType.STEP, at=NOW, share=100, edits=3)
    await journal.append(JournalEntryType.SKIPPED, at=NOW, places={PLACES[2]: "not ready"})
    await journal.append(JournalEntryType.MOVING, at=NOW, edits=MOVING)
    await journal.append(JournalEntryType.MOVED, at=NOW, places=dict.fromkeys(PLACES[:2], ""))
    await journal.append(JournalEntryType.RETURNED, at=NOW, places={PLACES[1]: ""})


async def test_lines_are_added_and_read_back(store: MemoryStore) -> None:
    journal = await StoredJournal.open(store, a_move(), now=NOW)
    await moved(journal)
    again = await StoredJournal.open(store, a_move(), now=NOW + SECOND)
    assert again.summary.step == journal.summary.step
    assert again.summary.marks == journal.summary.marks
    assert again.summary.whys == {PLACES[2]: "not ready"}
    first, *_, last = await lines_in(store)
    assert first == {"ringback_journal": "continued", "at": NOW.isoformat(), "job": a_move().sid}
    assert last["at"] == (NOW + SECOND).isoformat()


async def test_the_job_counts_what_the_lines_before_say(store: MemoryStore) -> None:
    journal = await StoredJournal.open(store, a_move(), now=NOW)
    await moved(journal)
    await journal.append(JournalEntryType.PASSED, at=NOW + SECOND)
    found = await job_in(store)
    assert found.counts == {"moved": 1, "skipped": 1, "moved_back": 1}
    assert found.date_updated == NOW + SECOND


async def test_at_the_end_the_job_counts_what_all_lines_say(store: MemoryStore) -> None:
    journal = await StoredJournal.open(store, a_move(), now=NOW)
    await moved(journal)
    await journal.save_counts(at=NOW + SECOND)
    found = await job_in(store)
    assert found.counts == {"moved": 1, "skipped": 1, "moved_back": 1}
    assert found.date_updated == NOW + SECOND
    await store.transact(lambda tx: tx.jobs.save(replace(found, status=JobStatus.PAUSED)))
    with pytest.raises(JobStopped):
        await journal.save_counts(at=NOW)


async def test_only_the_job_that_rolled_back_a_step_has_gone_back(store: MemoryStore) -> None:
    other = replace(a_move(), sid=job(2).sid)
    await store.transact(lambda tx: tx.jobs.add(other))
    journal = await StoredJournal.open(store, a_move(), now=NOW)
    await journal.append(JournalEntryType.STEP, at=NOW, share=50)
    await journal.append(JournalEntryType.WENT_BACK, at=NOW)
    assert (await StoredJournal.open(store, a_move(), now=NOW)).summary.went_back
    assert not (await StoredJournal.open(store, other, now=NOW)).summary.went_back
    assert not (await StoredJournal.open(store, a_move(), now=NOW)).summary.went_back


async def test_a_line_and_what_it_is_about_are_saved_together(store: MemoryStore) -> None:
    journal = await StoredJournal.open(store, a_move(), now=NOW)

    def scenario(tx: Transaction, line: JournalLine | None) -> tuple[str, JournalLine | None]:
        tx.scenarios.put("subject", "made up")
        return "result", line

    assert await journal.record(lambda tx: scenario(tx, None)) == "result"
    assert len(await lines_in(store)) == 1
    line = journal_line(JournalEntryType.PROVED, NOW)
    assert await journal.record(lambda tx: scenario(tx, line)) == "result"
    assert (await lines_in(store))[-1] == line

    def fail(tx: Transaction) -> tuple[None, JournalLine | None]:
        tx.scenarios.put("subject", None)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await journal.record(fail)
    assert await store.read(lambda tx: tx.scenarios.get("subject")) == "made up"
    assert len(await lines_in(store)) == 2
    await journal.append(JournalEntryType.PROVED, at=NOW)  # it goes on


async def test_a_journal_with_many_lines_is_read_as_a_whole(store: MemoryStore) -> None:
    many = [json.dumps(journal_line(JournalEntryType.PROVED, NOW))] * (2 * LINES_AT_ONCE)
    await store.transact(lambda tx: tx.plans.add(EVERY, PLAN, 1, many))
    numbers = list[int]()
    last = await read_lines(fetching(store), lambda _, number: numbers.append(number))
    assert last == 2 * LINES_AT_ONCE
    assert numbers == list(range(1, last + 1))
    after = list[int]()
    read = read_lines(fetching(store), lambda _, number: after.append(number), after=150)
    assert await read == last
    assert after == list(range(151, last + 1))
    journal = await StoredJournal.open(store, a_move(), now=NOW)
    await journal.append(JournalEntryType.PROVED, at=NOW)
    assert len(await lines_in(store)) == last + 2


@pytest.mark.parametrize(
    "text",
    [
        "not JSON",
        "[]",
        "{}",
        '{"ringback_journal": "dances", "at": "2024-07-03T14:40:58+00:00"}',
        '{"ringback_journal": "soaking", "at": "2024-07-03T14:40:58+00:00"}',
    ],
)
async def test_a_line_that_can_not_be_read_is_named(store: MemoryStore, text: str) -> None:
    good = json.dumps(journal_line(JournalEntryType.PROVED, NOW))
    await store.transact(lambda tx: tx.plans.add(EVERY, PLAN, 1, [good, text]))
    with pytest.raises(
        ConfigurationError, match="line 2 of the plan's journal in the data can't be read"
    ):
        await StoredJournal.open(store, a_move(), now=NOW)
    assert await store.read(lambda tx: tx.plans.last(EVERY, PLAN)) == 2


@pytest.mark.parametrize("status", sorted(set(JobStatus) - {JobStatus.RUNNING}))
async def test_a_job_that_does_not_run_is_not_begun(store: MemoryStore, status: JobStatus) -> None:
    stopped = replace(a_move(), status=status)
    await store.transact(lambda tx: tx.jobs.save(stopped))
    with pytest.raises(JobStopped, match="does not run any more"):
        await StoredJournal.open(store, a_move(), now=NOW)
    assert await lines_in(store) == []
    assert await job_in(store) == stopped


async def test_a_job_that_was_deleted_is_not_begun() -> None:
    with pytest.raises(JobStopped, match="does not run any more"):
        await StoredJournal.open(MemoryStore(), a_move(), now=NOW)


async def test_a_job_without_a_plan_is_none_of_these(store: MemoryStore) -> None:
    with pytest.raises(ValueError, match="has no plan"):
        plan_id_of(job(1))


class ForgetfulStore(MemoryStore):
    """Commits, and then says that it could not."""

    forgets = False

    async def transact(self, work: Any, **how: bool) -> Any:
        result = await super().transact(work, **how)
        if self.forgets:
            raise StoreUnavailable("the answer was lost")
        return result


async def test_after_a_commit_whose_answer_was_lost_the_work_begins_again() -> None:
    store = ForgetfulStore()
    await store.transact(lambda tx: tx.jobs.add(a_move()))
    journal = await StoredJournal.open(store, a_move(), now=NOW)
    store.forgets = True
    with pytest.raises(StoreUnavailable):
        await journal.append(JournalEntryType.STEP, at=NOW, share=50)
    store.forgets = False
    with pytest.raises(JobStopped, match="another process continues"):
        await journal.append(JournalEntryType.STEP, at=NOW, share=50)
    again = await StoredJournal.open(store, a_move(), now=NOW)
    assert again.summary.open_step.share == 50
    marks = [line["ringback_journal"] for line in await lines_in(store)]
    assert marks == ["continued", "step", "continued"]
