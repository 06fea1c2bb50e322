"""The listening socket."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from ringback.api.serve_on_socket import bind, listen, passed_descriptor, reserve, take_over
from ringback.core.errors import ConfigurationError


async def test_short_answers_are_sent_without_delay() -> None:
    accepted = asyncio.get_running_loop().create_future()

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        accepted.set_result(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with bind("127.0.0.1", 0) as listener:
        async with await asyncio.start_server(note, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            assert await accepted
            writer.close()
            await writer.wait_closed()


def test_a_reserved_address_accepts_no_connection_before_it_should() -> None:
    with reserve("127.0.0.1", 0) as listener, socket.socket() as early, socket.socket() as late:
        with pytest.raises(ConnectionRefusedError):
            early.connect(listener.getsockname())
        listen(listener)
        listen(listener)
        late.connect(listener.getsockname())


def test_of_two_that_reserve_an_address_at_once_one_can_listen_there() -> None:
    with reserve("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with reserve("127.0.0.1", port) as second:
            listen(first)
            with pytest.raises(
                ConfigurationError, match=f"can't listen on 127.0.0.1:{port}: .* --tls-port"
            ):
                listen(second, flag="--tls-port")


# ---- sockets that the process is started with ----------------------------------------------------


def systemd(sockets: str, pid: int | None = None) -> dict[str, str]:
    own = {"LISTEN_PID": str(pid or os.getpid()), "LISTEN_FDS": sockets, "LISTEN_FDNAMES": "web"}
    return {"HOME": "/", **own}


def refusal_of(descriptor: int) -> str:
    with pytest.raises(ConfigurationError) as refused:
        take_over(descriptor)
    return str(refused.value)


def test_a_socket_that_listens_is_taken_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as kept, socket.socket() as client:
        kept.set_inheritable(True)
        copy = os.dup(kept.fileno())
        with take_over(copy) as listener:
            assert listener.fileno() == copy
            assert not listener.get_inheritable()
            assert listener.getsockname() == kept.getsockname()
        client.connect(kept.getsockname())


def test_a_descriptor_without_a_listening_tcp_socket_is_refused(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0) as closed:
        gone = closed.fileno()
    advice = "; pass a TCP socket that listens, or leave --fd out to use --host and --port"
    assert (
        refusal_of(gone) == f"the server can't use file descriptor {gone}: it is not open{advice}"
    )
    with (tmp_path / "file").open("w") as file:
        assert "it is not a socket;" in refusal_of(file.fileno())
    with reserve("127.0.0.1", 0) as reserved:
        assert "the socket does not listen;" in refusal_of(reserved.fileno())
    for family, kind in ((socket.AF_INET, socket.SOCK_DGRAM), (socket.AF_UNIX, socket.SOCK_STREAM)):
        with socket.socket(family, kind) as other:
            assert "it is not a TCP socket;" in refusal_of(other.fileno())


@pytest.mark.parametrize(
    ("environment", "fd", "found"),
    [
        ({}, None, None),
        ({}, 7, 7),
        (systemd("1"), None, 3),
        (systemd("0"), None, None),
        (systemd("1", pid=1), None, None),
        (systemd("2", pid=1), 7, 7),
    ],
)
def test_the_socket_of_systemd_is_used_if_it_is_for_this_process(
    environment: dict[str, str], fd: int | None, found: int | None
) -> None:
    assert passed_descriptor(environment, fd) == found
    assert environment.keys() <= {"HOME"}


@pytest.mark.parametrize(
    ("sockets", "fd", "why"),
    [
        ("2", None, "systemd passes several sockets .LISTEN_FDS=2., but the server needs one"),
        ("1", 7, "the setting fd is 7, but systemd passes a socket, too .LISTEN_FDS=1."),
    ],
)
def test_several_sockets_are_refused(sockets: str, fd: int | None, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        passed_descriptor(systemd(sockets), fd)
