"""Rotations of webhook secrets under load: a secret valid at that moment signs each request.

The engine, its store and its sender are the real ones, over real sockets; connections take their
time. Each write to a connection is recorded with its instant, to compare it with the instants of
the activations.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple, cast

from ringback.core.accounts.webhook_secret import WebhookSecret, WebhookSecretStatus
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.delivery.delivery_service import DeliveryLimits, DeliveryService
from ringback.http_client.http_connection import HttpConnection
from ringback.http_client.http_sender import HttpTransport
from ringback.http_client.sockets_and_tls import SystemNetwork
from ringback.operations.accounts import fetch_account
from ringback.operations.context import OperationContext
from ringback.operations.create_callbacks import send_callbacks
from ringback.operations.webhook_secrets import change_secret, create_secret
from ringback.ports import Transaction
from ringback.receiver.verification import ReceivedRequest as Received
from ringback.receiver.verification import ReceiverSecrets, check
from ringback.receiver.verification.verdict import Verified
from ringback.runtime.system_clock import SystemClock, SystemRandomSource, stopwatch
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import ACCOUNT_SID, TAKES, VAULT, a_context, an_account
from tests.receivers import ReceivedRequest, RecordingReceiver, Reply

ROTATIONS: Final = 25
BATCHES, BATCH = 40, 20
HOSTS: Final = [f"{name}.example" for name in "abcdef"]
REPLIES: Final = [
    b"HTTP/1.1 %b\r\n%bContent-Length: 0\r\n\r\n" % (status, beside)
    for status in (b"200 OK", b"503 Service Unavailable")
    for beside in (b"", b"Connection: close\r\n")
]
FOREVER: Final = float("inf")


class Written(NamedTuple):
    """A request, and when it was passed to its connection."""

    at: float
    data: bytes


class NotingTransport:
    """Wraps a connection's transport, and records the time of each write."""

    def __init__(self, transport: asyncio.Transport, written: list[Written]) -> None:
        self._transport = transport
        self._written = written

    def write(self, data: bytes) -> None:
        self._written.append(Written(asyncio.get_running_loop().time(), data))
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class SlowNetwork(SystemNetwork):
    """This machine's network, where connections take some milliseconds."""

    def __init__(self, written: list[Written]) -> None:
        super().__init__()
        self._lot = Random(1)
        self._written = written

    async def connect(
        self,
        protocol: asyncio.BufferedProtocol,
        *,
        address: str,
        port: int,
        local_address: str | None,
    ) -> None:
        await asyncio.sleep(self._lot.uniform(0.005, 0.05))
        await super().connect(protocol, address=address, port=port, local_address=local_address)
        connection = cast("HttpConnection", protocol)
        noting = NotingTransport(connection.transport, self._written)
        connection.transport = cast("asyncio.Transport", noting)


@dataclass(eq=False)
class Engine:
    """The sending part of a server, and the calls made to it."""

    store: SqliteStore
    delivery: DeliveryService
    written: list[Written]
    good_from: dict[str, float] = field(default_factory=dict[str, float])
    """When the activation of each secret began."""
    good_until: dict[str, float] = field(default_factory=dict[str, float])
    """When the activation of the next secret was confirmed."""

    def context(self) -> OperationContext:
        return a_context(
            now=SystemClock().now(),
            random_source=SystemRandomSource(),
            queue=self.delivery.queue,
            signing_keys=self.delivery.signing_keys,
        )

    async def send(self, url: str, number: int) -> None:
        context = self.context()
        callbacks = [
            context.compose(
                f"Number={number + each}", ACCOUNT_SID, CallbackUrl.parse(url), HttpMethod.POST
            )
            for each in range(BATCH)
        ]
        await self.store.transact(lambda tx: send_callbacks(tx, callbacks, context.queue))

    async def rotate(self) -> None:
        """Create and activate a secret; record when it may sign, and its predecessor may not."""
        loop, before = asyncio.get_running_loop(), await self._active()
        pending = await self.store.transact(self._create)
        self.good_from[pending.value] = loop.time()
        await self.store.transact(lambda tx: self._activate(tx, pending.id))
        self.good_until[before] = loop.time()

    async def _active(self) -> str:
        account = await self.store.transact(lambda tx: fetch_account(tx, ACCOUNT_SID))
        return account.kore_secret

    def _create(self, tx: Transaction) -> WebhookSecret:
        account = fetch_account(tx, ACCOUNT_SID)
        _, secret = create_secret(tx, account, "next", self.context())
        return secret

    def _activate(self, tx: Transaction, secret_id: str) -> None:
        change_secret(
            tx,
            fetch_account(tx, ACCOUNT_SID),
            secret_id,
            name=None,
            status=WebhookSecretStatus.ACTIVE,
            context=self.context(),
        )

    def good_at(self, instant: float) -> tuple[str, ...]:
        """Return the secrets that may sign a request that leaves at this instant."""
        return tuple(
            value
            for value, begin in self.good_from.items()
            if begin <= instant <= self.good_until.get(value, FOREVER)
        )


async def on_this_machine(host: str) -> list[str]:
    return ["127.0.0.1"]


@asynccontextmanager
async def running(data: Path) -> AsyncIterator[Engine]:
    """Run an engine whose account has one secret."""
    written = list[Written]()
    sender = HttpTransport(
        stopwatch=stopwatch,
        guard=SsrfGuard(LOOPBACK),
        network=SlowNetwork(written),
        resolve=on_this_machine,
    )
    store = SqliteStore.open(data / "ringback.db", VAULT)
    account = an_account()
    await store.transact(lambda tx: tx.accounts.add(account, []))
    delivery = DeliveryService(
        store=store,
        transport=sender,
        clock=SystemClock(),
        random_source=SystemRandomSource(),
        limits=DeliveryLimits(per_destination=8),
    )
    loop = asyncio.create_task(delivery.run())
    yield Engine(store, delivery, written, {account.kore_secret: -FOREVER})
    await delivery.stop(within=TAKES)
    await loop
    await sender.close()
    await store.close()


def fickle() -> Callable[[ReceivedRequest], Reply]:
    """Return a receiver that refuses some requests and closes connections, so that others open."""
    lot = Random(2)
    return lambda _: lot.choice(REPLIES)


def as_received(data: bytes) -> Received:
    head, _, body = data.partition(b"\r\n\r\n")
    line, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = line.split(" ")
    pairs = (each.partition(": ") for each in lines)
    return Received(method, target, tuple((name, value) for name, _, value in pairs), body)


def is_genuine(engine: Engine, written: Written, port: int) -> bool:
    """Return True if a receiver with only the secrets of this instant accepts a request."""
    request = as_received(written.data)
    secrets = ReceiverSecrets(kore_secrets=engine.good_at(written.at))
    url = f"http://{request.values('Host')[0]}{request.target}"
    return isinstance(check(request, urls=[url], secrets=secrets), Verified)


async def under_load(engine: Engine, port: int, work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` while callbacks to all hosts are created; return when all of them have ended."""

    async def load() -> None:
        for number in range(BATCHES):
            host = HOSTS[number % len(HOSTS)]
            await engine.send(f"http://{host}:{port}/hook#cbs=kore", number * BATCH)
            await asyncio.sleep(0.01)

    await asyncio.gather(load(), work())
    async with asyncio.timeout(20):
        while engine.delivery.unfinished:  # noqa: ASYNC110 (no event signals the end)
            await asyncio.sleep(0.01)


async def test_no_request_is_unsigned_or_signed_with_a_replaced_secret(tmp_path: Path) -> None:
    async with RecordingReceiver(answer=fickle()) as receiver, running(tmp_path) as engine:

        async def rotate() -> None:
            for _ in range(ROTATIONS):
                await engine.rotate()
                await asyncio.sleep(0.01)

        await under_load(engine, receiver.port, rotate)
        written = engine.written
        assert Counter(each.data for each in written) == Counter(
            request.raw for request in receiver.requests
        )
        assert len(written) > BATCHES * BATCH, "some were retried"
        assert len(engine.good_until) == ROTATIONS
        wrong = [each for each in written if not is_genuine(engine, each, receiver.port)]
        assert len(wrong) == 0
