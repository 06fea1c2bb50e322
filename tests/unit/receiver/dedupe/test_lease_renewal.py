"""Leases are renewed while work goes on, with each store, and no longer."""

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from ringback.receiver import Callback, Duplicate, Receiver, Result, Source
from ringback.receiver.dedupe import (
    AsyncDedupeStore,
    ClaimedByOther,
    DedupeClaimRequest,
    DedupeStore,
    DedupeUnavailable,
    MemoryDedupe,
)
from ringback.receiver.dedupe import lease_renewal as module
from ringback.receiver.dedupe.dedupe_store import Claimed
from ringback.receiver.dedupe.lease_renewal import TaskLeaseRenewal, ThreadLeaseRenewal
from tests.fakes import AUTH_TOKEN, KORE_SECRET, TOKENS
from tests.senders import URL, received, rendered
from tests.unit.receiver.dedupe.kept import STORES, Kept, opener
from tests.unit.receiver.dedupe.visits import SECOND, visit

LEASE = 30 * SECOND
_PATIENCE = 20.0  # seconds


@pytest.fixture(autouse=True)
def renewed_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renew leases as often as possible, so that tests can move the stores' clocks instead."""
    monkeypatch.setattr(module, "_RENEWALS", 100_000)


@pytest.fixture(params=STORES)
def kept(request: pytest.FixtureRequest) -> Iterator[Kept]:
    with opener(request.param, request)() as opened:
        yield opened
        wait_for_the_last_renewal()


def wait_for_the_last_renewal() -> None:
    """Wait for a renewal that was under way when its work ended."""
    for thread in threading.enumerate():
        if thread.name == "ringback-lease-renewal":
            thread.join(_PATIENCE)


class Counted:
    """A store that counts how often leases were renewed."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.renewals = 0

    def claim(self, visit: DedupeClaimRequest) -> Claimed:
        return self._store.claim(visit)

    def renew(self, visit: DedupeClaimRequest) -> bool:
        is_held: bool = self._store.renew(visit)
        self.renewals += is_held
        return is_held

    def done(self, visit: DedupeClaimRequest) -> bool:
        return self._store.done(visit)

    def release(self, visit: DedupeClaimRequest) -> None:
        self._store.release(visit)


class CountedAsync:
    """The same for an asynchronous store."""

    def __init__(self, store: AsyncDedupeStore) -> None:
        self._store = store
        self.renewals = 0

    async def claim(self, visit: DedupeClaimRequest) -> Claimed:
        return await self._store.claim(visit)

    async def renew(self, visit: DedupeClaimRequest) -> bool:
        is_held = await self._store.renew(visit)
        self.renewals += is_held
        return is_held

    async def done(self, visit: DedupeClaimRequest) -> bool:
        return await self._store.done(visit)

    async def release(self, visit: DedupeClaimRequest) -> None:
        await self._store.release(visit)


def receiver(store: DedupeStore | AsyncDedupeStore) -> Receiver:
    return Receiver(
        URL, twilio_auth_tokens=[AUTH_TOKEN], kore_secrets=[KORE_SECRET], seen=store, lease=LEASE
    )


REQUEST = received(rendered(Source.KORE))


def wait_for_renewals(store: Counted | CountedAsync, more: int = 2) -> None:
    """Wait for a renewal that has begun after this call."""
    wanted, until = store.renewals + more, time.monotonic() + _PATIENCE
    while store.renewals < wanted:
        assert time.monotonic() < until, "the lease is not renewed"
        time.sleep(0.002)


def test_long_work_keeps_its_claim(kept: Kept) -> None:
    store, repeats = Counted(kept.seen), list[Result]()
    callbacks = receiver(store)

    def work(_: Callback) -> None:
        for _turn in range(3):
            kept.let_pass(20 * SECOND)
            wait_for_renewals(store)
        repeats.append(callbacks.receive_request(REQUEST))

    assert callbacks.handle(REQUEST, work).status == 200
    (repeat,) = repeats
    assert isinstance(repeat, Duplicate)
    assert repeat.busy_for is not None
    wait_for_the_last_renewal()
    renewals = store.renewals
    kept.let_pass(40 * SECOND)
    assert callbacks.handle(REQUEST, work).text == "ok"
    assert store.renewals == renewals


@asynccontextmanager
async def counted(kept: Kept) -> AsyncIterator[Counted | CountedAsync]:
    if kept.open_async is None:
        yield Counted(kept.seen)
        return
    async with kept.open_async() as store:
        yield CountedAsync(store)


async def test_long_work_in_an_event_loop_keeps_its_claim(kept: Kept) -> None:
    async with counted(kept) as store:
        callbacks, repeats = receiver(store), list[Result]()

        async def work(_: Callback) -> None:
            for _turn in range(3):
                await asyncio.to_thread(kept.let_pass, 20 * SECOND)
                await asyncio.to_thread(wait_for_renewals, store)
            repeats.append(await callbacks.receive_async(REQUEST))

        assert (await callbacks.handle_async(REQUEST, work)).status == 200
        (repeat,) = repeats
        assert isinstance(repeat, Duplicate)
        assert repeat.busy_for is not None
        assert (await callbacks.handle_async(REQUEST, work)).text == "ok"


async def test_blocking_work_in_an_event_loop_keeps_its_claim(kept: Kept) -> None:
    async with counted(kept) as store:
        callbacks, repeats = receiver(store), list[Claimed]()

        def work(_: Callback) -> None:
            for _turn in range(2):
                kept.let_pass(20 * SECOND)
                wait_for_renewals(store)
            repeats.append(kept.seen.claim(visit("another", token=TOKENS[Source.KORE])))

        assert (await callbacks.handle_async(REQUEST, work)).status == 200
        assert isinstance(repeats[0], ClaimedByOther)


# ---- the thread ----------------------------------------------------------------------------------


WAITING = "ringback-leases-0.01s"
"""The thread that waits; receivers of other tests have threads with longer pauses."""


def threads(*names: str) -> list[threading.Thread]:
    wanted = names or (WAITING, "ringback-lease-renewal")
    return [thread for thread in threading.enumerate() if thread.name in wanted]


def wait_until(condition: Callable[[], object]) -> None:
    until = time.monotonic() + _PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.002)


def test_one_thread_waits_for_all_and_ends_when_there_is_nothing_to_renew() -> None:
    store = Counted(MemoryDedupe())
    renewal = ThreadLeaseRenewal(store.renew, LEASE)
    visits = [visit(owner, token=owner) for owner in "abc"]
    wait_until(lambda: not threads())
    for _ in range(2):
        for one in visits:
            store.claim(one)
            renewal.begin(one)
        wait_for_renewals(store, 9)
        (thread,) = threads(WAITING)
        assert all(one.daemon for one in (thread, *threads()))
        for one in visits:
            renewal.end(one)
        wait_until(lambda: not threads())


def test_a_failure_is_logged_and_the_next_renewal_may_succeed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Counted(MemoryDedupe())
    failures = [DedupeUnavailable("the store is gone"), ZeroDivisionError()]

    def renew(given: DedupeClaimRequest) -> bool:
        if failures:
            raise failures.pop(0)
        return store.renew(given)

    renewal = ThreadLeaseRenewal(renew, LEASE)
    store.claim(visit("a"))
    renewal.begin(visit("a"))
    wait_for_renewals(store)
    renewal.end(visit("a"))
    named = "the lease of the callback with the token 'token-1' from kore was not renewed"
    assert [record.message for record in caplog.records] == [f"{named}: the store is gone", named]


def test_a_lost_claim_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    asked = list[DedupeClaimRequest]()

    def renew(given: DedupeClaimRequest) -> bool:
        asked.append(given)
        return False

    renewal = ThreadLeaseRenewal(renew, LEASE)
    wait_until(lambda: not threads())
    renewal.begin(visit("a"))
    wait_until(lambda: asked)
    wait_until(lambda: not threads())
    renewal.end(visit("a"))
    assert len(asked) == 1
    assert [record.message for record in caplog.records] == [
        "the lease of the callback with the token 'token-1' from kore has ended during the work,"
        " and another delivery may do the work, too"
    ]


def test_work_that_ends_during_a_renewal_is_not_reported_as_lost(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def renew(_: DedupeClaimRequest) -> bool:
        begun.set()
        assert may_end.wait(_PATIENCE)
        return False

    renewal = ThreadLeaseRenewal(renew, LEASE)
    renewal.begin(visit("a"))
    assert begun.wait(_PATIENCE)
    renewal.end(visit("a"))
    may_end.set()
    wait_until(lambda: not threads())
    assert not caplog.records


def test_a_process_without_threads_to_spare_works_without_renewal(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    store = MemoryDedupe()
    wait_until(lambda: not threads())
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert receiver(store).handle(REQUEST, id).status == 200
    assert "can't be renewed; its work goes on" in caplog.text


def test_a_child_process_renews_its_own_claims_only() -> None:
    store = Counted(MemoryDedupe())
    renewal = ThreadLeaseRenewal(store.renew, LEASE)
    renewal.begin(visit("of the parent"))
    renewal.begin_as_child()
    store.claim(visit("of the child"))
    renewal.begin(visit("of the child"))
    wait_for_renewals(store)
    renewal.end(visit("of the child"))


FORKS = """
import os, sys, time
from datetime import timedelta
from ringback.receiver.dedupe import lease_renewal
from tests.unit.receiver.dedupe.visits import visit

lease_renewal._RENEWALS = 100_000
asked = []
renewal = lease_renewal.ThreadLeaseRenewal(
    lambda given: asked.append(given.owner) or True, timedelta(seconds=30)
)
renewal.begin(visit("of the parent"))
while not asked:
    time.sleep(0.002)
if not os.fork():
    asked.clear()
    renewal.begin(visit("of the child"))
    until = time.monotonic() + 10
    while len(asked) < 3 and time.monotonic() < until:
        time.sleep(0.002)
    os._exit(0 if set(asked) == {"of the child"} else 1)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


def test_a_forked_process_has_a_thread_of_its_own_and_none_of_its_parents_claims() -> None:
    subprocess.run([sys.executable, "-c", FORKS], check=True, timeout=60)


# ---- the task ------------------------------------------------------------------------------------


async def test_a_task_reports_a_lost_claim_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[bool | Exception] = [DedupeUnavailable("gone"), True, False]

    async def renew(_: DedupeClaimRequest) -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    renewal = TaskLeaseRenewal(renew, LEASE)
    before = asyncio.all_tasks()
    renewal.begin(visit("a"))
    await asyncio.wait_for(asyncio.gather(*asyncio.all_tasks() - before), _PATIENCE)
    renewal.end(visit("a"))
    assert not answers
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2


async def test_a_task_ends_with_its_work() -> None:
    async def renew(_: DedupeClaimRequest) -> bool:
        return True

    renewal = TaskLeaseRenewal(renew, LEASE)
    before = asyncio.all_tasks()
    renewal.begin(visit("a"))
    (task,) = asyncio.all_tasks() - before
    renewal.end(visit("a"))
    await asyncio.wait([task], timeout=_PATIENCE)
    assert task.cancelled()


def test_a_lease_is_renewed_three_times_in_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    pauses, ended, real = list[float](), threading.Event(), time.sleep

    def sleep(seconds: float) -> None:
        if threading.current_thread().name != "ringback-leases-22s":
            return real(seconds)
        pauses.append(seconds)
        if len(pauses) == 2:
            ended.set()
        return None

    monkeypatch.setattr(time, "sleep", sleep)
    ThreadLeaseRenewal(lambda _: False, timedelta(seconds=66)).begin(visit("a"))
    assert ended.wait(_PATIENCE)
    assert pauses[:2] == [22.0, 22.0]


def test_thousands_of_receivers_with_quick_work_have_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_RENEWALS", 60)  # each half a second
    answers = Counter(receiver(MemoryDedupe()).handle(REQUEST, id).status for _ in range(2000))
    assert answers == {200: 2000}
    assert len(threads("ringback-leases-0.5s", "ringback-lease-renewal")) <= 2


def test_a_store_that_does_not_answer_delays_no_other() -> None:
    begun, may_end, asked = threading.Event(), threading.Event(), list[DedupeClaimRequest]()

    def hang(given: DedupeClaimRequest) -> bool:
        asked.append(given)
        begun.set()
        return may_end.wait(_PATIENCE)

    hanging, store = ThreadLeaseRenewal(hang, LEASE), Counted(MemoryDedupe())
    other = ThreadLeaseRenewal(store.renew, LEASE)
    hanging.begin(visit("a"))
    assert begun.wait(_PATIENCE)
    store.claim(visit("b"))
    other.begin(visit("b"))
    wait_for_renewals(store, 5)
    other.end(visit("b"))
    assert len(asked) == 1  # and it is not asked again before it has answered
    hanging.end(visit("a"))
    may_end.set()
    wait_until(lambda: not threads())
