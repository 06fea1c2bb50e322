"""A plan is carried out by a job: moves, canaries, rollbacks, and what is sent again after them."""

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.errors import ConfigurationError
from ringback.core.http.outcome import AttemptFailure, NoAnswerOutcome, RefusedOutcome
from ringback.core.job import JobStopped, cancel
from ringback.core.policy.source_policy import Source
from ringback.migration.executor import ReceiverReadinessCheck
from ringback.migration.journal import JournalEntryType, journal_line
from ringback.migration.plan import make_plan
from ringback.migration.url_source import UrlEntry
from ringback.operations.plan_jobs import PlanAction, PlanWork
from tests.memory_store import MemoryStore, MemoryTransaction
from tests.unit.migration.sim_platform import (
    PLAN_ID,
    SECOND,
    Platform,
    a_platform,
    carried_out,
    finish,
    first_step,
    number_of,
    url_of,
)
from tests.unit.migration.url_sources import NOW
from tests.unit.operations.test_refused_callbacks import record_attempts

APPLY = PlanWork(action=PlanAction.APPLY)
REVERT = PlanWork(action=PlanAction.REVERT)
REPLAY = PlanWork(action=PlanAction.REVERT, is_all_sent_again=True)
CANARY = PlanWork(action=PlanAction.APPLY, shares=(50,), soak=4 * SECOND, least=5, wait=8 * SECOND)
REFUSED = RefusedOutcome(403)
HANGS = NoAnswerOutcome(AttemptFailure.READ_TIMEOUT, "it was too slow")
WENT_BACK = "deliveries got worse, and a step was rolled back"
URLS = 20


def not_ready(*numbers: int) -> ReceiverReadinessCheck:
    async def check(entry: UrlEntry) -> str | None:
        return "it refuses kore" if number_of(entry.url) in numbers else None

    return check


# ---- without a canary


async def test_all_urls_move_and_the_job_counts_them() -> None:
    platform = await a_platform(urls=3)
    asked = await platform.order(APPLY)
    assert await platform.carrier(not_ready(1)).carry_out(asked, platform.clock) is None
    assert await platform.moved() == {0, 2}
    assert (await platform.job(asked.sid)).counts == {"moved": 2, "skipped": 1}


async def test_a_revert_moves_them_back_and_counts_them() -> None:
    platform = await a_platform(urls=3)
    await platform.carry_out(APPLY)
    await finish(platform)
    asked = await platform.order(REVERT)
    # No server runs, so that the return of the URLs is the last line of the journal.
    assert await platform.carrier(sends=False).carry_out(asked, platform.clock) is None
    assert await platform.moved() == set()
    assert (await platform.job(asked.sid)).counts == {"moved_back": 3}
    assert len((await platform.summary()).unsettled) == 3


async def test_receivers_are_probed_only_if_the_job_asks_for_it() -> None:
    platform = await a_platform(urls=3)
    assert await platform.carry_out(replace(APPLY, is_probed=False), not_ready(0, 1, 2)) is None
    assert await platform.moved() == {0, 1, 2}


async def test_no_url_moves_if_the_job_is_cancelled_just_before() -> None:
    store = MemoryStore()
    platform = Platform(store)
    await platform.begin(3)
    asked = await platform.order(APPLY)

    def cancel_before_the_change(checkpoint: str) -> None:
        if checkpoint == "moving":
            store.commit(lambda tx: tx.jobs.save(cancel(asked, NOW)))

    carrier = platform.carrier(checkpoint=cancel_before_the_change)
    with pytest.raises(JobStopped):
        await carrier.carry_out(asked, platform.clock)
    assert await platform.moved() == set()
    assert (await platform.marks())[-1] == "moving"


async def test_a_plan_that_others_can_not_read_is_refused() -> None:
    platform = await a_platform(urls=1)
    asked = await platform.order(APPLY)
    line = journal_line(JournalEntryType.PLAN, NOW, is_first=True, lines=['{"ringback_plan": 1}'])
    await platform.store.transact(
        lambda tx: tx.plans.add(asked.account_sid, PLAN_ID, 2, [json.dumps(line)])
    )
    with pytest.raises(ConfigurationError, match="plan p1:1: this is not a plan"):
        await platform.carrier().carry_out(asked, platform.clock)


# ---- what receivers refused


async def test_what_a_receiver_refused_is_sent_again_when_its_url_goes_back() -> None:
    platform = await a_platform()
    bad = min(first_step(platform))
    platform.outcomes[bad] = REFUSED
    assert await platform.carry_out(CANARY) is None
    assert await platform.moved() == set(range(URLS)) - {bad}
    refused = {
        one.sid
        for one in await platform.callbacks()
        if number_of(one.url.shown) == bad and one.source == Source.KORE
    }
    again = await platform.sent_again()
    assert again.keys() == refused != set()
    await platform.deliver()
    for (one,) in (await platform.sent_again()).values():
        assert (one.source, one.url.shown) == (Source.TWILIO, url_of(bad))
        assert one.status is CallbackStatus.DELIVERED
    summary = await platform.summary()
    assert summary.fates == {"sent_again": len(refused), "maybe_acted_on": 0}
    assert not summary.unsettled


async def test_what_may_have_been_acted_on_is_listed_until_a_person_says_otherwise() -> None:
    platform = await a_platform()
    bad = min(first_step(platform))
    platform.outcomes[bad] = HANGS
    assert await platform.carry_out(CANARY) is None
    listed = (await platform.summary()).maybe_acted_on
    assert listed
    assert await platform.sent_again() == {}
    assert await carried_out(platform, REVERT) is None
    assert (await platform.summary()).maybe_acted_on == listed
    assert await platform.sent_again() == {}
    assert await carried_out(platform, REPLAY) is None
    summary = await platform.summary()
    assert (await platform.sent_again()).keys() == listed.keys()
    assert (summary.fates["sent_again"], summary.maybe_acted_on) == (len(listed), {})
    # Nothing is left to send again.
    assert await carried_out(platform, REPLAY) is None
    assert all(len(each) == 1 for each in (await platform.sent_again()).values())


async def test_if_many_deliver_worse_the_step_goes_back_and_nothing_is_lost() -> None:
    platform = await a_platform()
    first = first_step(platform)
    platform.outcomes |= dict.fromkeys(sorted(first)[:5], REFUSED)
    asked = await platform.order(CANARY)
    assert await platform.carrier().carry_out(asked, platform.clock) == WENT_BACK
    assert await platform.moved() == set()
    assert (await platform.job(asked.sid)).counts == {"moved_back": len(first)}
    failed = [one for one in await platform.callbacks() if one.status is CallbackStatus.FAILED]
    assert failed == []
    assert len(await platform.sent_again()) == (await platform.summary()).fates["sent_again"] > 0


async def test_the_return_of_urls_waits_for_attempts_that_are_under_way() -> None:
    platform = await a_platform({0: REFUSED}, urls=1)
    await platform.carry_out(APPLY)
    (open_one,) = await platform.call("https://r0.example/#cbs=kore")
    await platform.store.transact(
        lambda tx: tx.callbacks.change(open_one.having(open_one.progress._replace(due=None)))
    )
    slept, deliver = count(1), platform.deliver

    async def end_in_the_third_second() -> None:
        if next(slept) == 3:
            ended = open_one.progress._replace(status=CallbackStatus.FAILED, due=None)
            await platform.store.transact(lambda tx: tx.callbacks.change(open_one.having(ended)))
        await deliver()

    platform.clock.traffic = end_in_the_third_second
    began = platform.clock.now()
    assert await carried_out(platform, REVERT) is None
    assert platform.clock.now() - began == timedelta(seconds=3)
    assert (await platform.summary()).maybe_acted_on.keys() == {open_one.sid}


def let_an_hour_pass(platform: Platform) -> None:
    """Let the first sleep be over after an hour."""

    async def be_late() -> None:
        platform.clock.pass_by(timedelta(minutes=59))

    platform.clock.traffic = be_late


async def test_what_is_seen_again_while_it_waits_is_listed_once() -> None:
    store = MemoryStore()
    platform = Platform(store)
    await platform.begin(1)
    await platform.carry_out(APPLY)
    hangs, is_open = await platform.call(*["https://r0.example/#cbs=kore"] * 2)
    later = platform.clock.now() + timedelta(days=1)

    def work(tx: MemoryTransaction) -> None:
        tx.callbacks.change(hangs.having(hangs.progress._replace(due=later, attempt_count=1)))
        tx.callbacks.change(is_open.having(is_open.progress._replace(due=None)))
        record_attempts(tx, hangs, [HANGS])

    store.commit(work)
    let_an_hour_pass(platform)
    assert await carried_out(platform, REVERT) is None
    summary = await platform.summary()
    assert summary.fates == {"maybe_acted_on": 1, "sent_again": 0, "open": 1}
    assert list(summary.maybe_acted_on) == [hangs.sid]


async def test_a_return_does_not_wait_for_more_than_an_hour() -> None:
    platform = await a_platform(urls=1)
    await platform.carry_out(APPLY)
    (open_one,) = await platform.call("https://r0.example/#cbs=kore")
    await platform.store.transact(
        lambda tx: tx.callbacks.change(open_one.having(open_one.progress._replace(due=None)))
    )
    let_an_hour_pass(platform)
    assert await carried_out(platform, REVERT) is None
    assert len(platform.clock.slept) == 2
    assert (await platform.summary()).fates == {"open": 1}


async def test_callbacks_that_were_accepted_and_not_stored_yet_are_waited_for() -> None:
    platform = await a_platform(urls=1)
    await platform.carry_out(APPLY)
    await platform.store.transact(lambda tx: tx.batches.add(["a callback"]))
    let_an_hour_pass(platform)
    assert await carried_out(platform, REVERT) is None
    assert len(platform.clock.slept) == 2


async def test_more_than_a_piece_is_sent_again_although_the_queue_has_room_for_one() -> None:
    platform = await a_platform({0: REFUSED}, urls=1, room=1)
    await platform.carry_out(APPLY)
    called = await platform.call(*["https://r0.example/#cbs=kore"] * 120)
    await platform.deliver()
    assert await carried_out(platform, REVERT) is None
    again = await platform.sent_again()
    assert again.keys() >= {one.sid for one in called}
    assert all(len(each) == 1 for each in again.values())
    marks = await platform.marks()
    assert marks.count("sent again") == len(again)


# ---- the canary


async def test_a_receiver_without_callbacks_is_probed_if_too_few_came() -> None:
    platform = await a_platform(silent=set(range(URLS)))
    first = sorted(first_step(platform))
    bad, seen = first[0], list[int]()

    async def check(entry: UrlEntry) -> str | None:
        seen.append(number_of(entry.url))
        is_second = seen.count(number_of(entry.url)) == 2
        return "it refuses kore" if is_second and number_of(entry.url) == bad else None

    began = platform.clock.now()
    assert await platform.carry_out(CANARY, check) is None
    assert Counter(seen) == dict.fromkeys(range(URLS), 2)
    assert await platform.moved() == set(range(URLS)) - {bad}
    (why,) = (await platform.summary()).behind.values()
    assert why == "no callback came, and it refuses kore"
    assert platform.clock.now() - began >= 2 * (CANARY.soak + CANARY.wait)
    proved = [line for line in await lines_of(platform) if line["ringback_journal"] == "proved"]
    assert [
        [line[name] for name in ("callbacks", "called", "probed", "tested", "refused")]
        for line in proved
    ] == [[0, 0, 10, 0, 1], [0, 0, 10, 0, 0]]


async def lines_of(platform: Platform) -> list[dict[str, Any]]:
    store = platform.store
    return list(map(json.loads, await store.read(lambda tx: tx.plans.after("*", PLAN_ID, 0))))


async def test_a_step_of_silent_receivers_that_are_not_ready_goes_back_as_a_whole() -> None:
    platform = await a_platform(silent=set(range(URLS)))
    first = sorted(first_step(platform))
    seen = Counter[int]()

    async def check(entry: UrlEntry) -> str | None:
        seen[number_of(entry.url)] += 1
        is_second = seen[number_of(entry.url)] == 2
        return "it refuses kore" if is_second and number_of(entry.url) in first[:2] else None

    assert await platform.carry_out(CANARY, check) == WENT_BACK
    assert await platform.moved() == set()
    assert (await platform.marks())[-4:] == ["returning", "returned", "went back", "settled"]


async def test_the_wait_ends_as_soon_as_enough_callbacks_came() -> None:
    platform = await a_platform(silent=set(range(URLS)))
    speaks_at = platform.clock.now() + 7 * SECOND
    pass_traffic = platform.pass_traffic

    async def speak_later() -> None:
        platform.silent = set() if platform.clock.now() >= speaks_at else set(range(URLS))
        await pass_traffic()

    platform.clock.traffic = speak_later
    began = platform.clock.now()
    assert await platform.carry_out(CANARY) is None
    marks = await platform.marks()
    assert ("waiting" in marks, "proved" in marks) == (True, False)
    assert platform.clock.now() - began < CANARY.soak + CANARY.wait + CANARY.soak
    assert len(await platform.moved()) == URLS


async def test_a_step_without_callbacks_is_unproven_if_nothing_may_be_probed() -> None:
    platform = await a_platform(silent=set(range(URLS)))
    unproven = replace(CANARY, is_probed=False)
    why = (
        "50 %: too few callbacks came to say that its URLs deliver well, and their receivers may"
        " not be probed; the step stays as it is"
    )
    assert await platform.carry_out(unproven) == why
    moved = await platform.moved()
    assert len(moved) == URLS / 2
    assert (await platform.summary()).is_unproven
    # The next one waits again.
    began = platform.clock.now()
    assert await carried_out(platform, unproven) == why
    assert platform.clock.now() - began >= CANARY.wait
    assert await platform.moved() == moved
    # Or probes.
    assert await carried_out(platform, CANARY) is None
    assert not (await platform.summary()).is_unproven
    assert len(await platform.moved()) == URLS


async def test_test_events_show_whether_silent_receivers_are_ready() -> None:
    platform = await a_platform(silent=set(range(URLS)))
    first = sorted(first_step(platform))
    platform.outcomes[first[0]] = REFUSED
    asked = replace(CANARY, is_probed=False, sends_test_events=True)
    assert await platform.carry_out(asked) is None
    assert await platform.moved() == set(range(URLS)) - {first[0]}
    events = [one for one in await platform.callbacks() if one.is_test]
    assert Counter(number_of(one.url.shown) for one in events) == dict.fromkeys(range(URLS), 1)
    assert {one.source for one in events} == {Source.KORE}
    (why,) = (await platform.summary()).behind.values()
    assert why == "no callback came, and a test event was not delivered: it was refused"
    assert await platform.sent_again() == {}


async def test_test_events_go_only_to_receivers_that_had_no_callback_and_are_ready() -> None:
    platform = await a_platform(silent=set(range(1, URLS)))
    first = first_step(platform)
    platform.silent = set(range(URLS)) - {min(first)}
    seen = Counter[int]()

    async def check(entry: UrlEntry) -> str | None:
        seen[number_of(entry.url)] += 1
        is_second = seen[number_of(entry.url)] == 2
        return "it refuses kore" if is_second and number_of(entry.url) == max(first) else None

    asked = replace(CANARY, least=100_000, sends_test_events=True)
    assert await platform.carry_out(asked, check) is None
    events = {number_of(one.url.shown) for one in await platform.callbacks() if one.is_test}
    assert events == set(range(URLS)) - {min(first), max(first)}


async def test_no_test_event_is_sent_unless_asked_for() -> None:
    platform = await a_platform(silent=set(range(URLS)))
    assert await platform.carry_out(CANARY) is None
    assert await platform.callbacks() == []


async def test_test_events_are_refused_for_a_move_to_twilio_before_it_begins() -> None:
    platform = await a_platform(silent=set(range(URLS)))
    platform.plan = make_plan(
        await platform.source.entries(),
        to=Source.TWILIO,
        url_source=platform.source.spec,
        phase="before",
        now=NOW,
        plan_id=PLAN_ID,
    )
    with pytest.raises(ConfigurationError, match="test events come from kore"):
        await platform.carry_out(replace(CANARY, sends_test_events=True))
    assert await platform.marks() == ["plan", "continued"]


async def test_test_events_are_refused_where_nothing_can_be_sent() -> None:
    platform = await a_platform(urls=1)
    asked = await platform.order(replace(CANARY, sends_test_events=True))
    with pytest.raises(ConfigurationError, match="only a server sends test events"):
        await platform.carrier(sends=False).carry_out(asked, platform.clock)
    assert await platform.marks() == ["plan", "continued"]
