"""Receivers of several kinds (quick, slow, overloaded, breaking off), and their requests."""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final

from tests.crash.evidence import Arrival
from tests.receivers import OK, ReceivedRequest, RecordingReceiver, Reply, answer_and_close, reset

_TORN: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nto"

Answer = tuple[int | None, Reply]
"""The status that is answered, None if there is no answer; and how it is sent."""


def _status(status: int) -> Answer:
    return status, OK.replace(b"200 OK", f"{status} As You Like".encode())


def _quick(_: Random) -> Answer:
    return 200, OK


def _slow(random_source: Random) -> Answer:
    seconds = random_source.uniform(0.02, 0.1)

    async def reply(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        writer.write(OK)

    return 200, reply


def _overloaded(random_source: Random) -> Answer:
    return _status(503 if random_source.random() < 0.3 else 202)


def _gone(random_source: Random) -> Answer:
    return _status(410 if random_source.random() < 0.3 else 204)


def _breaking(random_source: Random) -> Answer:
    return random_source.choices(
        [(None, reset), (None, answer_and_close(_TORN)), (200, answer_and_close(OK)), (200, OK)],
        weights=[2, 1, 1, 6],
    )[0]


KINDS: Final[dict[str, Callable[[Random], Answer]]] = {
    "quick": _quick,
    "slow": _slow,
    "overloaded": _overloaded,
    "gone": _gone,
    "breaking": _breaking,
}
HEALTHY: Final = ("quick", "slow")
"""Kinds that answer every request with 2xx."""
STEADY: Final = (*HEALTHY, "overloaded", "gone")
"""Kinds that answer every request and keep their connections open."""


@dataclass
class Receivers:
    """All receivers, while they listen."""

    urls: dict[str, str] = field(default_factory=dict[str, str])
    """The URL of each kind; nobody listens at the one of "dead"."""
    arrivals: list[Arrival] = field(default_factory=list[Arrival])
    _listening: list[RecordingReceiver] = field(default_factory=list[RecordingReceiver])

    async def have_heard_all(self) -> None:
        """Wait until they have read everything that dead processes had sent."""
        for receiver in self._listening:
            await receiver.wait_for_ended(receiver.connections)

    def add(self, kind: str, random_source: Random) -> RecordingReceiver:
        """Return a receiver of this kind, which listens once it is entered."""
        answer_as = KINDS[kind]

        def answer(request: ReceivedRequest) -> Reply:
            status, reply = answer_as(random_source)
            self.arrivals.append(arrival_of(request, status))
            # Only the needed fields are recorded, because there are many requests.
            receiver.requests.clear()
            return reply

        receiver = RecordingReceiver(answer=answer)
        self._listening.append(receiver)
        return receiver


@asynccontextmanager
async def all_receivers(seed: int) -> AsyncGenerator[Receivers]:
    """Run one receiver of each kind."""
    receivers = Receivers()
    async with AsyncExitStack() as stack:
        for kind in KINDS:
            receiver = receivers.add(kind, Random(f"{seed}: {kind}"))
            await stack.enter_async_context(receiver)
            receivers.urls[kind] = receiver.url("/hook")
        # Bound, so that nobody else gets the port, but not listening.
        bound = stack.enter_context(socket.socket())
        bound.bind(("127.0.0.1", 0))
        receivers.urls["dead"] = f"http://127.0.0.1:{bound.getsockname()[1]}/hook"
        yield receivers


def arrival_of(request: ReceivedRequest, status: int | None) -> Arrival:
    """Return what the evidence needs of a request, and the status that it was answered with."""
    headers = dict(line.split(": ", 1) for line in request.headers)
    tokens = {
        "twilio": headers.get("I-Twilio-Idempotency-Token"),
        "kore": headers.get("Kore-Idempotency-Token"),
    }
    ((source, token),) = ((source, token) for source, token in tokens.items() if token)
    return Arrival(token, source, request.line, request.body.decode(), status, time.time())
