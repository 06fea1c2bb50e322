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
from ringback.core.callbacks.callback import CallbackRecord, DeliveryProgress
from ringback.core.scheduled_task import BeginResult, ScheduledTask
from ringback.core.sims.scenario import CarrierResult
from ringback.ports.callbacks import Callbacks, IncomingCallbackBatches, ResponseOverflows
from ringback.ports.record_tables import CredentialTable, ScheduledTasks
from ringback.ports.shadows import ShadowCallbacks
from ringback.ports.sim_tables import SuperSimTables, WirelessTables

C = TypeVar("C")
T = TypeVar("T")


def nothing() -> None:
    """Do nothing."""


class CommitHooks(NamedTuple):
    """What to call when a transaction has ended, depending on how."""

    durable: Callable[[], None]
    undone: Callable[[], None]


class Accounts(Protocol):
    """Accounts and the keys that sign in to them."""

    @property
    def keys(self) -> CredentialTable[ApiKey]:
        """The API keys of all accounts, and of the operator."""
        ...

    def add(self, account: Account, keys: Sequence[ApiKey]) -> None:
        """Save a new account with its first API keys."""
        ...

    def get(self, sid: str) -> Account | None:
        """Return an account, or None."""
        ...

    def all(self) -> list[Account]:
        """Return all accounts, oldest first."""
        ...

    def save(self, account: Account) -> None:
        """Save the new state of an account; its SID and creation date stay."""
        ...

    def with_kore_id(self, kore_id: str) -> Account | None:
        """Return the account that KORE's APIs call this, or None."""
        ...

    def children_of(self, sid: str) -> list[Account]:
        """Return the subaccounts of an account, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class TokenSigningKey:
    """The key that signs the tokens of API clients."""

    id: str
    private_key: str = field(repr=False)
    """PEM, without a password."""


class ApiClients(CredentialTable[ClientCredentials], Protocol):
    """The API clients of all accounts, and the key that signs their tokens."""

    def token_key(self) -> TokenSigningKey | None:
        """Return the key that signs tokens; None before the first token was asked for."""
        ...

    def keep_token_key(self, key: TokenSigningKey) -> None:
        """Save the key that signs tokens from now on."""
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

    accounts: Accounts
    api_clients: ApiClients
    supersim: SuperSimTables
    wireless: WirelessTables
    scenarios: ScenarioChoices
    """Which scenarios were chosen, for which SIMs and accounts."""
    tasks: ScheduledTasks
    callbacks: Callbacks
    batches: IncomingCallbackBatches
    """Big batches of callbacks that are still to be added to `callbacks`."""
    shadows: ShadowCallbacks
    """Copies of callbacks."""
    kept_responses: ResponseOverflows

    def write_nothing(self) -> None:
        """Write to the database without changing anything, to find out whether that is possible."""
        ...

    def on_commit(
        self, durable: Callable[[], None], *, undone: Callable[[], None] = nothing
    ) -> None:
        """Call one of these in the event loop when the transaction has ended.

        The first once everything that the transaction did is durable, the second if it is undone.
        """
        ...


class Store(Protocol):
    """The database."""

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run the work as one transaction and return its result once that is durable.

        What the work raises undoes everything that it did, and is raised here. Raises
        StoreUnavailable if the database can't be used just now.
        """
        ...

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        """Run work that only reads and return its result; no commit waits for it.

        The work sees everything that was durable before it began. `asked_by` is the account, or
        whoever else asks: one read of theirs runs at a time, so that others need not wait.

        What the work raises is raised here. Raises RuntimeError for work that writes or calls
        `on_commit`, QueryTimeout, and StoreUnavailable if the database can't be used just now.
        """
        ...


class NewCallbackQueue(Protocol):
    """Accepts new callbacks: saves them, and gets them sent."""

    def take(self, tx: Transaction, callback: CallbackRecord) -> None:
        """Save a new callback in this transaction; it is sent at once if it is due and may be."""
        ...

    def change(self, tx: Transaction, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        """Save the new progress of a callback that has no attempt under way."""
        ...

    def make_room(self, account_sid: str, count: int) -> None:
        """Check that this many more callbacks may wait.

        Raises BacklogFull if too many are waiting already.
        """
        ...


class BulkCallbackQueue(Protocol):
    """Accepts big batches of new callbacks without making others wait for them."""

    async def keep(
        self, account_sid: str, callbacks: Sequence[CallbackRecord], texts: Sequence[str]
    ) -> list[CallbackRecord]:
        """Save new callbacks of an account, all or none; `write_new` makes `texts`.

        Returns their records, in the same order, when all are added; see `send_callbacks`. If the
        database goes away in between, the batch is durable already, and the records that it will
        have are returned at once. A cancelled caller does not stop it. Raises BacklogFull like
        `NewCallbackQueue.make_room`, and StoreUnavailable if nothing was saved.
        """
        ...


class CallbackSigningKeys(Protocol):
    """The secrets that sign the callbacks of each account now."""

    def learn(self, account: Account) -> None:
        """Sign with the secrets of this account from now on, unless a newer state is known."""
        ...


class TaskHandler(NamedTuple, Generic[C]):
    """How one kind of task is done, in two transactions.

    The network is asked between them, so that no transaction waits for it.
    """

    begin: Callable[[Transaction, ScheduledTask, C], BeginResult]
    """The first transaction: returns what the network has to do."""
    end: Callable[[Transaction, ScheduledTask, CarrierResult, C], None]
    """The second transaction: saves the result of the network's work, and what follows from it."""
