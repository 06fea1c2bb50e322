"""The gateway sends and receives real datagrams, and no datagram makes it raise an error."""

import asyncio
import logging
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from ringback.carrier.simulated_carrier import SimulatedCarrier
from ringback.carrier.udp_gateway import Received, UdpGateway
from ringback.core.errors import ConfigurationError, NotFound
from ringback.core.scheduled_task import CarrierRequest
from ringback.core.sims.message import Direction, PayloadType
from ringback.core.sims.scenario import (
    CARRIED_OUT,
    SCENARIOS,
    CarrierFailure,
    CarrierResult,
    TaskKind,
)
from ringback.core.supersim.command import IpCommand, IpStatus
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, a_sim, an_update

HOST = "127.0.0.1"
A_WHILE = timedelta(seconds=10)
ELSEWHERE = "127.0.0.2"
IS_LINUX = pytest.mark.skipif(
    not hasattr(socket, "SO_BINDTODEVICE"), reason="only Linux has all of 127/8"
)


class Recorder:
    """Collects datagrams, and lets a test wait for a number of them."""

    def __init__(self) -> None:
        self.datagrams = list[tuple[str, int, bytes]]()
        self._changed = asyncio.Condition()

    async def __call__(self, address: str, port: int, payload: bytes) -> None:
        async with self._changed:
            self.datagrams.append((address, port, payload))
            self._changed.notify_all()

    @property
    def payloads(self) -> list[bytes]:
        return [payload for _, _, payload in self.datagrams]

    async def wait_for(self, count: int) -> list[tuple[str, int, bytes]]:
        async with asyncio.timeout(10), self._changed:
            await self._changed.wait_for(lambda: len(self.datagrams) >= count)
        return self.datagrams


@asynccontextmanager
async def receiving(received: Received, *, most: int = 1000) -> AsyncIterator[UdpGateway]:
    gateway = bind(most=most)
    gateway.start(received)
    try:
        yield gateway
    finally:
        await gateway.stop_receiving(within=A_WHILE)
        gateway.close()


def bind(host: str = HOST, port: int = 0, *, most: int = 1000) -> UdpGateway:
    return UdpGateway(host, port, behind=SimulatedCarrier(), stopwatch=lambda: 0.0, most=most)


@pytest.fixture(autouse=True)
def warnings_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)


@pytest.fixture
async def gateway() -> AsyncIterator[UdpGateway]:
    """A gateway that only sends."""
    gateway = bind()
    yield gateway
    gateway.close()


@pytest.fixture
def device() -> Iterator[socket.socket]:
    with device_at(HOST) as device:
        yield device


def device_at(address: str) -> socket.socket:
    device = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    device.bind((address, 0))
    device.settimeout(10)
    return device


def a_command(payload: str, port: int, kind: PayloadType = PayloadType.TEXT) -> IpCommand:
    return IpCommand(
        sid="HG" + "0" * 32,
        account_sid=ACCOUNT_SID,
        sim_sid=SIM_SID,
        sim_iccid="8988307000000000001",
        status=IpStatus.QUEUED,
        direction=Direction.TO_SIM,
        device_ip=None,
        device_port=port,
        payload_type=kind,
        payload=payload,
        date_created=NOW,
        date_updated=NOW,
    )


def sending(
    command: IpCommand, *, to: str | None = HOST, scenario: str = "normal"
) -> CarrierRequest:
    return CarrierRequest(TaskKind.SEND_IP, SCENARIOS[scenario], command, a_sim(device_ip=to))


def port_of(device: socket.socket) -> int:
    return device.getsockname()[1]


# ---- to devices --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [b"", b"hello", bytes(range(256)), b"\xff" * 1300],
    ids=["none", "text", "all", "max"],
)
async def test_binary_payloads_arrive_unchanged(
    gateway: UdpGateway, device: socket.socket, payload: bytes
) -> None:
    encoded = b64encode(payload).decode()
    command = a_command(encoded, port_of(device), PayloadType.BINARY)
    assert await gateway.carry_out(sending(command)) is CARRIED_OUT
    assert device.recvfrom(2000) == (payload, gateway.address)


@pytest.mark.parametrize("payload", ["", "grüß €", "x" * 1300])
async def test_text_is_sent_as_utf_8(
    gateway: UdpGateway, device: socket.socket, payload: str
) -> None:
    assert await gateway.carry_out(sending(a_command(payload, port_of(device)))) is CARRIED_OUT
    assert device.recv(2000) == payload.encode()


@pytest.mark.parametrize(("scenario", "code"), [("unattached", 83401), ("ip-fails", 83400)])
async def test_a_failure_in_the_scenario_prevents_sending(
    gateway: UdpGateway, device: socket.socket, scenario: str, code: int
) -> None:
    failing = sending(a_command("lost", port_of(device)), scenario=scenario)
    result = await gateway.carry_out(failing)
    assert isinstance(result, CarrierFailure)
    assert result.code == code
    await gateway.carry_out(sending(a_command("next", port_of(device))))
    assert device.recv(2000) == b"next"


async def test_the_carrier_behind_it_does_everything_else(gateway: UdpGateway) -> None:
    failing = CarrierRequest(TaskKind.UPDATE_SIM, SCENARIOS["update-fails"], an_update(), a_sim())
    assert await gateway.carry_out(failing) == SCENARIOS["update-fails"].result_of(
        TaskKind.UPDATE_SIM
    )
    normal = CarrierRequest(TaskKind.UPDATE_SIM, SCENARIOS["normal"], an_update(), a_sim())
    assert await gateway.carry_out(normal) is CARRIED_OUT


def told(result: CarrierResult) -> tuple[int, str]:
    assert isinstance(result, CarrierFailure)
    return result.code, result.message


async def test_a_system_error_when_sending_is_a_failure(gateway: UdpGateway) -> None:
    result = await gateway.carry_out(sending(a_command("x", 4000), to="255.255.255.255"))
    code, message = told(result)
    assert code == 83400
    assert message.startswith("a datagram can't be sent to 255.255.255.255:4000: ")


async def test_a_device_without_an_address_is_not_attached(gateway: UdpGateway) -> None:
    result = await gateway.carry_out(sending(a_command("x", 4000), to=None))
    assert told(result) == (83401, "the SIM's device has no address")


async def test_nothing_is_sent_to_the_gateway_itself(gateway: UdpGateway) -> None:
    code, message = told(await gateway.carry_out(sending(a_command("x", gateway.address[1]))))
    assert code == 83400
    assert "is the gateway itself; DevicePort must be" in message


async def test_a_port_where_nobody_listens_is_not_a_failure(device: socket.socket) -> None:
    nobody = device_at(HOST)
    port = port_of(nobody)
    nobody.close()
    async with receiving(recorder := Recorder()) as gateway:
        for _ in range(3):
            assert await gateway.carry_out(sending(a_command("x", port))) is CARRIED_OUT
        device.sendto(b"still there", gateway.address)
        await recorder.wait_for(1)


class Reluctant(socket.socket):
    """A socket whose system has no room for the first datagrams."""

    refusals = 3

    def sendto(self, *given: Any) -> int:
        if self.refusals:
            self.refusals -= 1
            raise BlockingIOError
        return super().sendto(*given)


async def test_a_full_socket_buffer_is_waited_for(
    device: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(socket, "socket", Reluctant)
        gateway = bind()
    commands = [sending(a_command(f"{number}", port_of(device))) for number in range(5)]
    async with asyncio.timeout(10):
        results = await asyncio.gather(*map(gateway.carry_out, commands))
    assert set(results) == {CARRIED_OUT}
    assert [device.recv(2000) for _ in commands] == [b"0", b"1", b"2", b"3", b"4"]
    gateway.close()


# ---- from devices ------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", [b"", b"hello", bytes(range(256)), b"\xff" * 1300])
async def test_a_datagram_is_passed_on_with_its_sender(
    device: socket.socket, payload: bytes
) -> None:
    async with receiving(recorder := Recorder()) as gateway:
        device.sendto(payload, gateway.address)
        assert await recorder.wait_for(1) == [(HOST, port_of(device), payload)]


async def test_a_datagram_that_is_too_long_is_passed_on_far_enough_to_show_it(
    device: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiving(recorder := Recorder()) as gateway:
        device.sendto(b"x" * 1300 + b"y" * 700, gateway.address)
        await recorder.wait_for(1)
    assert recorder.payloads == [b"x" * 1300 + b"y"]
    assert caplog.messages == [
        "a datagram from 127.0.0.1 was longer than 1300 bytes, and was cut off there"
    ]


async def test_datagrams_before_the_start_wait_for_it(device: socket.socket) -> None:
    gateway = bind()
    device.sendto(b"early", gateway.address)
    gateway.start(recorder := Recorder())
    await recorder.wait_for(1)
    await gateway.stop_receiving(within=A_WHILE)
    gateway.close()
    assert recorder.payloads == [b"early"]


async def test_a_burst_arrives_completely_and_in_order(device: socket.socket) -> None:
    # This many fit into the buffer that every system has by default.
    payloads = [b"%d" % number for number in range(100)]
    async with receiving(recorder := Recorder()) as gateway:
        for _ in range(20):
            for payload in payloads:
                device.sendto(payload, gateway.address)
            await recorder.wait_for(len(recorder.datagrams) + len(payloads))
    assert recorder.payloads == payloads * 20


@IS_LINUX
async def test_a_delayed_datagram_of_one_sender_delays_no_other(device: socket.socket) -> None:
    release, recorder = asyncio.Event(), Recorder()

    async def received(address: str, port: int, payload: bytes) -> None:
        if address == HOST:
            await release.wait()
        await recorder(address, port, payload)

    with device_at(ELSEWHERE) as other:
        async with receiving(received) as gateway:
            device.sendto(b"held", gateway.address)
            other.sendto(b"free", gateway.address)
            await recorder.wait_for(1)
            assert recorder.payloads == [b"free"]
            release.set()
    assert recorder.payloads == [b"free", b"held"]


async def test_excess_datagrams_are_dropped_counted_and_logged(
    device: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    release, recorder = asyncio.Event(), Recorder()

    async def received(address: str, port: int, payload: bytes) -> None:
        await release.wait()
        await recorder(address, port, payload)

    async with receiving(received, most=3) as gateway:
        for number in range(8):
            device.sendto(b"%d" % number, gateway.address)
        await until(lambda: gateway.dropped == 5)
        release.set()
        await recorder.wait_for(3)
        device.sendto(b"later", gateway.address)
        await recorder.wait_for(4)
    assert recorder.payloads == [b"0", b"1", b"2", b"later"]
    assert caplog.messages == [
        (
            "a datagram from 127.0.0.1 was dropped, since 3 datagrams are already waiting;"
            " the device must send more slowly"
        ),
        "4 more such warnings were left out",
    ]


async def test_refused_datagrams_are_logged_with_the_reason_and_a_rate_limit(
    device: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    async def received(address: str, port: int, payload: bytes) -> None:
        raise NotFound(f"no SIM has {address}")

    async with receiving(received) as gateway:
        for _ in range(50):
            device.sendto(b"", gateway.address)
        await until(lambda: gateway.refused == 50)
    assert caplog.messages == [
        f"a datagram from 127.0.0.1:{port_of(device)} was refused: no SIM has 127.0.0.1",
        "49 more such warnings were left out",
    ]


async def test_an_error_of_ringback_loses_one_datagram_and_is_logged(
    device: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder()

    async def received(address: str, port: int, payload: bytes) -> None:
        if payload == b"bad":
            raise RuntimeError("made up")
        await recorder(address, port, payload)

    async with receiving(received) as gateway:
        device.sendto(b"bad", gateway.address)
        device.sendto(b"good", gateway.address)
        await recorder.wait_for(1)
        assert gateway.dropped == 1
    (record,) = caplog.records
    assert record.getMessage() == "a datagram from 127.0.0.1 could not be processed, and was lost"
    assert record.exc_info is not None


# ---- starting and stopping -----------------------------------------------------------------------


async def test_a_taken_address_is_refused_with_the_name_of_the_flag(gateway: UdpGateway) -> None:
    host, port = gateway.address
    with pytest.raises(
        ConfigurationError, match=rf"can't listen on {host}:{port}: .* with --gateway"
    ):
        bind(host, port)


async def test_at_a_stop_read_datagrams_are_handled_and_no_more_are_read(
    device: socket.socket,
) -> None:
    release, recorder, begun = asyncio.Event(), Recorder(), asyncio.Event()

    async def received(address: str, port: int, payload: bytes) -> None:
        begun.set()
        await release.wait()
        await recorder(address, port, payload)

    gateway = bind()
    gateway.start(received)
    device.sendto(b"read", gateway.address)
    await begun.wait()
    stopping = asyncio.create_task(gateway.stop_receiving(within=A_WHILE))
    await asyncio.sleep(0)
    device.sendto(b"late", gateway.address)
    release.set()
    await stopping
    assert recorder.payloads == [b"read"]
    # It can still send: commands in progress end first.
    assert await gateway.carry_out(sending(a_command("x", port_of(device)))) is CARRIED_OUT
    gateway.close()


async def test_datagrams_given_up_at_a_stop_are_counted_and_logged(
    device: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    begun = asyncio.Event()

    async def received(address: str, port: int, payload: bytes) -> None:
        begun.set()
        await asyncio.Event().wait()

    gateway = bind()
    gateway.start(received)
    device.sendto(b"read", gateway.address)
    await begun.wait()
    await gateway.stop_receiving(within=timedelta(0))
    gateway.close()
    assert gateway.dropped == 1
    assert caplog.messages == [
        "1 datagrams from devices were not processed before the gateway stopped"
    ]


async def test_a_gateway_that_was_never_started_can_be_stopped() -> None:
    gateway = bind()
    await gateway.stop_receiving(within=A_WHILE)
    gateway.close()


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until this is true, with a pause for the event loop in between."""
    turn = asyncio.Event()
    async with asyncio.timeout(10):
        while not is_so():
            asyncio.get_running_loop().call_soon(turn.set)
            await turn.wait()
            turn.clear()


@pytest.mark.parametrize(("host", "warns"), [("127.0.0.1", False), ("0.0.0.0", True)])
async def test_a_gateway_that_strangers_may_reach_says_what_they_could_do(
    host: str, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    gateway = bind(host)

    async def receive(*_: object) -> None:
        """Take no datagram."""

    gateway.start(receive)
    await gateway.stop_receiving(within=A_WHILE)
    gateway.close()
    assert ("can send messages as that SIM" in caplog.text) is warns
