"""5,000 receivers behind one port, each with its own URL, its own secrets and its own memory."""

import asyncio
from base64 import b64encode
from collections import Counter, defaultdict
from enum import StrEnum
from itertools import count
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs

from ringback.core.accounts.account import Account
from ringback.receiver import Callback, MemoryDedupe, ReceivedRequest, Receiver

EVENT = "event-"
"""The prefix of the rehearsal's events, which distinguishes them from the events of a probe."""
_MARKS = (EVENT, b64encode(EVENT.encode()).decode())


class Kind(StrEnum):
    """How a receiver behaves."""

    BOTH = "accepts both sources"
    TWILIO = "knows nothing but Twilio"
    KORE = "knows nothing but KORE"
    FRAGILE = "accepts both, but for what it is sent by KORE in earnest"


class ManyReceivers:
    """An HTTP server at which each path is a receiver of its own.

    Now and then it does the work, but closes the connection without an answer: the sender has to
    send the callback again, and the receiver has to recognise it.
    """

    def __init__(self) -> None:
        self.kinds = dict[str, Kind]()
        """By path."""
        self.effects = defaultdict[str, Counter[str]](Counter)
        """How often each event had an effect, by path."""
        self.requests = Counter[str]()
        """How many callbacks arrived, by path, not counting those of a probe."""
        self.refused = set[str]()
        """The events that were rejected by the receiver's kind, or by its gateway."""
        self.repeats = 0
        self.is_gateway_down = False
        """True if a third of all receivers fail at real callbacks sent by KORE."""
        self._receivers = dict[str, Receiver]()
        self._turn = count(1)
        self._connections = set[asyncio.Task[None]]()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def url(self, path: str) -> str:
        """Return the URL of a receiver."""
        return f"http://127.0.0.1:{self.port}{path}"

    def open(self, path: str, kind: Kind, account: Account) -> None:
        """Add a receiver of an account's callbacks."""
        url = self.url(path)
        self.kinds[path] = kind
        self._receivers[path] = Receiver(
            url,
            twilio_auth_tokens=[] if kind is Kind.KORE else [account.auth_token],
            kore_secrets=[] if kind is Kind.TWILIO else [account.kore_secret],
            seen=MemoryDedupe(),
        )

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while True:
                request = await _read(reader)
                status, is_lost = self._receive(request)
                if is_lost:
                    break
                writer.write(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the sender has closed, or the test is over
        finally:
            writer.close()
            self._connections.discard(task)

    def _receive(self, request: ReceivedRequest) -> tuple[int, bool]:
        """Return the status of the answer, and True if the answer is to get lost."""
        path = request.target.partition("?")[0]
        parameters = parse_qs(request.body.decode())
        event = parameters.get("Payload", parameters.get("SimUniqueName", [""]))[0]
        is_ours = event.startswith(_MARKS)
        if is_ours:
            self.requests[path] += 1
        is_from_kore = bool(request.values("Kore-Signature"))
        if is_from_kore and is_ours and self._fails(path):
            self.refused.add(event)
            return 400, False
        worked = list[str]()

        def work(_: Callback) -> None:
            worked.append(event)

        status = self._receivers[path].handle(request, work).status
        if not is_ours:
            return status, False
        self.effects[path].update(worked)
        self.repeats += status == 200 and not worked
        return status, bool(worked) and next(self._turn) % 97 == 0

    def _fails(self, path: str) -> bool:
        is_behind_gateway = self.is_gateway_down and int(path.removeprefix("/r/")) % 3 == 0
        return is_behind_gateway or self.kinds[path] is Kind.FRAGILE


async def _read(reader: asyncio.StreamReader) -> ReceivedRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
    headers = tuple((name, value) for name, _, value in (each.partition(": ") for each in lines))
    length = next((int(value) for name, value in headers if name == "Content-Length"), 0)
    method, target, _ = line.split(" ")
    return ReceivedRequest(method, target, headers, await reader.readexactly(length))
