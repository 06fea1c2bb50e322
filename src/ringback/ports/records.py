"""Tables of records that are all alike: kept, found, listed by what their fields hold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.data_flow import DataFlow
from ringback.core.sims.scenario import TaskKind


class AccountRecord(Protocol):
    """What an account has."""

    @property
    def sid(self) -> str:
        """Which record it is."""
        ...

    @property
    def account_sid(self) -> str:
        """Whose it is."""
        ...


class NamedRecord(AccountRecord, Protocol):
    """What its account can give a name of its own."""

    @property
    def unique_name(self) -> str | None:
        """The name, which no other record of the account and its kind has."""
        ...


R = TypeVar("R", bound=AccountRecord)
N = TypeVar("N", bound=NamedRecord)


class SimRecord(Protocol):
    """What there is once for a SIM."""

    @property
    def sim_sid(self) -> str:
        """Which SIM it is of."""
        ...


U = TypeVar("U", bound=SimRecord)
F = TypeVar("F", bound=DataFlow)

FieldFilter = Mapping[str, object]
"""Fields of a record and the values that they must have; None as a value stands for any."""


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One page of a list, newest first: the records after or before one of them."""

    size: int
    after: str | None = None
    """The SID of the record that this page follows."""
    before: str | None = None
    """The SID of the record that this page leads up to."""
    examining: int | None = None
    """About how many records may be looked at for it; None for as many as it takes.

    Those count that are looked at in vain: where an index leads to what is wanted, none are.
    """


T = TypeVar("T")


class RecordPage(list[T]):
    """The records of a page, newest first."""

    def __init__(self, records: Iterable[T] = (), stopped_at: str | None = None) -> None:
        """Keep the records.

        `stopped_at` is the SID of the last record that was looked at, where that ended before the
        page was full. Others may follow: the next page comes after this record, or before it where
        the page was one that leads up to a record.
        """
        super().__init__(records)
        self.stopped_at = stopped_at


class Records(Protocol[R]):
    """The records of one kind, of all accounts."""

    def add(self, record: R) -> None:
        """Keep a new record."""
        ...

    def save(self, record: R) -> None:
        """Replace a record by its new state."""
        ...

    def remove(self, sid: str) -> None:
        """Forget a record; pages that begin at it still do."""
        ...

    def get(self, sid: str) -> R | None:
        """Return a record of any account, or None."""
        ...

    def first(self, which: FieldFilter) -> R | None:
        """Return the oldest record of any account whose fields are these, or None."""
        ...

    def page(self, account_sid: str, which: FieldFilter, window: PageRequest) -> RecordPage[R]:
        """Return one page of an account's records whose fields are these, newest first.

        Raises PageNotFound where the account has, and had, no such record as the window begins at.
        """
        ...


class NamedRecords(Records[N], Protocol[N]):
    """Records that can have a unique name."""

    def find(self, account_sid: str, sid_or_name: str) -> N | None:
        """Return the account's record with this SID, else with this unique name, else None."""
        ...


class PendingUpdates(Protocol[U]):
    """The changes of SIMs that the network is carrying out; a SIM has at most one."""

    def add(self, record: U) -> None:
        """Keep a new change."""
        ...

    def get(self, sim_sid: str) -> U | None:
        """Return a SIM's change, or None."""
        ...

    def first(self, which: FieldFilter) -> U | None:
        """Return a change of any account whose fields are these, or None."""
        ...

    def end(self, sim_sid: str) -> None:
        """Forget a SIM's change."""
        ...


class DataFlows(Protocol[F]):
    """The flows of data that SIMs have, and had."""

    def add(self, record: F) -> None:
        """Keep a new one."""
        ...

    def get(self, sid: str) -> F | None:
        """Return one, or None."""
        ...

    def end(self, sid: str, at: datetime | None) -> None:
        """Have one end at this instant; None for one that goes on."""
        ...

    def of_sim(self, sim_sid: str, *, since: datetime) -> list[F]:
        """Return those of a SIM that go on after this instant, the oldest first."""
        ...

    def between(
        self,
        account_sid: str,
        which: FieldFilter,
        start: datetime,
        end: datetime,
        window: PageRequest,
    ) -> RecordPage[F]:
        """Return those of an account that overlap a period and whose fields are these."""
        ...


class ScheduledTasks(Protocol):
    """What will come due by itself."""

    def put(self, task: ScheduledTask) -> None:
        """Keep a task, in place of one for the same step of the same resource."""
        ...

    def due(self, now: datetime, *, limit: int) -> list[ScheduledTask]:
        """Return tasks that are due, the longest due first."""
        ...

    def next_due(self) -> datetime | None:
        """Return when the next task is due, or None where there is none."""
        ...

    def due_of(self, subject_sid: str, step: TaskKind) -> datetime | None:
        """Return when this step of this resource is due, or None where it isn't to be taken."""
        ...

    def take(self, task: ScheduledTask) -> bool:
        """Forget a task that is to be done now; False where it is gone, or was put off."""
        ...

    def drop(self, subject_sid: str, step: TaskKind) -> None:
        """Forget the task for this step of this resource, where there is one."""
        ...
