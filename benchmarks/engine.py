"""The parts of Ringback that benchmarks build by hand: the only module to change with them."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterable, Iterator
from datetime import datetime, timedelta
from ipaddress import IPv4Address
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from ringback.core.accounts.account import Account
from ringback.core.accounts.webhook_secret import NO_SECRETS, WebhookSecret
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callback_urls.connection_overrides import ConnectionOverrides, limits_of
from ringback.core.callbacks.callback import CallbackRecord, CallbackStatus, delivered
from ringback.core.callbacks.create_callback import CALLBACK_BYTES, compose
from ringback.core.callbacks.rendering import render
from ringback.core.callbacks.shards import SHARDS, Role
from ringback.core.events.payload import parameters_of
from ringback.core.form_encoding import encode
from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.http_exchange import AttemptResult, ReceiverResponseRecord, RequestTimings
from ringback.core.http.outcome import DeliveredOutcome
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.policy.source_policy import NOTICE, Source
from ringback.core.sids import SID_BYTES, SidKind, make_sid
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.streams.event_types import LATEST_VERSION, StreamEventType
from ringback.core.streams.sink import SinkType, StreamSink, StreamSubscription
from ringback.core.streams.stream_event import StreamEvent
from ringback.core.supersim.fleet import Fleet, NetworkAccessProfile
from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.data_folder import DataFolder, OpenStore, StoreOptions
from ringback.delivery.delivery_service import DeliveryService
from ringback.http_client.http_sender import HttpTransport
from ringback.http_client.sockets_and_tls import SystemNetwork
from ringback.http_client.tls import ClientTls
from ringback.ports import (
    CallbackFilter,
    Cluster,
    DeliveryClaim,
    NewCallbackQueue,
    PageWindow,
    Settlement,
    SoleProcess,
    Transaction,
)
from ringback.runtime.interpreter_tuning import let_threads_take_turns
from ringback.runtime.system_clock import SystemClock, SystemRandomSource, stopwatch
from ringback.stores.row_ids import ids_in

_CLOCK, _RANDOM_SOURCE = SystemClock(), SystemRandomSource()
_SECRETS: Final = NO_SECRETS.with_new(WebhookSecret("whs_1", "bench", "secret", _CLOCK.now()))
_ACCOUNT: Final = Account("AC" + "1" * 32, "bench", "token", False, _CLOCK.now(), _SECRETS)
_EVENT: Final = SimUpdated(_ACCOUNT.sid, "HS" + "2" * 32, "my_super_sim", SimStatus.ACTIVE)
_LIMITS: Final = limits_of(ConnectionOverrides(), timedelta(seconds=15))
_TIMINGS: Final = RequestTimings(1.5, None, None, None, 1.25)
_ANSWER: Final = ReceiverResponseRecord(200, (("Content-Length", "0"),), b"")
_WAITING: Final = CallbackFilter(statuses=frozenset({CallbackStatus.SCHEDULED}))
_ROWS_AT_ONCE: Final = 1000
_SINK, _SUBSCRIPTION = "DG" + "1" * 32, "DF" + "1" * 32
_REST_OF_DATA: Final = f'"rest":"{"x" * 900}"'
"""As much as a real event has besides the two SIDs."""
ACCOUNT_SID: Final = _ACCOUNT.sid
AUTH_TOKEN: Final = _ACCOUNT.auth_token
FLEETS: Final = ("most", "others", "few")
_FEW: Final = 60
"""How many SIMs pass a filter: the oldest ones, so that a scan of all SIMs finds them last."""


def callbacks_to(*urls: str, due: datetime | None = None) -> Iterator[CallbackRecord]:
    """Make callbacks to these URLs in turn, endlessly, due now or at a given time."""
    for target in cycle([CallbackUrl.parse(f"{url}#cbs=kore") for url in urls]):
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


def open_store(place: str | Path, seal_key: str | None = None) -> OpenStore:
    """Open the store in a data folder, or in the PostgreSQL database with this URL."""
    if "://" not in str(place):
        return DataFolder(Path(place)).open_to_serve(StoreOptions())
    from ringback.postgres_database import PostgresDatabase, PostgresOptions

    database = PostgresDatabase(str(place), seal_key)
    return database.open_to_serve(PostgresOptions(role=Role.WORKER))


def cluster_of(store: OpenStore) -> Cluster:
    """Return the processes that share a store."""
    return getattr(store, "cluster", None) or SoleProcess()


def make_partitions_since(url: str, since: datetime) -> None:
    """Make the partitions of a database for callbacks that were created since then."""
    from ringback.stores.postgres.connections import Dsn
    from ringback.stores.postgres.partitions import PARTITIONED, make_partitions_of

    weeks = range(int(since.timestamp()) // 3600, int(_CLOCK.now().timestamp()) // 3600, 7 * 24)
    with Dsn(url).connect() as connection, connection.transaction():
        for table in PARTITIONED:
            make_partitions_of(connection, table, (ids_in(hours=hour) for hour in weeks))


async def share_lanes(store: OpenStore, workers: int) -> None:
    """Keep the process's leases until each of this many workers has its share of all lanes."""
    cluster = cluster_of(store)
    while cluster.is_shared:
        await cluster.renew()
        shares = [len(one.shards) for one in await cluster.members() if one.shards]
        if len(shares) == workers and max(shares) == -(-SHARDS // workers):
            break
        await asyncio.sleep(0.05)


async def fill(store: OpenStore, callbacks: Iterable[CallbackRecord]) -> None:
    """Store the callbacks, in an account of their own."""
    await store.transact(_add_account)
    waiting = iter(callbacks)
    while some := list(islice(waiting, _ROWS_AT_ONCE)):
        await store.transact(lambda tx, some=some: _add(tx, some))


async def subscribe(store: OpenStore, url: str) -> None:
    """Send all events of an account to a webhook, in batches from kore."""

    def work(tx: Transaction) -> None:
        now = _CLOCK.now()
        _add_account(tx)
        tx.streams.sinks.add(
            StreamSink(
                sid=_SINK,
                account_sid=_ACCOUNT.sid,
                source=Source.KORE,
                description="bench",
                sink_type=SinkType.WEBHOOK,
                url=CallbackUrl.parse(url),
                date_created=now,
                date_updated=now,
            )
        )
        tx.streams.subscriptions.add(
            StreamSubscription(
                sid=_SUBSCRIPTION,
                account_sid=_ACCOUNT.sid,
                sink_sid=_SINK,
                source=Source.KORE,
                description="bench",
                types=dict.fromkeys(StreamEventType, LATEST_VERSION),
                date_created=now,
                date_updated=now,
            )
        )

    await store.transact(work)


async def publish(store: OpenStore, queue: NewCallbackQueue, url: str, sims: Iterable[int]) -> None:
    """Publish one event of each of these SIMs, in one transaction."""
    destination = CallbackUrl.parse(url).destination

    def work(tx: Transaction) -> None:
        for number in sims:
            tx.streams.events.add(_event_of(number), [_SUBSCRIPTION])
        queue.expect_events(tx, {_SUBSCRIPTION: destination})

    await store.transact(work)


async def waiting_events(store: OpenStore, *, limit: int) -> int:
    """Return how many events are in no batch yet, at most `limit`."""
    return await store.transact(
        lambda tx: tx.streams.events.count_pending(_SUBSCRIPTION, limit=limit)
    )


def _event_of(number: int) -> StreamEvent:
    sid, now = make_sid(SidKind.STREAM_EVENT, _RANDOM_SOURCE.bytes(SID_BYTES)), _CLOCK.now()
    data = f'{{"event_sid":"{sid}","sim_sid":"{sim_sid(number)}",{_REST_OF_DATA}}}'
    return StreamEvent(
        sid, _ACCOUNT.sid, sim_sid(number), StreamEventType.SESSION_UPDATED, now, data
    )


async def fill_with_sims(store: OpenStore, count: int) -> None:
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
async def engine_on(
    store: OpenStore, *, ca_file: Path | None = None
) -> AsyncGenerator[NewCallbackQueue]:
    """Deliver what is due in a store, from a start of the engine to its stop; yield its queue."""
    let_threads_take_turns()
    sender = a_sender(ca_file)
    delivery = DeliveryService(
        store=store,
        transport=sender,
        clock=_CLOCK,
        random_source=_RANDOM_SOURCE,
        cluster=cluster_of(store),
    )
    await delivery.recover()
    running = asyncio.create_task(delivery.run())
    try:
        yield delivery.queue
    finally:
        await delivery.stop(within=timedelta(seconds=1))
        await running
        await sender.close()


async def is_settled(store: OpenStore) -> bool:
    """Return True if no callback is waiting or in progress."""
    return not await store.transact(
        lambda tx: tx.callbacks.page(_ACCOUNT.sid, _WAITING, PageWindow(1))
    )


def delivered_at_once(claim: DeliveryClaim) -> Settlement:
    """Return what the engine saves for a claim that its receiver answered with 200."""
    now = _CLOCK.now()
    request = render(claim.callback, account=claim.account, at=now)
    result = AttemptResult(DeliveredOutcome(200), _TIMINGS, _ANSWER, "127.0.0.1")
    return Settlement(claim, delivered(claim.progress, now), result, now, request)


def _add(tx: Transaction, callbacks: Iterable[CallbackRecord]) -> None:
    for callback in callbacks:
        tx.callbacks.add(callback)


def _add_account(tx: Transaction) -> None:
    if tx.accounts.get(_ACCOUNT.sid) is None:
        tx.accounts.add(_ACCOUNT, [])


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
