"""Shows what comes to a SIM's device: datagrams at its address, and SMS, which the API tells of."""

import asyncio
import errno
import json
import socket
from dataclasses import replace
from typing import Any, Final, NamedTuple

import click

from ringback.cli.device_sending import at_address
from ringback.cli.portal import Portal
from ringback.cli.signals import event_of_signals
from ringback.core.errors import Unusable
from ringback.engine.system import SystemClock

_EVERY: Final = 1.0
"""Seconds after which the API is asked for SMS again."""
_ARRIVED: Final = ("sent", "delivered")
_SMS_CENTRE: Final = "000"
"""The number that an SMS comes from, for the device."""
_LARGEST: Final = 65535


class Arrival(NamedTuple):
    """What came to a device."""

    kind: str
    sender: str
    payload: bytes

    @property
    def text(self) -> str | None:
        """The payload where it is text that can be shown."""
        try:
            text = self.payload.decode()
        except UnicodeDecodeError:
            return None
        return text if text.isprintable() else None


def receive(portal: Portal, sim: str, port: int, *, count: int | None, as_json: bool) -> None:
    """Show what comes until told to stop, or until it was so much.

    Raises Unusable where this machine can't have the device's address.
    """
    shown = portal.get("devices", sim)
    address = shown["device_ip"]
    try:
        bound = at_address(address, port)
    except OSError as failure:
        raise Unusable(_why_not_listening(failure, address, port)) from None
    with bound:
        bound.settimeout(0)
        asyncio.run(_Receiver(portal, shown["sim_sid"], count, as_json=as_json).run(bound))


def _why_not_listening(failure: OSError, address: str, port: int) -> str:
    match failure.errno:
        case errno.EADDRINUSE:
            return f"UDP port {port} of {address} is taken; choose another with --port"
        case errno.EADDRNOTAVAIL:
            return (
                f"{address}, the device's address, is none of this machine's; on macOS,"
                f" `sudo ifconfig lo0 alias {address}` adds it until the next restart"
            )
        case _:
            return f"can't listen at {address}:{port}: {failure.strerror}"


class _Receiver:
    """Shows arrivals in the order in which they came."""

    def __init__(self, portal: Portal, sim_sid: str, count: int | None, *, as_json: bool) -> None:
        self._api = replace(portal, root="supersim/v1")
        self._sim_sid = sim_sid
        self._left = count
        self._as_json = as_json
        self._clock = SystemClock()
        self._arrivals = asyncio.Queue[Arrival]()
        self._seen = set[str]()

    async def run(self, bound: socket.socket) -> None:
        """Show what comes to this socket, and SMS, until there is nothing more to show."""
        stop = event_of_signals()
        self._seen = {command["sid"] for command in await self._sms()}
        loop = asyncio.get_running_loop()
        loop.add_reader(bound, self._read, bound)
        self._say_where(*bound.getsockname())
        work = (stop.wait(), self._show_all(), self._poll())
        tasks = [asyncio.ensure_future(each) for each in work]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            loop.remove_reader(bound)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _say_where(self, address: str, port: int) -> None:
        where = f"{address}:{port}"
        said = json.dumps({"listening": where}) if self._as_json else f"listening at {where} (UDP)"
        click.echo(said)

    def _read(self, bound: socket.socket) -> None:
        payload, (address, port) = bound.recvfrom(_LARGEST)
        self._arrivals.put_nowait(Arrival("ip", f"{address}:{port}", payload))

    async def _poll(self) -> None:
        while True:
            for command in reversed(await self._sms()):
                if command["sid"] not in self._seen:
                    self._seen.add(command["sid"])
                    payload = command["payload"].encode()
                    self._arrivals.put_nowait(Arrival("sms", _SMS_CENTRE, payload))
            await asyncio.sleep(_EVERY)

    async def _sms(self) -> list[dict[str, Any]]:
        """Return the SMS that have come, newest first; none while no server answers."""
        query = {"Sim": self._sim_sid, "Direction": "to_sim", "PageSize": "100"}
        try:
            answer = await asyncio.to_thread(self._api.get, "SmsCommands", query=query)
        except Unusable:
            return []
        return [one for one in answer["sms_commands"] if one["status"] in _ARRIVED]

    async def _show_all(self) -> None:
        while self._left is None or self._left > 0:
            arrival = await self._arrivals.get()
            click.echo(self._line(arrival))
            self._left = None if self._left is None else self._left - 1

    def _line(self, arrival: Arrival) -> str:
        now = self._clock.now()
        if self._as_json:
            return json.dumps(
                {
                    "time": f"{now:%Y-%m-%dT%H:%M:%SZ}",
                    "kind": arrival.kind,
                    "from": arrival.sender,
                    "text": arrival.text,
                    "hex": arrival.payload.hex(),
                }
            )
        shown = arrival.payload.hex(" ") if arrival.text is None else arrival.text
        size = f"{len(arrival.payload)} B"
        return f"{now:%H:%M:%SZ}  {arrival.kind:3}  {arrival.sender}  {size}  {shown}".rstrip()
