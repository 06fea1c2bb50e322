"""The parts of Ringback that benchmarks build by hand: the one place to change with them."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice, repeat
from pathlib import Path
from typing import Final

from ringback.core.account import Account
from ringback.core.addresses import LOOPBACK
from ringback.core.announcement import ANNOUNCEMENT_BYTES, announce
from ringback.core.callback import Callback, CallbackStatus, Method
from ringback.core.callback_url import CallbackUrl
from ringback.core.connection import Connection, limits_of
from ringback.core.events import SimUpdated
from ringback.core.guard import Guard
from ringback.core.rendering import render
from ringback.core.sim import SimStatus
from ringback.core.source import NOTICE, Transition
from ringback.engine.dispatcher import Dispatcher
from ringback.engine.sender import Sender
from ringback.engine.system import SystemChance, SystemClock, let_threads_take_turns, stopwatch
from ringback.ports import CallbackFilter, Transaction, Window
from ringback.stores.sqlite.store import SqliteStore

AT_ONCE: Final = 64
"""How many requests the reference loop has under way, at the most."""
_CLOCK, _CHANCE = SystemClock(), SystemChance()
_ACCOUNT: Final = Account("AC" + "1" * 32, "bench", "token", "secret", False, _CLOCK.now())
_EVENT: Final = SimUpdated(_ACCOUNT.sid, "HS" + "2" * 32, "my_super_sim", SimStatus.ACTIVE)
_LIMITS: Final = limits_of(Connection(), timedelta(seconds=15))
_WAITING: Final = CallbackFilter(statuses=frozenset({CallbackStatus.SCHEDULED}))
_ROWS_AT_ONCE: Final = 1000


def callbacks_to(url: str, *, due: datetime | None = None) -> Iterator[Callback]:
    """Make callbacks without end, due now or at a given time."""
    target = CallbackUrl.parse(f"{url}#cbs=kore")
    for _ in repeat(None):
        callback = announce(
            _EVENT,
            to=target,
            method=Method.POST,
            transition=Transition(NOTICE),
            chance=_CHANCE.bytes(ANNOUNCEMENT_BYTES),
            now=_CLOCK.now(),
        )
        yield callback if due is None else callback.having(callback.progress._replace(due=due))


def stamped(callback: Callback, number: int) -> Callback:
    """Return the callback with a number by which the receiver tells when it came."""
    return callback._replace(body=f"{callback.body}&Stamp={number}")


def in_a_day() -> datetime:
    return _CLOCK.now() + timedelta(days=1)


def a_sender() -> Sender:
    return Sender(stopwatch=stopwatch, guard=Guard(LOOPBACK))


async def send(sender: Sender, callback: Callback) -> None:
    """Render and send a callback: all that the reference does."""
    request = render(callback, account=_ACCOUNT, at=_CLOCK.now())
    await sender.send(request, limits=_LIMITS)


def open_store(folder: Path) -> SqliteStore:
    # Late, so that the reference loop does not carry the whole server in its memory.
    from ringback.wiring import DATA_FILE

    return SqliteStore.open(folder / DATA_FILE)


async def fill(store: SqliteStore, callbacks: Iterable[Callback]) -> None:
    """Keep the callbacks, for an account of their own."""
    await store.transact(lambda tx: tx.accounts.add(_ACCOUNT, []))
    waiting = iter(callbacks)
    while some := list(islice(waiting, _ROWS_AT_ONCE)):
        await store.transact(lambda tx, some=some: _add(tx, some))


@contextlib.asynccontextmanager
async def engine_on(store: SqliteStore) -> AsyncGenerator[None]:
    """Deliver what is due in a store, from a start of the engine to its stop."""
    let_threads_take_turns()
    sender = a_sender()
    dispatcher = Dispatcher(store=store, transport=sender, clock=_CLOCK, chance=_CHANCE)
    await dispatcher.recover()
    running = asyncio.create_task(dispatcher.run())
    try:
        yield
    finally:
        await dispatcher.stop(within=timedelta(seconds=1))
        await running
        await sender.close()


async def is_settled(store: SqliteStore) -> bool:
    """Tell whether no callback waits, nor is under way."""
    return not await store.transact(lambda tx: tx.callbacks.page(_ACCOUNT.sid, _WAITING, Window(1)))


def _add(tx: Transaction, callbacks: Iterable[Callback]) -> None:
    for callback in callbacks:
        tx.callbacks.add(callback)
