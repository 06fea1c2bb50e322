"""The gateway in a server: it stores datagrams from devices, and sends datagrams to them."""

import logging
import socket
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from ringback.application import ServerProcess
from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import Source
from ringback.operations.seed_data import find_or_seed
from ringback.operations.supersim.seed_data import SIM_NAME, SIM_SID
from ringback.ports import Clock
from ringback.runtime.database_outage import PAUSE
from ringback.runtime.system_clock import SystemClock
from ringback.runtime.virtual_clock import VirtualClock
from ringback.settings.load import load
from tests.crash.driver import writing_nothing_while
from tests.receivers import RecordingReceiver
from tests.unit.api.caller import Caller

HOST = "127.0.0.1"
STRANGER = "127.0.0.2"
IP_COMMANDS = "/v1/IpCommands"


class Running:
    """A server in this process, with the notice's SIM."""

    def __init__(self, application: ServerProcess, caller: Caller) -> None:
        assert application.workers.network.gateway is not None
        self.application = application
        self.caller = caller
        self.gateway = application.workers.network.gateway

    async def post(self, path: str, **form: str) -> Any:
        answer = await self.caller.post(path, form)
        assert answer.status < 300, answer.body
        return answer.json

    async def commands(self, **which: str) -> list[dict[str, Any]]:
        """Return all IP Commands, newest first."""
        query = "&".join(f"{name}={value}" for name, value in which.items())
        return (await self.caller.get(f"{IP_COMMANDS}?{query}")).json["ip_commands"]

    async def tell(self, url: str) -> None:
        """Set this URL for callbacks about the SIM's IP Commands."""
        await self.post("/v1/Fleets/my_fleet", IpCommandsUrl=url)


@asynccontextmanager
async def running(
    data: Path, *, gateway: str = f"{HOST}:0", clock: Clock | None = None
) -> AsyncIterator[Running]:
    flags = {"data": str(data), "gateway": gateway, "update_takes": "0s", "data_per_day": "0"}
    application = await ServerProcess.start(load(flags, {}), clock=clock or SystemClock())
    try:
        context = application.api.dependencies.context()
        seed = await application.storage.store.transact(
            lambda tx: find_or_seed(tx, context, uses_static_proxy=False)
        )
        account = seed.account
        yield Running(
            application, Caller(application.api.app, credentials=(account.sid, account.auth_token))
        )
    finally:
        await application.stop()


@pytest.fixture
def device() -> Iterator[socket.socket]:
    """The device of the notice's SIM."""
    with device_at(HOST) as device:
        yield device


def device_at(address: str) -> socket.socket:
    device = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    device.bind((address, 0))
    device.settimeout(10)
    return device


def port_of(device: socket.socket) -> int:
    return device.getsockname()[1]


@pytest.mark.parametrize("source", list(Source))
async def test_a_datagram_becomes_an_ip_command_and_is_called_back_once(
    tmp_path: Path, device: socket.socket, source: Source
) -> None:
    async with RecordingReceiver() as receiver, running(tmp_path) as server:
        await server.tell(receiver.url(f"/up#cbs={source}"))
        device.sendto(b"\x00\xff hi", server.gateway.address)
        (request,) = await receiver.wait_for(1)
        (command,) = await server.commands()
    told = dict(parse_qsl(request.body.decode()))
    expected = {
        "payload": b64encode(b"\x00\xff hi").decode(),
        "payload_type": "binary",
        "status": "received",
        "direction": "from_sim",
        "sim_sid": SIM_SID,
        "device_ip": HOST,
        "device_port": port_of(device),
    }
    assert command.items() >= expected.items()
    names = ("Payload", "PayloadType", "Status", "Direction", "SimSid", "DeviceIp", "DevicePort")
    assert [told[name] for name in names] == list(map(str, expected.values()))
    assert (told["CommandSid"], told["SimUniqueName"]) == (command["sid"], SIM_NAME)


async def test_an_empty_datagram_counts_and_a_long_one_is_truncated(
    tmp_path: Path, device: socket.socket
) -> None:
    sent = [b"", b"x" * 1300, b"y" * 1301, b"z" * 9000]
    async with RecordingReceiver() as receiver, running(tmp_path) as server:
        await server.tell(receiver.url("/up"))
        for payload in sent:
            device.sendto(payload, server.gateway.address)
        await receiver.wait_for(len(sent))
        commands = await server.commands()
    payloads = [b64decode(command["payload"]) for command in reversed(commands)]
    assert payloads == [payload[:1300] for payload in sent]


@pytest.mark.parametrize(
    ("payload", "kind", "datagram"),
    [
        ("grüß", "text", "grüß".encode()),
        ("", "text", b""),
        (b64encode(b"\x00\xff" * 650).decode(), "binary", b"\x00\xff" * 650),
    ],
)
async def test_an_ip_command_leaves_for_the_port_it_names_and_can_be_answered(
    tmp_path: Path, device: socket.socket, payload: str, kind: str, datagram: bytes
) -> None:
    async with RecordingReceiver() as receiver, running(tmp_path) as server:
        await server.tell(receiver.url("/up"))
        form = {"Sim": SIM_NAME, "Payload": payload, "PayloadType": kind}
        command = await server.post(
            IP_COMMANDS, **form, DevicePort=str(port_of(device)), CallbackUrl=receiver.url("/down")
        )
        assert (command["status"], command["device_ip"]) == ("queued", None)
        (request,) = await receiver.wait_for(1)
        got, sender = device.recvfrom(2000)
        assert (got, sender) == (datagram, server.gateway.address)
        device.sendto(b"ok", sender)
        await receiver.wait_for(2)
        answer, sent = await server.commands()
    assert request.line.startswith("POST /down ")
    told = dict(parse_qsl(request.body.decode()))
    assert (told["Status"], told["DeviceIp"]) == ("sent", HOST)
    assert (sent["sid"], sent["status"]) == (command["sid"], "sent")
    assert (sent["payload"], sent["device_ip"]) == (payload, HOST)
    assert b64decode(answer["payload"]) == b"ok"


async def test_an_ip_command_that_fails_says_why(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, running(tmp_path) as server:
        port = str(server.gateway.address[1])
        form = {"Sim": SIM_NAME, "Payload": "x", "DevicePort": port}
        await server.post(IP_COMMANDS, **form, CallbackUrl=receiver.url("/down"))
        (request,) = await receiver.wait_for(1)
    told = dict(parse_qsl(request.body.decode()))
    assert (told["Status"], told["ErrorCode"]) == ("failed", "83400")
    assert "is the gateway itself" in told["ErrorMessage"]


async def test_the_portal_shows_where_the_gateway_really_is(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        host, port = server.gateway.address
        shown = (await server.caller.get(f"/portal/v1/devices/{SIM_NAME}")).json
    assert port
    assert shown["gateway"] == f"{host}:{port}"


async def test_a_datagram_of_an_inactive_sim_is_refused_and_the_log_says_why(
    tmp_path: Path, device: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with RecordingReceiver() as receiver, running(tmp_path) as server:
        await server.tell(receiver.url("/up"))
        form = {"Status": "inactive", "CallbackUrl": receiver.url("/sim")}
        await server.post(f"/v1/Sims/{SIM_SID}", **form)
        await receiver.wait_for(1)
        device.sendto(b"too late", server.gateway.address)
    # Each datagram had been accepted, or refused, before the server stopped.
    assert caplog.messages == [
        f"a datagram from {HOST}:{port_of(device)} was refused: SIM {SIM_SID} is inactive; its"
        " device can send while it is ready or active"
    ]


async def test_while_the_database_is_unavailable_datagrams_are_kept_for_later(
    tmp_path: Path, device: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    clock, sign = VirtualClock.stopped(SystemClock().now()), tmp_path / "away"
    caplog.set_level(logging.DEBUG, "ringback.runtime.database_outage")
    with writing_nothing_while(sign):
        async with RecordingReceiver() as receiver, running(tmp_path, clock=clock) as server:
            await server.tell(receiver.url("/up"))
            sign.touch()
            for payload in (b"1", b"2", b"3"):
                device.sendto(payload, server.gateway.address)
            while not any("trying again" in message for message in caplog.messages):
                assert (await server.caller.get("/readyz")).status == 503
            sign.unlink()
            while len(receiver.requests) < 3:
                clock.advance(PAUSE)
                assert (await server.caller.get("/readyz")).status == 200
            commands = await server.commands()
    assert [b64decode(command["payload"]) for command in reversed(commands)] == [b"1", b"2", b"3"]


async def test_a_taken_port_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with running(tmp_path / "one") as server:
        host, port = server.gateway.address
        with pytest.raises(ConfigurationError, match=r"choose another address with --gateway"):
            async with running(tmp_path / "two", gateway=f"{host}:{port}"):
                pass
    async with running(tmp_path / "two", gateway=f"{host}:{port}") as server:
        assert server.gateway.address == (host, port)


async def test_a_taken_port_is_skipped_if_any_port_will_do(
    tmp_path: Path, device: socket.socket
) -> None:
    taken = port_of(device)
    async with running(tmp_path, gateway=f"{HOST}:{taken}+") as server:
        host, port = server.gateway.address
        assert host == HOST
        assert port != taken


async def test_the_address_is_released_if_the_data_file_is_taken(
    tmp_path: Path, device: socket.socket
) -> None:
    free = port_of(device)
    device.close()
    async with running(tmp_path):
        with pytest.raises(ConfigurationError, match="another"):
            async with running(tmp_path, gateway=f"{HOST}:{free}"):
                pass
        with device_at(HOST) as again:
            again.close()
        other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        other.bind((HOST, free))
        other.close()


async def test_datagrams_received_before_the_stop_are_stored(
    tmp_path: Path, device: socket.socket
) -> None:
    # More than are read, or passed on, at a time; as many as any system's buffer has room for.
    async with running(tmp_path) as server:
        for number in range(250):
            device.sendto(b"%d" % number, server.gateway.address)
    async with running(tmp_path) as server:
        commands = await server.commands(PageSize="1000")
    payloads = [b64decode(command["payload"]) for command in reversed(commands)]
    assert payloads == [b"%d" % number for number in range(250)]


async def test_datagrams_are_counted_for_the_operator(
    tmp_path: Path, device: socket.socket
) -> None:
    async with RecordingReceiver() as receiver, running(tmp_path) as server:
        await server.tell(receiver.url("/up"))
        with device_at(STRANGER) as stranger:
            stranger.sendto(b"let me in", server.gateway.address)
        device.sendto(b"here I am", server.gateway.address)
        await receiver.wait_for(1)
        url = receiver.url("/down")
        port = str(port_of(device))
        form = {"Sim": SIM_SID, "Payload": "hi", "DevicePort": port, "CallbackUrl": url}
        await server.post(IP_COMMANDS, **form)
        await receiver.wait_for(2)
        told = (await server.caller.get("/metrics")).body.decode().splitlines()
    for ending, count in (("sent", 1), ("received", 1), ("refused", 1), ("dropped", 0)):
        assert f'ringback_datagrams_total{{ending="{ending}"}} {count}.0' in told
