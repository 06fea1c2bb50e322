"""Stopping and starting `ringback serve`: work in progress is finished, requeued, or sent again."""

import asyncio
import json
import random
import re
import signal
import sqlite3
import sys
from base64 import b64encode
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.crash.cluster import a_cluster
from tests.crash.production import Production, create_account, in_production
from tests.receivers import Hang, ReceivedRequest, RecordingReceiver

UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
ONE_AT_A_TIME = ("--per-destination", "1")
NAMES = ("a", "b", "c", "d")
# The attempts of a request that hung until the process ended, and of its successor.
CUT_OFF, PUT_BACK = ["unknown", "delivered"], ["delivered"]


def events(receiver: RecordingReceiver) -> dict[str, Any]:
    return {
        "callbacks": [
            {"url": receiver.url("/hook"), "parameters": {"Event": name}} for name in NAMES
        ]
    }


def event(receiver: RecordingReceiver) -> dict[str, Any]:
    return {"url": receiver.url("/hook"), "parameters": {"Event": "a"}}


async def send(server: Production, document: dict[str, Any]) -> list[str]:
    """Create callbacks, and return their SIDs."""
    answered = await server.send(document)
    assert answered.status == 201
    return [one["sid"] for one in answered.body.get("callbacks", [answered.body])]


def on_file(data: Path, question: str) -> list[tuple[Any, ...]]:
    """Query the file of a server that has stopped."""
    with closing(sqlite3.connect(data / "ringback.db")) as connection:
        return connection.execute(question).fetchall()


def tokens_of(requests: list[ReceivedRequest]) -> list[str]:
    headers = [header for request in requests for header in request.headers]
    return [line for line in headers if line.startswith("Kore-Idempotency-Token: ")]


# ---- stopping ------------------------------------------------------------------------------------


async def test_a_request_answered_within_the_drain_is_not_repeated(tmp_path: Path) -> None:
    hang, credentials = Hang(), await create_account(tmp_path)
    async with RecordingReceiver(hang) as receiver:
        async with in_production(tmp_path, credentials) as server:
            (sid,) = await send(server, event(receiver))
            await receiver.wait_for(1)
            server.signal(signal.SIGTERM)
            await server.log.says("stopping")
            assert await server.is_refused()
            hang.release()
            assert await server.process.wait() == 0
        async with in_production(tmp_path, credentials) as server:
            assert (await server.fetch(sid))["status"] == "delivered"
            assert await server.results(sid) == ["delivered"]
    assert len(receiver.requests) == 1


async def test_a_request_not_answered_within_the_drain_is_sent_again_with_the_same_token(
    tmp_path: Path,
) -> None:
    credentials = await create_account(tmp_path)
    async with RecordingReceiver(Hang()) as receiver:
        async with in_production(tmp_path, credentials, "--drain", "10ms") as server:
            (sid,) = await send(server, event(receiver))
            await receiver.wait_for(1)
            assert await server.stop() == 0
        async with in_production(tmp_path, credentials) as server:
            assert (await server.ended(sid))["status"] == "delivered"
            assert await server.results(sid) == CUT_OFF
    assert len(receiver.requests) == 2
    assert len(set(tokens_of(receiver.requests))) == 1


async def test_a_refused_attempt_is_recorded_and_its_round_goes_on_after_the_start(
    tmp_path: Path,
) -> None:
    credentials = await create_account(tmp_path)
    may_answer = asyncio.Event()

    async def refuse_in_the_end(writer: asyncio.StreamWriter) -> None:
        await may_answer.wait()
        writer.write(UNAVAILABLE)

    async with RecordingReceiver(refuse_in_the_end) as receiver:
        async with in_production(tmp_path, credentials) as server:
            (sid,) = await send(server, event(receiver))
            await receiver.wait_for(1)
            server.signal(signal.SIGTERM)
            await server.log.says("stopping")
            assert await server.is_refused()
            may_answer.set()
            assert await server.process.wait() == 0
        assert len(receiver.requests) == 1
        async with in_production(tmp_path, credentials) as server:
            assert (await server.ended(sid))["status"] == "delivered"
            assert await server.results(sid) == ["refused", "delivered"]
    assert len(receiver.requests) == 2
    assert len(set(tokens_of(receiver.requests))) == 1


@pytest.mark.parametrize(
    ("is_answered", "drain", "first"), [(True, "20s", PUT_BACK), (False, "10ms", CUT_OFF)]
)
async def test_unsent_callbacks_are_requeued_without_a_row(
    is_answered: bool, drain: str, first: list[str], tmp_path: Path
) -> None:
    hang, credentials = Hang(), await create_account(tmp_path)
    async with RecordingReceiver(hang) as receiver:
        flags = (*ONE_AT_A_TIME, "--drain", drain)
        async with in_production(tmp_path, credentials, *flags) as server:
            sids = await send(server, events(receiver))
            await receiver.wait_for(1)
            server.signal(signal.SIGTERM)
            await server.log.says("stopping")
            assert await server.is_refused()
            if is_answered:
                hang.release()
            assert await server.process.wait() == 0

        assert [request.body for request in receiver.requests] == [b"Event=a"]
        waiting = on_file(
            tmp_path,
            "SELECT sid, attempt_count, started_us IS NULL FROM waiting"
            " JOIN callbacks USING (id) ORDER BY id",
        )
        assert waiting[-3:] == [(sid, 0, 1) for sid in sids[1:]]
        sent = on_file(tmp_path, "SELECT sid FROM sent_at_once JOIN callbacks USING (id)")
        left_open = [sid for (sid,) in sent]
        assert left_open == ([] if is_answered else [sids[0]])

        async with in_production(tmp_path, credentials, *flags) as server:
            assert {(await server.ended(sid))["status"] for sid in sids} == {"delivered"}
            rows = [await server.results(sid) for sid in sids]
    assert rows == [first, PUT_BACK, PUT_BACK, PUT_BACK]
    assert len(receiver.requests) == sum(map(len, rows))


async def test_a_second_signal_ends_it_at_once_and_the_next_start_recovers_everything(
    tmp_path: Path,
) -> None:
    credentials = await create_account(tmp_path)
    async with RecordingReceiver(Hang()) as receiver:
        flags = (*ONE_AT_A_TIME, "--drain", "1h")
        async with in_production(tmp_path, credentials, *flags) as server:
            sids = await send(server, events(receiver))
            await receiver.wait_for(1)
            server.signal(signal.SIGTERM)
            await server.log.says("stopping")
            assert await server.is_refused()
            server.signal(signal.SIGTERM)
            assert await server.process.wait() == -signal.SIGTERM
        async with in_production(tmp_path, credentials) as server:
            assert {(await server.ended(sid))["status"] for sid in sids} == {"delivered"}
            # Their rows were open, so nobody can know that three of them had not left.
            assert [await server.results(sid) for sid in sids] == [CUT_OFF] * len(NAMES)
    assert len(receiver.requests) == 1 + len(NAMES)
    assert len(set(tokens_of(receiver.requests))) == len(NAMES)


async def test_an_open_connection_is_closed_while_the_server_drains(tmp_path: Path) -> None:
    flags = ("--drain", "1h")
    credentials = await create_account(tmp_path)
    async with (
        RecordingReceiver(Hang()) as receiver,
        in_production(tmp_path, credentials, *flags) as server,
    ):
        await send(server, event(receiver))
        await receiver.wait_for(1)
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        server.signal(signal.SIGTERM)
        await reader.read()
        writer.close()
        await server.log.says("stopping")
        assert await server.is_refused()
        assert server.process.returncode is None


async def test_callbacks_acknowledged_during_a_stop_are_stored(tmp_path: Path) -> None:
    """Requests are sent without a pause until refused: each one answered must be stored."""
    credentials = await create_account(tmp_path)
    acknowledged = list[str]()
    async with RecordingReceiver() as receiver:
        async with in_production(tmp_path, credentials) as server:

            async def send_until_refused() -> None:
                while True:
                    try:
                        acknowledged.extend(await send(server, event(receiver)))
                    except OSError:
                        return

            clients = [asyncio.create_task(send_until_refused()) for _ in range(4)]
            await receiver.wait_for(20)
            assert await server.stop() == 0
            await asyncio.gather(*clients)
        async with in_production(tmp_path, credentials) as server:
            statuses = {sid: (await server.ended(sid))["status"] for sid in acknowledged}
            rows = [row for sid in acknowledged for row in await server.results(sid)]
    assert set(statuses.values()) == {"delivered"}
    assert rows == ["delivered"] * len(acknowledged)


# ---- the lame-duck time --------------------------------------------------------------------------


POST = (
    b"POST /portal/v1/callbacks HTTP/1.1\r\nHost: a\r\nAuthorization: Basic %b\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
)


async def post(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[int, bool]:
    """Send a request; return the status, and True if the response says that it is the last."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: ([0-9]+)", head)
    assert length is not None
    await reader.readexactly(int(length[1]))
    return int(head.split()[1]), b"connection: close" in head


async def test_requests_on_idle_connections_are_answered_until_the_lame_duck_time_ends(
    tmp_path: Path,
) -> None:
    credentials = await create_account(tmp_path)
    pair = b64encode("{account_sid}:{auth_token}".format_map(credentials).encode())
    async with (
        RecordingReceiver() as receiver,
        in_production(tmp_path, credentials, "--lame-duck", "2s") as server,
    ):
        body = json.dumps(event(receiver)).encode()
        request = POST % (pair, len(body), body)
        clients = [await asyncio.open_connection(*server.address) for _ in range(100)]
        assert {await post(*client, request) for client in clients} == {(201, False)}
        await asyncio.sleep(0.6)  # so long that they would be closed at once
        server.signal(signal.SIGTERM)
        await server.log.says("not ready any more")

        async def send_at(second: float, client: tuple[Any, Any]) -> tuple[int, bool]:
            await asyncio.sleep(second)
            return await post(*client, request)

        clients += [await asyncio.open_connection(*server.address) for _ in range(20)]
        silent, *others = clients
        chance = random.Random(5)
        answers = [send_at(chance.uniform(0, 1.5), client) for client in others]
        assert await asyncio.gather(*answers) == [(201, True)] * len(others)
        ready = await server.get("/readyz")
        assert (ready.status, ready.body["reason"]) == (503, "the server is stopping")
        assert await silent[0].read() == b""  # closed in the end
        assert await server.is_refused()
        assert await server.process.wait() == 0
        for _, writer in clients:
            writer.close()
        assert len(receiver.requests) == 100 + len(others)


async def test_a_second_signal_ends_the_lame_duck_time_at_once(tmp_path: Path) -> None:
    credentials = await create_account(tmp_path)
    async with in_production(tmp_path, credentials, "--lame-duck", "1h") as server:
        server.signal(signal.SIGTERM)
        await server.log.says("not ready any more")
        assert (await server.get("/healthz")).status == 200
        server.signal(signal.SIGTERM)
        assert await server.process.wait() == -signal.SIGTERM


async def test_a_worker_has_no_lame_duck_time(tmp_path: Path) -> None:
    async with (
        a_cluster(tmp_path) as cluster,
        cluster.running("worker", sys.stderr, "--lame-duck", "1h") as worker,
    ):
        async with asyncio.timeout(20):
            assert await worker.stop() == 0
        assert not any("not ready" in line["message"] for line in worker.log.lines)


# ---- starting ------------------------------------------------------------------------------------


async def refused(data: Path, command: str) -> str:
    """Start a second process, and return the error by which it is refused."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ringback", command, "--port", "0", "--data", str(data)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, told = await process.communicate()
    assert process.returncode == 1
    assert out == b""
    return told.decode()


@pytest.mark.parametrize("command", ["serve", "dev"])
async def test_a_second_process_on_the_same_folder_is_refused_by_name_and_disturbs_nobody(
    command: str, tmp_path: Path
) -> None:
    credentials = await create_account(tmp_path)
    async with RecordingReceiver() as receiver, in_production(tmp_path, credentials) as server:
        for _ in range(2):  # the second time, too, the error names the right process
            told = await refused(tmp_path, command)
            assert f"is in use by process {server.process.pid}; stop it" in told
        (sid,) = await send(server, event(receiver))
        assert (await server.ended(sid))["status"] == "delivered"


async def test_the_folder_of_a_killed_process_is_free(tmp_path: Path) -> None:
    credentials = await create_account(tmp_path)
    async with in_production(tmp_path, credentials) as server:
        await server.kill()
    async with in_production(tmp_path, credentials) as server:
        assert (await server.get("/readyz")).status == 200
        assert (tmp_path / "ringback.lock").read_text() == f"{server.process.pid}\n"
