"""A machine that has run out of something it needs to send: callbacks wait, and none fails."""

import asyncio
import errno
import socket
import sys

import pytest

from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.outcome import AttemptFailure, DeliveredOutcome, NoAnswerOutcome
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.http_client.http_sender import HttpTransport
from ringback.http_client.sockets_and_tls import SystemNetwork
from ringback.http_client.system_resolver import SystemResolver
from ringback.runtime.system_clock import stopwatch
from tests.receivers import OK, RecordingReceiver
from tests.sending import LIMITS, failure_of, post, resolve_to

COUNT = 150

# Delivers these callbacks with fewer descriptors than the receiver's answers need at once.
DELIVERING = """
import asyncio, logging, resource, sys
from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.delivery.delivery_service import DeliveryService
from ringback.http_client.http_sender import HttpTransport
from ringback.runtime.system_clock import SystemRandomSource, SystemClock, stopwatch
from tests.memory_store import MemoryStore
from tests.fakes import a_callback, an_account

async def main(url, count):
    logging.basicConfig(level="WARNING", stream=sys.stderr)
    store = MemoryStore()
    sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK), remember_names=0)
    delivery = DeliveryService(
        store=store, transport=sender, clock=SystemClock(), random_source=SystemRandomSource()
    )
    callbacks = [a_callback(sid=f"CB{number:032}", url=url) for number in range(count)]
    await store.transact(lambda tx: tx.accounts.add(an_account(), []))
    await store.transact(lambda tx: [tx.callbacks.add(one) for one in callbacks])
    await delivery.recover()
    running = asyncio.create_task(delivery.run())
    while delivery.unfinished:
        await asyncio.sleep(0.05)
    for one in callbacks:
        kept, rows = await store.transact(
            lambda tx: (tx.callbacks.find(one.sid), tx.callbacks.attempts(one.sid))
        )
        print(kept.status, *(row.result for row in rows))
    running.cancel()
    await sender.close()

resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def slowly(writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.05)
    writer.write(OK)
    await writer.drain()


async def test_no_callback_fails_for_lack_of_descriptors_and_none_is_attempted() -> None:
    async with RecordingReceiver(answer=lambda _: slowly) as receiver:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", DELIVERING, receiver.url("/#rc=0", host="localhost")),
            str(COUNT),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(60):
                output, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        requests = len(receiver.requests)
    assert output.decode().splitlines() == ["delivered delivered"] * COUNT
    assert requests == COUNT
    lines = [line for line in errors.decode().splitlines() if "callbacks have to wait" in line]
    assert lines == [
        "WARNING:ringback.delivery.fair_scheduler:callbacks have to wait, but none is lost:"
        " Too many open files"
    ]


class ShortNetwork(SystemNetwork):
    """Raises this error for every connection, after the first few."""

    def __init__(self, number: int, *, after: int = 0) -> None:
        super().__init__()
        self._error = OSError(number, "made up")
        self._left = after

    async def connect(
        self,
        protocol: asyncio.BufferedProtocol,
        *,
        address: str,
        port: int,
        local_address: str | None,
    ) -> None:
        if not self._left:
            raise self._error
        self._left -= 1
        await super().connect(protocol, address=address, port=port, local_address=local_address)


@pytest.mark.parametrize(
    ("number", "failure"),
    [
        (errno.EMFILE, AttemptFailure.SHORTAGE),
        (errno.ENFILE, AttemptFailure.SHORTAGE),
        (errno.ENOBUFS, AttemptFailure.SHORTAGE),
        (errno.ENOMEM, AttemptFailure.SHORTAGE),
        (errno.EADDRNOTAVAIL, AttemptFailure.NO_LOCAL_PORT),
        (errno.ECONNREFUSED, AttemptFailure.CONNECT),
    ],
)
async def test_shortages_of_this_machine_are_distinguished_from_failures_of_a_receiver(
    number: int, failure: AttemptFailure
) -> None:
    network = ShortNetwork(number)
    sender = HttpTransport(stopwatch=stopwatch, network=network, resolve=resolve_to("198.18.0.1"))
    sender = HttpTransport(
        stopwatch=stopwatch,
        guard=SsrfGuard(LOOPBACK),
        network=network,
        resolve=resolve_to("127.0.0.1"),
    )
    exchange = await sender.send(post("http://a.example/"), limits=LIMITS)
    assert failure_of(exchange) is failure
    assert sender.open_connections == 0


async def test_idle_connections_are_closed_to_free_descriptors() -> None:
    async with RecordingReceiver() as one, RecordingReceiver() as other:
        sender = HttpTransport(
            stopwatch=stopwatch,
            guard=SsrfGuard(LOOPBACK),
            network=ShortNetwork(errno.EMFILE, after=1),
        )
        assert (await sender.send(post(one.url()), limits=LIMITS)).outcome == DeliveredOutcome(200)
        assert sender.open_connections == 1
        await sender.send(post(other.url()), limits=LIMITS)
        await one.wait_for_ended(1)
        assert sender.open_connections == 0
        await sender.close()


async def test_a_lookup_without_descriptors_is_not_a_failure_of_the_name() -> None:
    def ask(host: str) -> list[str]:
        raise OSError(errno.EMFILE, "Too many open files")

    sender = HttpTransport(stopwatch=stopwatch, resolve=SystemResolver(ask))
    exchange = await sender.send(post("http://hooks.example/"), limits=LIMITS)
    assert exchange.outcome == NoAnswerOutcome(AttemptFailure.SHORTAGE, "Too many open files")


async def test_a_lookup_without_a_thread_is_not_a_failure_of_the_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(self: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("ringback.http_client.system_resolver.Thread.start", start)
    sender = HttpTransport(stopwatch=stopwatch)
    exchange = await sender.send(post("http://hooks.example/"), limits=LIMITS)
    assert failure_of(exchange) is AttemptFailure.SHORTAGE


async def test_an_unroutable_address_is_a_failure_of_the_receiver(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Linux has one error number for no free port and for no local address.
    async def connect(self: object, sock: socket.socket, address: object) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(type(loop), "sock_connect", connect)
    sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK))
    no_port = await sender.send(post("http://127.0.0.1/"), limits=LIMITS)
    assert failure_of(no_port) is AttemptFailure.NO_LOCAL_PORT
    monkeypatch.setattr(socket.socket, "connect", lambda *_: (_ for _ in ()).throw(OSError(99, "")))
    no_way = await sender.send(post("http://127.0.0.1/"), limits=LIMITS)
    assert failure_of(no_way) is AttemptFailure.CONNECT
