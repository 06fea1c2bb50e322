"""Stores event streams: sinks, subscriptions, and each event once for all its subscribers.

A subscriber that waits for an event has a narrow row in `stream_pending`, which goes when the event
is in a batch. A batch is a callback whose body names its events (`core/streams/event_references`),
and has a row in `stream_batches` with the first of them, so that no event goes before its batches.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Generic, TypeVar

from ringback.core.accounts.account import EVERY
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.newest_entries import NewestEntries
from ringback.core.streams.batch_plan import PendingEvent
from ringback.core.streams.event_references import read_references
from ringback.core.streams.event_types import StreamEventType
from ringback.core.streams.sink import StreamSink, StreamSubscription
from ringback.core.streams.stream_event import StreamEvent
from ringback.ports import Lane, PageWindow, R, RecordPage, StreamEventFilter
from ringback.stores.row_ids import RowIds
from ringback.stores.sql.callback_rows import UnendedCallbacks
from ringback.stores.sql.field_columns import from_us, maybe_to_us, to_us
from ringback.stores.sql.pagination import Condition, SqlListQuery, read_page, whose
from ringback.stores.sql.record_tables import RowMapping, SqlRecords
from ringback.stores.sql.write_batch import BulkStatement, SqlRow, WriteBatch

T = TypeVar("T")

_SINKS: Final = RowMapping("stream_sinks", StreamSink)
_SUBSCRIPTIONS: Final = RowMapping(
    "stream_subscriptions", StreamSubscription, "account_sid sink_sid"
)
_EVENT_COLUMNS: Final = "id, sid, account_sid, sim_sid, type, created_us, data"
_EVENT: Final = BulkStatement.insert("stream_events", _EVENT_COLUMNS)
_PENDING: Final = BulkStatement.insert("stream_pending", "subscription_sid, event_id")
_TAKEN: Final = BulkStatement.delete("stream_pending", "subscription_sid, event_id")
_BATCH: Final = BulkStatement.insert("stream_batches", "callback_sid, first_event_id")
_BATCH_GONE: Final = BulkStatement.delete("stream_batches", "callback_sid")
_EVENT_GONE: Final = BulkStatement.delete("stream_events", "id")

_PLACE: Final = "SELECT account_sid, id AS seq FROM stream_events WHERE sid = ?"

TABLES: Final = (_EVENT, _PENDING, _TAKEN, _BATCH, _BATCH_GONE, _EVENT_GONE)
"""The SQL statements that write queued rows, in the order in which `WriteBatch` runs them."""

_MOST_EVENTS: Final = 20_000
_TYPES: Final = list(StreamEventType)
_BATCHES_AT_ONCE: Final = 500
_MOST_KEPT: Final = 10_000
"""Of how many subscriptions and URLs of sinks the decoded form is kept."""
_ACCOUNTS_KEPT: Final = 100
"""Of how many accounts all subscriptions, and the destinations of all sinks, are kept."""


class SqlStreamEvents:
    """Implements `ports.StreamEvents`."""

    def __init__(
        self,
        session: WriteBatch,
        ids: Callable[[], RowIds],
        unended: UnendedCallbacks,
        unaware_servers: Callable[[], Sequence[str]],
    ) -> None:
        self._session = session
        self._ids = ids
        self._unended = unended
        self.unaware_servers = unaware_servers
        self._events = NewestEntries[int, StreamEvent](_MOST_EVENTS)
        """The events that were written or read last, by their numbers."""

    def forget(self) -> None:
        """Clear the cache, because a job was undone that may have added events."""
        self._events.clear()

    def add(self, event: StreamEvent, subscription_sids: Collection[str]) -> None:
        number = self._ids().make()
        self._events[number] = event
        self._session.queue(
            _EVENT,
            (
                number,
                event.sid,
                event.account_sid,
                event.sim_sid,
                _TYPES.index(event.type),
                to_us(event.date_created),
                event.data,
            ),
        )
        for sid in subscription_sids:
            self._session.queue(_PENDING, (sid, number))

    def get(self, sid: str) -> StreamEvent | None:
        row = self._session.read_queued(
            f"SELECT {_EVENT_COLUMNS} FROM stream_events WHERE sid = ?", [sid]
        ).fetchone()
        return row and _read(row)

    def numbered(self, numbers: Sequence[int]) -> Sequence[StreamEvent]:
        missing = [number for number in numbers if number not in self._events]
        found = dict[int, StreamEvent]()
        if missing:
            marks = ", ".join("?" * len(missing))
            rows = self._session.read_queued(
                f"SELECT {_EVENT_COLUMNS} FROM stream_events WHERE id IN ({marks})", missing
            )
            found = {row[0]: _read(row) for row in rows}
            if len(found) < len(set(missing)):
                gone = sorted({*missing} - found.keys())
                raise LookupError(f"a batch has events that do not exist: {gone}")
        events = list[StreamEvent]()
        for number in numbers:
            event = found.get(number) or self._events.get(number)
            assert event is not None  # noqa: S101 (looked up above)
            events.append(event)
        for number, event in found.items():
            self._events[number] = event
        return events

    def batches_with(self, event_sid: str, *, examining: int) -> tuple[Sequence[str], bool]:
        row = self._session.read_queued(
            "SELECT id FROM stream_events WHERE sid = ?", [event_sid]
        ).fetchone()
        if row is None:
            return [], False
        # All events of a batch have at least the number of its first.
        rows = self._session.read_queued(
            "SELECT callback_sid, body FROM ("
            "SELECT callback_sid FROM stream_batches WHERE first_event_id <= ?"
            " ORDER BY first_event_id DESC, callback_sid DESC LIMIT ?) AS nearest"
            " CROSS JOIN callbacks ON callbacks.sid = callback_sid",
            (row[0], examining),
        ).fetchall()
        found = [
            sid
            for sid, body in map(tuple, rows)
            if any(one.number == row[0] for one in read_references(body))
        ]
        return found, len(rows) == examining

    def page(
        self, account_sid: str, which: StreamEventFilter, window: PageWindow
    ) -> RecordPage[StreamEvent]:
        if which.sim_sid is not None:
            index, found = "INDEXED BY stream_events_of_sim", ("sim_sid = ?", which.sim_sid)
        else:
            is_own = account_sid != EVERY
            index = "INDEXED BY stream_events_of_account" if is_own else "NOT INDEXED"
            found = whose(account_sid)
        looked_at: list[Condition] = [
            ("type = ?", None if which.type is None else _TYPES.index(which.type)),
            ("created_us >= ?", maybe_to_us(which.since)),
            ("created_us < ?", maybe_to_us(which.until)),
        ]
        if which.sim_sid is not None:
            looked_at.append(whose(account_sid))
        listing = SqlListQuery(
            f"stream_events {index}",
            [found],
            looked_at,
            _EVENT_COLUMNS,
            key="stream_events.id",
            place=_PLACE,
        )
        rows, stopped_at = read_page(
            self._session.read_queued, listing, account_sid=account_sid, window=window
        )
        return RecordPage(map(_read, rows), stopped_at)

    def pending(self, subscription_sid: str, *, limit: int) -> Sequence[PendingEvent]:
        rows = self._session.read_queued(
            "SELECT event_id FROM stream_pending WHERE subscription_sid = ?"
            " ORDER BY event_id LIMIT ?",
            (subscription_sid, limit),
        ).fetchall()
        numbers: list[int] = [number for (number,) in rows]
        return list(map(PendingEvent.of, numbers, self.numbered(numbers)))

    def count_pending(self, subscription_sid: str, *, limit: int) -> int:
        (count,) = self._session.read_queued(
            "SELECT count(*) FROM (SELECT 1 FROM stream_pending WHERE subscription_sid = ? LIMIT ?)"
            " AS counted",
            (subscription_sid, limit),
        ).fetchone()
        return count

    def waited_for(self) -> Collection[str]:
        rows = self._session.read_queued(
            "SELECT sid FROM stream_subscriptions WHERE EXISTS ("
            "SELECT 1 FROM stream_pending WHERE subscription_sid = sid)"
        ).fetchall()
        return [sid for (sid,) in map(tuple, rows)]

    def unattempted(self, lane: Lane, subscription_sid: str) -> Mapping[str, Collection[str]]:
        of_stream = (
            "CROSS JOIN callback_targets ON callback_targets.id = target_id"
            " WHERE lanes.account_sid = ? AND lanes.destination = ? AND stream_sid = ?"
        )
        rows = self._session.read_queued(
            f"SELECT callbacks.sid, body FROM lanes CROSS JOIN waiting ON {self._unended.in_lane}"
            f" CROSS JOIN callbacks ON callbacks.id = waiting.id {of_stream}"
            " AND waiting.attempt_count = 0"
            f" UNION ALL SELECT callbacks.sid, body FROM {self._unended.beside} AS open"
            " CROSS JOIN callbacks ON callbacks.id = open.id"
            f" CROSS JOIN lanes ON lanes.id = callbacks.lane_id {of_stream}"
            f" AND {self._unended.first_attempts}",
            (*lane, subscription_sid) * 2,
        ).fetchall()
        batches = {sid: [one.number for one in read_references(body)] for sid, body in rows}
        return {
            sid: {event.sim_sid for event in self.numbered(numbers)}
            for sid, numbers in batches.items()
        }

    def take(self, subscription_sid: str, numbers: Sequence[int]) -> None:
        for number in numbers:
            self._session.queue(_TAKEN, (subscription_sid, number))

    def keep_for(self, batch: CallbackRecord) -> None:
        """Keep the events of a new batch until the batch is gone."""
        assert batch.stream is not None  # noqa: S101 (only batches have events)
        numbers = [one.number for one in read_references(batch.stream.references)]
        self._session.queue(_BATCH, (batch.sid, min(numbers)))

    def drop_pending(self, subscription_sid: str, *, limit: int) -> int:
        rows = self._session.read_queued(
            "SELECT event_id FROM stream_pending WHERE subscription_sid = ?"
            " ORDER BY event_id LIMIT ?",
            (subscription_sid, limit),
        ).fetchall()
        for (number,) in map(tuple, rows):
            self._session.queue(_TAKEN, (subscription_sid, number))
        return len(rows)

    def remove_before(self, instant: datetime, *, limit: int) -> int:
        edge = self._first_needed()
        rows = self._session.read_queued(
            "SELECT id FROM stream_events WHERE created_us < ? AND id < ?"
            " AND NOT EXISTS (SELECT 1 FROM stream_pending WHERE event_id = stream_events.id)"
            " ORDER BY created_us LIMIT ?",
            (to_us(instant), edge, limit),
        ).fetchall()
        for (number,) in map(tuple, rows):
            self._session.queue(_EVENT_GONE, (number,))
            self._events.pop(number, None)
        return len(rows)

    def _first_needed(self) -> int:
        """Return the number of the first event that a batch has, or one above all numbers.

        Forgets the oldest batches that are gone, so that the next call comes further.
        """
        rows = self._session.read_queued(
            "SELECT callback_sid, first_event_id, EXISTS ("
            "SELECT 1 FROM callbacks WHERE sid = callback_sid) FROM stream_batches"
            " ORDER BY first_event_id, callback_sid LIMIT ?",
            [_BATCHES_AT_ONCE],
        ).fetchall()
        for callback_sid, first, is_there in map(tuple, rows):
            if is_there:
                return first
            self._session.queue(_BATCH_GONE, (callback_sid,))
        return 2**63 - 1 if len(rows) < _BATCHES_AT_ONCE else 0


class _KeptRecords(SqlRecords[R], Generic[R, T]):
    """Records of which each event needs all of an account: they are kept while nothing changes."""

    def __init__(self, session: WriteBatch, mapping: RowMapping[R]) -> None:
        super().__init__(session, mapping)
        self._kept = NewestEntries[str, T](_ACCOUNTS_KEPT)

    def forget(self) -> None:
        """Clear what is kept, because others may have changed the records."""
        self._kept.clear()

    def add(self, record: R) -> None:
        self.forget()
        super().add(record)

    def save(self, record: R) -> None:
        self.forget()
        super().save(record)

    def remove(self, sid: str) -> None:
        self.forget()
        super().remove(sid)


class SqlStreamSinks(_KeptRecords[StreamSink, Mapping[str, str]]):
    """Implements `ports.StreamSinks`."""

    def __init__(self, session: WriteBatch) -> None:
        super().__init__(session, _SINKS)

    def destinations(self, account_sid: str) -> Mapping[str, str]:
        known = self._kept.get(account_sid)
        if known is None:
            rows = self._session.read(
                "SELECT sid, url FROM stream_sinks WHERE account_sid = ?", [account_sid]
            ).fetchall()
            known = {sid: _destination(url) for sid, url in map(tuple, rows)}
            self._kept[account_sid] = known
        return known


class SqlStreamSubscriptions(_KeptRecords[StreamSubscription, Sequence[StreamSubscription]]):
    """Implements `ports.StreamSubscriptions`."""

    def __init__(self, session: WriteBatch) -> None:
        super().__init__(session, _SUBSCRIPTIONS)
        self._read_before = NewestEntries[tuple[Any, ...], StreamSubscription](_MOST_KEPT)
        """Subscriptions by their whole rows: of those of an account, few change at once."""

    def of_account(self, account_sid: str) -> Sequence[StreamSubscription]:
        known = self._kept.get(account_sid)
        if known is None:
            where, values = "", list[Any]()
            if account_sid != EVERY:
                where, values = " WHERE account_sid = ?", [account_sid]
            rows = self._session.read(
                f"SELECT * FROM stream_subscriptions{where} ORDER BY seq", values
            ).fetchall()
            self._kept[account_sid] = known = tuple(map(self._read, rows))
        return known

    def _read(self, row: SqlRow) -> StreamSubscription:
        key = tuple(row)
        known = self._read_before.get(key)
        if known is None:
            known = self._read_before[key] = self._mapping.read(row)
        return known


@lru_cache(_MOST_KEPT)
def _destination(url: str) -> str:
    return CallbackUrl.read_back(url).destination


def _read(row: SqlRow) -> StreamEvent:
    type_: int = row[4]
    return StreamEvent(row[1], row[2], row[3], _TYPES[type_], from_us(row[5]), row[6])
