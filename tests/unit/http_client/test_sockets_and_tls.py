"""This machine's network: connections from a local address, and TLS over them."""

import asyncio
import contextlib
import errno
import gc
import socket
from collections.abc import Iterator

import pytest
import trustme

from ringback.core.http.connection_profile import TlsIdentity
from ringback.core.http.outcome import AttemptFailure
from ringback.http_client.http_connection import HttpConnection
from ringback.http_client.sockets_and_tls import EgressAddressUnavailable, SystemNetwork
from ringback.http_client.tls import TlsFailed
from tests.ports import free_port
from tests.receivers import RecordingReceiver
from tests.tls import pem_text, server_side
from tests.unit.http_client.parts import REQUEST, a_connection, a_peer, connected_to, status_over

HERE = "127.0.0.1"


async def connect(
    port: int, *, address: str = HERE, local_address: str | None = None
) -> HttpConnection:
    connection = a_connection(a_peer(port))
    await SystemNetwork().connect(
        connection, address=address, port=port, local_address=local_address
    )
    return connection


@pytest.mark.parametrize(("local_address", "client"), [(None, HERE), ("127.0.0.5", "127.0.0.5")])
async def test_a_connection_leaves_from_the_chosen_address(
    local_address: str | None, client: str
) -> None:
    async with RecordingReceiver() as receiver:
        connection = await connect(receiver.port, local_address=local_address)
        assert connection.local_address == client
        assert await status_over(connection) == 200
        assert receiver.clients == [client]
        connection.close()


async def test_an_ipv6_address_is_connected_to_as_one() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        connection = await connect(server.getsockname()[1], address="::1")
        assert connection.local_address == "::1"
        connection.abort()
        await connection.gone


async def test_a_port_where_nobody_listens_refuses() -> None:
    with pytest.raises(ConnectionRefusedError):
        await connect(free_port())


async def test_an_address_that_is_not_ours_is_recognised() -> None:
    with pytest.raises(EgressAddressUnavailable) as missing:
        await connect(80, local_address="192.0.2.1")
    assert missing.value.errno == errno.EADDRNOTAVAIL


async def test_a_taken_port_is_a_shortage_and_not_a_missing_address(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def bind(self: socket.socket, address: object) -> None:
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(socket.socket, "bind", bind)
    with pytest.raises(OSError, match="already in use") as taken:
        await connect(80, local_address="127.0.0.5")
    assert not isinstance(taken.value, EgressAddressUnavailable)


@pytest.mark.parametrize(
    ("leads_there", "number"), [(True, errno.EADDRNOTAVAIL), (False, errno.ENETUNREACH)]
)
async def test_no_free_port_is_distinguished_from_no_route(
    leads_there: bool, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Linux reports both alike, and neither can be caused while other tests run on the machine.
    async def sock_connect(self: object, sock: socket.socket, address: object) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    def no_way(self: socket.socket, address: object) -> None:
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    monkeypatch.setattr(type(asyncio.get_running_loop()), "sock_connect", sock_connect)
    if not leads_there:
        monkeypatch.setattr(socket.socket, "connect", no_way)
    with pytest.raises(OSError, match=r"no route to |requested address") as failed:
        await connect(80)
    assert failed.value.errno == number


@contextlib.contextmanager
def silent_address(port: int) -> Iterator[None]:
    """Make an address neither accept nor refuse connections: its queue is full."""
    with socket.create_server((HERE, port), backlog=0), contextlib.ExitStack() as queue:
        for _ in range(2):
            sock = queue.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex((HERE, port))
        yield


async def test_a_cancelled_caller_leaves_no_socket() -> None:
    port = free_port()
    with silent_address(port):
        connecting = asyncio.create_task(connect(port))
        await asyncio.sleep(0)
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        del connecting
        gc.collect()  # an unclosed socket causes a warning, and warnings are errors here


# ---- TLS


async def secured(
    network: SystemNetwork, receiver: RecordingReceiver, host: str, *, says_name: bool = True
) -> HttpConnection:
    connection = await connected_to(receiver)
    peer = connection.peer._replace(host=host, says_name=says_name)
    try:
        await network.secure(connection.transport, connection, peer)
    except TlsFailed:
        connection.abort()
        raise
    return connection


@pytest.mark.parametrize("host", ["a.example", "a.example."])
@pytest.mark.parametrize(("says_name", "said"), [(True, "a.example"), (False, None)])
async def test_a_request_is_sent_over_tls_with_or_without_sni(
    authority: trustme.CA, network: SystemNetwork, host: str, says_name: bool, said: str | None
) -> None:
    names = list[str | None]()
    tls = server_side(authority.issue_cert("a.example"))
    tls.sni_callback = lambda connection, name, context: names.append(name)
    async with RecordingReceiver(tls=tls) as receiver:
        connection = await secured(network, receiver, host, says_name=says_name)
        assert await status_over(connection) == 200
        assert connection.local_address == HERE
        assert receiver.requests[0].raw == REQUEST
        connection.close()
        await connection.gone
    assert names == [said]


@pytest.mark.parametrize("says_name", [True, False])
async def test_a_certificate_for_another_name_is_refused_with_or_without_sni(
    authority: trustme.CA, network: SystemNetwork, says_name: bool
) -> None:
    async with RecordingReceiver(tls=server_side(authority.issue_cert("b.example"))) as receiver:
        with pytest.raises(TlsFailed) as failed:
            await secured(network, receiver, "a.example", says_name=says_name)
        assert receiver.requests == []
    assert failed.value.failure is AttemptFailure.CERTIFICATE_NAME


async def test_an_untrusted_authority_is_refused(authority: trustme.CA) -> None:
    async with RecordingReceiver(tls=server_side(authority.issue_cert("a.example"))) as receiver:
        with pytest.raises(TlsFailed) as failed:
            await secured(SystemNetwork(), receiver, "a.example")
    assert failed.value.failure is AttemptFailure.CERTIFICATE_UNTRUSTED


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
async def test_a_peer_without_tls_or_that_hangs_up_is_a_failure_of_tls(
    network: SystemNetwork, said: bytes
) -> None:
    async def behave(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    async with await asyncio.start_server(behave, HERE, 0) as server:
        connection = await connect(server.sockets[0].getsockname()[1])
        with pytest.raises(TlsFailed) as failed:
            await network.secure(connection.transport, connection, connection.peer)
    assert failed.value.failure is AttemptFailure.TLS


async def test_a_connection_that_ends_while_its_context_is_made_is_a_failure_of_tls(
    authority: trustme.CA, network: SystemNetwork
) -> None:
    async with RecordingReceiver(tls=server_side(authority.issue_cert("a.example"))) as receiver:
        connection = await connected_to(receiver)
        own = TlsIdentity(ca=pem_text(authority.cert_pem))
        peer = connection.peer._replace(identity=own)
        securing = asyncio.create_task(network.secure(connection.transport, connection, peer))
        await asyncio.sleep(0)
        connection.abort()
        with pytest.raises(TlsFailed, match="Connection reset by peer") as failed:
            await securing
    assert failed.value.failure is AttemptFailure.TLS


@pytest.mark.parametrize("says_name", [True, False])
async def test_the_authorities_of_a_destination_are_trusted_too(
    authority: trustme.CA, says_name: bool
) -> None:
    async with RecordingReceiver(tls=server_side(authority.issue_cert("a.example"))) as receiver:
        connection, own = await connected_to(receiver), TlsIdentity(ca=pem_text(authority.cert_pem))
        peer = connection.peer._replace(says_name=says_name, identity=own)
        await SystemNetwork().secure(connection.transport, connection, peer)
        assert await status_over(connection) == 200
        connection.close()
        await connection.gone
