"""The listening socket."""

import asyncio
import socket

import pytest

from ringback.api.serve_on_socket import bind, listen, reserve
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
