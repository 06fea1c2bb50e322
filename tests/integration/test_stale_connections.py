"""Receivers that close silently after an answer: the engine's own code, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import uvloop

from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.outcome import AttemptFailure, DeliveredOutcome
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.delivery.delivery_service import DeliveryService
from ringback.http_client.connection_pool import KeepAliveLimits
from ringback.http_client.http_sender import HttpTransport
from ringback.runtime.system_clock import SystemClock, SystemRandomSource, stopwatch
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import ACCOUNT_SID, VAULT, a_callback, an_account
from tests.receivers import OK, RecordingReceiver, answer_and_close
from tests.sending import LIMITS, failure_of, post
from tests.unit.delivery.parts import running, sid

COUNT = 500


@pytest.fixture
async def sender() -> AsyncIterator[HttpTransport]:
    sender = HttpTransport(
        stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK), keep_alive=KeepAliveLimits(seconds=3600)
    )
    yield sender
    await sender.close()


async def deliver_all(folder: Path) -> tuple[list[str], int, int]:
    """Return how the callbacks ended, and the numbers of attempts and requests."""
    store = SqliteStore.open(folder / "ringback.db", VAULT)
    sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK))
    delivery = DeliveryService(
        store=store, transport=sender, clock=SystemClock(), random_source=SystemRandomSource()
    )
    async with RecordingReceiver(answer=lambda _: answer_and_close(OK)) as receiver:
        callbacks = [
            a_callback(sid=sid(number), url=receiver.url("/#rc=0")) for number in range(COUNT)
        ]
        await store.transact(lambda tx: tx.accounts.add(an_account(), []))
        await store.transact(lambda tx: [tx.callbacks.add(one) for one in callbacks])
        await delivery.recover()
        async with asyncio.timeout(60), running(delivery.run):
            while delivery.unfinished:  # noqa: ASYNC110 (no event signals the end)
                await asyncio.sleep(0.01)
        await sender.close()
        requests = len(receiver.requests)
    ended = await store.transact(
        lambda tx: [tx.callbacks.get(ACCOUNT_SID, one.sid) for one in callbacks]
    )
    rows = await store.transact(
        lambda tx: [row for one in callbacks for row in tx.callbacks.attempts(one.sid)]
    )
    await store.close()
    return [str(one and one.status) for one in ended], len(rows), requests


@pytest.mark.parametrize("factory", [asyncio.SelectorEventLoop, uvloop.new_event_loop])
def test_none_of_many_callbacks_fails_even_without_retries(
    factory: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    with asyncio.Runner(loop_factory=factory) as runner:
        statuses, rows, requests = runner.run(deliver_all(tmp_path))
    assert statuses == ["delivered"] * COUNT
    assert requests <= rows


async def test_a_connection_that_was_closed_before_the_request_is_not_used(
    sender: HttpTransport,
) -> None:
    # The next request follows in the very step in which the answer is read, as with a worker: the
    # loop could not yet read the end of the connection that followed the answer.
    async with RecordingReceiver(answer=lambda _: answer_and_close(OK)) as receiver:
        await sender.send(post(receiver.url()), limits=LIMITS)
        while not sender._pool._closers:  # noqa: ASYNC110 (no event signals the change)
            await asyncio.sleep(0.001)
        for _ in range(20):
            first = await sender.send(post(receiver.url()), limits=LIMITS)
            assert first.outcome == DeliveredOutcome(200)
            # The end of the connection is in the socket, but not read yet: no step of the loop
            # runs.
            end_of_the_wait = asyncio.get_running_loop().time() + 0.005
            while asyncio.get_running_loop().time() < end_of_the_wait:
                pass
        assert len(receiver.requests) == 21
        assert receiver.connections == 21


async def test_a_fresh_request_uses_a_new_connection_although_one_is_kept(
    sender: HttpTransport,
) -> None:
    async with RecordingReceiver() as receiver:
        await sender.send(post(receiver.url()), limits=LIMITS)
        exchange = await sender.send(post(receiver.url()), limits=LIMITS, fresh=True)
        assert exchange.outcome == DeliveredOutcome(200)
        assert receiver.connections == 2


async def test_a_request_on_a_connection_that_is_closed_meanwhile_still_counts_as_stale(
    sender: HttpTransport,
) -> None:
    async def close(writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with RecordingReceiver(OK, close) as receiver:
        await sender.send(post(receiver.url()), limits=LIMITS)
        exchange = await sender.send(post(receiver.url()), limits=LIMITS)
        assert failure_of(exchange) is AttemptFailure.STALE
