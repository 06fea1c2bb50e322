"""Every boundary, as small Protocols: what the inside needs from the outside.

Work on the store is a plain function of one `Transaction`: it runs whole or not at all, and when
`Store.transact` returns, what it did is durable. The function neither awaits nor keeps the
transaction, so that a store may run many such functions in one commit, or run one again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, TypeVar

from ringback.core.account import Account, ApiKey
from ringback.core.callback import Attempt, Callback, CallbackStatus, Exchange, Progress
from ringback.core.connection import Limits
from ringback.core.rendering import OutgoingRequest
from ringback.core.sim import Fleet, Sim, SimStatus
from ringback.core.sim_update import SimUpdate, UpdateEnding
from ringback.core.source import Source

T = TypeVar("T")


def nothing() -> None:
    """Do nothing."""


class Ending(NamedTuple):
    """What to call when a transaction has ended: the one, or the other."""

    durable: Callable[[], None]
    undone: Callable[[], None]


class Clock(Protocol):
    """The time, and waiting for it."""

    def now(self) -> datetime:
        """Return the present instant, in UTC."""
        ...

    async def sleep_until(self, instant: datetime) -> None:
        """Return at this instant, or at once where it has passed."""
        ...


class Chance(Protocol):
    """Where SIDs, tokens and secrets come from."""

    def bytes(self, count: int) -> bytes:
        """Return this many bytes that nobody can foresee."""
        ...


class Transport(Protocol):
    """Sends one finished request."""

    async def send(self, request: OutgoingRequest, *, limits: Limits, turn: int = 0) -> Exchange:
        """Send it once and return how that ended; never raises for what the receiver does.

        `turn` counts the attempts of the same round before this one, from 0; where the URL names
        several ways out of this machine, they take turns.
        """
        ...


class Carrier(Protocol):
    """The mobile network behind the SIM API."""

    @property
    def update_takes(self) -> timedelta:
        """How long a change of a SIM takes from its acceptance."""
        ...

    async def carry_out(self, update: SimUpdate) -> UpdateEnding:
        """Carry out a change that is due, and return how it ended."""
        ...


@dataclass(frozen=True, slots=True)
class Window:
    """One page of a list, newest first: the records after or before one of them."""

    size: int
    after: str | None = None
    """The SID of the record that this page follows."""
    before: str | None = None
    """The SID of the record that this page leads up to."""


@dataclass(frozen=True, slots=True)
class SimFilter:
    """Which SIMs to list; None stands for all."""

    status: SimStatus | None = None
    fleet_sid: str | None = None
    iccid: str | None = None


@dataclass(frozen=True, slots=True)
class CallbackFilter:
    """Which callbacks to list; None stands for all."""

    statuses: frozenset[CallbackStatus] | None = None
    source: Source | None = None
    idempotency_token: str | None = None
    destination: str | None = None
    since: datetime | None = None
    """The first instant of creation."""
    until: datetime | None = None
    """The instant of creation from which on they are left out."""


class Accounts(Protocol):
    """Accounts and the keys that sign in to them."""

    def add(self, account: Account, keys: Sequence[ApiKey]) -> None:
        """Keep a new account with its first API keys."""
        ...

    def get(self, sid: str) -> Account | None:
        """Return an account, or None."""
        ...

    def all(self) -> list[Account]:
        """Return all accounts, oldest first."""
        ...

    def save(self, account: Account) -> None:
        """Replace an account by its new state."""
        ...

    def key(self, sid: str) -> ApiKey | None:
        """Return an API key, or None."""
        ...

    def keys_of(self, account_sid: str) -> list[ApiKey]:
        """Return all API keys of an account, oldest first."""
        ...


class Fleets(Protocol):
    """Fleets of SIMs."""

    def add(self, fleet: Fleet) -> None:
        """Keep a new fleet."""
        ...

    def find(self, account_sid: str, sid_or_name: str) -> Fleet | None:
        """Return the account's fleet with this SID, else with this unique name, else None."""
        ...


class Sims(Protocol):
    """SIMs, and the changes to them that the network has yet to carry out."""

    def add(self, sim: Sim) -> None:
        """Keep a new SIM."""
        ...

    def save(self, sim: Sim) -> None:
        """Replace a SIM by its new state."""
        ...

    def get(self, sid: str) -> Sim | None:
        """Return a SIM of any account, or None."""
        ...

    def find(self, account_sid: str, sid_or_name: str) -> Sim | None:
        """Return the account's SIM with this SID, else with this unique name, else None."""
        ...

    def with_iccid(self, iccid: str) -> Sim | None:
        """Return the SIM with this ICCID, of any account, or None."""
        ...

    def page(self, account_sid: str, which: SimFilter, window: Window) -> list[Sim]:
        """Return one page, newest first.

        Raises Invalid where the account has no such record as the window begins at.
        """
        ...

    def begin_update(self, update: SimUpdate) -> None:
        """Keep a change that the network has to carry out; a SIM has at most one."""
        ...

    def due_updates(self, now: datetime, *, limit: int) -> list[SimUpdate]:
        """Return changes that are due, the longest due first."""
        ...

    def next_update_due(self) -> datetime | None:
        """Return when the next change is due, or None where there is none."""
        ...

    def end_update(self, sim_sid: str) -> SimUpdate | None:
        """Forget a SIM's change and return it; None where it was already ended."""
        ...


class Lane(NamedTuple):
    """What waits in one line: the callbacks of one account to one destination."""

    account_sid: str
    destination: str


def lane_of(callback: Callback) -> Lane:
    """Return the lane that a callback waits in."""
    return Lane(callback.account_sid, callback.url.destination)


class Claim(NamedTuple):
    """A callback taken for one attempt, whose open row is durable with it."""

    callback: Callback
    """What to tell, and to whom; its own progress is that of before the claim."""
    progress: Progress
    account: Account

    @property
    def attempt(self) -> Attempt:
        """The attempt's open row."""
        callback, progress = self.callback, self.progress
        return Attempt(
            callback.sid, callback.account_sid, progress.attempt_count, progress.date_updated
        )


class Settlement(NamedTuple):
    """How an attempt ended, and what becomes of its callback."""

    callback: Callback
    attempt: Attempt
    """The row with its ending."""
    progress: Progress
    """Of the callback from now on; where it is under way, its next attempt begins."""


class Waiting(NamedTuple):
    """What waits in a lane that is not claimed."""

    lane: Lane
    next_due: datetime


class Callbacks(Protocol):
    """Callbacks and their attempts."""

    def add(self, callback: Callback) -> None:
        """Keep a new callback; where it is under way, its first attempt's row is opened with it."""
        ...

    def get(self, account_sid: str, sid: str) -> Callback | None:
        """Return a callback of this account, or None."""
        ...

    def with_key(self, account_sid: str, idempotency_key: str) -> Callback | None:
        """Return the callback of this account that was made with this key, or None."""
        ...

    def page(self, account_sid: str, which: CallbackFilter, window: Window) -> list[Callback]:
        """Return one page, newest first.

        Raises Invalid where the account has no such record as the window begins at.
        """
        ...

    def oldest(
        self, account_sid: str, which: CallbackFilter, *, after: str | None, limit: int
    ) -> list[Callback]:
        """Return callbacks in the order of their creation, from the one after this SID on."""
        ...

    def attempts(self, callback_sid: str) -> list[Attempt]:
        """Return all attempts of a callback, in the order in which they were made."""
        ...

    def change(self, callback: Callback) -> None:
        """Keep the progress of a callback that has no attempt under way."""
        ...

    def claim(self, lane: Lane, now: datetime, *, limit: int) -> list[Claim]:
        """Take callbacks of a lane that are due, the longest due first; open their attempts."""
        ...

    def settle(self, settlements: Sequence[Settlement]) -> None:
        """Write how attempts ended, and what becomes of their callbacks."""
        ...

    def put_back(self, claims: Sequence[Claim], now: datetime) -> None:
        """Undo claims whose requests have not left: no attempt was made, and they are due now."""
        ...

    def left_open(self) -> list[Claim]:
        """Return the attempts that nobody is making any more: a dead worker's."""
        ...

    def next_due(self, lane: Lane) -> datetime | None:
        """Return when the next callback of a lane is due, or None where none is."""
        ...

    def waiting(self) -> list[Waiting]:
        """Return each lane in which something waits, with the instant at which it is due."""
        ...

    def unfinished(self) -> dict[str, int]:
        """Return how many callbacks of each account have not ended."""
        ...

    def due_before(self, instants: Sequence[datetime]) -> list[int]:
        """Return for each instant how many callbacks wait that are due before it."""
        ...


class Transaction(Protocol):
    """All tables, within one transaction."""

    @property
    def accounts(self) -> Accounts:
        """The accounts."""
        ...

    @property
    def fleets(self) -> Fleets:
        """The fleets."""
        ...

    @property
    def sims(self) -> Sims:
        """The SIMs."""
        ...

    @property
    def callbacks(self) -> Callbacks:
        """The callbacks."""
        ...

    def write_nothing(self) -> None:
        """Write to the database, and leave all as it is: it shows whether it can be written to."""
        ...

    def afterwards(
        self, durable: Callable[[], None], *, undone: Callable[[], None] = nothing
    ) -> None:
        """Have one of these called in the event loop when the transaction has ended.

        The first where what the transaction did is durable, the second where it is undone.
        """
        ...


class Store(Protocol):
    """The database."""

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run the work as one transaction and return its result once that is durable.

        What the work raises undoes all that it did, and is raised here. Raises StoreUnavailable
        where the database can't be used just now.
        """
        ...


class Intake(Protocol):
    """Takes new callbacks in: keeps them, and has them sent."""

    def take(self, tx: Transaction, callback: Callback) -> None:
        """Keep a new callback in this transaction; where it is due and may be sent now, it is."""
        ...

    def change(self, tx: Transaction, callback: Callback, progress: Progress) -> None:
        """Keep the new progress of a callback that has no attempt under way."""
        ...

    def make_room(self, account_sid: str, count: int) -> None:
        """See that so many new callbacks may wait.

        Raises Overloaded where too many are waiting already.
        """
        ...


class Wakeup(Protocol):
    """Tells a waiting loop that there is something for it to do."""

    def wake(self) -> None:
        """Let the loop look again at once; does nothing while it is busy anyway."""
        ...


def no_checkpoint(name: str) -> None:
    """Do nothing at a named step; tests hand in something that waits or dies there."""
