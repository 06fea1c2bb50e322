"""A machine that has run out of something it needs to send: callbacks wait, and none fails."""

import asyncio
import errno
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest
import trustme

from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.connection_profile import TlsIdentity
from ringback.core.http.outcome import AttemptFailure, DeliveredOutcome, NoAnswerOutcome
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.http_client.http_sender import HttpTransport
from ringback.http_client.request_route import ConnectionPoolKey
from ringback.http_client.sockets_and_tls import SystemNetwork
from ringback.http_client.system_resolver import SystemResolver
from ringback.http_client.tls import ClientTls, TlsFailed
from ringback.runtime.system_clock import stopwatch
from tests.descriptors import limited_to
from tests.receivers import OK, RecordingReceiver
from tests.sending import LIMITS, failure_of, post, resolve_to
from tests.tls import server_side

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

# Looks up a known name again and again, while a thread takes and frees all other descriptors.
LOOKING_UP = """
import os, resource, sys, threading, time
from ringback.http_client.system_resolver import ask_system
from ringback.runtime.os_error_messages import shortage_of

def take_all():
    while True:
        taken = []
        try:
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        time.sleep(0.00002)
        for one in taken:
            os.close(one)
        time.sleep(0.0001)

resource.setrlimit(resource.RLIMIT_NOFILE, (24, 24))
threading.Thread(target=take_all, daemon=True).start()
found = short = 0
for _ in range(int(sys.argv[1])):
    try:
        ask_system("localhost")
        found += 1
    except OSError as error:
        assert shortage_of(error), error
        short += 1
print(found > 0, short > 0, flush=True)
os._exit(0)  # the end of the other thread would load a library, and abort without a descriptor
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


async def test_a_name_is_never_unknown_because_others_take_and_free_descriptors() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LOOKING_UP, "10000"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    assert output.split() == [b"True", b"True"], errors.decode()


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


class WithoutDescriptorsForTls(SystemNetwork):
    """Has no descriptor left for as many TLS handshakes, after their connections were opened."""

    def __init__(self, tls: ClientTls, *, lacking: int) -> None:
        super().__init__(tls)
        self._lacking = lacking

    async def secure(
        self,
        transport: asyncio.Transport,
        protocol: asyncio.BufferedProtocol,
        peer: ConnectionPoolKey,
    ) -> Callable[[], None]:
        if not self._lacking:
            return await super().secure(transport, protocol, peer)
        self._lacking -= 1
        with limited_to(0):
            return await super().secure(transport, protocol, peer)


def name_by_its_hash(certificate: Path) -> None:
    """Rename an authority so that OpenSSL finds it in its folder, which it reads in handshakes."""
    command = ["openssl", "x509", "-noout", "-subject_hash", "-in", certificate]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    certificate.rename(certificate.parent / f"{found.stdout.strip()}.0")


@pytest.mark.parametrize("trusts_a", ["file", "folder"])
async def test_a_receiver_is_trusted_after_a_shortage_and_no_certificate_is_blamed_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusts_a: str
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    if trusts_a == "file":
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    else:
        name_by_its_hash(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    tls = ClientTls()
    if trusts_a == "folder":
        assert tls.context(says_name=True)
    sender = HttpTransport(
        stopwatch=stopwatch,
        guard=SsrfGuard(LOOPBACK),
        network=WithoutDescriptorsForTls(tls, lacking=2),
        resolve=resolve_to("127.0.0.1"),
    )
    async with RecordingReceiver(tls=server_side(authority.issue_cert("localhost"))) as receiver:
        request = post(receiver.url("/", host="localhost"))
        for _ in range(2):
            assert failure_of(await sender.send(request, limits=LIMITS)) is AttemptFailure.SHORTAGE
        assert (await sender.send(request, limits=LIMITS)).outcome == DeliveredOutcome(200)
        await sender.close()


@pytest.mark.parametrize("lacks", ["descriptors", "threads"])
async def test_a_context_that_can_not_be_made_now_is_a_shortage_and_made_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacks: str
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    tls = ClientTls(ca_files=[tmp_path / "ca.pem"])
    identity = TlsIdentity(ca=authority.cert_pem.bytes().decode())
    if lacks == "threads":
        no_thread = Mock(side_effect=RuntimeError("can't start new thread"))
        monkeypatch.setattr("concurrent.futures.thread.threading.Thread.start", no_thread)
    with limited_to(0 if lacks == "descriptors" else 1024), pytest.raises(TlsFailed) as failed:
        await tls.context_of(identity, says_name=True)
    assert failed.value.failure is AttemptFailure.SHORTAGE
    monkeypatch.undo()
    assert await tls.context_of(identity, says_name=True)


async def test_a_way_that_can_not_be_checked_for_lack_of_ports_counts_as_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def connect(self: object, sock: socket.socket, address: object) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    monkeypatch.setattr(type(asyncio.get_running_loop()), "sock_connect", connect)
    for number, failure in (
        (errno.EAGAIN, AttemptFailure.NO_LOCAL_PORT),
        (errno.ENOBUFS, AttemptFailure.SHORTAGE),
    ):
        error = OSError(number, "")
        monkeypatch.setattr(socket.socket, "connect", Mock(side_effect=error))
        sender = HttpTransport(stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK))
        exchange = await sender.send(post("http://127.0.0.1/"), limits=LIMITS)
        assert failure_of(exchange) is failure


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
