"""Clients that send events, without a pause or steadily; they repeat them until answered."""

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any, Final
from urllib.parse import urlencode

from tests.crash.evidence import Asked
from tests.crash.kinds import HEALTHY

_LOST: Final = (OSError, asyncio.IncompleteReadError)
_ASKS_AGAIN_AFTER: Final = 0.05
"""Seconds to wait after a 429 or a 503; the client is impatient."""


@dataclass
class Site:
    """The addresses of the servers that are running."""

    credentials: Mapping[str, str]
    addresses: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])
    _is_up: asyncio.Event = field(default_factory=asyncio.Event)

    def opens(self, address: tuple[str, int]) -> None:
        self.addresses.append(address)
        self._is_up.set()

    def closes(self, address: tuple[str, int]) -> None:
        """Note that a server is not running any more, unless that was noted before."""
        if address in self.addresses:
            self.addresses.remove(address)
        if not self.addresses:
            self._is_up.clear()

    async def wait(self, random_source: Random) -> tuple[str, int]:
        """Wait until a server is running, and return the address of one."""
        await self._is_up.wait()
        return random_source.choice(self.addresses)


@dataclass
class Promises:
    """The clients' requests, and the answers to them."""

    asked: dict[str, Asked] = field(default_factory=dict[str, Asked])
    answers: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    answered_at: dict[str, float] = field(default_factory=dict[str, float])
    lost: int = 0
    """How many requests were never answered."""
    refused: int = 0
    """How many answers were 429 or 503."""
    batches: "count[int]" = field(default_factory=count)


class Client:
    """One client; `work` runs until it is asked to stop, and then finishes its request."""

    def __init__(
        self,
        site: Site,
        promises: Promises,
        urls: Mapping[str, str],
        random_source: Random,
        *,
        name: str = "",
        seconds_for_each: float = 0,
    ) -> None:
        """Create a client; with a name, some of its events have an order key.

        It sends one event every `seconds_for_each` on average. If it is held up, it makes up for
        that.
        """
        self._site = site
        self._promises = promises
        self._urls = urls
        self._random_source = random_source
        self._name = name
        self._seconds_for_each = seconds_for_each
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.is_stopping = False

    async def work(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        try:
            while not self.is_stopping:
                wanted = self._invent()
                due += len(wanted) * self._seconds_for_each
                await self._send(wanted)
                await asyncio.sleep(due - loop.time())
        finally:
            self._hang_up()

    async def _send(self, wanted: list[tuple[Asked, dict[str, Any]]]) -> None:
        """Send a request until it is answered, and sometimes once more."""
        keys = [asked.key for asked, _ in wanted]
        documents = [document for _, document in wanted]
        self._promises.asked |= {asked.key: asked for asked, _ in wanted}
        body = json.dumps(documents[0] if len(wanted) == 1 else {"callbacks": documents}).encode()
        times = 2 if self._random_source.random() < 0.05 else 1
        while times:
            sids = await self._ask(body)
            if sids is not None:
                times -= 1
                for key, sid in zip(keys, sids, strict=True):
                    self._promises.answers.setdefault(key, []).append(sid)
                    self._promises.answered_at.setdefault(key, time.time())

    async def _ask(self, body: bytes) -> list[str] | None:
        address = await self._site.wait(self._random_source)
        try:
            status, answer = await self._exchange(address, body)
        except _LOST:
            self._promises.lost += 1
            self._hang_up()
            return None
        if status in (429, 503):
            self._promises.refused += 1
            await asyncio.sleep(_ASKS_AGAIN_AFTER)
            return None
        assert status == 201, answer
        told = json.loads(answer)
        return [one["sid"] for one in told.get("callbacks", [told])]

    async def _exchange(self, address: tuple[str, int], body: bytes) -> tuple[int, bytes]:
        if self._connection is None:
            self._connection = await asyncio.open_connection(*address)
        reader, writer = self._connection
        writer.write(self._head(len(body)) + body)
        await writer.drain()
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").lower().splitlines()
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), await reader.readexactly(int(headers["content-length"]))

    def _head(self, length: int) -> bytes:
        who = "{account_sid}:{auth_token}".format_map(self._site.credentials).encode()
        lines = (
            "POST /portal/v1/callbacks HTTP/1.1",
            "Host: ringback",
            f"Authorization: Basic {base64.b64encode(who).decode()}",
            "Content-Type: application/json",
            f"Content-Length: {length}",
        )
        return "\r\n".join([*lines, "", ""]).encode()

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection[1].transport.abort()
        self._connection = None

    def _invent(self) -> list[tuple[Asked, dict[str, Any]]]:
        """Make up an event, or several."""
        some, many = self._random_source.randint(2, 20), self._random_source.randint(65, 300)
        size = self._random_source.choices([1, some, many], weights=[300, 100, 1])[0]
        batch = next(self._promises.batches)
        return [self._one(f"{batch}.{number}", batch) for number in range(size)]

    def _one(self, key: str, batch: int) -> tuple[Asked, dict[str, Any]]:
        kinds = {"quick": 60, "slow": 10, "overloaded": 12, "breaking": 12, "gone": 5, "dead": 1}
        kind = self._random_source.choices([*kinds], weights=[*kinds.values()])[0]
        source = self._random_source.choice(["kore", "twilio"])
        method = self._random_source.choices(["POST", "GET"], weights=[9, 1])[0]
        parameters = {"Key": key, "Padding": "x" * self._random_source.randint(0, 500)}
        document = {
            "url": f"{self._urls[kind]}#cbs={source}",
            "method": method,
            "parameters": parameters,
            "idempotency_key": key,
        }
        order_key = None
        if self._name and kind in HEALTHY and self._random_source.random() < 0.1:
            order_key = f"{self._name}, {kind}, {self._random_source.randrange(4)}"
            document["ordering_key"] = order_key
        has_time = self._random_source.random() < 0.1
        if has_time:
            later = datetime.now(UTC) + timedelta(seconds=self._random_source.uniform(0, 3))
            document["deliver_at"] = f"{later:%FT%T.%fZ}"
        said = key, document["url"], method, urlencode(parameters), source, batch
        is_due_at_once = not has_time and order_key is None
        asked = Asked(*said, order_key=order_key, is_due_at_once=is_due_at_once, at=time.time())
        return asked, document
