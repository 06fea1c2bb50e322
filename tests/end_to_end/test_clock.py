"""`ringback clock` with a running server: time passes, is remembered, and blocks nobody."""

import asyncio
import json
import signal
import stat
import sys
from pathlib import Path
from typing import Any

from tests.crash.production import create_account, in_production
from tests.end_to_end.test_sending import ringback
from tests.receivers import Hang, RecordingReceiver
from tests.served import served

CLOCK = "/portal/v1/clock"
DAY = 86400


async def clock_of(data: Path) -> dict[str, Any]:
    return json.loads(await ringback("clock", "show", "--json", data=data))


async def test_waiting_work_is_done_at_its_time_when_the_advance_returns(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path) as dev:
        words = ("send", receiver.url("/"), "--deliver-at", "2h", "--json")
        asked = json.loads(await ringback(*words, data=tmp_path))
        said = await ringback("clock", "advance", "3d", data=tmp_path)
        record = (await dev.get(f"/portal/v1/callbacks/{asked['sid']}")).body
        (attempt,) = await dev.attempts(record)
        shown = await ringback("clock", "show", data=tmp_path)
    assert (record["status"], len(receiver.requests)) == ("delivered", 1)
    assert attempt["date_started"] >= asked["date_next_attempt"] > asked["date_created"]
    assert attempt["date_started"] < said[: len("2026-11-24T10:00:00Z")] <= shown
    for words_said in (said, shown):
        assert words_said.split(maxsplit=1)[1] == "3d ahead of the machine\n"


async def test_a_clock_that_was_never_advanced_shows_the_machines_time(tmp_path: Path) -> None:
    async with served(tmp_path):
        said = await ringback("clock", "show", data=tmp_path)
        answer = await clock_of(tmp_path)
    assert said.split(maxsplit=1)[1] == "the machine's own time\n"
    assert answer["ahead_seconds"] == 0
    assert not (tmp_path / "clock.json").exists()


async def test_the_offset_outlives_the_process_however_that_ends(tmp_path: Path) -> None:
    async with served(tmp_path) as dev:
        answer = json.loads(await ringback("clock", "advance", "3d", "--json", data=tmp_path))
        assert await dev.stop() == 0
    async with served(tmp_path) as dev:
        first = await clock_of(tmp_path)
        assert (await dev.post(CLOCK, Advance="1h")).status == 200
        await dev.kill()
    async with served(tmp_path):
        second = await clock_of(tmp_path)
    ahead = [one["ahead_seconds"] for one in (answer, first, second)]
    assert ahead == [3 * DAY, 3 * DAY, 3 * DAY + 3600]
    assert answer["now"] <= first["now"] < second["now"]
    assert stat.S_IMODE((tmp_path / "clock.json").stat().st_mode) == 0o600


async def test_the_banner_says_how_far_ahead_the_clock_is(tmp_path: Path) -> None:
    (tmp_path / "clock.json").write_text('{"ahead_seconds": 93600}')
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ringback", "dev", "--port", "0", "--data", str(tmp_path)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(10):
        banner = (await process.stdout.readuntil(b"callbacks list")).decode()
    process.send_signal(signal.SIGINT)
    assert await process.wait() == 0
    assert "\n  Clock                1d 2h ahead of the machine\n" in banner


async def test_a_broken_clock_file_prevents_the_start(tmp_path: Path) -> None:
    (tmp_path / "clock.json").write_text("tomorrow")
    said = await ringback("dev", "--port", "0", data=tmp_path, fails=True)
    assert said.startswith(f"ringback: {tmp_path}/clock.json does not say how far ahead")
    assert not (tmp_path / "ringback.db").exists()


async def test_an_advance_that_lets_no_time_pass_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path):
        said = await ringback("clock", "advance", "soon", data=tmp_path, fails=True)
    assert said.startswith("ringback: Advance: 'soon' is not a valid duration; write it like")


async def test_a_stop_does_not_wait_for_a_waiting_advance(tmp_path: Path) -> None:
    async with RecordingReceiver(Hang()) as receiver, served(tmp_path) as dev:
        await ringback("send", receiver.url("/"), "--deliver-at", "2h", data=tmp_path)
        advancing = asyncio.create_task(dev.post(CLOCK, Advance="3d"))
        await receiver.wait_for(1)
        assert await dev.stop() == 0
        answer = await advancing
    assert (answer.status, answer.body["code"]) == (503, 20503)
    assert answer.body["message"].startswith(
        "Ringback is stopping; the clock was advanced only to "
    )
    async with served(tmp_path):
        assert 7000 < (await clock_of(tmp_path))["ahead_seconds"] <= 7200


async def test_in_production_the_clock_shows_the_machines_time(tmp_path: Path) -> None:
    async with in_production(tmp_path, await create_account(tmp_path)) as server:
        for answer in (await server.get(CLOCK), await server.post(CLOCK, Advance="3d")):
            assert (answer.status, answer.body["code"]) == (404, 20404)


async def test_a_duration_on_the_command_line_counts_from_the_servers_time(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path) as dev:
        await ringback("clock", "advance", "3d", data=tmp_path)
        await ringback("send", receiver.url("/"), "--deliver-at", "2h", data=tmp_path)
        (callback,) = await dev.callbacks()
        assert callback["status"] == "scheduled"
        await ringback("clock", "advance", "2h", data=tmp_path)
        (callback,) = await dev.callbacks()
        assert callback["status"] == "delivered"
