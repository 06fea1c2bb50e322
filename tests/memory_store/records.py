"""Records in plain dictionaries, and how they are found and paged."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Generic, NamedTuple, TypeVar

from ringback.api.paging import RecordWithSid
from ringback.core.accounts.account import EVERY
from ringback.core.errors import PageNotFound
from ringback.ports import FieldFilter, PageWindow, RecordPage
from ringback.ports.record_tables import F, N, R, U

S = TypeVar("S", bound=RecordWithSid)
_NONE: Final[Mapping[str, Collection[str]]] = {}


class Removed(NamedTuple):
    """The place of a removed record, for pages that begin there."""

    owner: str
    older: frozenset[str]
    """The SIDs of the records that were older than it."""


@dataclass
class MemoryRecords(Generic[R]):
    """Implements `ports.Records`."""

    records: dict[str, R] = field(default_factory=dict[str, R])
    removed: dict[str, Removed] = field(default_factory=dict[str, Removed])

    def add(self, record: R) -> None:
        self.records[record.sid] = record

    def save(self, record: R) -> None:
        self.records[record.sid] = record

    def remove(self, sid: str) -> None:
        older = frozenset(list(self.records)[: list(self.records).index(sid)])
        self.removed[sid] = Removed(self.records.pop(sid).account_sid, older)

    def get(self, sid: str) -> R | None:
        return self.records.get(sid)

    def first(self, which: FieldFilter) -> R | None:
        return next((one for one in self.records.values() if has(one, which)), None)

    def page(self, account_sid: str, which: FieldFilter, window: PageWindow) -> RecordPage[R]:
        own = of_account(account_sid, self.records.values())
        gone = {
            sid: one.older for sid, one in self.removed.items() if account_sid in (EVERY, one.owner)
        }
        return page_of(own, lambda record: has(record, which), window, gone)


@dataclass
class MemoryNamedRecords(MemoryRecords[N]):
    """Implements `ports.NamedRecords`."""

    def find(self, account_sid: str, sid_or_name: str) -> N | None:
        own = of_account(account_sid, self.records.values())
        by_sid = [record for record in own if record.sid == sid_or_name]
        by_name = [record for record in own if record.unique_name == sid_or_name]
        return next(iter(by_sid + by_name), None)


@dataclass
class MemoryUpdates(Generic[U]):
    """Implements `ports.RecordTable`, by the SIDs of SIMs."""

    updates: dict[str, U] = field(default_factory=dict[str, U])

    def add(self, record: U) -> None:
        self.updates[record.sim_sid] = record

    def get(self, sid: str) -> U | None:
        return self.updates.get(sid)

    def first(self, which: FieldFilter) -> U | None:
        return next((one for one in self.updates.values() if has(one, which)), None)

    def remove(self, sid: str) -> None:
        self.updates.pop(sid, None)


@dataclass
class MemoryDataSessions(Generic[F]):
    """Implements `ports.DataSessions`."""

    sessions: dict[str, F] = field(default_factory=dict[str, F])

    def add(self, record: F) -> None:
        self.sessions[record.sid] = record

    def get(self, sid: str) -> F | None:
        return self.sessions.get(sid)

    def end(self, sid: str, at: datetime | None) -> None:
        self.sessions[sid] = replace(self.sessions[sid], date_ended=at)

    def of_sim(self, sim_sid: str, *, since: datetime) -> list[F]:
        own = [session for session in self.sessions.values() if session.sim_sid == sim_sid]
        return [one for one in own if one.date_ended is None or one.date_ended > since]

    def between(
        self,
        account_sid: str,
        which: FieldFilter,
        start: datetime,
        end: datetime,
        window: PageWindow,
    ) -> RecordPage[F]:
        def is_wanted(session: F) -> bool:
            is_over = session.date_ended is not None and session.date_ended <= start
            return session.date_created < end and not is_over and has(session, which)

        return page_of(of_account(account_sid, self.sessions.values()), is_wanted, window)


def of_account(account_sid: str, records: Iterable[R]) -> list[R]:
    """Return the records that belong to this account."""
    return [record for record in records if account_sid in (EVERY, record.account_sid)]


def has(record: object, which: FieldFilter) -> bool:
    """Return True if the record has these values in these fields."""
    return all(value is None or getattr(record, name) == value for name, value in which.items())


def page_of(
    records: Iterable[R],
    is_wanted: Callable[[R], bool],
    window: PageWindow,
    gone: Mapping[str, Collection[str]] = _NONE,
) -> RecordPage[R]:
    """Return one page of the records that match, newest first.

    `gone` has, for each removed record, the SIDs of the records older than it.
    """
    newer, older = list[R](), list(records)[::-1]
    edge = window.after if window.before is None else window.before
    if edge is not None:
        newer, older = _parted(older, edge, gone)
    if window.before is None:
        return first_of(older, is_wanted, window.size, window.examining)
    page = first_of(newer[::-1], is_wanted, window.size, window.examining)
    return RecordPage(page[::-1], page.stopped_at)


def first_of(
    records: Sequence[S], is_wanted: Callable[[S], bool], limit: int, examining: int | None
) -> RecordPage[S]:
    """Return at most `limit` of the matching records, examining at most `examining` records."""
    looked_at = records[:examining]
    found = list(filter(is_wanted, looked_at))[:limit]
    is_short = len(found) < limit and len(looked_at) == examining
    return RecordPage(found, looked_at[-1].sid if is_short else None)


def _parted(
    newest_first: list[R], edge: str, gone: Mapping[str, Collection[str]]
) -> tuple[list[R], list[R]]:
    """Return the records newer than `edge`, and those older than it."""
    if edge in gone:
        newer = [record for record in newest_first if record.sid not in gone[edge]]
        return newer, newest_first[len(newer) :]
    sids = [record.sid for record in newest_first]
    if edge not in sids:
        raise PageNotFound(edge)
    return newest_first[: sids.index(edge)], newest_first[sids.index(edge) + 1 :]
