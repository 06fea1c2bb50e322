"""A plan made at one server, and used at others: at that of the restored data, and nowhere else."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from click.testing import Result

from tests.receivers import RecordingReceiver, answer_and_close
from tests.served import Served, in_this_process, served

OLD, NEW = "https://a.example/sms", "https://a.example/sms#cbs=kore"


async def migrate(server: Served, *words: str, at: str | None = None) -> Result:
    dev = server.dev
    return await in_this_process(
        *("migrate", *words, "--server", at or dev["base_url"]),
        *("--account-sid", dev["account_sid"]),
        RINGBACK_AUTH_TOKEN=dev["auth_token"],
    )


@asynccontextmanager
async def migrating(
    server: Served, *words: str
) -> AsyncGenerator[tuple[asyncio.subprocess.Process, asyncio.StreamReader]]:
    """Run a command in another process until it ends; return the process and its stderr."""
    dev = server.dev
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ringback", "migrate", *words),
        *("--server", dev["base_url"], "--account-sid", dev["account_sid"]),
        env=os.environ | {"RINGBACK_AUTH_TOKEN": dev["auth_token"]},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    yield process, process.stderr
    await process.wait()


async def configured(server: Served, **form: str) -> Any:
    """Return the callback URL of the fleet, after it was changed as `form` says."""
    path = "/supersim/v1/Fleets/my_fleet"
    answer = await (server.post(path, **form) if form else server.get(path))
    return answer.body["sms_commands_url"]


async def test_a_plan_goes_on_where_its_data_was_restored_and_nowhere_else(tmp_path: Path) -> None:
    plan, here, there = str(tmp_path / "move.plan"), tmp_path / "here", tmp_path / "there"
    async with served(here) as server:
        assert await configured(server, SmsCommandsUrl=OLD) == OLD
        made = await migrate(server, "plan", "--api", "--to", "kore", "--out", plan)
        assert made.exit_code == 0, made.output
        there.mkdir()
        (there / "ringback.key").write_bytes((here / "ringback.key").read_bytes())
        backup = str(tmp_path / "made.backup")
        for words in (
            ("backup", backup, "--data", str(here)),
            ("restore", backup, "--data", str(there)),
        ):
            ended = await in_this_process(*words)
            assert ended.exit_code == 0, ended.output
        async with served(there) as restored:
            # A server with restored data is paused, and moves nothing.
            async with migrating(restored, "apply", plan, "--no-probe") as (process, log):
                assert b"the server is paused (" in await log.readline()
                assert await configured(restored) == OLD
                ended = await in_this_process("resume", "--yes", "--data", str(there))
                assert ended.exit_code == 0, ended.output
                assert await log.read() == b"it goes on\n"
            assert process.returncode == 0
            assert await configured(restored) == NEW
        assert await configured(server) == OLD
    # It has the same account, with the same credentials.
    async with served(tmp_path / "other") as other:
        assert await configured(other, SmsCommandsUrl=OLD) == OLD
        ended = await migrate(other, "apply", plan, "--no-probe")
        assert "the plan is for the data with the fingerprint" in ended.output
        assert (ended.exit_code, await configured(other)) == (1, OLD)


async def test_a_server_with_another_fingerprint_gets_no_credentials(tmp_path: Path) -> None:
    plan = str(tmp_path / "move.plan")
    body = b'{"fingerprint": "0"}'
    reply = answer_and_close(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    async with (
        served(tmp_path / "data") as server,
        RecordingReceiver(answer=lambda _: reply) as evil,
    ):
        assert (
            await migrate(server, "plan", "--api", "--to", "kore", "--out", plan)
        ).exit_code == 0
        for command in ("apply", "status", "revert"):
            ended = await migrate(server, command, plan, at=evil.url().rstrip("/"))
            assert ended.exit_code == 1
        assert [request.line for request in evil.requests] == ["GET /fingerprint? HTTP/1.1"] * 3
        assert all("authorization" not in str(request.headers).lower() for request in evil.requests)
