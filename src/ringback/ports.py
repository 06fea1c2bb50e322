"""Every boundary, as small Protocols: what the inside needs from the outside.

Work on the store is a plain function of one `Transaction`: it runs whole or not at all, and when
`Store.transact` returns, what it did is durable. The function neither awaits nor keeps the
transaction, so that a store may run many such functions in one commit, or run one again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from ringback.core.account import Account, ApiKey
from ringback.core.callback import Attempt, Callback, CallbackStatus, Exchange
from ringback.core.connection import Limits
from ringback.core.rendering import OutgoingRequest
from ringback.core.sim import Fleet, Sim, SimStatus
from ringback.core.sim_update import SimUpdate, UpdateEnding

T = TypeVar("T")


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

    async def send(self, request: OutgoingRequest, *, limits: Limits) -> Exchange:
        """Send it once and return how that ended; never raises for what the receiver does."""
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

    status: CallbackStatus | None = None
    source: str | None = None
    idempotency_token: str | None = None


class Accounts(Protocol):
    """Accounts and the keys that sign in to them."""

    def add(self, account: Account, keys: Sequence[ApiKey]) -> None:
        """Keep a new account with its first API keys."""
        ...

    def get(self, sid: str) -> Account | None:
        """Return an account, or None."""
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


@dataclass(frozen=True, slots=True)
class Claim:
    """A callback taken for one attempt, whose open row is already durable."""

    callback: Callback
    attempt: Attempt
    account: Account


class Callbacks(Protocol):
    """Callbacks and their attempts."""

    def add(self, callback: Callback) -> None:
        """Keep a new callback."""
        ...

    def get(self, account_sid: str, sid: str) -> Callback | None:
        """Return a callback of this account, or None."""
        ...

    def page(self, account_sid: str, which: CallbackFilter, window: Window) -> list[Callback]:
        """Return one page, newest first.

        Raises Invalid where the account has no such record as the window begins at.
        """
        ...

    def attempts(self, callback_sid: str) -> list[Attempt]:
        """Return all attempts of a callback, in the order in which they were made."""
        ...

    def claim(self, now: datetime, *, limit: int) -> list[Claim]:
        """Take callbacks that are due, the longest due first, and open their next attempts."""
        ...

    def settle(self, callback: Callback, attempt: Attempt) -> None:
        """Write how an attempt ended, and what becomes of its callback."""
        ...

    def left_open(self) -> list[tuple[Callback, Attempt]]:
        """Return the attempts that nobody is making any more: a dead worker's."""
        ...

    def next_due(self) -> datetime | None:
        """Return when the next callback is due, or None where none is."""
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


class Store(Protocol):
    """The database."""

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run the work as one transaction and return its result once that is durable.

        What the work raises undoes all that it did, and is raised here. Raises StoreUnavailable
        where the database can't be used just now.
        """
        ...


class Wakeup(Protocol):
    """Tells a waiting loop that there is something for it to do."""

    def wake(self) -> None:
        """Let the loop look again at once; does nothing while it is busy anyway."""
        ...


def no_checkpoint(name: str) -> None:
    """Do nothing at a named step; tests hand in something that waits or dies there."""
