"""Shows the messages to a SIM's device: datagrams to its address; SMS and Commands in its inbox."""

import asyncio
import errno
import socket
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ringback.cli.device.send_datagram import at_address
from ringback.cli.output import say
from ringback.cli.signals import event_of_signals, first_of
from ringback.core.calendar import iso
from ringback.core.errors import ConfigurationError
from ringback.portal_client import PortalClient, PortalClientError
from ringback.runtime.os_error_messages import refuse_windows
from ringback.runtime.system_clock import SystemClock

_EVERY: Final = 1.0
"""The seconds between two requests for the inbox."""


_KINDS: Final = {"supersim": ("sms", "000"), "wireless": ("command", "2936")}
"""For each product, the kind of messages in its inbox, and the sender's number to show."""
_LARGEST: Final = 65535


class MessageToDevice(NamedTuple):
    """A message that a device received."""

    kind: str
    sender: str
    payload: bytes

    @property
    def text(self) -> str | None:
        """The payload as text; None if it is not printable text."""
        try:
            text = self.payload.decode()
        except UnicodeDecodeError:
            return None
        return text if text.isprintable() else None


def receive(portal: PortalClient, sim: str, port: int, *, count: int | None, as_json: bool) -> None:
    """Show messages until a signal arrives, or until `count` messages were shown.

    Raises ConfigurationError if this machine can't listen at the device's address.
    """
    shown = portal.get("devices", sim)
    address, kind = shown["device_ip"], _KINDS[shown["product"]]
    receiver = _Receiver(portal, shown["sim_sid"], kind, count, as_json)
    if address is None:
        asyncio.run(receiver.run(None))
        return
    refuse_windows("`ringback device receive` for a Super SIM")
    try:
        bound = at_address(address, port)
    except OSError as failure:
        raise ConfigurationError(_why_not_listening(failure, address, port)) from None
    with bound:
        bound.settimeout(0)
        asyncio.run(receiver.run(bound))


def _why_not_listening(failure: OSError, address: str, port: int) -> str:
    match failure.errno:
        case errno.EADDRINUSE:
            return f"UDP port {port} of {address} is taken; choose another with --port"
        case errno.EADDRNOTAVAIL:
            return (
                f"{address}, the device's address, is not an address of this machine; on macOS,"
                f" `sudo ifconfig lo0 alias {address}` adds it until the next restart"
            )
        case _:
            return f"can't listen at {address}:{port}: {failure.strerror}"


@dataclass
class _Receiver:
    """Shows a device's messages in the order in which they arrive."""

    portal: PortalClient
    sim_sid: str
    kind: tuple[str, str]
    """The kind of the messages in the inbox, and the number that sends them."""
    left: int | None
    as_json: bool
    _messages: asyncio.Queue[MessageToDevice] = field(
        default_factory=asyncio.Queue[MessageToDevice]
    )
    _seen: set[str] = field(default_factory=set[str])

    async def run(self, bound: socket.socket | None) -> None:
        """Show messages from this socket and the inbox, until a signal or enough messages come."""
        stop = event_of_signals()
        self._seen = {message["sid"] for message in await self._inbox()}
        loop = asyncio.get_running_loop()
        if bound is not None:
            loop.add_reader(bound, self._read, bound)
        self._say_where(bound)
        try:
            await first_of(stop.wait(), self._show_all(), self._poll())
        finally:
            if bound is not None:
                loop.remove_reader(bound)

    def _say_where(self, bound: socket.socket | None) -> None:
        if bound is None:
            where, said = self.sim_sid, f"waiting for Commands to {self.sim_sid}"
        else:
            where = "{}:{}".format(*bound.getsockname())
            said = f"listening at {where} (UDP)"
        say({"listening": where}, said, as_json=self.as_json)

    def _read(self, bound: socket.socket) -> None:
        payload, (address, port) = bound.recvfrom(_LARGEST)
        self._messages.put_nowait(MessageToDevice("ip", f"{address}:{port}", payload))

    async def _poll(self) -> None:
        while True:
            for message in reversed(await self._inbox()):
                if message["sid"] not in self._seen:
                    self._seen.add(message["sid"])
                    payload = bytes.fromhex(message["hex"])
                    self._messages.put_nowait(MessageToDevice(*self.kind, payload))
            await asyncio.sleep(_EVERY)

    async def _inbox(self) -> list[dict[str, Any]]:
        """Return the messages in the inbox, newest first; none while the server does not answer."""
        try:
            answer = await asyncio.to_thread(self.portal.get, "devices", self.sim_sid, "inbox")
        except PortalClientError:
            return []
        return answer["messages"]

    async def _show_all(self) -> None:
        while self.left is None or self.left > 0:
            message = await self._messages.get()
            self._show(message)
            self.left = None if self.left is None else self.left - 1

    def _show(self, message: MessageToDevice) -> None:
        now = SystemClock().now()
        record = {
            "time": iso(now),
            "kind": message.kind,
            "from": message.sender,
            "text": message.text,
            "hex": message.payload.hex(),
        }
        shown = message.payload.hex(" ") if message.text is None else message.text
        size = f"{len(message.payload)} B"
        line = f"{now:%H:%M:%SZ}  {message.kind:3}  {message.sender}  {size}  {shown}".rstrip()
        say(record, line, as_json=self.as_json)
