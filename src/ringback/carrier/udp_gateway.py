"""A network of real datagrams: devices are programs, each at its SIM's address.

An IP Command leaves as a datagram from the gateway's socket; what a device sends to that socket is
an IP Command from its SIM. There is no receipt in either direction, as with UDP anywhere.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Final, Self

from ringback.carrier.datagram_queue import MOST, Datagram, DatagramQueue
from ringback.carrier.rate_limited_log import RateLimitedLog
from ringback.core.errors import ConfigurationError, RequestRefused
from ringback.core.scheduled_task import CarrierRequest
from ringback.core.sims.scenario import CARRIED_OUT, CarrierFailure, CarrierResult, CarrierSucceeded
from ringback.core.supersim.command import LONGEST_DATAGRAM, IpCommand
from ringback.core.supersim.sim import SuperSim
from ringback.ports import Carrier

Received = Callable[[str, int, bytes], Awaitable[None]]
"""Takes in what came from this address and port; raises RequestRefused for what can't be."""

_BUFFER: Final = 4 * 1024 * 1024
"""Bytes that the system is asked to keep for us while we do something else."""
_AT_ONCE: Final = 200
"""How many datagrams are read before others have their turn."""
_log = logging.getLogger(__name__)


class UdpGateway:
    """Answers `ports.Carrier`; all that are not IP Commands are for the carrier behind it.

    So is the question whether an IP Command goes out: what that one doesn't carry out isn't sent.
    """

    def __init__(
        self,
        bound: socket.socket,
        *,
        behind: Carrier,
        stopwatch: Callable[[], float],
        most: int = MOST,
    ) -> None:
        self._socket = bound
        self._behind = behind
        self._log = RateLimitedLog(_log, stopwatch=stopwatch)
        self._most = most
        self._inbox: DatagramQueue | None = None
        self._sending = asyncio.Lock()
        self.dropped = 0
        """How many datagrams were not taken in because too many waited, or Ringback failed."""
        self.refused = 0
        """How many came from no SIM's address, or from one that can't send."""
        self.received = 0
        """How many were taken in."""
        self.sent = 0
        """How many left."""

    @classmethod
    def bind(
        cls,
        host: str,
        port: int,
        *,
        behind: Carrier,
        stopwatch: Callable[[], float],
        most: int = MOST,
    ) -> Self:
        """Return a gateway at this address; port 0 takes any that is free.

        What comes before `start` is kept by the system. Raises ConfigurationError, naming the flag
        to change, where the address can't be had.
        """
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.settimeout(0)
        # The system gives less where its administrator wants less.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        try:
            bound.bind((host, port))
        except OSError as failure:
            bound.close()
            raise ConfigurationError(
                f"the UDP gateway can't have {host}:{port}: {failure.strerror}; choose another"
                " address with --gateway, like 127.0.0.1:0 for any free port, or --gateway none"
            ) from failure
        return cls(bound, behind=behind, stopwatch=stopwatch, most=most)

    @property
    def address(self) -> tuple[str, int]:
        """Where devices send to: the host and the port that it really has."""
        return self._socket.getsockname()

    @property
    def shown_address(self) -> str:
        """The same as people write it."""
        host, port = self.address
        return f"{host}:{port}"

    @property
    def counts(self) -> dict[tuple[str], int]:
        """How many datagrams ended how."""
        endings = ("sent", "received", "refused", "dropped")
        return {(ending,): getattr(self, ending) for ending in endings}

    def start(self, received: Received) -> None:
        """Have this called for each datagram that comes."""
        self._inbox = inbox = DatagramQueue(partial(self._hand_on, received), most=self._most)
        asyncio.get_running_loop().add_reader(self._socket, self._read, inbox)

    async def stop_receiving(self, *, within: timedelta) -> None:
        """Read what has come, no more after that, and let it be taken in within this time."""
        if self._inbox is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        self._read(self._inbox, most=self._most)
        given_up = await self._inbox.drain(within=within)
        if given_up:
            self.dropped += given_up
            _log.warning("%d of the devices' datagrams were not taken in before the stop", given_up)
        self._log.end()

    def close(self) -> None:
        """Let go of the address."""
        self._socket.close()

    async def carry_out(self, carrier_request: CarrierRequest) -> CarrierResult:
        ending = await self._behind.carry_out(carrier_request)
        if isinstance(carrier_request.subject, IpCommand) and isinstance(ending, CarrierSucceeded):
            device_ip = (
                carrier_request.sim.device_ip if isinstance(carrier_request.sim, SuperSim) else None
            )
            return await self._send(carrier_request.subject, device_ip)
        return ending

    async def _send(self, command: IpCommand, device_ip: str | None) -> CarrierResult:
        if device_ip is None:
            return CarrierFailure(83401, "the SIM's device has no address")
        to = (device_ip, command.device_port)
        if to == self.address:
            return CarrierFailure(
                83400,
                f"{device_ip}:{command.device_port} is the gateway itself;"
                " DevicePort has to be the one that the device listens on",
            )
        try:
            # One at a time: an event loop knows one writer of each socket.
            async with self._sending:
                await _send_from(self._socket, command.datagram, to)
        except OSError as failure:
            why = f"no datagram can be sent to {to[0]}:{to[1]}: {failure.strerror or failure}"
            return CarrierFailure(83400, why)
        self.sent += 1
        return CARRIED_OUT

    def _read(self, inbox: DatagramQueue, *, most: int = _AT_ONCE) -> None:
        for _ in range(most):
            try:
                # One byte more than counts shows that there was more.
                payload, (address, port) = self._socket.recvfrom(LONGEST_DATAGRAM + 1)
            except BlockingIOError:
                return
            except OSError as failure:
                # It is about an earlier datagram of ours, say to a port where nobody listens.
                self._log.warn(f"the UDP gateway could not receive: {failure}")
                return
            self._take(inbox, Datagram(address, port, payload))

    def _take(self, inbox: DatagramQueue, datagram: Datagram) -> None:
        if len(datagram.payload) > LONGEST_DATAGRAM:
            self._log.warn(
                f"a datagram of {datagram.address} was longer than {LONGEST_DATAGRAM} bytes,"
                " and is cut off there"
            )
        if not inbox.put(datagram):
            self.dropped += 1
            self._log.warn(
                f"a datagram of {datagram.address} was dropped: {inbox.waiting} wait"
                " already; the device has to send more slowly"
            )

    async def _hand_on(self, received: Received, datagram: Datagram) -> None:
        try:
            await received(*datagram)
        except RequestRefused as refusal:
            self.refused += 1
            self._log.warn(
                f"a datagram from {datagram.address}:{datagram.port} was refused: {refusal}"
            )
        except Exception as failure:  # noqa: BLE001 (the others have to be handed on all the same)
            self.dropped += 1
            self._log.warn(f"a datagram of {datagram.address} was lost", cause=failure)
        else:
            self.received += 1


async def _send_from(bound: socket.socket, payload: bytes, to: tuple[str, int]) -> None:
    """Send a datagram, as soon as the system takes it; raises OSError where it never will."""
    loop = asyncio.get_running_loop()
    while True:
        try:
            bound.sendto(payload, to)
        except BlockingIOError:
            writable = loop.create_future()
            loop.add_writer(bound, _settle, writable)
            try:
                await writable
            finally:
                loop.remove_writer(bound)
        else:
            return


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
