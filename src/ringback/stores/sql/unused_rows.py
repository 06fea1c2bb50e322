"""Finds rows that many callbacks shared and that none needs any more, such as bodies of answers.

A shared row is used again for a day at most (`interned_rows`). So whatever is written after a
certain time refers to no row that is more than a day older. What is older is deleted, unless it is
one of the few rows that callbacks still need which have lived for longer: they are looked up first.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from ringback.core.callbacks.callback import UNDELIVERED, CallbackStatus
from ringback.core.retention import RetentionCutoffs
from ringback.stores.row_ids import ids_in
from ringback.stores.sql.callback_rows import NUMBERS, UnendedCallbacks
from ringback.stores.sql.callbacks import LATE, sid_at
from ringback.stores.sql.field_columns import to_us
from ringback.stores.sql.write_batch import BulkStatement, SqlResult

UNUSED: Final = {
    table: BulkStatement.delete(table, key)
    for table, key in (
        ("kept_responses", "seq"),
        *((table, "id") for table in ("answer_bodies", "attempt_results")),
        *((table, "id") for table in ("request_heads", "callback_targets")),
    )
}
"""The statements that delete rows, by their tables."""

Read = Callable[[str, Sequence[Any]], SqlResult]
_Rows = list[tuple[str, int]]
_Steps = Generator[_Rows, Read, Read]
"""Steps of a search: each yields the rows that it has found, and gets what the next one reads with.

They return the last of these.
"""
_DAY: Final = ids_in(hours=24)
_PART: Final = 1000
"""The number of rows that a step reads."""

# The first callback that was created after an instant; then the last rows that were made.
_FIRST_AFTER: Final = """
    SELECT (SELECT id FROM callbacks WHERE sid >= ? ORDER BY sid LIMIT 1),
        (SELECT max(id) FROM callbacks), (SELECT max(id) FROM attempt_results)
"""
_KEPT: Final = """
    SELECT kept.seq, {status} AS status, CASE WHEN callbacks.id IS NULL THEN kept.started_us
        ELSE coalesce(outcomes.updated_us, first.delivered_us) END AS ended_us
    FROM (
        SELECT seq, sid, started_us FROM kept_responses
        WHERE account_sid = ? AND seq > ? ORDER BY seq LIMIT ?
    ) AS kept LEFT JOIN callbacks ON callbacks.sid = kept.sid {states}
"""
_USED: Final = """
    SELECT listed.*, result_id, head_id FROM ({listed}) AS listed
    LEFT JOIN attempts ON callback_id = listed.id AND listed.id < ?
"""
_WAITING: Final = (
    "SELECT id FROM waiting INDEXED BY waiting_of_account"
    " WHERE account_id = ? AND id > ? AND id < ? ORDER BY id LIMIT ?"
)
_ENDED: Final = (
    "SELECT id, updated_us FROM outcomes INDEXED BY outcomes_ended"
    " WHERE account_id = ? AND status = ? AND updated_us >= ? AND (updated_us, id) > (?, ?)"
    " ORDER BY updated_us, id LIMIT ?"
)
_COPIED: Final = """
    SELECT copies.seq, result_id FROM (
        SELECT seq, callback_sid FROM shadows WHERE account_sid = ? AND seq > ?
        ORDER BY seq LIMIT ?
    ) AS copies
    LEFT JOIN callbacks ON callbacks.sid = callback_sid
    LEFT JOIN attempts ON callback_id = callbacks.id AND attempts.number = 1
"""
_TARGETS: Final = (
    "SELECT id, target_id FROM callbacks INDEXED BY callbacks_of_account"
    " WHERE account_id = ? AND id > ? AND id < ? ORDER BY id LIMIT ?"
)
_SHARED: Final = "SELECT id, account_sid FROM {table} WHERE id > ? AND id < ? ORDER BY id LIMIT ?"
_BODIES: Final = """
    SELECT answer_bodies.id, account_sid
    FROM answer_bodies CROSS JOIN attempt_results ON attempt_results.id = answer_bodies.id
    WHERE answer_bodies.id > ? AND answer_bodies.id < ? ORDER BY answer_bodies.id LIMIT ?
"""


class _Need(NamedTuple):
    """What an account still needs of the rows before `before`, which are older than a day."""

    before: int
    results: set[int]
    heads: set[int]


class UnusedRowSearch:
    """A search through all that is shared, which goes on from one read to the next."""

    def __init__(
        self,
        unended: UnendedCallbacks,
        cutoffs: Mapping[str, RetentionCutoffs],
        account_ids: Mapping[str, int],
        limit: int,
    ) -> None:
        self._unended = unended
        self._cutoffs = {sid: cutoffs[sid] for sid in account_ids}
        self._ids = account_ids
        self._limit = limit
        self._horizons = dict[datetime, int]()
        self._steps: _Steps | None = None
        self._left = _Rows()

    def go_on(self, read: Read) -> _Rows | None:
        """Do a step, and return at most `limit` of the rows found; None at the end."""
        try:
            if not self._left:
                if self._steps is None:
                    self._steps = self._all(read)
                    self._left = next(self._steps)
                else:
                    self._left = self._steps.send(read)
        except StopIteration:
            return None
        found, self._left = self._left[: self._limit], self._left[self._limit :]
        return found

    def _all(self, read: Read) -> _Steps:
        read = yield from self._answers(read)
        read = yield from self._results(read)
        return (yield from self._targets(read))

    def _answers(self, read: Read) -> _Steps:
        needs = dict[str, _Need]()
        for sid, cutoffs in self._cutoffs.items():
            if cutoffs.answers is None:
                continue
            read = yield from self._long_answers(read, sid, cutoffs.answers)
            needs[sid] = need = _Need(self._horizon(read, cutoffs.answers), set(), set())
            ended = _ended_after(cutoffs.answers, cutoffs.answers)
            read = yield from self._used(read, sid, need, ended)
            read = yield from self._compared(read, sid, need)
        results = {sid: (need.before, need.results) for sid, need in needs.items()}
        return (yield from _unneeded(read, "answer_bodies", _BODIES, results))

    def _results(self, read: Read) -> _Steps:
        needs = dict[str, _Need]()
        for sid, cutoffs in self._cutoffs.items():
            delivered = _latest(cutoffs.attempts, cutoffs.delivered)
            undelivered = _latest(cutoffs.attempts, cutoffs.undelivered)
            latest = _latest(delivered, undelivered)
            if latest is None:
                continue
            needs[sid] = need = _Need(self._horizon(read, latest), set(), set())
            ended = _ended_after(delivered, undelivered)
            read = yield from self._used(read, sid, need, ended)
        results = {sid: (need.before, need.results) for sid, need in needs.items()}
        heads = {sid: (need.before, need.heads) for sid, need in needs.items()}
        for table in ("attempt_results", "request_heads"):
            query = _SHARED.format(table=table)
            of_table = results if table == "attempt_results" else heads
            read = yield from _unneeded(read, table, query, of_table)
        return read

    def _targets(self, read: Read) -> _Steps:
        used = dict[str, tuple[int, set[int]]]()
        for sid, cutoffs in self._cutoffs.items():
            latest = _latest(cutoffs.delivered, cutoffs.undelivered)
            if latest is None:
                continue
            before, after = self._horizon(read, latest), 0
            _, targets = used[sid] = before, set[int]()
            while True:
                values = self._ids[sid], after, before + _DAY, _PART
                rows = read(_TARGETS, values).fetchall()
                targets.update(target_id for _, target_id in rows)
                if len(rows) < _PART:
                    break
                after = rows[-1][0]
                read = yield []
        query = _SHARED.format(table="callback_targets")
        return (yield from _unneeded(read, "callback_targets", query, used))

    def _long_answers(self, read: Read, account_sid: str, cutoff: datetime) -> _Steps:
        query, after = _KEPT.format(status=self._unended.status, states=self._unended.states), 0
        while True:
            rows = read(query, (account_sid, after, _PART)).fetchall()
            ended = (row for row in rows if row["status"] and row["ended_us"] <= to_us(cutoff))
            found = [("kept_responses", row["seq"]) for row in ended]
            read = yield found
            if len(rows) < _PART:
                return read
            after = max(row["seq"] for row in rows)

    def _used(
        self, read: Read, account_sid: str, need: _Need, ended: Mapping[int, datetime | None]
    ) -> _Steps:
        """Note what is needed by callbacks that live, or have ended after these instants."""
        account_id, until = self._ids[account_sid], need.before + _DAY
        beside = f"SELECT id FROM {self._unended.beside} WHERE account_id = ?"
        _note(need, read(_USED.format(listed=beside), (account_id, until)))
        waiting = _USED.format(listed=_WAITING)
        after = 0
        while True:
            rows = read(waiting, (account_id, after, until, _PART, until)).fetchall()
            _note(need, rows)
            read = yield []
            last = max((row["id"] for row in rows), default=None)
            if last is None:
                break
            after = last
        query = _USED.format(listed=_ENDED)
        for status, cutoff in ended.items():
            place = -(2**62) if cutoff is None else to_us(cutoff - LATE), 0
            while True:
                values = account_id, status, place[0], *place, _PART, until
                rows = read(query, values).fetchall()
                _note(need, rows)
                read = yield []
                last_row = max(((row["updated_us"], row["id"]) for row in rows), default=None)
                if last_row is None:
                    break
                place = last_row
        return read

    def _compared(self, read: Read, account_sid: str, need: _Need) -> _Steps:
        """Note the answers that shadow copies are compared with."""
        after = 0
        while True:
            rows = read(_COPIED, (account_sid, after, _PART)).fetchall()
            need.results.update(row["result_id"] for row in rows if row["result_id"] is not None)
            if len(rows) < _PART:
                return read
            after = max(row["seq"] for row in rows)
            read = yield []

    def _horizon(self, read: Read, cutoff: datetime) -> int:
        """Return the id below which shared rows are needed only by what has lived for longer.

        A callback that was delivered at once may have ended a little after its creation.
        """
        if cutoff not in self._horizons:
            first, *last = read(_FIRST_AFTER, [sid_at(cutoff - LATE, b"\0")]).fetchone()
            newest = max((row_id for row_id in last if row_id is not None), default=0)
            self._horizons[cutoff] = (newest if first is None else first) - _DAY
        return self._horizons[cutoff]


def _unneeded(
    read: Read, table: str, query: str, needed: Mapping[str, tuple[int, set[int]]]
) -> _Steps:
    """Walk along a shared table, and find the rows that their accounts do not need any more."""
    after, before = 0, max((before for before, _ in needed.values()), default=0)
    while before > after:
        rows = read(query, (after, before, _PART)).fetchall()
        read = yield [
            (table, row_id)
            for row_id, account_sid in rows
            if account_sid in needed
            and row_id < needed[account_sid][0]
            and row_id not in needed[account_sid][1]
        ]
        if len(rows) < _PART:
            break
        after = rows[-1][0]
    return read


def _note(need: _Need, rows: Iterable[Any]) -> None:
    for row in rows:
        if row["result_id"] is not None and row["result_id"] < need.before:
            need.results.add(row["result_id"])
        if row["head_id"] is not None and row["head_id"] < need.before:
            need.heads.add(row["head_id"])


def _latest(*instants: datetime | None) -> datetime | None:
    return max(filter(None, instants), default=None)


def _ended_after(
    delivered: datetime | None, undelivered: datetime | None
) -> Mapping[int, datetime | None]:
    """Return these instants by the numbers of the final statuses."""
    return {
        NUMBERS[status]: undelivered if status in UNDELIVERED else delivered
        for status in CallbackStatus
        if status is not CallbackStatus.SCHEDULED
    }
