"""The receivers of callbacks, and what they do with each connection and request.

While faults happen, each behaves according to its character; afterwards all are healthy.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from tests.simulation.network import Link


class Welcome(Enum):
    """What happens to a new connection."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    IGNORED = "ignored"
    """The connection is accepted, but nothing ever comes back."""


class Say(Enum):
    """What a receiver can do besides sending bytes."""

    CLOSE = "close"
    RESET = "reset"


class Part(NamedTuple):
    """A part of an answer, and how long after the previous part it comes."""

    after: float
    what: bytes | Say
    is_last: bool = False
    """True if the answer is complete with this part."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver does with a request that it has counted."""

    status: int
    """The status it means to answer with; 0 if it doesn't answer."""
    parts: tuple[Part, ...]
    keeps_alive: bool = True
    retry_after: int = 0


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request that was read completely."""

    line: str
    headers: Mapping[str, str]
    """Headers by lower-case name."""
    body: str


# Weights. `before` resets the connection before the request is read: it is not counted.
_CHARACTERS: Final[Mapping[str, Mapping[str, int]]] = {
    "healthy": {"ok": 1},
    "slow": {"late": 3, "torn": 1},
    "flaky": {"ok": 2, "500": 1, "503": 1, "reset": 1, "before": 1, "middle": 1},
    "torn": {"torn": 3, "drip": 2, "middle": 1},
    "overloaded": {"ok": 1, "429 later": 2, "503 later": 2, "503": 1},
    "gone": {"410": 2, "404": 1, "redirect": 1},
    "hanging": {"hang": 1},
    "refusing": {"ok": 1, "hang": 1},
    "unreachable": {"ok": 1},
    "closing": {"ok close": 2, "leave": 1, "ok": 2},
    "leaving": {"ok": 1},
    "odd": {"garbage": 1, "ok": 1, "twice": 1, "interim": 1},
    "mixed": {
        "ok": 6,
        "late": 1,
        "500": 2,
        "404": 1,
        "503 later": 1,
        "reset": 2,
        "before": 2,
        "middle": 2,
        "hang": 1,
        "leave": 1,
        "drip": 1,
    },
}
_ELSEWHERE: Final = "Location: http://10.0.0.1/\r\n"
_REASONS: Final = {200: "OK", 302: "Found", 404: "Not Found", 410: "Gone", 429: "Too Many"}


class Receiver:
    """One destination's server, at all its addresses."""

    def __init__(self, name: str, character: str, random: Random) -> None:
        self.name = name
        self.is_healthy = False
        """True once it stays healthy for good."""
        self._character = character
        self._random = random
        self._unread = dict["Link", bytes]()

    def welcome(self) -> tuple[Welcome, float]:
        """Return the fate of a new connection, and after how many seconds."""
        random = self._random
        quick = random.uniform(0.0002, 0.02)
        if self.is_healthy:
            return Welcome.ACCEPTED, quick
        match self._character:
            case "refusing" if random.random() < 0.6:
                return Welcome.REFUSED, quick
            case "unreachable" if random.random() < 0.7:
                return Welcome.IGNORED, quick
            case "slow" | "mixed" if random.random() < 0.3:
                return Welcome.ACCEPTED, random.uniform(0.1, 6.0)
            case _:
                return Welcome.ACCEPTED, quick

    def accepts_tls(self) -> bool:
        """Return True if the TLS handshake succeeds."""
        is_picky = self._character in ("mixed", "odd") and not self.is_healthy
        return not is_picky or self._random.random() > 0.2

    def read(self, link: "Link", data: bytes) -> None:
        """Read bytes that arrived over a connection."""
        unread = self._unread.get(link, b"") + data
        behaviour = self._behaviour()
        if behaviour == "before":
            link.say((Part(0.0, Say.RESET),))
            link.close()
            return
        request, self._unread[link] = _parse(unread)
        if request is not None:
            answer = self._answer(behaviour)
            link.counted(request, answer)
            link.say(answer.parts)

    def forget(self, link: "Link") -> None:
        """Forget a connection that has ended."""
        self._unread.pop(link, None)

    def _behaviour(self) -> str:
        if self.is_healthy:
            return "ok"
        weights = _CHARACTERS[self._character]
        return self._random.choices(tuple(weights), tuple(weights.values()))[0]

    def _answer(self, behaviour: str) -> Answer:
        soon = self._random.uniform(0.0, 0.03)
        if behaviour.isdigit():
            return self._complete(int(behaviour), soon)
        return _ANSWERS[behaviour](self, soon)

    def _complete(
        self,
        status: int,
        after: float,
        *,
        head: str = "",
        closes: bool = False,
        before: bytes = b"",
        retry_after: int = 0,
    ) -> Answer:
        text = before + self._text(status, b"<Response/>", head)
        parts = [Part(after, text, is_last=True)]
        leaves = self._character in ("leaving", "mixed") and not self.is_healthy
        if closes:
            parts.append(Part(0.0, Say.CLOSE))
        elif leaves and self._random.random() < 0.5:
            # As servers close connections that have been idle for too long.
            ending = self._random.choice((Say.CLOSE, Say.RESET))
            parts.append(Part(self._random.choice((0.0, 0.01, 1.0, 3.99)), ending))
        return Answer(status, tuple(parts), not closes, retry_after)

    def _late(self, _: float) -> Answer:
        return self._complete(200, self._random.choice((0.5, self._random.uniform(0.0, 20.0))))

    def _closing(self, after: float) -> Answer:
        return self._complete(200, after, head="Connection: close\r\n", closes=True)

    def _interim(self, after: float) -> Answer:
        return self._complete(200, after, before=b"HTTP/1.1 102 Processing\r\n\r\n")

    def _middle(self, after: float) -> Answer:
        text = self._text(200, b"0123456789")
        cut = self._random.randrange(1, len(text))
        ending = self._random.choice((Say.CLOSE, Say.RESET))
        return Answer(0, (Part(after, text[:cut]), Part(after, ending)))

    def _twice(self, after: float) -> Answer:
        return Answer(200, (Part(after, self._text(200, b"") * 2, is_last=True),))

    def _asking_to_wait(self, after: float, status: int) -> Answer:
        seconds = self._random.choice((0, 1, 7, 60, 300))
        head = f"Retry-After: {seconds}\r\n"
        return self._complete(status, after, head=head, retry_after=seconds)

    def _torn(self, after: float, *, gaps: float) -> Answer:
        random = self._random
        text = self._text(200, b"0123456789" * random.choice((1, 300)))
        cuts = sorted(random.randrange(1, len(text)) for _ in range(random.randint(1, 6)))
        pieces = [text[a:b] for a, b in zip((0, *cuts), (*cuts, len(text)), strict=True) if a < b]
        parts = [Part(random.uniform(0.0, gaps), piece) for piece in pieces]
        parts[0] = parts[0]._replace(after=after)
        parts[-1] = parts[-1]._replace(is_last=True)
        return Answer(200, tuple(parts))

    def _text(self, status: int, body: bytes, head: str = "") -> bytes:
        line = f"HTTP/1.1 {status} {_REASONS.get(status, 'Whatever')}\r\n{head}"
        if body and self._random.random() < 0.2:
            framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            return line.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + framed
        return line.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


_ANSWERS: Final[Mapping[str, Callable[[Receiver, float], Answer]]] = {
    "ok": lambda receiver, soon: receiver._complete(200, soon),
    "ok close": Receiver._closing,
    "late": Receiver._late,
    "429 later": lambda receiver, soon: receiver._asking_to_wait(soon, 429),
    "503 later": lambda receiver, soon: receiver._asking_to_wait(soon, 503),
    "redirect": lambda receiver, soon: receiver._complete(302, soon, head=_ELSEWHERE),
    "interim": Receiver._interim,
    "torn": lambda receiver, soon: receiver._torn(soon, gaps=0.05),
    "drip": lambda receiver, soon: receiver._torn(soon, gaps=4.0),
    "middle": Receiver._middle,
    "twice": Receiver._twice,
    "garbage": lambda _, soon: Answer(0, (Part(soon, b"220 mail.example ESMTP\r\n"),)),
    "reset": lambda _, soon: Answer(0, (Part(soon, Say.RESET),)),
    "leave": lambda _, soon: Answer(0, (Part(soon, Say.CLOSE),)),
    "hang": lambda receiver, soon: Answer(0, ()),
}
"""What follows a request, except for answers that are nothing but a status."""


def _parse(data: bytes) -> tuple[ReceivedRequest | None, bytes]:
    """Return the request, or None if it is incomplete, and the bytes left over."""
    head, separator, rest = data.partition(b"\r\n\r\n")
    if not separator:
        return None, data
    line, *lines = head.decode("latin-1").split("\r\n")
    pairs = (text.partition(": ") for text in lines)
    headers = {name.lower(): value for name, _, value in pairs}
    length = int(headers.get("content-length", "0"))
    if len(rest) < length:
        return None, data
    return ReceivedRequest(line, headers, rest[:length].decode()), rest[length:]
