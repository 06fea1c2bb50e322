"""Days with outages, within moments: all callbacks arrive, on time and in order."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ringback.application import ServerProcess
from ringback.core.callbacks.callback import Attempt, CallbackRecord, CallbackStatus
from ringback.core.policy.source_policy import Source
from ringback.operations.seed_data import SeededAccount, find_or_seed
from ringback.ports import CallbackFilter, Transaction
from ringback.runtime.virtual_clock import VirtualClock
from ringback.settings.load import load
from tests.receivers import OK, ReceivedRequest, RecordingReceiver, Reply, close_without_answer
from tests.unit.api.caller import Caller

START = datetime(2024, 10, 12, 6, tzinfo=UTC)
CUT_OVER = datetime(2024, 10, 16, tzinfo=UTC)
HOUR = timedelta(hours=1)
UPDATE_TAKES = timedelta(milliseconds=500)

UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
OVERLOADED = b"HTTP/1.1 503 Busy\r\nRetry-After: 7200\r\nContent-Length: 0\r\n\r\n"
TOO_MANY = b"HTTP/1.1 429 Busy\r\nRetry-After: 20\r\nContent-Length: 0\r\n\r\n"
LATER = b"HTTP/1.1 429 Busy\r\nRetry-After: 1200\r\nContent-Length: 0\r\n\r\n"
OUTAGES: list[tuple[int, int, Reply]] = [
    (20, 27, UNAVAILABLE),
    (60, 65, close_without_answer),
    (110, 118, OVERLOADED),
]
"""The hours at which an outage begins and ends, and what the receiver does meanwhile."""

NO_BREAKER = 'breaker = false\nhold = "none"'
"""Settings with which nothing waits for others to the same receiver."""
LONG_HOLDS = 'breaker = false\nhold = "20m"'
"""Settings with which an answer that asks to wait stops all, for as long as it asks here."""
QUICK_BREAKER = "breaker_least = 1"
"""Settings with which the breaker opens as soon as one request has failed."""


class Customer:
    """Creates and receives callbacks, in virtual time that stands still between the calls."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.arrivals = list[tuple[datetime, str]]()
        """When each request arrived, and its token, in the order of arrival."""
        self.expected = dict[str, datetime]()
        """When the first request of each callback must arrive, by its token."""

    def answer(self, request: ReceivedRequest) -> Reply:
        now = self.clock.now()
        (token,) = [
            value
            for name, _, value in (header.partition(": ") for header in request.headers)
            if name.endswith("Idempotency-Token")
        ]
        self.arrivals.append((now, token))
        replies = [
            reply
            for first, end, reply in OUTAGES
            if START + first * HOUR <= now < START + end * HOUR
        ]
        return replies[0] if replies else OK

    async def ask_for_a_day(self, caller: Caller, url: str) -> None:
        """Create a callback for every 20 minutes or so, starting somewhat later than now."""
        now = self.clock.now()
        times = [now + number * timedelta(minutes=19, seconds=47) for number in range(1, 73)]
        asked = [
            {"url": url, "parameters": {"n": n}, "deliver_at": at.isoformat()}
            for n, at in enumerate(times)
        ]
        for record, at in zip(await ask_for(caller, asked), times, strict=True):
            self.expected[record["idempotency_token"]] = at


async def ask_for(caller: Caller, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Create these callbacks, and return their records."""
    body, headers = json.dumps({"callbacks": asked}).encode(), {"content-type": "application/json"}
    answer = await caller.call("POST", "/portal/v1/callbacks", body, headers=headers)
    assert answer.status == 201
    return answer.json["callbacks"]


async def ask_for_many(caller: Caller, url: str, number: int) -> None:
    """Create so many callbacks that are due now."""
    await ask_for(caller, [{"url": url, "parameters": {"n": n}} for n in range(number)])


async def advance(caller: Caller, time: str) -> None:
    assert (await caller.post("/portal/v1/clock", {"Advance": time})).status == 200


@asynccontextmanager
async def started(
    data: Path, clock: VirtualClock, destinations: str, **others: str
) -> AsyncIterator[tuple[ServerProcess, Caller, SeededAccount]]:
    """Run a server with these settings of all destinations, in TOML."""
    settings = data / "ringback.toml"
    settings.write_text(f"[destinations]\n{destinations}\n")
    flags = {
        "data": str(data),
        "settings": str(settings),
        "at": f"{START:%Y-%m-%dT%H:%M:%SZ}",
        "schedule": "persistent",
        "update_takes": "500ms",
        "gateway": "none",
    } | others
    application = await ServerProcess.start(load(flags, {}), clock=clock)
    try:
        context = application.api.dependencies.context()
        seed = await application.storage.store.transact(
            lambda tx: find_or_seed(tx, context, uses_static_proxy=False)
        )
        account = seed.account
        yield (
            application,
            Caller(application.api.app, credentials=(account.sid, account.auth_token)),
            seed,
        )
    finally:
        await application.stop()


async def all_in(
    application: ServerProcess, account_sid: str
) -> list[tuple[CallbackRecord, list[Attempt]]]:
    """Return all callbacks, oldest first, with their attempts."""

    def read(tx: Transaction) -> list[tuple[CallbackRecord, list[Attempt]]]:
        found = tx.callbacks.oldest(account_sid, CallbackFilter(), after=None, limit=10_000)
        return [(callback, tx.callbacks.attempts(callback.sid)) for callback in found]

    return await application.storage.store.transact(read)


@pytest.mark.long
async def test_a_week_with_three_outages_ends_with_all_delivered_in_order(tmp_path: Path) -> None:
    customer = Customer(clock := VirtualClock.stopped(START))
    updates = list[tuple[str, datetime]]()
    async with (
        RecordingReceiver(answer=customer.answer) as receiver,
        started(tmp_path, clock, NO_BREAKER) as (application, caller, seed),
    ):
        for quarter in range(4 * 7):
            if quarter % 4 == 0:
                await customer.ask_for_a_day(caller, receiver.url("/hook#cbs=kore"))
            status = ("inactive", "active")[quarter % 2]
            form = {"Status": status, "CallbackUrl": receiver.url("/sim")}
            assert (await caller.post(f"/v1/Sims/{seed.sim_sid}", form)).status == 202
            updates.append((status, clock.now() + UPDATE_TAKES))
            await advance(caller, "6h")
        shown = (await caller.get("/portal/v1/clock")).json
        found = await all_in(application, seed.account.sid)

    assert shown == {"now": "2024-10-19T06:00:00Z", "ahead_seconds": 7 * 86400.0}
    assert len(found) == 7 * 72 + len(updates)
    assert Counter(callback.status for callback, _ in found) == {
        CallbackStatus.DELIVERED: len(found)
    }

    # Each request is an attempt on record, at the time in its row.
    rows = [
        (attempt.date_started, callback.idempotency_token)
        for callback, attempts in found
        for attempt in attempts
    ]
    assert sorted(rows) == sorted(customer.arrivals)
    assert len(rows) > len(found) + 100
    times = [at for at, _ in customer.arrivals]
    assert times == sorted(times)

    # Each arrived for the first time when it was due, although hours passed at once.
    of_sims = [callback for callback, _ in found if callback.url.path == "/sim"]
    assert [(_status_in(one), one.date_created) for one in of_sims] == updates
    first = {token: at for at, token in reversed(customer.arrivals)}
    assert first == customer.expected | {one.idempotency_token: one.date_created for one in of_sims}

    # The cut-over was in that week.
    for one in of_sims:
        assert one.source is (Source.TWILIO if one.date_created < CUT_OVER else Source.KORE)


async def test_in_an_outage_only_probes_are_sent_and_all_is_delivered_afterwards(
    tmp_path: Path,
) -> None:
    customer = Customer(clock := VirtualClock.stopped(START))
    begins, ends = (START + hours * HOUR for hours in OUTAGES[0][:2])
    async with (
        RecordingReceiver(answer=customer.answer) as receiver,
        started(tmp_path, clock, QUICK_BREAKER) as (application, caller, seed),
    ):
        for _ in range(2):
            await customer.ask_for_a_day(caller, receiver.url("/hook#cbs=kore"))
            await advance(caller, "24h")
        found = await all_in(application, seed.account.sid)

    assert Counter(callback.status for callback, _ in found) == {CallbackStatus.DELIVERED: 2 * 72}

    # The first failure opened the breaker. Then the wait for each probe doubles, up to 10 minutes,
    # and is up to 20 % shorter or longer; it is longer still if no callback is due.
    failed = [at for at, _ in customer.arrivals if begins <= at < ends]
    minutes = [0.5, 1, 2, 4, 8, *[10] * len(failed)]
    for (at, later), least in zip(pairwise(failed), minutes, strict=False):
        assert later - at >= 0.8 * timedelta(minutes=least)

    # The next probe after the outage ends it: one is due soon, and a new callback, too.
    recovered = min(at for at, _ in customer.arrivals if at >= ends)
    assert recovered - ends < timedelta(minutes=20)

    # Before and after that, nothing waited.
    first = {token: at for at, token in reversed(customer.arrivals)}
    on_time = {
        token: at for token, at in customer.expected.items() if not begins <= at <= recovered
    }
    assert {token: first[token] for token in on_time} == on_time


async def test_probes_and_restarts_do_not_begin_the_wait_behind_a_breaker_anew(
    tmp_path: Path,
) -> None:
    clock = VirtualClock.stopped(START)
    times = {"schedule": ",".join(["1m"] * 40), "stopped_at_most": "2h"}
    async with RecordingReceiver(answer=lambda _: close_without_answer) as receiver:
        for hours in (1, 3):
            async with started(tmp_path, clock, QUICK_BREAKER, **times) as (
                application,
                caller,
                seed,
            ):
                if hours == 1:
                    await ask_for_many(caller, receiver.url("/hook"), 1)
                await advance(caller, f"{hours}h")
                ((one, attempts),) = await all_in(application, seed.account.sid)
    assert one.status is CallbackStatus.FAILED
    assert (one.progress.status_reason or "").startswith("it has waited for 2h while its dest")
    # About nine of each ten minutes between two probes count.
    assert 2 * HOUR < attempts[-1].date_started - one.date_created < 2.75 * HOUR


@pytest.mark.parametrize(
    ("answer", "destinations", "number", "why"),
    [
        (close_without_answer, QUICK_BREAKER, 120, "its destination's breaker"),
        (LATER, LONG_HOLDS, 60, "its receiver"),
    ],
    ids=["breaker", "holds"],
)
async def test_waiting_uses_no_round_and_ends_after_the_time_that_is_set(
    answer: Reply, destinations: str, number: int, why: str, tmp_path: Path
) -> None:
    clock = VirtualClock.stopped(START)
    times = {"schedule": "1m,1m", "stopped_at_most": "4h", "per_destination": "1"}
    async with (
        RecordingReceiver(answer=lambda _: answer) as receiver,
        started(tmp_path, clock, destinations, **times) as (application, caller, seed),
    ):
        await ask_for_many(caller, receiver.url("/hook"), number)
        await advance(caller, "3h")
        earlier = await all_in(application, seed.account.sid)
        await advance(caller, "6h")
        later = await all_in(application, seed.account.sid)
    ended = [attempts for one, attempts in earlier if one.status is CallbackStatus.FAILED]
    assert [len(attempts) for attempts in ended] == [3] * len(ended)
    untried = {callback.sid for callback, attempts in earlier if not attempts}
    assert len(untried) > 20
    reasons = [one.progress.status_reason or "" for one, _ in later if one.sid in untried]
    assert sum(one.startswith(f"it has waited for 4h while {why}") for one in reasons) > 15


async def test_a_receiver_that_always_asks_to_wait_gets_all_rounds_and_no_more(
    tmp_path: Path,
) -> None:
    clock = VirtualClock.stopped(START)
    async with (
        RecordingReceiver(answer=lambda _: TOO_MANY) as receiver,
        started(tmp_path, clock, "") as (application, caller, seed),
    ):
        await ask_for_many(caller, receiver.url("/hook"), 40)
        await advance(caller, "48h")
        found = await all_in(application, seed.account.sid)
    assert {callback.status for callback, _ in found} == {CallbackStatus.FAILED}
    assert {len(attempts) for _, attempts in found} == {8}
    assert len(receiver.requests) == 8 * 40


async def test_a_rate_is_kept_by_the_clock_that_is_advanced(tmp_path: Path) -> None:
    clock, times = VirtualClock.stopped(START), list[datetime]()

    def answer(_: ReceivedRequest) -> Reply:
        times.append(clock.now())
        return TOO_MANY

    async with (
        RecordingReceiver(answer=answer) as receiver,
        started(tmp_path, clock, "rate = 0.1\nburst = 1\nbreaker = false") as (
            application,
            caller,
            seed,
        ),
    ):
        await ask_for_many(caller, receiver.url("/hook"), 12)
        await advance(caller, "48h")
        found = await all_in(application, seed.account.sid)
    assert {callback.status for callback, _ in found} == {CallbackStatus.FAILED}
    assert {len(attempts) for _, attempts in found} == {8}
    assert len(times) == 8 * 12
    # The first ones follow each other as soon as the hold of the one before ends. The time of the
    # event loop counts as well, although the clock stands still between its steps.
    apart = [(later - at).total_seconds() for at, later in pairwise(times)]
    assert min(apart) > 5
    assert max(apart[:11]) < 25


def _status_in(callback: CallbackRecord) -> str:
    (status,) = [
        pair.removeprefix("SimStatus=")
        for pair in callback.body.split("&")
        if pair.startswith("SimStatus=")
    ]
    return status
