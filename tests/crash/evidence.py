"""Promises to clients, requests at receivers, stored records; and the laws that these must obey.

The laws are those of `docs/guarantees.md`, as far as they can be checked from the outside.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple


class Asked(NamedTuple):
    """An event that a client wants sent; events of one batch have the same `batch`."""

    key: str
    url: str
    method: str
    body: str
    source: str
    batch: int
    order_key: str | None = None
    """Those with the same one are asked for one after the other, by the same client."""
    is_due_at_once: bool = True
    """False if a time was given, or an order key: then it may wait for others."""
    at: float = 0
    """When the client first asked for it, in seconds since 1970."""


class Arrival(NamedTuple):
    """A request at a receiver, and the status it answered; None if it closed the connection.

    `at` is the time of the request, in seconds since 1970.
    """

    token: str
    source: str
    line: str
    body: str
    answer: int | None
    at: float = 0


class Row(NamedTuple):
    """An attempt row."""

    number: int
    result: str
    status_code: int | None
    failure: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """A stored callback, with its attempt rows."""

    sid: str
    key: str
    url: str
    method: str
    body: str
    source: str
    token: str
    status: str
    reason: str | None
    attempt_count: int
    created_us: int
    rows: tuple[Row, ...] = ()

    def count(self, *results: str) -> int:
        """Return how many rows have one of these results."""
        return sum(row.result in results for row in self.rows)


@dataclass(frozen=True)
class Evidence:
    """All that is known after a soak."""

    asked: Mapping[str, Asked]
    answers: Mapping[str, list[str]]
    """The SIDs that clients got as answers, for each idempotency key, one for each answer."""
    records: list[Record]
    arrivals: list[Arrival]
    steady: frozenset[str] = frozenset()
    """URLs of receivers that answer every request, and keep their connections."""
    healthy: frozenset[str] = frozenset()
    """URLs of receivers that answer every request with 2xx."""
    gone: frozenset[str] = frozenset()
    """URLs of receivers that may answer 410."""
    dead: frozenset[str] = frozenset()
    """URLs where nothing ever arrives."""
    left_open: int = 0
    """Attempts that count as in progress."""
    answered_at: Mapping[str, float] = field(default_factory=dict[str, float])
    """When a client first had the answer for each idempotency key."""

    @cached_property
    def by_token(self) -> dict[str, list[Arrival]]:
        """Return the requests of each callback."""
        found: dict[str, list[Arrival]] = {record.token: [] for record in self.records}
        for arrival in self.arrivals:
            found.setdefault(arrival.token, []).append(arrival)
        return found

    def with_arrivals(self) -> Iterator[tuple[Record, list[Arrival]]]:
        """Return each record with its requests."""
        for record in self.records:
            yield record, self.by_token[record.token]

    @cached_property
    def repeats(self) -> int:
        """Return how often a receiver that had answered 2xx got the same callback again."""
        return sum(
            sum(each.answer is not None and each.answer < 300 for each in before)
            for before in (self.by_token[record.token][:-1] for record in self.records)
        )


Law = Callable[[Evidence], Iterator[str]]


def _kept(evidence: Evidence) -> Iterator[str]:
    """Every acknowledged callback is stored, and its key led to it each time."""
    by_sid = {record.sid: record for record in evidence.records}
    for key, sids in evidence.answers.items():
        if len(set(sids)) > 1:
            yield f"{key} was answered with {sids}"
        for sid in set(sids):
            if sid not in by_sid:
                yield f"{sid}, acknowledged for {key}, is not stored"
            elif by_sid[sid].key != key:
                yield f"{sid}, acknowledged for {key}, has the key {by_sid[sid].key}"


def _once(evidence: Evidence) -> Iterator[str]:
    """Each key that a client used has one callback, and there are no others."""
    made = Counter(record.key for record in evidence.records)
    for key in evidence.asked.keys() | made.keys():
        if made[key] != 1:
            yield f"{key} has {made[key]} callbacks"
        if key not in evidence.asked:
            yield f"{key} was never created by a client"


def _whole(evidence: Evidence) -> Iterator[str]:
    """The callbacks of a batch were created together."""
    instants: dict[int, set[int]] = {}
    for record in evidence.records:
        if asked := evidence.asked.get(record.key):
            instants.setdefault(asked.batch, set()).add(record.created_us)
    for batch, found in instants.items():
        if len(found) > 1:
            yield f"batch {batch} was made at {sorted(found)}"


def _as_asked(evidence: Evidence) -> Iterator[str]:
    """A record has the values that its client gave."""
    for record in evidence.records:
        if asked := evidence.asked.get(record.key):
            said = (record.url, record.method, record.body, record.source)
            if said != asked[1:5]:
                yield f"{record.sid} is {said}, and {asked} was asked for"


def _ended(evidence: Evidence) -> Iterator[str]:
    """Once all waits are over, nothing is scheduled or in progress."""
    if evidence.left_open:
        yield f"{evidence.left_open} attempts are under way"
    for record in evidence.records:
        if record.status not in {"delivered", "failed"}:
            yield f"{record.sid} is {record.status}"
        if any(row.result == "open" for row in record.rows):
            yield f"{record.sid} has an open row"


def _delivered(evidence: Evidence) -> Iterator[str]:
    """A delivered callback has one delivered row, its last, and its receiver answered 2xx."""
    for record, arrivals in evidence.with_arrivals():
        is_delivered = record.status == "delivered"
        if record.count("delivered") != is_delivered:
            yield f"{record.sid} is {record.status}, with {record.count('delivered')} deliveries"
        elif is_delivered and record.rows[-1].result != "delivered":
            yield f"{record.sid} was delivered before its last row"
        answered = {arrival.answer for arrival in arrivals}
        told = {row.status_code for row in record.rows if row.status_code is not None}
        if not told <= answered:
            yield f"{record.sid} has rows with {told}, and its receiver answered {answered}"


def _failed(evidence: Evidence) -> Iterator[str]:
    """A callback fails by 410, or at the end of its schedule."""
    for record in evidence.records:
        if record.status != "failed":
            continue
        reason = record.reason or ""
        is_gone = record.url in evidence.gone and reason.endswith(
            "the receiver wants no more requests"
        )
        is_used_up = " rounds" in reason and record.url not in evidence.healthy
        if not is_gone and not is_used_up:
            yield f"{record.sid} failed at {record.url}: {reason}"


def _logged(evidence: Evidence) -> Iterator[str]:
    """A receiver counts at most as many requests as there are rows, at least those with answers."""
    for record, arrivals in evidence.with_arrivals():
        answered = record.count("delivered", "refused")
        if not answered <= len(arrivals) <= len(record.rows):
            rows = [row.result for row in record.rows]
            yield f"{record.sid} has {len(arrivals)} requests, and the rows {rows}"


def _strangers(evidence: Evidence) -> Iterator[str]:
    """Every request that arrives belongs to a stored callback."""
    known = {record.token for record in evidence.records}
    for token in evidence.by_token.keys() - known:
        yield f"{token} belongs to no stored callback"


def _explained(evidence: Evidence) -> Iterator[str]:
    """Rows without a request are `unknown`, or those of connections that failed."""
    for record, arrivals in evidence.with_arrivals():
        spare = len(record.rows) - len(arrivals)
        if spare > record.count("unknown", "unreachable"):
            yield f"{record.sid} has {spare} rows without a request"
        if record.url in evidence.steady and record.count("unreachable"):
            failures = [row.failure for row in record.rows if row.failure]
            yield f"{record.sid} failed to reach a receiver that never fails: {failures}"
        if record.url in evidence.dead and arrivals:
            yield f"{record.sid} arrived where nothing listens"


def _repeated(evidence: Evidence) -> Iterator[str]:
    """A receiver that answered 2xx gets a callback again only if the process died unsettled.

    At a receiver that breaks connections off, an answer may be lost as well.
    """
    for record, arrivals in evidence.with_arrivals():
        deliveries = sum(each.answer is not None and each.answer < 300 for each in arrivals)
        unsettled = deliveries - record.count("delivered")
        if unsettled > record.count("unknown", "unreachable"):
            rows = [row.result for row in record.rows]
            yield f"{record.sid} was answered {deliveries} times with 2xx, and has the rows {rows}"


def _in_order(evidence: Evidence) -> Iterator[str]:
    """The first request for a callback comes after the delivery of the one before it in its order.

    Later requests for that one are those that a suspended process sent, whose attempt is unknown.
    """
    by_key = {record.key: record for record in evidence.records}
    last = dict[str, Record]()
    for asked in evidence.asked.values():
        record = by_key.get(asked.key)
        if asked.order_key is None or record is None:
            continue
        if asked.order_key in last:
            yield from _inversions(evidence, last[asked.order_key], record)
        last[asked.order_key] = record


def _inversions(evidence: Evidence, one: Record, after: Record) -> Iterator[str]:
    first = min((arrival.at for arrival in evidence.by_token[after.token]), default=None)
    if first is None:
        return
    before = evidence.by_token[one.token]
    if not any(each.at <= first and each.answer in range(200, 300) for each in before):
        yield f"{after.sid} arrived before {one.sid}, which it has to follow"
    late = sum(each.at > first for each in before)
    if late > one.count("unknown"):
        yield f"{late} requests of {one.sid} came after {after.sid}, which has to follow it"


def _numbered(evidence: Evidence) -> Iterator[str]:
    """Rows are numbered from 1 without a gap, and counted correctly."""
    for record in evidence.records:
        numbers = [row.number for row in record.rows]
        if numbers != [*range(1, record.attempt_count + 1)]:
            yield f"{record.sid} counts {record.attempt_count} attempts, and has rows {numbers}"


def _same(evidence: Evidence) -> Iterator[str]:
    """All requests of a callback are the same, and match its record."""
    for record, arrivals in evidence.with_arrivals():
        for one, other in pairwise(arrivals):
            if one[:4] != other[:4]:
                yield f"{record.sid} arrived as {one[:4]} and as {other[:4]}"
        for arrival in arrivals[:1]:
            told = arrival.body or arrival.line.split()[1].rpartition("?")[2]
            if (arrival.line.split()[0], arrival.source, told) != (
                record.method,
                record.source,
                record.body,
            ):
                yield f"{record.sid} arrived as {arrival[:4]}"


def _sound(evidence: Evidence) -> Iterator[str]:
    """No attempt ends by an error of Ringback itself."""
    for record in evidence.records:
        if any(row.failure == "internal" for row in record.rows):
            yield f"{record.sid} ended by an error of Ringback itself"


LAWS: Final[Mapping[str, Law]] = {
    "kept": _kept,
    "once": _once,
    "whole": _whole,
    "as asked": _as_asked,
    "ended": _ended,
    "delivered": _delivered,
    "failed": _failed,
    "logged": _logged,
    "strangers": _strangers,
    "explained": _explained,
    "repeated": _repeated,
    "in order": _in_order,
    "numbered": _numbered,
    "same": _same,
    "sound": _sound,
}


def broken(evidence: Evidence, *, most: int = 10) -> list[str]:
    """Return violations of the laws, at most `most` of each law."""
    found = list[str]()
    for name, law in LAWS.items():
        cases = list(law(evidence))
        found += [f"{name}: {case}" for case in cases[:most]]
        found += [f"{name}: and {len(cases) - most} more"] * (len(cases) > most)
    return found


# Rows that others refer to are joined, so an attempt or a callback without them is missed.
_ATTEMPTS: Final = """
    SELECT sid, number, result, status_code, failure
    FROM attempts JOIN attempt_results ON attempt_results.id = result_id
    JOIN callbacks ON callbacks.id = callback_id
    ORDER BY callback_id, number
"""
_CALLBACKS: Final = """
    SELECT sid, idempotency_key, url, method, body, source, idempotency_token,
        CASE WHEN coalesce(waiting.id, sent_at_once.id) IS NOT NULL THEN 'scheduled'
            WHEN status = 2 THEN 'failed' WHEN status = 3 THEN 'discarded' ELSE 'delivered' END,
        status_reason, coalesce(outcomes.attempt_count,
            waiting.attempt_count
                + (waiting.started_us IS NOT NULL AND due_us < 0x7fffffffffffffff), 1),
        created_us
    FROM callbacks JOIN callback_targets ON callback_targets.id = target_id
    JOIN lanes ON lanes.id = callbacks.lane_id
    LEFT JOIN waiting ON waiting.id = callbacks.id
    LEFT JOIN sent_at_once ON sent_at_once.id = callbacks.id
    LEFT JOIN outcomes ON outcomes.id = callbacks.id
    LEFT JOIN attempts ON callback_id = callbacks.id AND number = 1
    WHERE (waiting.id IS NOT NULL) + (sent_at_once.id IS NOT NULL) + (outcomes.id IS NOT NULL)
        + (delivered_us IS NOT NULL AND coalesce(waiting.id, outcomes.id) IS NULL) = 1
    ORDER BY callbacks.id
"""
# The same in PostgreSQL, where callbacks under way have their rows in a table of their own.
_SHARED_CALLBACKS: Final = """
    SELECT sid, idempotency_key, url, method, body, source, idempotency_token,
        CASE WHEN coalesce(waiting.id, open.id) IS NOT NULL THEN 'scheduled'
            WHEN status = 2 THEN 'failed' WHEN status = 3 THEN 'discarded' ELSE 'delivered' END,
        status_reason,
        coalesce(outcomes.attempt_count, waiting.attempt_count, open.attempt_count, 1), created_us
    FROM callbacks JOIN callback_targets ON callback_targets.id = target_id
    JOIN lanes ON lanes.id = callbacks.lane_id
    LEFT JOIN waiting ON waiting.id = callbacks.id
    LEFT JOIN open_attempts AS open ON open.id = callbacks.id
    LEFT JOIN outcomes ON outcomes.id = callbacks.id
    LEFT JOIN attempts ON callback_id = callbacks.id AND number = 1
    WHERE num_nonnulls(waiting.id, open.id, outcomes.id) + (
        delivered_us IS NOT NULL AND num_nonnulls(waiting.id, open.id, outcomes.id) = 0
    )::int = 1
    ORDER BY callbacks.id
"""
_WITHOUT_HEAD: Final = "SELECT * FROM attempts WHERE head_id NOT IN (SELECT id FROM request_heads)"


@dataclass
class OnRecord:
    """The content of a data file or database."""

    records: list[Record] = field(default_factory=list[Record])
    left_open: int = 0

    @classmethod
    def read(cls, file: Path) -> "OnRecord":
        """Read the file of a server that has stopped."""
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as connection:

            def ask(question: str) -> list[tuple[Any, ...]]:
                return connection.execute(question).fetchall()

            ((left_open,),) = ask(
                "SELECT (SELECT count(*) FROM waiting WHERE started_us IS NOT NULL)"
                " + (SELECT count(*) FROM sent_at_once)"
            )
            return cls(_records(ask, _CALLBACKS), left_open)

    @classmethod
    def read_shared(cls, ask: "Ask") -> "OnRecord":
        """Read a PostgreSQL database."""
        ((left_open,),) = ask("SELECT count(*) FROM open_attempts")
        return cls(_records(ask, _SHARED_CALLBACKS), left_open)


Ask = Callable[[str], list[tuple[Any, ...]]]
"""Runs a query, and returns its rows."""


def _records(ask: Ask, callbacks: str) -> list[Record]:
    rows: dict[str, list[Row]] = {}
    for sid, *row in ask(_ATTEMPTS):
        rows.setdefault(sid, []).append(Row(*row))
    records = [Record(*one, rows=tuple(rows.pop(one[0], ()))) for one in ask(callbacks)]
    assert not rows, "rows without a callback"
    assert not ask(_WITHOUT_HEAD)
    return records
