"""Delivering a stored backlog, beside a plain loop: same client and requests, no store."""

import asyncio
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from benchmarks.figures import Figure
from ringback.core.account import Account
from ringback.core.addresses import LOOPBACK
from ringback.core.announcement import ANNOUNCEMENT_BYTES, announce
from ringback.core.callback import Callback, CallbackStatus, Method
from ringback.core.callback_url import CallbackUrl
from ringback.core.connection import Connection, limits_of
from ringback.core.events import SimUpdated
from ringback.core.rendering import render
from ringback.core.sim import SimStatus
from ringback.core.source import NOTICE, Transition
from ringback.engine.dispatcher import AT_ONCE, Dispatcher
from ringback.engine.sender import Sender
from ringback.engine.system import SystemChance, SystemClock, stopwatch
from ringback.ports import CallbackFilter, Transaction, Window
from ringback.stores.sqlite.store import SqliteStore

_CLOCK, _CHANCE = SystemClock(), SystemChance()
_ACCOUNT = Account("AC" + "1" * 32, "bench", "token", "secret", False, _CLOCK.now())
_EVENT = SimUpdated(_ACCOUNT.sid, "HS" + "2" * 32, "my_super_sim", SimStatus.ACTIVE)


def callbacks_to(url: str, count: int) -> list[Callback]:
    target = CallbackUrl.parse(f"{url}#cbs=kore")
    return [
        announce(
            _EVENT,
            to=target,
            method=Method.POST,
            transition=Transition(NOTICE),
            chance=_CHANCE.bytes(ANNOUNCEMENT_BYTES),
            now=_CLOCK.now(),
        )
        for _ in range(count)
    ]


async def plain_loop(url: str, count: int) -> float:
    """Return requests per second of rendering and sending alone."""
    sender = Sender(stopwatch=stopwatch, allowed=LOOPBACK)
    limits = limits_of(Connection(), timedelta(seconds=15))
    waiting = callbacks_to(url, count)

    async def worker() -> None:
        while waiting:
            request = render(waiting.pop(), account=_ACCOUNT, at=_CLOCK.now())
            await sender.send(request, limits=limits)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    took = time.perf_counter() - began
    await sender.close()
    return count / took


async def stored_backlog(url: str, count: int) -> float:
    """Return callbacks per second from the store to a settled attempt."""
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore.open(Path(folder) / "bench.db")
        await store.transact(lambda tx: _fill(tx, callbacks_to(url, count)))
        sender = Sender(stopwatch=stopwatch, allowed=LOOPBACK)
        dispatcher = Dispatcher(store=store, transport=sender, clock=_CLOCK)
        began = time.perf_counter()
        running = asyncio.create_task(dispatcher.run())
        while await store.transact(_is_waiting):  # noqa: ASYNC110 (as an operator would)
            await asyncio.sleep(0.01)
        took = time.perf_counter() - began
        running.cancel()
        await dispatcher.drain(within=timedelta(seconds=1))
        await sender.close()
        await store.close()
    return count / took


def _fill(tx: Transaction, callbacks: list[Callback]) -> None:
    tx.accounts.add(_ACCOUNT, [])
    for callback in callbacks:
        tx.callbacks.add(callback)


def _is_waiting(tx: Transaction) -> bool:
    scheduled = CallbackFilter(status=CallbackStatus.SCHEDULED)
    return bool(tx.callbacks.page(_ACCOUNT.sid, scheduled, Window(1)))


async def measure(url: str, count: int) -> list[Figure]:
    await plain_loop(url, min(count, 500))  # warms both processes up
    plain = await plain_loop(url, count)
    stored = await stored_backlog(url, count)
    return [
        Figure("plain loop: render and send, no store", plain, "requests/s", "baseline"),
        Figure(
            "stored backlog: claim, render, send, settle",
            stored,
            "callbacks/s",
            f"{stored / plain:.2f} of the baseline",
        ),
    ]
