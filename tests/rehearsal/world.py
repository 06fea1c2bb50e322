"""A platform with 5,000 callback URLs, its customers' receivers, and constant traffic."""

import asyncio
import sys
from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from random import Random

from ringback.application import ServerProcess
from ringback.core.accounts.account import EVERY, Account
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.retention import KINDS, TimeSubject
from ringback.core.sids import SidKind, make_sid
from ringback.core.supersim.sim import SuperSim
from ringback.migration.filters import rank
from ringback.operations.accounts import add_credentials, create_account
from ringback.operations.supersim.device_actions import receive_datagram, receive_sms
from ringback.ports import Clock, Transaction
from ringback.runtime.interpreter_tuning import let_threads_take_turns
from ringback.runtime.virtual_clock import VirtualClock
from ringback.settings.load import load
from ringback.settings.setting_definitions import ServerCommand
from tests.fakes import SeededRandomness, a_context, a_fleet, a_profile, a_sim
from tests.rehearsal.receivers import EVENT, Kind, ManyReceivers

START = datetime(2024, 10, 1, tzinfo=UTC)
"""An instant in the notice's phase `before`."""
ACCOUNTS = 25
_FRAGMENTS = ("", "#rc=2", "#cbs=twilio", "#cbs=twilio&rp=5xx,ct", "#x=1&ct=3000")
_AT_ONCE = 500


@dataclass
class CalledUrl:
    """One configured URL: for the SMS or the datagrams of a fleet."""

    path: str
    url: str
    kind: Kind
    sim: SuperSim
    is_sms: bool


@dataclass
class World:
    """Everything that runs."""

    application: ServerProcess
    clock: VirtualClock
    receivers: ManyReceivers
    accounts: list[Account] = field(default_factory=list[Account])
    urls: list[CalledUrl] = field(default_factory=list[CalledUrl])
    sent_to: dict[str, CalledUrl] = field(default_factory=dict[str, CalledUrl])
    """The URL that each event was for, by its payload."""
    _events: int = 0
    _turn: Iterator[CalledUrl] = field(init=False)

    def call_in_turn(self) -> None:
        """Call all URLs in turn, in a random order."""
        self._turn = cycle(Random(8).sample(self.urls, len(self.urls)))

    async def advance(self, by: timedelta) -> None:
        """Let time pass, and let everything happen that is due meanwhile."""
        assert self.application.workers.clock_advancer is not None
        await self.application.workers.clock_advancer.advance(by)

    async def traffic(self, events: int) -> None:
        """Make `events` events happen, for each URL in turn, and wait until all have been sent."""
        due = self._in_turn(events)
        for start in range(0, events, _AT_ONCE):
            urls = due[start : start + _AT_ONCE]
            await self.application.storage.store.transact(
                lambda tx, urls=urls: self._send_from_devices(tx, urls)
            )
        await self.advance(timedelta(seconds=1))

    async def traffic_until(
        self, task: asyncio.Task[object], *, sleeper: "SleepersClock", events: Callable[[], int]
    ) -> None:
        """Keep making events, and let time pass, until a task has ended.

        Minutes pass only while the task sleeps: the work that it does takes no virtual time,
        however busy the machine is.
        """
        while not task.done():
            await self.traffic(events())
            for _ in range(4):
                await _for_a_moment(lambda: task.done() or sleeper.is_asleep)
                if task.done() or not sleeper.is_asleep:
                    break
                await self.advance(timedelta(minutes=1))

    def _in_turn(self, events: int) -> Sequence[CalledUrl]:
        return [next(self._turn) for _ in range(events)]

    def _send_from_devices(self, tx: Transaction, urls: Sequence[CalledUrl]) -> None:
        context = self.application.api.dependencies.context()
        for url in urls:
            self._events += 1
            event = f"{EVENT}{self._events}"
            if url.is_sms:
                self.sent_to[event] = url
                receive_sms(tx, url.sim, event, context)
            else:
                self.sent_to[b64encode(event.encode()).decode()] = url
                receive_datagram(tx, url.sim, event.encode(), port=7, context=context)


class SleepersClock:
    """Implements `ports.Clock` on another clock, and knows if its only user is asleep."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: datetime | None = None

    @property
    def is_asleep(self) -> bool:
        return self._until is not None and self._until > self.now()

    def now(self) -> datetime:
        return self._clock.now()

    async def sleep_until(self, instant: datetime) -> None:
        self._until = instant
        await self._clock.sleep_until(instant)
        self._until = None


async def _for_a_moment(condition: Callable[[], bool]) -> None:
    """Wait until the condition is true, but not for long."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            while not condition():  # noqa: ASYNC110 (no event signals the condition)
                await asyncio.sleep(0.001)


@asynccontextmanager
async def a_world(folder: Path, *, urls: int) -> AsyncGenerator[World]:
    """Run a server as in production, with this number of URLs, two of each account's fleets."""
    clock = VirtualClock.stopped(START)
    random_source = SeededRandomness(8)
    flags = {
        "data": str(folder),
        "allow": "loopback",
        "schedule": "5s,5m",
        "per_destination": "500",  # they all have the same address
    }
    settings = load(flags, {}, command=ServerCommand.SERVE)
    turn = sys.getswitchinterval()
    let_threads_take_turns()  # as a server does
    async with ManyReceivers() as receivers:
        application = await ServerProcess.start(settings, clock=clock, random_source=random_source)
        try:
            world = World(application, clock, receivers)
            await application.storage.store.transact(
                lambda tx: _configure(tx, world, random_source, urls)
            )
            await application.storage.store.transact(_keep_everything)
            world.call_in_turn()
            yield world
        finally:
            await application.stop()
            sys.setswitchinterval(turn)


def _keep_everything(tx: Transaction) -> None:
    """Delete nothing: at the end, the callbacks of all weeks are counted."""
    tx.retention.set_times({TimeSubject(EVERY, kind): None for kind in KINDS}, START)


def _configure(tx: Transaction, world: World, random_source: SeededRandomness, urls: int) -> None:
    numbers = iter(range(urls))
    for index in range(ACCOUNTS):
        name = f"customer {index}"
        context = a_context(now=START, random_source=random_source)
        bare = create_account(tx, name=name, context=context)
        account = add_credentials(tx, bare, context).account
        world.accounts.append(account)
        profile = make_sid(SidKind.NETWORK_ACCESS_PROFILE, random_source.bytes(16))
        tx.supersim.access_profiles.add(
            a_profile(sid=profile, account_sid=account.sid, unique_name=None)
        )
        for _ in range(urls // ACCOUNTS // 2):
            _configure_fleet(
                tx, world, account, profile=profile, random_source=random_source, numbers=numbers
            )


def _configure_fleet(
    tx: Transaction,
    world: World,
    account: Account,
    *,
    profile: str,
    random_source: SeededRandomness,
    numbers: Iterator[int],
) -> None:
    fleet_sid, sim_sid = (
        make_sid(kind, random_source.bytes(16)) for kind in (SidKind.FLEET, SidKind.SIM)
    )
    sim = a_sim(
        sid=sim_sid,
        account_sid=account.sid,
        iccid=f"8988307{int(sim_sid[2:14], 16) % 10**12:012}",
        unique_name=None,
        fleet_sid=fleet_sid,
    )
    own = list[CalledUrl]()
    for is_sms in (True, False):
        number = next(numbers)
        path = f"/r/{number}"
        url = world.receivers.url(path) + _FRAGMENTS[number % 5]
        kind = _kind_of(number, url)
        world.receivers.open(path, kind, account)
        own.append(CalledUrl(path, url, kind, sim, is_sms))
    tx.supersim.fleets.add(
        a_fleet(
            sid=fleet_sid,
            account_sid=account.sid,
            unique_name=None,
            network_access_profile_sid=profile,
            sms_commands_url=own[0].url,
            ip_commands_url=own[1].url,
        )
    )
    tx.supersim.sims.add(sim)
    world.urls += own


def _kind_of(number: int, url: str) -> Kind:
    """Return the kind of a receiver: most accept both sources, and a few per cent accept less.

    The fragile receivers are not in the first group, so that little traffic is enough for it.
    """
    if number % 40 == 3:
        return Kind.TWILIO
    if number % 100 == 7:
        return Kind.KORE
    is_fragile = number % 160 == 11 and rank(CallbackUrl.parse(url)) > 0.2
    return Kind.FRAGILE if is_fragile else Kind.BOTH
