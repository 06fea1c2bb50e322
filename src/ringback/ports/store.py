"""The database: transactions over all tables.

Work on the store is a plain function of one `Transaction`: it runs whole or not at all, and when
`Store.transact` returns, what it did is durable. The function neither awaits nor keeps the
transaction, so that a store may run many such functions in one commit, or run one again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, Protocol, TypeVar

from ringback.core.accounts.account import Account, ApiKey
from ringback.core.accounts.client_credentials import ClientCredentials
from ringback.core.callbacks.callback import DeliveryState, OutgoingCallback
from ringback.core.scheduled_task import BeginResult, ScheduledTask
from ringback.core.sims.scenario import CarrierResult
from ringback.ports.callbacks import CallbackBatches, Callbacks, StoredResponses
from ringback.ports.records import ScheduledTasks
from ringback.ports.shadows import ShadowCallbacks
from ringback.ports.sim_tables import SuperSimTables, WirelessTables

C = TypeVar("C")
T = TypeVar("T")


def nothing() -> None:
    """Do nothing."""


class CommitHooks(NamedTuple):
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
        """Replace an account by its new state; its SID, and when it was made, stay."""
        ...

    def with_kore_id(self, kore_id: str) -> Account | None:
        """Return the account that KORE's APIs call this, or None."""
        ...

    def children_of(self, sid: str) -> list[Account]:
        """Return the subaccounts of an account, oldest first."""
        ...

    def add_key(self, key: ApiKey) -> None:
        """Keep a new API key."""
        ...

    def key(self, sid: str) -> ApiKey | None:
        """Return an API key, or None."""
        ...

    def keys_of(self, account_sid: str | None) -> list[ApiKey]:
        """Return all API keys of an account, oldest first; for None, those of the operator."""
        ...

    def remove_key(self, sid: str) -> None:
        """Forget an API key."""
        ...


@dataclass(frozen=True, slots=True)
class TokenSigningKey:
    """What signs the tokens that API clients are given."""

    id: str
    private_key: str = field(repr=False)
    """PEM, without a password."""


class ApiClients(Protocol):
    """The API clients of all accounts, and what signs their tokens."""

    def add(self, client: ClientCredentials) -> None:
        """Keep a new client."""
        ...

    def get(self, sid: str) -> ClientCredentials | None:
        """Return a client, or None."""
        ...

    def of(self, account_sid: str) -> list[ClientCredentials]:
        """Return all clients of an account, oldest first."""
        ...

    def remove(self, sid: str) -> None:
        """Forget a client."""
        ...

    def token_key(self) -> TokenSigningKey | None:
        """Return what signs tokens; None before the first was asked for."""
        ...

    def keep_token_key(self, key: TokenSigningKey) -> None:
        """Keep what signs tokens from now on."""
        ...


class ScenarioChoices(Protocol):
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
    def api_clients(self) -> ApiClients:
        """The API clients."""
        ...

    @property
    def supersim(self) -> SuperSimTables:
        """What there is of Super SIM."""
        ...

    @property
    def wireless(self) -> WirelessTables:
        """What there is of Programmable Wireless."""
        ...

    @property
    def scenarios(self) -> ScenarioChoices:
        """The scenarios that were chosen."""
        ...

    @property
    def tasks(self) -> ScheduledTasks:
        """What will come due."""
        ...

    @property
    def callbacks(self) -> Callbacks:
        """The callbacks."""
        ...

    @property
    def batches(self) -> CallbackBatches:
        """Big batches of callbacks that are still to be added to them."""
        ...

    @property
    def shadows(self) -> ShadowCallbacks:
        """The copies of callbacks."""
        ...

    @property
    def kept_responses(self) -> StoredResponses:
        """What is kept of long answers."""
        ...

    def write_nothing(self) -> None:
        """Write to the database, and leave all as it is: it shows whether it can be written to."""
        ...

    def on_commit(
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

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        """Run work that only reads and return its result; nobody's commit waits for it.

        It sees all that was durable before it began. `asked_by` is an account, or whoever else
        asks: one read of theirs runs at a time, so that others need not wait.

        What the work raises is raised here. Raises RuntimeError for work that writes or wants
        something done afterwards, QueryTimeout, and StoreUnavailable where the database can't be
        used just now.
        """
        ...


class CallbackQueue(Protocol):
    """Takes new callbacks in: keeps them, and has them sent."""

    def take(self, tx: Transaction, callback: OutgoingCallback) -> None:
        """Keep a new callback in this transaction; where it is due and may be sent now, it is."""
        ...

    def change(self, tx: Transaction, callback: OutgoingCallback, progress: DeliveryState) -> None:
        """Keep the new progress of a callback that has no attempt under way."""
        ...

    def make_room(self, account_sid: str, count: int) -> None:
        """See that so many new callbacks may wait.

        Raises BacklogFull where too many are waiting already.
        """
        ...


class CallbackBatchQueue(Protocol):
    """Takes big batches of new callbacks in, so that others need not wait for them."""

    async def keep(
        self, account_sid: str, callbacks: Sequence[OutgoingCallback], texts: Sequence[str]
    ) -> list[OutgoingCallback]:
        """Keep new callbacks of an account, all or none; `texts` are by `core.callback_text`.

        Returns their records, in the same order, when all are added; see `send_callbacks`. Where
        the database goes away in the middle, it returns at once what they will be: they are
        durable. What is begun goes on where the caller is cancelled. Raises BacklogFull as
        `CallbackQueue.make_room`, and StoreUnavailable where none are kept.
        """
        ...


class SigningKeys(Protocol):
    """Knows by which secrets the callbacks of each account are signed now."""

    def learn(self, account: Account) -> None:
        """Sign by this state of an account from now on, unless a newer one is known."""
        ...


class TaskHandler(NamedTuple, Generic[C]):
    """How one kind of task is done, in two transactions; both are given the caller's context."""

    begin: Callable[[Transaction, ScheduledTask, C], BeginResult]
    """Returns what the network has to do."""
    end: Callable[[Transaction, ScheduledTask, CarrierResult, C], None]
    """Does what follows from how the network ended it."""
