"""A plan that a server carries out: the command follows its job, and may end before it."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

from click.testing import Result

from tests.receivers import ReceivedRequest, RecordingReceiver, answer_and_close
from tests.served import Served, asked_until, in_this_process, served

FORBIDDEN = answer_and_close(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
DONE = answer_and_close(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
BEFORE = ("--at", "2024-10-01")
"""In this phase, twilio is the default, and kore can be asked for."""


def is_from_kore(request: ReceivedRequest) -> bool:
    return any(line.startswith("Kore-Signature:") for line in request.headers)


def refusing_kore(request: ReceivedRequest) -> Any:
    return FORBIDDEN if is_from_kore(request) else DONE


class Move:
    """A plan for the URL of one fleet, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.plan = folder / "move.plan"

    async def migrate(self, *words: str, exit_code: int = 0) -> Result:
        ended = await in_this_process("migrate", *words)
        assert ended.exit_code == exit_code, ended.output
        return ended

    async def begin(self, server: Served, url: str) -> None:
        """Configure the URL, and make the plan."""
        await server.post("/supersim/v1/Fleets/my_fleet", SmsCommandsUrl=url)
        place = ("--data", str(self.data))
        await self.migrate("plan", *place, "--to", "kore", "--out", str(self.plan))

    async def apply(self, *words: str, exit_code: int = 0) -> Result:
        words = ("apply", str(self.plan), "--no-probe", *words)
        return await self.migrate(*words, exit_code=exit_code)

    async def revert(self) -> str:
        return (await self.migrate("revert", str(self.plan), "--yes")).output


async def url_of(server: Served) -> str:
    return (await server.get("/supersim/v1/Fleets/my_fleet")).body["sms_commands_url"]


async def test_what_was_refused_is_sent_again_once_a_server_runs(tmp_path: Path) -> None:
    move = Move(tmp_path)
    async with RecordingReceiver(answer=refusing_kore) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/sms"
        async with served(move.data, *BEFORE) as server:
            await move.begin(server, url)
            assert "1  moved" in (await move.apply()).output
            assert await url_of(server) == f"{url}#cbs=kore"
            sim = server.dev["sim_sid"]
            await server.post(f"/portal/v1/devices/{sim}/sms", Payload="hello")
            assert (await server.settled())["status"] == "failed"
        said = await move.revert()
        assert "1 URL went back while no server ran" in said
        async with served(move.data, *BEFORE) as server:
            said = await move.revert()
            assert "1  callbacks that receivers refused are sent again by the old source" in said
            callback = await server.settled()
            assert (callback["source"], callback["status"]) == ("twilio", "delivered")
            assert await url_of(server) == url
            # Nothing is left to do.
            assert "nothing to revert" in await move.revert()
    assert [is_from_kore(request) for request in receiver.requests] == [True, False]


async def test_a_move_goes_on_in_the_server_when_its_command_is_interrupted(tmp_path: Path) -> None:
    move = Move(tmp_path)
    async with RecordingReceiver() as receiver, served(move.data, *BEFORE) as server:
        await move.begin(server, f"http://127.0.0.1:{receiver.port}/sms")
        canary = ("--canary", "50", "--soak", "2s", "--least", "0")
        apply = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ringback", "migrate", "apply", str(move.plan), "--no-probe"),
            *canary,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert apply.stdout is not None
        assert apply.stderr is not None
        while b"watching 1 URL" not in await apply.stdout.readline():
            pass
        apply.send_signal(signal.SIGINT)
        err = (await apply.stderr.read()).decode()
        assert await apply.wait() == 1
        assert "the move goes on in the server: `ringback jobs follow JO" in err
        assert "Traceback" not in err
        # It ends although nobody follows it: the next command finds it done.
        await asked_until(
            lambda: move.migrate("status", str(move.plan)), lambda ended: "1  moved" in ended.output
        )
        again = await move.apply(*canary)
        assert "1  moved" in again.output


async def test_a_server_probes_receivers_before_their_urls_move(tmp_path: Path) -> None:
    move = Move(tmp_path)
    async with RecordingReceiver() as receiver, served(move.data, *BEFORE) as server:
        url = f"http://127.0.0.1:{receiver.port}/sms"
        await move.begin(server, url)
        said = (await move.migrate("apply", str(move.plan), exit_code=4)).output
        assert "it accepts a request signed with another secret" in said
        assert await url_of(server) == url
        assert any(is_from_kore(request) for request in receiver.requests)


async def test_a_url_that_delivers_worse_goes_back_and_nothing_is_lost(tmp_path: Path) -> None:
    move = Move(tmp_path)
    async with RecordingReceiver(answer=refusing_kore) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/sms"
        async with served(move.data, *BEFORE) as server:
            await move.begin(server, url)
            canary = ("--canary", "50", "--soak", "2s", "--least", "1", "--wait", "1m")
            apply = asyncio.create_task(move.apply(*canary, "--json", exit_code=4))
            await asked_until(lambda: url_of(server), lambda now: now.endswith("#cbs=kore"))
            sim = server.dev["sim_sid"]
            await server.post(f"/portal/v1/devices/{sim}/sms", Payload="hello")
            ended = json.loads((await apply).stdout)
            assert (ended["outcome"], ended["counts"]) == ("done", {"stays behind": 1})
            assert ended["callbacks"] == {"sent_again": 1, "maybe_acted_on": 0}
            (left,) = ended["left_behind"]
            assert left["why"] == "1 of 1 fail (100.0 %); before: no attempts"
            assert await url_of(server) == url
            callback = await server.settled()
            assert (callback["source"], callback["status"]) == ("twilio", "delivered")
    assert [is_from_kore(request) for request in receiver.requests] == [True, False]


async def test_an_open_move_of_an_earlier_version_is_finished_by_the_server(tmp_path: Path) -> None:
    move, url = Move(tmp_path), "https://a.example/sms"
    async with served(move.data, *BEFORE) as server:
        await move.begin(server, url)
        header, edit = map(json.loads, move.plan.read_text().splitlines())
        lines = [
            {"ringback_journal": "began", "plan": header["ringback_plan"]["id"]},
            {"ringback_journal": "step", "share": 100},
            {"ringback_journal": "moving", "edits": [edit]},
        ]
        common = {"at": "2024-10-01T00:00:00+00:00", "shares": [], "soak": 0.0}
        text = "".join(f"{json.dumps(line | common)}\n" for line in lines)
        (tmp_path / "move.plan.journal").write_text(text)
        await server.post("/supersim/v1/Fleets/my_fleet", SmsCommandsUrl=f"{url}#cbs=kore")
        assert "1  moved" in (await move.apply()).output
        assert "1  gone back" in await move.revert()
        assert await url_of(server) == url
