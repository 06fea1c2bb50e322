"""The parts of Ringback that benchmarks build by hand: the only module to change with them."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable, Iterator
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from itertools import islice, repeat
from pathlib import Path
from typing import Final

from ringback.core.accounts.account import Account
from ringback.core.accounts.webhook_secret import NO_SECRETS, WebhookSecret
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callback_urls.connection_overrides import ConnectionOverrides, limits_of
from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus, delivered
from ringback.core.callbacks.create_callback import CALLBACK_BYTES, compose
from ringback.core.callbacks.rendering import render
from ringback.core.events.payload import parameters_of
from ringback.core.form_encoding import encode
from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.policy.source_policy import NOTICE
from ringback.core.sids import SID_BYTES, SidKind, make_sid
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.supersim.fleet import Fleet, NetworkAccessProfile
from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.data_folder import DataFolder, StoreOptions
from ringback.delivery.delivery_service import DeliveryService
from ringback.http_client.http_sender import HttpTransport
from ringback.http_client.sockets_and_tls import SystemNetwork
from ringback.http_client.tls import ClientTls
from ringback.ports import CallbackFilter, PageWindow, Transaction
from ringback.runtime.interpreter_tuning import let_threads_take_turns
from ringback.runtime.system_clock import SystemClock, SystemRandomSource, stopwatch
from ringback.stores.sqlite.store import SqliteStore

_CLOCK, _RANDOM_SOURCE = SystemClock(), SystemRandomSource()
_SECRETS: Final = NO_SECRETS.with_new(WebhookSecret("whs_1", "bench", "secret", _CLOCK.now()))
_ACCOUNT: Final = Account("AC" + "1" * 32, "bench", "token", False, _CLOCK.now(), _SECRETS)
_EVENT: Final = SimUpdated(_ACCOUNT.sid, "HS" + "2" * 32, "my_super_sim", SimStatus.ACTIVE)
_LIMITS: Final = limits_of(ConnectionOverrides(), timedelta(seconds=15))
_WAITING: Final = CallbackFilter(statuses=frozenset({CallbackStatus.SCHEDULED}))
_ROWS_AT_ONCE: Final = 1000
ACCOUNT_SID: Final = _ACCOUNT.sid
AUTH_TOKEN: Final = _ACCOUNT.auth_token
FLEETS: Final = ("most", "others", "few")
_FEW: Final = 60
"""How many SIMs pass a filter: the oldest ones, so that a scan of all SIMs finds them last."""


def callbacks_to(url: str, *, due: datetime | None = None) -> Iterator[CallbackRecord]:
    """Make callbacks endlessly, due now or at a given time."""
    target = CallbackUrl.parse(f"{url}#cbs=kore")
    for _ in repeat(None):
        callback = compose(
            encode(parameters_of(_EVENT)),
            account_sid=_ACCOUNT.sid,
            to=target,
            method=HttpMethod.POST,
            policy=NOTICE,
            random_bytes=_RANDOM_SOURCE.bytes(CALLBACK_BYTES),
            now=_CLOCK.now(),
        )
        yield callback if due is None else callback.having(callback.progress._replace(due=due))


def delivered_to(url: str) -> Iterator[CallbackRecord]:
    """Make callbacks endlessly that were delivered at the first attempt."""
    for callback in callbacks_to(url):
        progress = callback.progress._replace(attempt_count=1)
        yield callback.having(delivered(progress, callback.date_created))


def stamped(callback: CallbackRecord, number: int) -> CallbackRecord:
    """Return the callback with a number, by which the receiver reports when it arrived."""
    return callback._replace(body=f"{callback.body}&Stamp={number}")


def in_a_day() -> datetime:
    return _CLOCK.now() + timedelta(days=1)


def a_sender(ca_file: Path | None = None) -> HttpTransport:
    tls = ClientTls(ca_files=[ca_file] if ca_file else [])
    return HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK), network=SystemNetwork(tls))


async def send(sender: HttpTransport, callback: CallbackRecord) -> None:
    """Render and send a callback, as the plain loop does with today's client."""
    request = render(callback, account=_ACCOUNT, at=_CLOCK.now())
    await sender.send(request, limits=_LIMITS)


def open_store(folder: Path) -> SqliteStore:
    return DataFolder(folder).open_to_serve(StoreOptions())


async def fill(store: SqliteStore, callbacks: Iterable[CallbackRecord]) -> None:
    """Store the callbacks, in an account of their own."""
    await store.transact(lambda tx: tx.accounts.add(_ACCOUNT, []))
    waiting = iter(callbacks)
    while some := list(islice(waiting, _ROWS_AT_ONCE)):
        await store.transact(lambda tx, some=some: _add(tx, some))


async def fill_with_sims(store: SqliteStore, count: int) -> None:
    """Store `count` SIMs in an account, and the fleets they belong to."""
    await store.transact(_add_fleets)
    numbers = iter(range(count))
    while some := list(islice(numbers, _ROWS_AT_ONCE)):
        await store.transact(lambda tx, some=some: _add_sims(tx, some))


def sim_called(number: int) -> str:
    """Return the unique name of a SIM."""
    return f"sim {number}"


def sim_sid(number: int) -> str:
    """Return the SID of a SIM."""
    return _sid(SidKind.SIM, number)


def iccid_of(number: int) -> str:
    """Return the ICCID of a SIM."""
    return f"8988307{number:013}"


@contextlib.asynccontextmanager
async def engine_on(store: SqliteStore, *, ca_file: Path | None = None) -> AsyncGenerator[None]:
    """Deliver what is due in a store, from a start of the engine to its stop."""
    let_threads_take_turns()
    sender = a_sender(ca_file)
    delivery = DeliveryService(
        store=store, transport=sender, clock=_CLOCK, random_source=_RANDOM_SOURCE
    )
    await delivery.recover()
    running = asyncio.create_task(delivery.run())
    try:
        yield
    finally:
        await delivery.stop(within=timedelta(seconds=1))
        await running
        await sender.close()


async def is_settled(store: SqliteStore) -> bool:
    """Return True if no callback is waiting or in progress."""
    return not await store.transact(
        lambda tx: tx.callbacks.page(_ACCOUNT.sid, _WAITING, PageWindow(1))
    )


def _add(tx: Transaction, callbacks: Iterable[CallbackRecord]) -> None:
    for callback in callbacks:
        tx.callbacks.add(callback)


def _sid(kind: SidKind, number: int) -> str:
    return make_sid(kind, number.to_bytes(SID_BYTES))


def _add_fleets(tx: Transaction) -> None:
    tx.accounts.add(_ACCOUNT, [])
    now, profile_sid = _CLOCK.now(), _sid(SidKind.NETWORK_ACCESS_PROFILE, 0)
    tx.supersim.access_profiles.add(
        NetworkAccessProfile(profile_sid, ACCOUNT_SID, "all networks", (), now, now)
    )
    for number, name in enumerate(FLEETS):
        tx.supersim.fleets.add(
            Fleet(_sid(SidKind.FLEET, number), ACCOUNT_SID, name, profile_sid, now, now)
        )


def _add_sims(tx: Transaction, numbers: Iterable[int]) -> None:
    now = _CLOCK.now()
    for number in numbers:
        status, fleet = _kind_of(number)
        sim = SuperSim(
            sid=sim_sid(number),
            account_sid=ACCOUNT_SID,
            iccid=iccid_of(number),
            unique_name=sim_called(number),
            status=status,
            fleet_sid=_sid(SidKind.FLEET, FLEETS.index(fleet)),
            date_created=now,
            date_updated=now,
            device_ip=str(IPv4Address("100.64.0.1") + number),
        )
        tx.supersim.sims.add(sim)


def _kind_of(number: int) -> tuple[SimStatus, str]:
    """Return a SIM's status and fleet.

    The few ready SIMs are all in one fleet. Half of the SIMs are inactive, half are in the largest
    fleet, and few are both.
    """
    if number < _FEW:
        return SimStatus.INACTIVE, "most"
    if number < 2 * _FEW:
        return SimStatus.READY, "few"
    return (SimStatus.ACTIVE, "most") if number % 2 else (SimStatus.INACTIVE, "others")
