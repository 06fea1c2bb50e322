"""A platform whose URLs are moved in production: its receivers, good and bad, and its traffic."""

import asyncio
from collections import Counter, defaultdict
from contextlib import suppress
from enum import Enum
from itertools import cycle
from random import Random
from urllib.parse import parse_qs

from ringback.core.sids import SidKind, make_sid
from ringback.data_folder import StoredData
from ringback.ports import Store, Transaction
from tests.crash.production import Production
from tests.fakes import SeededRandomness, a_fleet, a_profile, a_sim
from tests.receivers import OK, HttpReceiver, ReceivedRequest, Reply, status_reply

_AT_ONCE = 500
_BAD = 20
"""One receiver of so many is bad."""
_CLIENTS = 4
_PAUSE = 0.01
"""Seconds between two requests of a client, so that there is time left for other tests."""


class Kind(Enum):
    """What a receiver does with a callback from kore; all accept callbacks from twilio."""

    GOOD = 200
    BAD_REQUEST = 400
    UNAUTHORIZED = 401
    FORBIDDEN = 403
    BROKEN = 500
    UNAVAILABLE = 503
    HANGS = 0
    """It acts on the callback, and then does not answer."""

    @property
    def refuses(self) -> bool:
        """True if it refuses the callback before it acts on it."""
        return self.value >= 400


_BAD_KINDS = tuple(kind for kind in Kind if kind is not Kind.GOOD)


class MovedReceivers(HttpReceiver):
    """Each path is a receiver of its own.

    Each acts once for each idempotency token, as the receiver toolkit does.
    """

    def __init__(self, count: int, *, patience: int = 3) -> None:
        """Open so many; an attempt to one takes `patience` seconds at most."""
        super().__init__()
        self._patience = patience
        self.kinds = [
            _BAD_KINDS[number // _BAD % len(_BAD_KINDS)] if number % _BAD == 7 else Kind.GOOD
            for number in range(count)
        ]
        self.acted = Counter[str]()
        """How often each event had an effect."""
        self.acted_on_kore = set[str]()
        """The events that had it when kore sent them."""
        self._tokens = defaultdict[int, set[str]](set)

    def url_of(self, number: int) -> str:
        """Return the URL of a receiver, which limits the time of each attempt."""
        limit = 1000 * self._patience
        return self.url(f"/r/{number}#rt={limit}&tt={limit}")

    async def receive(self, request: ReceivedRequest) -> Reply:
        parsed = request.parsed()
        number = int(parsed.target.removeprefix("/r/"))
        kind = self.kinds[number]
        is_from_kore = bool(parsed.values("Kore-Signature"))
        if is_from_kore and kind.refuses:
            return status_reply(kind.value)
        token = parsed.values(f"{'Kore' if is_from_kore else 'I-Twilio'}-Idempotency-Token")[0]
        if token not in self._tokens[number]:
            self._tokens[number].add(token)
            event = parse_qs(parsed.body.decode())["Payload"][0]
            self.acted[event] += 1
            if is_from_kore:
                self.acted_on_kore.add(event)
        return self._hang if is_from_kore and kind is Kind.HANGS else OK

    async def _hang(self, writer: asyncio.StreamWriter) -> None:
        """Answer nothing for longer than the sender waits."""
        await asyncio.sleep(2 * self._patience)
        writer.close()


def configure(data: StoredData, account_sid: str, receivers: MovedReceivers) -> list[str]:
    """Store a fleet and a SIM for each receiver, and return the SIDs of the SIMs."""
    random_source, sims = SeededRandomness(24), list[str]()

    def add(tx: Transaction, profile: str, numbers: range) -> None:
        for number in numbers:
            fleet, sim = (
                make_sid(kind, random_source.bytes(16)) for kind in (SidKind.FLEET, SidKind.SIM)
            )
            tx.supersim.fleets.add(
                a_fleet(
                    sid=fleet,
                    account_sid=account_sid,
                    unique_name=None,
                    network_access_profile_sid=profile,
                    sms_commands_url=receivers.url_of(number),
                )
            )
            tx.supersim.sims.add(
                a_sim(
                    sid=sim,
                    account_sid=account_sid,
                    iccid=f"8988307{number:012}",
                    unique_name=None,
                    fleet_sid=fleet,
                )
            )
            sims.append(sim)

    async def add_all(store: Store) -> None:
        profile = make_sid(SidKind.NETWORK_ACCESS_PROFILE, random_source.bytes(16))
        await store.transact(
            lambda tx: tx.supersim.access_profiles.add(
                a_profile(sid=profile, account_sid=account_sid, unique_name=None)
            )
        )
        count = len(receivers.kinds)
        for start in range(0, count, _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, count))
            await store.transact(lambda tx, numbers=numbers: add(tx, profile, numbers))

    data.use(add_all)
    return sims


class Traffic:
    """Devices send messages, of all SIMs in turn, to the server that runs at the moment."""

    def __init__(self, sims: list[str]) -> None:
        self.acknowledged = dict[str, int]()
        """The receivers of the events that the server has accepted, by event."""
        self.unsure = set[str]()
        """The events whose request was cut off: they may have been accepted."""
        self.server: Production | None = None
        self._turn = cycle(Random(8).sample(list(enumerate(sims)), len(sims)))
        self._count = 0
        self._is_over = False

    async def flow(self) -> None:
        """Send until `stop` is called; go on when a server runs again."""
        await asyncio.gather(*(self._send() for _ in range(_CLIENTS)))

    def stop(self) -> None:
        self._is_over = True

    async def _send(self) -> None:
        while not self._is_over:
            server = self.server
            if server is None:
                await asyncio.sleep(0.05)
                continue
            self._count += 1
            event, (number, sim) = f"event {self._count}", next(self._turn)
            self.unsure.add(event)
            with suppress(OSError, ValueError, TimeoutError):
                answer = await server.post(f"/portal/v1/devices/{sim}/sms", Payload=event)
                if answer.status < 300:
                    self.acknowledged[event] = number
                    self.unsure.discard(event)
            await asyncio.sleep(_PAUSE)
