"""The database: transactions over all tables.

Work on the store is a plain function of one `Transaction`: it runs whole or not at all, and when
`Store.transact` returns, what it did is durable. The function neither awaits nor keeps the
transaction, so that a store may run many such functions in one commit, or run one again.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol, TypeVar

from ringback.core.access_profile import NetworkAccessProfile
from ringback.core.account import Account, ApiKey
from ringback.core.billing import BillingPeriod
from ringback.core.callback import Callback, Progress
from ringback.core.command import IpCommand, SmsCommand
from ringback.core.errand import Errand
from ringback.core.esim_profile import EsimProfile
from ringback.core.fleet import Fleet
from ringback.core.scenario import Ending
from ringback.core.settings_update import SettingsUpdate
from ringback.core.sim import Sim
from ringback.core.sim_update import SimUpdate
from ringback.core.task import Later, Task
from ringback.core.usage import DataSession
from ringback.ports.callbacks import Callbacks
from ringback.ports.records import NamedRecords, Records, Tasks, Which, Window

T = TypeVar("T")


def nothing() -> None:
    """Do nothing."""


class Afterwards(NamedTuple):
    """What to call when a transaction has ended: the one, or the other."""

    durable: Callable[[], None]
    undone: Callable[[], None]


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


class SimUpdates(Protocol):
    """The changes of SIMs that the network is carrying out; a SIM has at most one."""

    def add(self, update: SimUpdate) -> None:
        """Keep a new change."""
        ...

    def get(self, sim_sid: str) -> SimUpdate | None:
        """Return a SIM's change, or None."""
        ...

    def end(self, sim_sid: str) -> None:
        """Forget a SIM's change."""
        ...


class Sessions(Protocol):
    """The data sessions of SIMs."""

    def add(self, session: DataSession) -> None:
        """Keep a new session."""
        ...

    def get(self, sid: str) -> DataSession | None:
        """Return a session, or None."""
        ...

    def end(self, sid: str, at: datetime | None) -> None:
        """Have a session end at this instant; None for one that goes on."""
        ...

    def of_sim(self, sim_sid: str, *, since: datetime) -> list[DataSession]:
        """Return a SIM's sessions that go on after this instant, the oldest first."""
        ...

    def between(
        self, account_sid: str, which: Which, start: datetime, end: datetime, window: Window
    ) -> list[DataSession]:
        """Return an account's sessions that overlap a period and whose fields are these."""
        ...


class Choices(Protocol):
    """The scenarios that were chosen for SIMs and for accounts."""

    def put(self, subject_sid: str, name: str | None) -> None:
        """Choose a scenario for a SIM or an account; None to choose none."""
        ...

    def get(self, subject_sid: str) -> str | None:
        """Return the name of the scenario that was chosen, or None."""
        ...


class Transaction(Protocol):
    """All tables, within one transaction."""

    @property
    def accounts(self) -> Accounts:
        """The accounts."""
        ...

    @property
    def access_profiles(self) -> NamedRecords[NetworkAccessProfile]:
        """The Network Access Profiles."""
        ...

    @property
    def fleets(self) -> NamedRecords[Fleet]:
        """The fleets."""
        ...

    @property
    def sims(self) -> NamedRecords[Sim]:
        """The SIMs."""
        ...

    @property
    def sim_updates(self) -> SimUpdates:
        """The changes of SIMs that are being carried out."""
        ...

    @property
    def sms_commands(self) -> Records[SmsCommand]:
        """The SMS Commands."""
        ...

    @property
    def ip_commands(self) -> Records[IpCommand]:
        """The IP Commands."""
        ...

    @property
    def esim_profiles(self) -> Records[EsimProfile]:
        """The eSIM Profiles."""
        ...

    @property
    def settings_updates(self) -> Records[SettingsUpdate]:
        """The Settings Updates."""
        ...

    @property
    def billing_periods(self) -> Records[BillingPeriod]:
        """The Billing Periods."""
        ...

    @property
    def sessions(self) -> Sessions:
        """The data sessions."""
        ...

    @property
    def scenarios(self) -> Choices:
        """The scenarios that were chosen."""
        ...

    @property
    def tasks(self) -> Tasks:
        """What will come due."""
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


class LifeCycle(Protocol):
    """What becomes of resources by themselves, in two transactions for each task."""

    def begin(self, tx: Transaction, task: Task) -> Errand | Ending | Later | None:
        """Return what the network has to do; an ending where that is nothing.

        Later where it isn't the task's turn yet, None for one that means nothing any more.
        """
        ...

    def end(self, tx: Transaction, task: Task, ending: Ending) -> None:
        """Do what follows from how the network ended it."""
        ...
