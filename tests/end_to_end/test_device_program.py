"""`examples/device.py` as its own process: a thousand commands each way, none lost or twice."""

import asyncio
import runpy
import socket
import sys
from base64 import b64decode
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from tests.receivers import OK, ReceivedRequest, RecordingReceiver, Reply
from tests.served import Served, served

PROGRAM = Path(__file__).parents[2] / "examples/device.py"
READINGS = 1000


async def start(dev: Served, *words: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROGRAM), "--gateway", dev.dev["gateway"], "--port", "0", *words),
        stdout=asyncio.subprocess.PIPE,
    )


def told(request: ReceivedRequest) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode()))


def reading_in(parameters: dict[str, str]) -> str:
    return b64decode(parameters["Payload"]).decode()


class Application:
    """Acknowledges each reading with an IP Command to its origin."""

    def __init__(self) -> None:
        self.dev: Served | None = None
        self.receiver: RecordingReceiver | None = None
        self.acknowledging = set[asyncio.Task[None]]()

    def answer(self, request: ReceivedRequest) -> Reply:
        if request.line.startswith("POST /up "):
            self.acknowledging.add(asyncio.create_task(self.acknowledge(told(request))))
        return OK

    async def acknowledge(self, parameters: dict[str, str]) -> None:
        assert self.dev is not None
        assert self.receiver is not None
        answer = await self.dev.post(
            "/v1/IpCommands",
            Sim=parameters["SimSid"],
            Payload=f"ack {reading_in(parameters).split()[1]}",
            DevicePort=parameters["DevicePort"],
            CallbackUrl=self.receiver.url("/down"),
        )
        assert answer.status == 201


async def commands(dev: Served, **which: str) -> list[dict[str, Any]]:
    """Return all IP Commands of one direction."""
    answer = await dev.get("/v1/IpCommands", PageSize="1000", **which)
    assert answer.body["meta"]["next_page_url"] is None or len(answer.body["ip_commands"]) == 1000
    return answer.body["ip_commands"]


async def test_a_thousand_commands_each_way_give_one_callback_each(tmp_path: Path) -> None:
    application = Application()
    flags = ("--gateway", "127.0.0.1:0", "--update-takes", "0s")
    async with (
        RecordingReceiver(answer=application.answer) as receiver,
        served(tmp_path, *flags) as dev,
    ):
        application.dev, application.receiver = dev, receiver
        fleet = await dev.post("/v1/Fleets/my_fleet", IpCommandsUrl=receiver.url("/up"))
        assert fleet.status == 200
        program = await start(dev, "--readings", str(READINGS))
        said, _ = await program.communicate()
        assert said.decode().endswith(f"{READINGS} readings, all acknowledged\n")
        assert program.returncode == 0
        await receiver.wait_for(2 * READINGS)
        await asyncio.gather(*application.acknowledging)
        received = await commands(dev, Direction="from_sim")
        sent = await commands(dev, Direction="to_sim")
        # The rest is sent before the server has stopped.
        assert await dev.stop() == 0

    lines = said.decode().splitlines()
    assert Counter(line for line in lines if line.startswith("< ")) == {
        f"< ack {number}": 1 for number in range(1, READINGS + 1)
    }
    ups = [told(one) for one in receiver.requests if one.line.startswith("POST /up ")]
    downs = [told(one) for one in receiver.requests if one.line.startswith("POST /down ")]
    assert len(receiver.requests) == len(ups) + len(downs)
    assert Counter(map(reading_in, ups)) == {
        line.removeprefix("> "): 1 for line in lines if line.startswith("> reading ")
    }
    assert Counter(one["Payload"] for one in downs) == {
        f"ack {number}": 1 for number in range(1, READINGS + 1)
    }
    for callbacks, records, status in ((ups, received, "received"), (downs, sent, "sent")):
        assert len(records) == READINGS
        assert {(one["sid"], one["payload"]) for one in records} == {
            (one["CommandSid"], one["Payload"]) for one in callbacks
        }
        assert {one["Status"] for one in callbacks} == {status}


async def test_it_answers_commands(tmp_path: Path) -> None:
    async with (
        RecordingReceiver() as receiver,
        served(tmp_path, "--gateway", "127.0.0.1:0", "--update-takes", "0s") as dev,
    ):
        await dev.post("/v1/Fleets/my_fleet", IpCommandsUrl=receiver.url("/up"))
        program = await start(dev)
        assert program.stdout is not None
        where = (await program.stdout.readline()).decode()
        port = where.strip().split(":")[-1]
        for count, payload in enumerate(("status", "open sesame"), start=1):
            asked = {"Sim": "my_super_sim", "Payload": payload, "DevicePort": port}
            assert (await dev.post("/v1/IpCommands", **asked)).status == 201
            await receiver.wait_for(count)
        program.terminate()
        await program.communicate()
    assert [reading_in(told(one)) for one in receiver.requests] == [
        "ok status 0 readings",
        "unknown open sesame",
    ]


def test_a_reading_without_an_acknowledgement_is_sent_again_and_then_given_up() -> None:
    names = runpy.run_path(str(PROGRAM))
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gateway,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound,
    ):
        gateway.bind(("127.0.0.1", 0))
        bound.bind(("127.0.0.1", 0))
        bound.settimeout(0.001)
        said = list[str]()
        meter = names["Meter"](bound, gateway.getsockname(), said.append)
        assert not names["run"](meter, 2)
        datagrams = [gateway.recv(2000).decode() for _ in range(6)]
    assert datagrams == ["reading 1 200.01", "reading 2 200.02"] * 3
    assert said == [f"> {datagram}" for datagram in datagrams]
    assert sorted(meter.waiting) == [1, 2]
