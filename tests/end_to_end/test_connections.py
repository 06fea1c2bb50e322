"""Clients without credentials that open connections, and send heads, as many as they like."""

import asyncio
import resource
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.crash.production import Production, create_account, in_production
from tests.receivers import RecordingReceiver

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
HALF = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
WHOLE = HALF + b"\r\n"
HEAD = 64 * 1024
MEGABYTE = 1024 * 1024
STRANGER, OTHER = "127.0.0.1", "127.0.0.2"


def under(soft: int, hard: int) -> tuple[str, ...]:
    """Return the command that runs `ringback` under these limits on open files."""
    limits = f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))"
    return ("-c", f"import resource; {limits}; from ringback.__main__ import main; main()")


@asynccontextmanager
async def opened(
    server: Production, number: int, sends: bytes = b"", source: str = STRANGER
) -> AsyncGenerator[list[Connection]]:
    """Keep `number` connections open that have sent these bytes, from one address."""
    connections = list[Connection]()
    try:
        for _ in range(number):
            connection = await asyncio.open_connection(*server.address, local_addr=(source, 0))
            connections.append(connection)
            connection[1].write(sends)
        yield connections
    finally:
        for _, writer in connections:
            writer.transport.abort()


async def status(server: Production, source: str) -> int:
    """Return the status that a client at another address gets."""
    async with opened(server, 1, WHOLE, source) as ((reader, _),):
        return int((await asyncio.wait_for(reader.readline(), 10)).split()[1])


def memory(server: Production) -> int:
    """Return the server's memory use, in bytes."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    line = next(line for line in text.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) * 1024


# ---- open files ----------------------------------------------------------------------------------


async def test_the_soft_limit_is_raised_and_what_each_side_gets_is_logged(tmp_path: Path) -> None:
    credentials = await create_account(tmp_path)
    async with in_production(tmp_path, credentials, command=under(256, 6000)) as server:
        await server.log.says("serving at")
        line = server.log.lines[-1]
        limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)
    assert limits == (6000, 6000)
    assert line["open_files"] == 6000
    assert (line["client_connections"], line["sending_connections"]) == (4096, 900)
    assert [line["level"] for line in server.log.lines] == ["info"] * len(server.log.lines)


async def test_a_limit_that_is_too_low_is_logged(tmp_path: Path) -> None:
    credentials = await create_account(tmp_path)
    async with in_production(tmp_path, credentials, command=under(256, 1024)) as server:
        await server.log.says("the limit of 1024 open files leaves 192 connections for clients and")
        await server.log.says("serving at")


@pytest.mark.parametrize("sends", [b"", b"GET / HTT", HALF])
async def test_under_the_usual_limit_a_thousand_connections_of_one_stranger_harm_nobody(
    sends: bytes, tmp_path: Path
) -> None:
    credentials = await create_account(tmp_path)
    async with (
        RecordingReceiver() as receiver,
        in_production(tmp_path, credentials, command=under(1024, 1024)) as server,
        opened(server, 1015, sends),
    ):
        assert [await status(server, OTHER) for _ in range(20)] == [200] * 20
        sids = list[str]()
        for number in range(50):
            event = {"url": receiver.url(f"/{number}"), "parameters": {"Event": "a"}}
            sids.append((await server.send(event)).body["sid"])
        for sid in sids:
            assert (await server.ended(sid))["status"] == "delivered"
            assert await server.results(sid) == ["delivered"]


async def test_a_thousand_connections_are_within_the_share_of_one_address(tmp_path: Path) -> None:
    credentials = await create_account(tmp_path)
    async with (
        in_production(tmp_path, credentials, command=under(6000, 6000)) as server,
        opened(server, 1000) as idle,
    ):
        assert await status(server, OTHER) == 200
        for reader, writer in idle:
            writer.write(WHOLE)
            assert (await reader.readline()).split()[1] == b"200"


def next_descriptor_of(pid: int) -> int:
    """Return the number after the highest file descriptor of a process."""
    return max(int(file.name) for file in Path(f"/proc/{pid}/fd").iterdir()) + 1


async def test_without_free_descriptors_clients_wait_and_are_answered_later(tmp_path: Path) -> None:
    credentials = await create_account(tmp_path)
    async with in_production(tmp_path, credentials) as server:
        assert await status(server, OTHER) == 200
        pid = server.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        # All lower numbers are taken, so the next descriptor is refused.
        taken = next_descriptor_of(pid)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
        assert taken > 3
        async with opened(server, 5, WHOLE) as waiting:
            await server.log.says("new client connections have to wait: Too many open files")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(waiting[0][0].readline(), 1)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            for reader, _ in waiting:
                assert (await reader.readline()).split()[1] == b"200"
        await server.log.says("new client connections are accepted again")
    told = [line for line in server.log.lines if line["level"] == "error"]
    assert len(told) == 1


# ---- memory --------------------------------------------------------------------------------------


async def test_a_thousand_half_sent_heads_take_little_memory(tmp_path: Path) -> None:
    credentials = await create_account(tmp_path)
    half = HALF + b"X: " + b"a" * (HEAD - len(HALF) - 10)
    async with in_production(tmp_path, credentials) as server, opened(server, 1000) as connections:
        before = memory(server)
        for _, writer in connections:
            writer.write(half)
            await writer.drain()
        assert await status(server, OTHER) == 200
        await asyncio.sleep(1)
        after = memory(server)
    print(f"{before / MEGABYTE:.0f} MB before, {after / MEGABYTE:.0f} MB with the heads")
    assert after < 150 * MEGABYTE


ENDLESS: Sequence[tuple[bytes, bytes]] = [
    (HALF, b"X: " + b"a" * 1000 + b"\r\n"),
    (HALF + b"X: ", b"a" * 1005),
    (b"GET /", b"a" * 1005),
]


@pytest.mark.parametrize(("start", "more"), ENDLESS)
async def test_endless_heads_take_no_memory(start: bytes, more: bytes, tmp_path: Path) -> None:
    credentials = await create_account(tmp_path)
    async with in_production(tmp_path, credentials) as server:

        async def pour() -> int:
            sent = 0
            async with opened(server, 1, start) as ((_, writer),):
                with suppress(ConnectionError):
                    while sent < 30 * MEGABYTE:
                        writer.write(more * 64)
                        await writer.drain()
                        sent += len(more) * 64
            return sent

        await pour()
        before = memory(server)
        sent = await asyncio.gather(*(pour() for _ in range(20)))
        after = memory(server)
        assert await status(server, OTHER) == 200
    assert min(sent) > HEAD
    assert after - before < 8 * MEGABYTE
