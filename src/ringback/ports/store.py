"""The interface of the database: transactions over all tables.

A transaction runs a plain function, which gets a `Transaction`. All changes of the function are
saved, or none. When `Store.transact` returns, they are durable.

The function must not await, and must not keep the `Transaction`: a store may run many functions in
one commit, or run a function again.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, NamedTuple, Protocol, TypeVar

from ringback.core.accounts.account import Account, ApiKey
from ringback.core.accounts.client_credentials import ClientCredentials
from ringback.core.callbacks.callback import CallbackRecord, DeliveryProgress
from ringback.core.policy.policy_version import PolicyVersion
from ringback.core.scheduled_task import BeginResult, ScheduledTask
from ringback.core.sims.scenario import CarrierResult
from ringback.ports.audit import AuditLog
from ringback.ports.callbacks import Callbacks, IncomingCallbackBatches, ResponseOverflows
from ringback.ports.counters import Counters
from ringback.ports.destinations import Destinations
from ringback.ports.record_tables import (
    ConsoleSessions,
    CredentialTable,
    Jobs,
    PlanLines,
    ReceiverChecks,
    ScheduledTasks,
    SharedLinks,
)
from ringback.ports.retention import Retention
from ringback.ports.shadows import ShadowCallbacks
from ringback.ports.sim_tables import SuperSimTables, WirelessTables
from ringback.ports.streams import StreamTables

C = TypeVar("C")
T = TypeVar("T")


def nothing() -> None:
    """Do nothing; the default `undone` of `Transaction.on_commit`."""


class CommitHooks(NamedTuple):
    """Functions to call after a transaction: `durable` if its changes are saved, else `undone`."""

    durable: Callable[[], None]
    undone: Callable[[], None]


class ApiKeys(CredentialTable[ApiKey], Protocol):
    """The table of the API keys of all accounts, and of the operator."""

    def end(self, sid: str, at: datetime) -> None:
        """Save that the key with this SID has ended, and forget its secret."""
        ...

    def note_uses(self, last: Mapping[str, datetime]) -> None:
        """Save when keys signed in last, by their SIDs, unless a later time is known."""
        ...


class Accounts(Protocol):
    """The table of accounts, with the API keys that sign in to them."""

    @property
    def keys(self) -> ApiKeys:
        """The API keys of all accounts, and of the operator."""
        ...

    def add(self, account: Account, keys: Sequence[ApiKey]) -> None:
        """Save a new account with its first API keys."""
        ...

    def get(self, sid: str) -> Account | None:
        """Return the account with this SID, or None if there is none."""
        ...

    def all(self) -> list[Account]:
        """Return all accounts, oldest first."""
        ...

    def save(self, account: Account) -> None:
        """Save the new state of an account; its SID and creation date stay the same."""
        ...

    def with_kore_id(self, kore_id: str) -> Account | None:
        """Return the account with this id in KORE's APIs (`acct_…`), or None if there is none."""
        ...

    def children_of(self, sid: str) -> list[Account]:
        """Return the subaccounts of an account, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class TokenSigningKey:
    """The key that signs the bearer tokens of API clients."""

    id: str
    private_key: str = field(repr=False)
    """The private key in PEM form, without a password."""


class ApiClients(CredentialTable[ClientCredentials], Protocol):
    """The table of all accounts' API clients, with the key that signs their bearer tokens."""

    def token_key(self) -> TokenSigningKey | None:
        """Return the key that signs bearer tokens; None if none has been saved yet."""
        ...

    def keep_token_key(self, key: TokenSigningKey) -> None:
        """Save the key that signs all bearer tokens from now on."""
        ...


class ScenarioChoices(Protocol):
    """The table of the simulated network's scenarios that were chosen for SIMs and accounts."""

    def put(self, subject_sid: str, name: str | None) -> None:
        """Save the scenario chosen for a SIM or an account; None removes the choice."""
        ...

    def get(self, subject_sid: str) -> str | None:
        """Return the name of the scenario chosen for a SIM or an account, or None."""
        ...


class PolicyVersions(Protocol):
    """The table of all versions of the policy, which several processes may share."""

    def newest(self, *, after: int = 0) -> PolicyVersion | None:
        """Return the version with the highest number, or None if none is higher than `after`."""
        ...

    def made_until(self, at: datetime, *, below: int | None = None) -> PolicyVersion | None:
        """Return the highest version that was made at this instant or before; None if none was.

        With `below`, only versions with a lower number count.
        """
        ...

    def made_by(self, file_hash: str) -> PolicyVersion | None:
        """Return the version made by the policy part with this hash, or None if there is none."""
        ...

    def add(self, version: PolicyVersion) -> bool:
        """Save a new version, and return True.

        Returns False, and saves nothing, if another process was faster: if there is a version with
        this number, or one made by the same policy part.
        """
        ...


class SendingPause(NamedTuple):
    """That servers send nothing and ask no carrier, until an operator resumes them."""

    since: datetime
    reason: str
    """Why, in words for the operator."""


class StoredPause(Protocol):
    """The pause of all servers that use the store, if there is one."""

    def get(self) -> SendingPause | None:
        """Return the pause, or None if there is none."""
        ...

    def begin(self, pause: SendingPause) -> SendingPause:
        """Begin a pause, unless there is one already, and return the pause that is in force."""
        ...

    def end(self) -> SendingPause | None:
        """End the pause, and return it; None if there was none."""
        ...


class Transaction(Protocol):
    """All tables, within one transaction."""

    accounts: Accounts
    api_clients: ApiClients
    console_sessions: ConsoleSessions
    shared_links: SharedLinks
    supersim: SuperSimTables
    wireless: WirelessTables
    scenarios: ScenarioChoices
    """The scenarios chosen for SIMs and accounts."""
    policies: PolicyVersions
    pause: StoredPause
    audit: AuditLog
    """Who changed what."""
    tasks: ScheduledTasks
    jobs: Jobs
    """Long actions, such as the replay of many callbacks."""
    plans: PlanLines
    """The plans that jobs carry out, with their journals."""
    receiver_checks: ReceiverChecks
    callbacks: Callbacks
    streams: StreamTables
    """Event streams: sinks, subscriptions and events."""
    batches: IncomingCallbackBatches
    """Large batches of new callbacks that have not been added to `callbacks` yet."""
    shadows: ShadowCallbacks
    """Shadow copies of callbacks."""
    kept_responses: ResponseOverflows
    counters: Counters
    """What was counted of callbacks, minute by minute."""
    destinations: Destinations
    """What is set for destinations, and what has become of them."""
    retention: Retention
    """Deletes what has been kept for long enough."""

    def fingerprint(self) -> str:
        """Return the fingerprint of the data, 32 hex digits.

        It is random, made together with the data, and goes with it when it is copied or restored.
        """
        ...

    def write_nothing(self) -> None:
        """Write to the database without changing anything, to check that it can be written to."""
        ...

    def on_commit(
        self, durable: Callable[[], None], *, undone: Callable[[], None] = nothing
    ) -> None:
        """Call `durable` or `undone` in the event loop when the transaction has ended.

        `durable` is called once all changes of the transaction are durable, `undone` if they are
        undone.
        """
        ...


class Store(Protocol):
    """The database, which runs work in transactions."""

    def transact(
        self, work: Callable[[Transaction], T], *, is_quick: bool = False, may_wait: bool = False
    ) -> Awaitable[T]:
        """Run `work` in one transaction; await its result, which is there once it is durable.

        `is_quick` says that the work only adds rows, or changes rows that were used just before: a
        store may run it in the event loop. With `may_wait`, nobody waits for the result: the work
        may be delayed a few milliseconds, so that it shares a commit with other work.

        An error that `work` raises undoes all its changes, and is raised here. Raises
        StoreUnavailable if the database can't be used at the moment.
        """
        ...

    async def read(self, work: Callable[[Transaction], T], *, asked_by: str = "") -> T:
        """Run `work`, which may only read, and return its result; commits do not wait for it.

        The work sees everything that was durable before it began. `asked_by` names the account or
        other caller that asks. Only one read of each caller runs at a time, so that others need not
        wait.

        An error that `work` raises is raised here. Raises RuntimeError if it writes or calls
        `on_commit`, QueryTimeout if it takes too long, and StoreUnavailable if the database can't
        be used at the moment.
        """
        ...


class NewCallbackQueue(Protocol):
    """A queue that accepts new callbacks: it saves them, and makes sure that they are sent."""

    def take(self, tx: Transaction, callback: CallbackRecord) -> None:
        """Save a new callback in this transaction; if it is due, send it as soon as possible."""
        ...

    def change(self, tx: Transaction, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        """Save the new progress of a callback that has no attempt under way."""
        ...

    def expect_events(
        self, tx: Transaction, subscriptions: Mapping[str, str], sim_sid: str | None = None
    ) -> None:
        """After this transaction, make batches of the events that it adds for subscriptions.

        `subscriptions` has the destination of each one's sink, by the subscription's SID. If all
        these events are of one SIM, `sim_sid` may say so, which saves work while it has to wait.
        """
        ...

    def make_room(self, account_sid: str, count: int) -> None:
        """Check that `count` more callbacks of this account fit into the queue.

        Raises BacklogFull if too many are waiting already.
        """
        ...


class BulkCallbackQueue(Protocol):
    """A queue that accepts large batches of new callbacks without delaying other requests."""

    async def keep(
        self, account_sid: str, callbacks: Sequence[CallbackRecord], texts: Sequence[str]
    ) -> list[CallbackRecord]:
        """Save all new callbacks of an account, or none; `texts` are their texts from `write_new`.

        The texts are saved first; then the callbacks are added to their table, and their records
        are returned in the same order. If the database fails in between, the records are returned
        at once, and the callbacks are added later. Cancelling the caller does not stop the work.

        Raises BacklogFull like `NewCallbackQueue.make_room`, and StoreUnavailable if nothing was
        saved.
        """
        ...


class CallbackSigningKeys(Protocol):
    """The current secrets of each account, which sign its callbacks."""

    def learn(self, account: Account) -> None:
        """Sign the account's callbacks with its secrets from now on, unless it has newer ones."""
        ...


class TaskHandler(NamedTuple, Generic[C]):
    """The two functions that carry out one kind of task, each in its own transaction.

    The mobile network works between the two transactions, so that no transaction waits for it.
    """

    begin: Callable[[Transaction, ScheduledTask, C], BeginResult]
    """The first transaction: returns the request to the mobile network, if there is one."""
    end: Callable[[Transaction, ScheduledTask, CarrierResult, C], None]
    """The second transaction: saves the result of the network's work, and its effects."""
