"""A receiver that answers every callback as cheaply as it can, and counts it.

Run as a process: it prints one JSON line with its ports, and ends when its standard input does. The
start of the path decides how a request is answered:

    /hook       200 at once, as for every other path
    /mark       200, and records when the request with this `Stamp=NUMBER` first arrived
    /hang       never
    /fail       503 at once
    /throttle   429 with `Retry-After: 1`
    /last       200, and the connection ends

A port with TLS answers in the same way. The receiver finds the end of a request by its
Content-Length alone. That is enough for the clients here, and costs a third of a real parser. The
control port takes one command a line: `count`, `marks`, `handshakes` or `reset`. Times are those of
CLOCK_MONOTONIC, the same in every process of the machine.
"""

import asyncio
import gc
import json
import re
import socket
import ssl
import sys
import time
from collections.abc import Callable
from typing import Final, cast

import trustme
import uvloop

HOOK_PORTS: Final = 4
_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_LAST: Final = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_THROTTLED: Final = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
_FAILED: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
_LENGTH_REQUIRED: Final = b"HTTP/1.1 411 Length Required\r\nContent-Length: 0\r\n\r\n"
_LENGTH: Final = b"\r\nContent-Length: "
_ANY_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED: Final = re.compile(rb"\r\ntransfer-encoding:", re.IGNORECASE)
_STAMP: Final = re.compile(rb"Stamp=(\d+)")
_BUFFER: Final = 256 * 1024


class Received:
    """What the receiver has received since the last reset."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.count = 0
        self.first_ns = self.last_ns = 0
        self.hung = self.throttled = 0
        self.handshakes = self.resumed = 0
        self.marks = dict[int, int]()

    def counts(self) -> dict[str, int]:
        return {
            "count": self.count,
            "first_ns": self.first_ns,
            "last_ns": self.last_ns,
            "hung": self.hung,
            "throttled": self.throttled,
        }


class Reception(asyncio.BufferedProtocol):
    """One connection of a client."""

    def __init__(self, received: Received) -> None:
        self._received = received
        self._buffer = bytearray(_BUFFER)
        self._view = memoryview(self._buffer)
        self._held = 0
        self._special: dict[bytes, Callable[[int, int, int], bytes]] = {
            b"mark": self._mark,
            b"hang": self._hang,
            b"fail": self._fail,
            b"thro": self._throttle,
            b"last": self._end,
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if tls := transport.get_extra_info("ssl_object"):
            self._received.handshakes += 1
            self._received.resumed += tls.session_reused

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view[self._held :]

    def buffer_updated(self, nbytes: int) -> None:
        now = time.monotonic_ns()
        begin, end = 0, self._held + nbytes
        answers = b""
        while begin < end and (after := self._after_request(begin, end)):
            answers += self._answer(begin, after, now)
            begin = after
        if answers:
            self._transport.write(answers)
        if answers.endswith(_LAST):
            self._transport.close()
        self._held = end - begin
        if begin and self._held:
            self._buffer[: self._held] = self._buffer[begin:end]
        elif self._held == _BUFFER:
            self._refuse()

    def _after_request(self, begin: int, end: int) -> int:
        """Return where the request that starts here ends; 0 if it is not complete yet."""
        buffer = self._buffer
        head = buffer.find(b"\r\n\r\n", begin, end)
        if head < 0:
            return 0
        at = buffer.find(_LENGTH, begin, head)
        if at < 0:
            after = head + 4 + self._odd_length(begin, head)
        else:
            at += len(_LENGTH)
            after = head + 4 + int(buffer[at : buffer.find(b"\r", at, head + 1)])
        return after if after <= end else 0

    def _odd_length(self, begin: int, head: int) -> int:
        if found := _ANY_LENGTH.search(self._buffer, begin, head):
            return int(found[1])
        if _CHUNKED.search(self._buffer, begin, head):
            self._refuse()
        return 0

    def _refuse(self) -> None:
        self._transport.write(_LENGTH_REQUIRED)
        self._transport.close()

    def _answer(self, begin: int, after: int, now: int) -> bytes:
        path = self._buffer.find(b"/", begin, after) + 1
        special = self._special.get(bytes(self._buffer[path : path + 4]))
        if special is not None:
            return special(begin, after, now)
        return self._count(now)

    def _count(self, now: int) -> bytes:
        received = self._received
        received.count += 1
        received.last_ns = now
        if received.count == 1:
            received.first_ns = now
        return _OK

    def _mark(self, begin: int, after: int, now: int) -> bytes:
        if found := _STAMP.search(self._buffer, begin, after):
            self._received.marks.setdefault(int(found[1]), now)
        return self._count(now)

    def _hang(self, begin: int, after: int, now: int) -> bytes:
        self._received.hung += 1
        return b""

    def _fail(self, begin: int, after: int, now: int) -> bytes:
        return _FAILED

    def _end(self, begin: int, after: int, now: int) -> bytes:
        self._count(now)
        return _LAST

    def _throttle(self, begin: int, after: int, now: int) -> bytes:
        self._received.throttled += 1
        return _THROTTLED


class Control(asyncio.Protocol):
    """The control port's connection."""

    def __init__(self, received: Received) -> None:
        self._received = received

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        for word in data.split():
            answer = json.dumps(self._obey(word.decode()))
            self._transport.write(answer.encode() + b"\n")

    def _obey(self, word: str) -> object:
        match word:
            case "count":
                return self._received.counts()
            case "marks":
                return list(self._received.marks.items())
            case "handshakes":
                return {"all": self._received.handshakes, "resumed": self._received.resumed}
            case "reset":
                self._received.reset()
                return {}
            case _:
                return {"error": f"unknown command: {word}"}


class UntilClosed(asyncio.Protocol):
    """Ends the receiver when its standard input is closed."""

    def __init__(self, ended: asyncio.Event) -> None:
        self._ended = ended

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()


def _host(number: int) -> str:
    """Return a loopback address for a separate destination; only Linux has more than one."""
    return f"127.0.0.{number}" if sys.platform == "linux" else "127.0.0.1"


async def _listen(
    factory: Callable[[], asyncio.BaseProtocol],
    host: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
) -> str:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, host, 0, backlog=4096, ssl=tls)
    host, port = server.sockets[0].getsockname()
    return f"{host}:{port}"


async def main() -> None:
    received, ended = Received(), asyncio.Event()

    def reception() -> Reception:
        return Reception(received)

    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    with socket.socket() as refusing:
        refusing.bind((_host(4), 0))  # and never listens
        places = {
            "hooks": [await _listen(reception) for _ in range(HOOK_PORTS)],
            "hanging": await _listen(reception, _host(2)),
            "hanging_port": int((await _listen(reception, "0.0.0.0")).rpartition(":")[2]),
            "throttled": await _listen(reception, _host(3)),
            "refusing": ":".join(map(str, refusing.getsockname())),
            "tls": await _listen(reception, tls=tls),
            "authority": authority.cert_pem.bytes().decode(),
            "control": await _listen(lambda: Control(received)),
        }
        print(json.dumps(places), flush=True)
        gc.collect()
        gc.freeze()
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: UntilClosed(ended), sys.stdin)
        await ended.wait()


if __name__ == "__main__":
    uvloop.run(main())
