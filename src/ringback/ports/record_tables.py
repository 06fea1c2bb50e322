"""Tables of records that are all alike: saved, found and listed by their fields."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar

from ringback.core.accounts.account import AccountOwnedRecord, NamedRecord
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.data_session import DataSession
from ringback.core.sims.scenario import TaskKind

R = TypeVar("R", bound=AccountOwnedRecord)
N = TypeVar("N", bound=NamedRecord)


class SimOwnedRecord(Protocol):
    """A record that belongs to a SIM."""

    @property
    def sim_sid(self) -> str:
        """The SIM that it belongs to."""
        ...


U = TypeVar("U", bound=SimOwnedRecord)
F = TypeVar("F", bound=DataSession)

FieldFilter = Mapping[str, object]
"""Fields of a record and the values that they must have; the value None stands for any."""


@dataclass(frozen=True, slots=True)
class PageWindow:
    """One page of a list, newest first: the records after or before one of them."""

    size: int
    after: str | None = None
    """The SID of the record that this page follows."""
    before: str | None = None
    """The SID of the record that this page leads up to."""
    examining: int | None = None
    """About how many records may be read in vain to fill the page; None for any number.

    A filter that no index serves could otherwise read the whole table for one page.
    """


T = TypeVar("T")


class RecordPage(list[T]):
    """The records of a page, newest first."""

    def __init__(self, records: Iterable[T] = (), stopped_at: str | None = None) -> None:
        """Keep the records.

        `stopped_at` is the SID of the last record that was read, if reading stopped before the page
        was full. There may be more: the next page begins after this record, or before it if the
        page was one that leads up to a record.
        """
        super().__init__(records)
        self.stopped_at = stopped_at


class RecordTable(Protocol[T]):
    """The records of one kind, of all accounts; each has a SID of its own, or that of its SIM."""

    def add(self, record: T) -> None:
        """Keep a new record."""
        ...

    def get(self, sid: str) -> T | None:
        """Return a record of any account, or None."""
        ...

    def first(self, which: FieldFilter) -> T | None:
        """Return the oldest record of any account whose fields are these, or None."""
        ...

    def remove(self, sid: str) -> None:
        """Delete a record, if it is there."""
        ...


class Records(RecordTable[R], Protocol[R]):
    """Records that change and are listed; pages can begin at the place of one that was deleted."""

    def save(self, record: R) -> None:
        """Replace a record by its new state."""
        ...

    def page(self, account_sid: str, which: FieldFilter, window: PageWindow) -> RecordPage[R]:
        """Return one page of an account's records whose fields are these, newest first.

        Raises PageNotFound if the account never had a record with the SID that the page begins at.
        """
        ...


class NamedRecords(Records[N], Protocol[N]):
    """Records that can have a unique name."""

    def find(self, account_sid: str, sid_or_name: str) -> N | None:
        """Return the account's record with this SID, else with this unique name, else None."""
        ...


class DataSessions(Protocol[F]):
    """The Data Sessions of SIMs, running and ended."""

    def add(self, record: F) -> None:
        """Keep a new one."""
        ...

    def get(self, sid: str) -> F | None:
        """Return one, or None."""
        ...

    def end(self, sid: str, at: datetime | None) -> None:
        """Set when a session ends; None for one that goes on."""
        ...

    def of_sim(self, sim_sid: str, *, since: datetime) -> list[F]:
        """Return the sessions of a SIM that go on after this instant, the oldest first."""
        ...

    def between(
        self,
        account_sid: str,
        which: FieldFilter,
        start: datetime,
        end: datetime,
        window: PageWindow,
    ) -> RecordPage[F]:
        """Return the sessions of an account that overlap a period and have these fields."""
        ...


class CredentialTable(RecordTable[T], Protocol[T]):
    """Credentials, of which each account has few."""

    def of(self, account_sid: str | None) -> list[T]:
        """Return all of an account, oldest first; for None, those of the operator."""
        ...


class ScheduledTasks(Protocol):
    """Scheduled steps of resources."""

    def put(self, task: ScheduledTask) -> None:
        """Save a task, replacing one for the same step of the same resource."""
        ...

    def due(self, now: datetime, *, limit: int) -> list[ScheduledTask]:
        """Return tasks that are due, the longest due first."""
        ...

    def next_due(self) -> datetime | None:
        """Return when the next task is due, or None where there is none."""
        ...

    def due_of(self, subject_sid: str, step: TaskKind) -> datetime | None:
        """Return when this step of this resource is due, or None if it is not scheduled."""
        ...

    def take(self, task: ScheduledTask) -> bool:
        """Delete a task that is about to be done; False if it is gone, or was put off."""
        ...

    def drop(self, subject_sid: str, step: TaskKind) -> None:
        """Delete the task for this step of this resource, if there is one."""
        ...
