"""Interfaces of tables for simple records, which are saved, found and listed by their fields."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, TypeVar

from ringback.core.accounts.account import AccountOwnedRecord, NamedRecord
from ringback.core.accounts.console_session import ConsoleSession
from ringback.core.accounts.shared_link import SharedLink
from ringback.core.job import Job
from ringback.core.policy.receiver_evidence import ReceiverCheck
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.data_session import DataSession
from ringback.core.sims.scenario import TaskKind

R = TypeVar("R", bound=AccountOwnedRecord)
N = TypeVar("N", bound=NamedRecord)


class SimOwnedRecord(Protocol):
    """A record that belongs to a SIM."""

    @property
    def sim_sid(self) -> str:
        """The SID of the SIM that the record belongs to."""
        ...


U = TypeVar("U", bound=SimOwnedRecord)
F = TypeVar("F", bound=DataSession)

LINES_AT_ONCE: Final = 100
"""How many lines of a plan one read returns; a line may have 500 edits."""

FieldFilter = Mapping[str, object]
"""A filter by the fields of a record and their values; a value of None matches any value."""


@dataclass(frozen=True, slots=True)
class PageWindow:
    """The position of one page in a list: its size, and the record before or after it."""

    size: int
    after: str | None = None
    """The SID of the record that comes just before this page."""
    before: str | None = None
    """The SID of the record that comes just after this page."""
    examining: int | None = None
    """The approximate maximum of non-matching records to read for the page; None for no limit.

    Without a limit, a filter that has no index could read the whole table for one page.
    """


T = TypeVar("T")


class RecordPage(list[T]):
    """The records of a page, newest first."""

    def __init__(
        self,
        records: Iterable[T] = (),
        stopped_at: str | None = None,
        last_place: int | None = None,
    ) -> None:
        """Create a page from its records.

        `stopped_at` is the SID of the last record that was read, if reading stopped before the page
        was full. More records may follow: the next page begins after this record, or before it if
        the page was read backwards (`PageWindow.before`). `last_place` is the place in the list of
        the last record that was read, which stays valid if the record is deleted; it is known only
        for `Callbacks.oldest`, and None if nothing was read.
        """
        super().__init__(records)
        self.stopped_at = stopped_at
        self.last_place = last_place


class RecordTable(Protocol[T]):
    """A table of records of one kind, of all accounts."""

    def add(self, record: T) -> None:
        """Save a new record."""
        ...

    def get(self, sid: str) -> T | None:
        """Return the record of any account with this SID, or None if there is none."""
        ...

    def first(self, which: FieldFilter) -> T | None:
        """Return the oldest record of any account with these field values, or None."""
        ...

    def remove(self, sid: str) -> None:
        """Delete the record with this SID, if it exists."""
        ...


class Records(RecordTable[R], Protocol[R]):
    """A table of records that can change; a page of them can begin at a deleted record."""

    def save(self, record: R) -> None:
        """Save the new state of an existing record."""
        ...

    def page(self, account_sid: str, which: FieldFilter, window: PageWindow) -> RecordPage[R]:
        """Return one page of an account's records with these field values, newest first.

        Raises PageNotFound if the account never had a record with the SID that the page begins at.
        """
        ...


class NamedRecords(Records[N], Protocol[N]):
    """A table of records that can have a unique name."""

    def find(self, account_sid: str, sid_or_name: str) -> N | None:
        """Return the account's record with this SID or unique name, or None if there is none."""
        ...


class DataSessions(Protocol[F]):
    """The table of SIMs' Data Sessions, running and ended."""

    def add(self, record: F) -> None:
        """Save a new Data Session."""
        ...

    def get(self, sid: str) -> F | None:
        """Return the Data Session with this SID, or None if there is none."""
        ...

    def end(self, sid: str, at: datetime | None) -> None:
        """Set the time at which a session ends; None removes it, so that the session goes on."""
        ...

    def of_sim(self, sim_sid: str, *, since: datetime) -> list[F]:
        """Return a SIM's sessions that end after this instant or not at all, oldest first."""
        ...

    def between(
        self,
        account_sid: str,
        which: FieldFilter,
        start: datetime,
        end: datetime,
        window: PageWindow,
    ) -> RecordPage[F]:
        """Return a page of an account's sessions in a period, filtered by these field values."""
        ...


class CredentialTable(RecordTable[T], Protocol[T]):
    """A table of credentials, such as API keys; each account has only a few."""

    def of(self, account_sid: str | None) -> list[T]:
        """Return all credentials of an account, or of the operator if None, oldest first.

        For EVERY, return all credentials there are.
        """
        ...


class ConsoleSessions(RecordTable[ConsoleSession], Protocol):
    """The table of the sessions of the console."""

    def note_uses(self, last: Mapping[str, datetime]) -> None:
        """Save when sessions were used last, by the hashes of their tokens, unless later known."""
        ...

    def remove_of(self, credential: str) -> None:
        """Delete all sessions that were begun with the credential that has this SID."""
        ...

    def remove_oldest_of(self, credential: str, *, keep: int, limit: int) -> int:
        """Delete the sessions of a credential but the `keep` newest; return their number.

        Deletes at most `limit` of them.
        """
        ...

    def remove_unused_since(self, instant: datetime, *, limit: int) -> int:
        """Delete at most `limit` sessions last used before this instant; return their number."""
        ...


class SharedLinks(Records[SharedLink], Protocol):
    """The table of links that can be opened without signing in."""

    def remove_expired_before(self, instant: datetime, *, limit: int) -> int:
        """Delete at most `limit` links that expired before this instant; return their number."""
        ...


class ScheduledTasks(Protocol):
    """The table of scheduled tasks: later steps of resources, such as a SIM's activation."""

    def put(self, task: ScheduledTask) -> None:
        """Save a task; it replaces an earlier task for the same step of the same resource."""
        ...

    def claim(self, now: datetime, *, limit: int) -> list[ScheduledTask]:
        """Claim at most `limit` tasks that are due, and return them, the longest due first.

        Other processes can claim them only if this one dies. This process gets them again until
        they are taken, postponed or dropped.
        """
        ...

    def next_due(self) -> datetime | None:
        """Return when the next task that no other process has claimed is due, or None."""
        ...

    def count_due(self, now: datetime) -> int:
        """Return the number of tasks that are due, whoever has claimed them."""
        ...

    def due_of(self, subject_sid: str, step: TaskKind) -> datetime | None:
        """Return when a resource's task for this step is due, or None if it has no such task."""
        ...

    def take(self, task: ScheduledTask) -> bool:
        """Delete a task; return False if it is gone, or was postponed or claimed by another."""
        ...

    def drop(self, subject_sid: str, step: TaskKind) -> None:
        """Delete the task for this step of this resource, if there is one."""
        ...


class Jobs(Records[Job], Protocol):
    """The table of jobs: long actions that run piece by piece."""

    def claim(self) -> list[Job]:
        """Claim the running jobs of kinds that are known here, and return them, the oldest first.

        Other processes can claim them only if this one dies. A job is saved in the transaction that
        has claimed it, or not at all: so no piece of it is done by two processes.
        """
        ...

    def newest_of_plans(self, account_sid: str, *, limit: int) -> list[Job]:
        """Return the newest job of each plan of an account, or of all for EVERY, newest first."""
        ...

    def remove_ended_before(
        self, instant: datetime, *, limit: int, have_plans: bool = False
    ) -> int:
        """Delete at most `limit` jobs that ended before this instant, and return their number.

        Deletes either jobs without a plan, or only those that carried one out. With the last job of
        a plan, the lines of the plan are deleted.
        """
        ...


class PlanLines(Protocol):
    """The table of the plans that jobs carry out: each plan and its journal, line by line."""

    def add(self, account_sid: str, plan_id: str, number: int, lines: Sequence[str]) -> None:
        """Save new lines; `number` is that of the first one, and a plan's lines begin with 1."""
        ...

    def after(
        self, account_sid: str, plan_id: str, number: int, *, limit: int = LINES_AT_ONCE
    ) -> list[str]:
        """Return the lines that follow the one with this number, at most `limit`."""
        ...

    def last(self, account_sid: str, plan_id: str) -> int:
        """Return the number of the last line; 0 if the plan has none."""
        ...


class ReceiverChecks(Protocol):
    """The table of the last quick check of each receiver for each source."""

    def save(self, check: ReceiverCheck) -> None:
        """Save a check; it replaces the last one of its account, URL and source."""
        ...

    def of_url(self, account_sid: str, url: str) -> Sequence[ReceiverCheck]:
        """Return the checks of a URL without its fragment, for each source."""
        ...

    def newest(self, account_sid: str, *, limit: int) -> Sequence[ReceiverCheck]:
        """Return the newest checks of an account, or of all for EVERY, newest first."""
        ...

    def remove_before(self, instant: datetime, *, limit: int) -> int:
        """Delete checks that were made before an instant; return how many, `limit` at most."""
        ...
