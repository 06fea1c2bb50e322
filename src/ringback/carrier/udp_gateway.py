"""A UDP gateway to devices that are real programs, each at the IP address of its SIM.

The gateway sends each IP Command as a datagram; a datagram that a device sends to the gateway is an
IP Command from its SIM. As always with UDP, no datagram is acknowledged.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from ipaddress import ip_address
from typing import Final

from ringback.carrier.datagram_queue import MOST, Datagram, DatagramQueue
from ringback.carrier.rate_limited_log import RateLimitedLog
from ringback.core.errors import ApiError
from ringback.core.scheduled_task import CarrierRequest
from ringback.core.sims.scenario import CARRIED_OUT, CarrierFailure, CarrierResult, CarrierSucceeded
from ringback.core.supersim.command import LONGEST_DATAGRAM, IpCommand
from ringback.core.supersim.sim import SuperSim
from ringback.ports import Carrier
from ringback.runtime.os_error_messages import refusing
from ringback.runtime.undo import on_failure

Received = Callable[[str, int, bytes], Awaitable[None]]
"""A function of address, port and bytes that handles a datagram; raises ApiError to refuse it."""

_BUFFER: Final = 4 * 1024 * 1024
"""How many bytes of datagrams the system is asked to buffer while the event loop is busy."""
_AT_ONCE: Final = 200
"""How many datagrams are read before the event loop does something else."""
_log = logging.getLogger(__name__)


class UdpGateway:
    """Implements `ports.Carrier`: sends IP Commands, and passes other requests on to `behind`.

    `behind` is another carrier, such as the simulated network. It gets each IP Command first, which
    is sent over UDP only if `behind` reports success. So its scenarios apply with a gateway, too.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        behind: Carrier,
        stopwatch: Callable[[], float],
        most: int = MOST,
    ) -> None:
        """Bind a UDP socket to this address; port 0 stands for any free port.

        The operating system buffers datagrams that arrive before `start`. Raises
        ConfigurationError, naming the flag to change, if the address is not available.
        """
        self._socket = _bound_socket(host, port)
        self._behind = behind
        self._log = RateLimitedLog(_log, stopwatch=stopwatch)
        self._most = most
        self._inbox: DatagramQueue | None = None
        self._sending = asyncio.Lock()
        self.dropped = 0
        """The number of datagrams lost because too many waited, or because Ringback failed."""
        self.refused = 0
        """The number of datagrams from an unknown address, or from a SIM that can't send."""
        self.received = 0
        """The number of datagrams accepted from devices."""
        self.sent = 0
        """The number of datagrams sent to devices."""

    @property
    def address(self) -> tuple[str, int]:
        """The host and port that devices send to: the real port, even if 0 was given."""
        return self._socket.getsockname()

    @property
    def shown_address(self) -> str:
        """The address as `host:port`."""
        host, port = self.address
        return f"{host}:{port}"

    @property
    def counts(self) -> dict[tuple[str], int]:
        """The number of datagrams by result: sent, received, refused or dropped."""
        endings = ("sent", "received", "refused", "dropped")
        return {(ending,): getattr(self, ending) for ending in endings}

    def start(self, received: Received) -> None:
        """Begin to receive datagrams, and call `received` for each of them."""
        if is_open_to_strangers(self.address[0]):
            _log.warning(
                "the gateway is at %s, which others may reach: UDP has no sign-in, so whoever can"
                " send there from, or with, the address of a SIM's device can send messages as"
                " that SIM, and so cause callbacks of its account. Use a loopback or private"
                " address, or let a firewall pass only your devices",
                self.shown_address,
            )
        self._inbox = inbox = DatagramQueue(partial(self._hand_on, received), most=self._most)
        asyncio.get_running_loop().add_reader(self._socket, self._read, inbox)

    async def stop_receiving(self, *, within: timedelta) -> None:
        """Stop receiving, and wait at most `within` for datagrams that have arrived already."""
        if self._inbox is None:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        self._read(self._inbox, most=self._most)
        given_up = await self._inbox.drain(within=within)
        if given_up:
            self.dropped += given_up
            _log.warning(
                "%d datagrams from devices were not processed before the gateway stopped", given_up
            )
        self._log.end()

    def close(self) -> None:
        """Close the gateway's UDP socket."""
        self._socket.close()

    async def carry_out(self, carrier_request: CarrierRequest) -> CarrierResult:
        result = await self._behind.carry_out(carrier_request)
        command, sim = carrier_request.subject, carrier_request.sim
        if isinstance(command, IpCommand) and isinstance(result, CarrierSucceeded):
            return await self._send(command, sim.device_ip if isinstance(sim, SuperSim) else None)
        return result

    async def _send(self, command: IpCommand, device_ip: str | None) -> CarrierResult:
        if device_ip is None:
            return CarrierFailure(83401, "the SIM's device has no address")
        to = (device_ip, command.device_port)
        if to == self.address:
            return CarrierFailure(
                83400,
                f"{device_ip}:{command.device_port} is the gateway itself; DevicePort must"
                " be the port that the device listens on",
            )
        try:
            # One at a time: an event loop allows one writer for each socket.
            async with self._sending:
                await _send_from(self._socket, command.datagram, to)
        except OSError as failure:
            why = f"a datagram can't be sent to {to[0]}:{to[1]}: {failure.strerror or failure}"
            return CarrierFailure(83400, why)
        self.sent += 1
        return CARRIED_OUT

    def _read(self, inbox: DatagramQueue, *, most: int = _AT_ONCE) -> None:
        for _ in range(most):
            try:
                # One byte more than allowed shows that a datagram was too long.
                payload, (address, port) = self._socket.recvfrom(LONGEST_DATAGRAM + 1)
            except BlockingIOError:
                return
            except OSError as failure:
                # An earlier datagram of ours caused it, for example to a port where nobody listens.
                self._log.warn(f"the UDP gateway could not receive: {failure}")
                return
            self._take(inbox, Datagram(address, port, payload))

    def _take(self, inbox: DatagramQueue, datagram: Datagram) -> None:
        if len(datagram.payload) > LONGEST_DATAGRAM:
            self._log.warn(
                f"a datagram from {datagram.address} was longer than {LONGEST_DATAGRAM} bytes,"
                " and was cut off there"
            )
        if not inbox.put(datagram):
            self.dropped += 1
            self._log.warn(
                f"a datagram from {datagram.address} was dropped, since {inbox.waiting} datagrams"
                " are already waiting; the device must send more slowly"
            )

    async def _hand_on(self, received: Received, datagram: Datagram) -> None:
        try:
            await received(*datagram)
        except ApiError as refusal:
            self.refused += 1
            self._log.warn(
                f"a datagram from {datagram.address}:{datagram.port} was refused: {refusal}"
            )
        except Exception as failure:  # noqa: BLE001 (it must not stop the other datagrams)
            self.dropped += 1
            self._log.warn(
                f"a datagram from {datagram.address} could not be processed, and was lost",
                cause=failure,
            )
        else:
            self.received += 1


def _bound_socket(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    bound.settimeout(0)
    # The system gives less if its administrator has set a lower limit.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    advice = (
        "choose another address with --gateway, like 127.0.0.1:0 for any free port, or"
        " --gateway none"
    )
    with (
        refusing(f"the UDP gateway can't listen on {host}:{port}", advice),
        on_failure(bound.close),
    ):
        bound.bind((host, port))
    return bound


async def _send_from(bound: socket.socket, payload: bytes, to: tuple[str, int]) -> None:
    """Send a datagram as soon as the system accepts it; raises OSError if it never will."""
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


def is_open_to_strangers(host: str) -> bool:
    """Return True if others than this machine and its private network may reach an IPv4 address.

    >>> [is_open_to_strangers(host) for host in ("127.0.0.1", "10.0.0.7", "0.0.0.0", "8.8.8.8")]
    [False, False, True, True]
    """
    address = ip_address(host)
    return address.is_unspecified or not (address.is_loopback or address.is_private)
