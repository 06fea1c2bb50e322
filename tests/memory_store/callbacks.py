"""Callbacks and their attempts in plain dictionaries."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Final, NamedTuple

from ringback.core.callbacks.callback import (
    UNDELIVERED,
    Attempt,
    CallbackRecord,
    DeliveryProgress,
    begin,
    put_back,
)
from ringback.core.callbacks.shards import shard_of
from ringback.core.callbacks.undelivered_groups import UndeliveredCallback
from ringback.core.policy.source_policy import SourceName
from ringback.ports import (
    ALL_SHARDS,
    BEGINNING,
    CallbackFilter,
    DeliveryClaim,
    Lane,
    LaneClaims,
    LaneDue,
    LaneQuota,
    PageWindow,
    RecordPage,
    SettledAttempts,
    Settlement,
    UrlDeliveryTotals,
    lane_of,
)
from tests.memory_store.accounts import MemoryAccounts
from tests.memory_store.kept_responses import MemoryKeptResponses
from tests.memory_store.leases import MemoryLeases, RowKey, RowLocks, utc_now
from tests.memory_store.records import first_of, of_account, page_of

_What = tuple[str, str, SourceName, SourceName | None]
_FAR: Final = ("delivered", "undelivered", "retried", "waiting")
_BEFORE_ALL: Final = 1 - 2**63
_Key = tuple[Lane, str]
"""A lane, and an order key."""


class OpenRun(NamedTuple):
    """A claim under way: its number, and the number of the owner of its shard."""

    number: int
    epoch: int
    process: str | None = None


class OrderHead(NamedTuple):
    """The callback of an order key that may be sent, and the highest place behind it so far."""

    sid: str
    last_place: int = 1


@dataclass
class MemoryCallbacks:
    """Implements `ports.Callbacks`."""

    accounts: MemoryAccounts
    responses: MemoryKeptResponses
    callbacks: dict[str, CallbackRecord] = field(default_factory=dict[str, CallbackRecord])
    rows: dict[tuple[str, int], Attempt] = field(default_factory=dict[tuple[str, int], Attempt])
    """Attempts with their whole responses, even if the rest of a response is no longer stored."""
    appointed: set[str] = field(default_factory=set[str])
    """The SIDs of callbacks that have not changed since they were added for a later time."""
    leases: MemoryLeases = field(default_factory=MemoryLeases)
    process: str | None = None
    """The process that asks; None if only one process can use the store."""
    now: Callable[[], datetime] = utc_now
    """The time by the store's own clock, which decides how long leases last."""
    runs: dict[str, OpenRun] = field(default_factory=dict[str, OpenRun])
    """The claims under way, by the callbacks' SIDs."""
    places: dict[str, int] = field(default_factory=dict[str, int])
    """The callbacks' places in lists, by their SIDs."""
    heads: dict[_Key, OrderHead] = field(default_factory=dict[_Key, OrderHead])
    """Of the unended callbacks of each order key, the one that may be sent."""
    behind: dict[str, int] = field(default_factory=dict[str, int])
    """The places of those that wait for one of their order key, by their SIDs."""
    numbers: "count[int]" = field(default_factory=lambda: count(1))
    """The numbers of claims; each is used once, even if the transaction is undone."""
    locks: RowLocks = field(default_factory=RowLocks, compare=False)
    shared: list[RowKey] = field(default_factory=list[RowKey], compare=False)
    """The rows that this transaction does not change, but keeps others from changing."""

    def take_place(self, callback: CallbackRecord) -> bool:
        key, sid = _key_of(callback), callback.sid
        if key is None:
            return True
        is_placed = sid in self.behind or (key in self.heads and self.heads[key].sid == sid)
        place = None if is_placed else self._join(key, sid)
        if place is not None:
            self.behind[sid] = place
        return sid not in self.behind

    def _join(self, key: _Key, sid: str) -> int | None:
        """Return a callback's place behind the head of its key; None if it is the head now."""
        head = self.heads.get(key)
        if head is None:
            self.heads[key] = OrderHead(sid)
            return None
        # A new value in any case, so that nobody else joins meanwhile.
        self.heads[key] = head = OrderHead(head.sid, head.last_place + 1)
        return None if head.sid == sid else head.last_place

    def _end(self, callback: CallbackRecord) -> list[LaneDue]:
        """After the end of a callback, let the next one of its order key be the head."""
        key = _key_of(callback)
        self.behind.pop(callback.sid, None)
        if key is None or key not in self.heads or self.heads[key].sid != callback.sid:
            return []
        rest = [sid for sid in self.behind if _key_of(self.callbacks[sid]) == key]
        if not rest:
            del self.heads[key]
            return []
        following = min(rest, key=lambda sid: self.behind[sid])
        self.heads[key] = self.heads[key]._replace(sid=following)
        del self.behind[following]
        due = self.callbacks[following].progress.due
        assert due is not None
        return [LaneDue(key[0], due)]

    def add(self, callback: CallbackRecord) -> int:
        progress, lane = callback.progress, lane_of(callback)
        if not progress.is_ended and not self.take_place(callback) and progress.is_under_way:
            raise ValueError(f"{callback.sid} is sent, but others have to end before it")
        number = next(self.numbers)
        self.places[callback.sid] = number
        if progress.is_under_way and not self._owns(lane):
            # The lease has ended since it was decided to send the callback at once.
            progress = put_back(progress, progress.date_updated)
        elif progress.is_under_way:
            self.runs[callback.sid] = OpenRun(number, self._epoch_of(lane), self.process)
        self._keep(callback, progress)
        due = progress.due
        if due is not None and due > callback.date_created:
            self.appointed.add(callback.sid)
        return number

    def get(self, account_sid: str, sid: str) -> CallbackRecord | None:
        callback = self.callbacks.get(sid)
        return callback if callback and callback.account_sid == account_sid else None

    def find(self, sid: str) -> CallbackRecord | None:
        return self.callbacks.get(sid)

    def with_key(self, account_sid: str, idempotency_key: str) -> CallbackRecord | None:
        own = of_account(account_sid, self.callbacks.values())
        return next((one for one in own if one.idempotency_key == idempotency_key), None)

    def page(
        self, account_sid: str, which: CallbackFilter, window: PageWindow
    ) -> RecordPage[CallbackRecord]:
        own = of_account(account_sid, self.callbacks.values())
        return page_of(own, lambda callback: _is_wanted(callback, which), window)

    def oldest(
        self,
        account_sid: str,
        which: CallbackFilter,
        *,
        after: str | int | None,
        limit: int,
        examining: int | None = None,
    ) -> RecordPage[CallbackRecord]:
        own = of_account(account_sid, self.callbacks.values())
        place = after or 0
        if isinstance(place, str):
            place = self.places[place] if self.get(account_sid, place) else 0
        newer = [one for one in own if self.places[one.sid] > place]
        page = first_of(newer, lambda one: _is_wanted(one, which), limit, examining)
        last = [page.stopped_at] if page.stopped_at else [one.sid for one in page[-1:]]
        page.last_place = self.places[last[0]] if last else None
        return page

    def attempts(self, callback_sid: str) -> list[Attempt]:
        own = [row for row in self.rows.values() if row.callback_sid == callback_sid]
        shown = [self.responses.shown(callback_sid, row.number, row.response) for row in own]
        return [row._replace(response=one) for row, one in zip(own, shown, strict=True)]

    def last_attempts(self, callbacks: Sequence[CallbackRecord]) -> dict[str, Attempt]:
        ended = {
            one.sid: [row for row in self.attempts(one.sid) if row.result != "open"]
            for one in callbacks
        }
        return {
            sid: rows[-1]._replace(local_address=None, proxy=None, request=None, response=None)
            for sid, rows in ended.items()
            if rows
        }

    def undelivered(
        self, account_sid: str, which: CallbackFilter, window: PageWindow
    ) -> RecordPage[UndeliveredCallback]:
        page = self.page(account_sid, which, window)
        last = self.last_attempts(page)
        found = (UndeliveredCallback.of(one, last.get(one.sid)) for one in page)
        return RecordPage(found, page.stopped_at)

    def change(self, callback: CallbackRecord) -> LaneDue | None:
        key, sid = _key_of(callback), callback.sid
        self._keep(callback, callback.progress)
        if callback.progress.is_ended:
            return next(iter(self._end(callback)), None)
        if key is not None:
            place = self._join(key, sid)
            if place is not None:
                self.behind.setdefault(sid, self.places[sid] + _BEFORE_ALL)
        return None

    def restore_order(self, *, limit: int) -> int:
        ended = [
            head.sid
            for (lane, _), head in self.heads.items()
            if self._owns(lane) and self.callbacks[head.sid].progress.is_ended
        ][:limit]
        for sid in ended:
            self._end(self.callbacks[sid])
        return len(ended)

    def claim(self, quotas: Sequence[LaneQuota], now: datetime) -> list[LaneClaims]:
        return [self._claim_from(quota, now) for quota in quotas]

    def _claim_from(self, quota: LaneQuota, now: datetime) -> LaneClaims:
        lane, limit, since = quota
        if not self._owns(lane):
            return LaneClaims([], None)
        found = self._in_lane(lane, since)
        due = [(at, one) for at, one in found if at <= now and not self._is_locked(one)]
        taken = sorted(due, key=lambda pair: pair[0])[:limit]
        claims = [self._claim(callback, now) for _, callback in taken]
        return LaneClaims(
            claims, taken[-1][0] if taken and len(taken) == limit else self._next_due(lane, since)
        )

    def settle(self, settlements: Sequence[Settlement]) -> SettledAttempts:
        outdated = [one for one in settlements if not self._is_current(one.claim)]
        turns = list[LaneDue]()
        for settlement in settlements:
            if settlement in outdated:
                continue
            callback, progress = settlement.claim.callback, settlement.progress
            number, attempt = callback.progress.attempt_count, settlement.attempt
            if attempt is None:
                del self.rows[callback.sid, number]
            else:
                self.rows[callback.sid, number] = attempt
                if not progress.is_under_way:
                    self.responses.replace(
                        callback.sid, callback.account_sid, number, attempt.response
                    )
            self._keep(callback, progress)
            if progress.is_ended:
                turns += self._end(callback)
        self.responses.keep_within_budget()
        return SettledAttempts(outdated, turns)

    def put_back(self, claims: Sequence[DeliveryClaim], now: datetime) -> None:
        for callback, *_ in filter(self._is_current, claims):
            self._keep(callback, put_back(callback.progress, now))
            del self.rows[callback.sid, callback.progress.attempt_count]

    def left_open(self) -> list[DeliveryClaim]:
        under_way = [one for one in self.callbacks.values() if one.progress.is_under_way]
        return [
            self._claim_of(callback, callback.progress)
            for callback in under_way
            if self.process is None or self._is_left_open(callback)
        ]

    def waiting(
        self,
        *,
        after: Lane | None = None,
        limit: int | None = None,
        shards: Collection[int] | None = None,
        since: datetime | None = None,
    ) -> list[LaneDue]:
        wanted = ALL_SHARDS if shards is None else shards
        lanes = {
            lane
            for lane in {lane_of(one) for one in self.callbacks.values() if self._waits(one)}
            if shard_of(lane.destination) in wanted and self._owns(lane)
        }
        following = [lane for lane in sorted(lanes) if not after or lane > after]
        due = [(lane, self._next_due(lane, since)) for lane in following]
        return [LaneDue(lane, at) for lane, at in due if at is not None][:limit]

    def changed_after(self, instant: datetime, *, limit: int) -> list[CallbackRecord]:
        found = [
            one
            for one in self.callbacks.values()
            if self._waits(one)
            and one.progress.date_updated > instant
            and one.sid not in self.appointed
        ]
        return sorted(found, key=lambda one: one.progress.date_updated)[:limit]

    def unfinished(self) -> dict[str, int]:
        unfinished = [one for one in self.callbacks.values() if not one.progress.is_ended]
        return dict(Counter(callback.account_sid for callback in unfinished))

    def due_before(self, instants: Sequence[datetime]) -> list[int]:
        waiting = filter(self._waits, self.callbacks.values())
        dues = [one.progress.due for one in waiting if one.progress.due]
        return [sum(due < instant for due in dues) for instant in instants]

    def oldest_due(self, shards: Collection[int], now: datetime) -> datetime | None:
        dues = [
            one.progress.due
            for one in self.callbacks.values()
            if one.progress.due and self._waits(one) and shard_of(one.url.destination) in shards
        ]
        return min((due for due in dues if due <= now), default=None)

    def date_of(self, nth: int, *, since: datetime) -> datetime | None:
        first = since - timedelta(microseconds=since.microsecond % 1000)
        found = [one for one in self.callbacks.values() if first <= one.date_created]
        following = sorted(found, key=lambda one: one.sid)[nth:]
        return following[0].date_created if following else None

    def totals(
        self, *, since: datetime, until: datetime, account_sid: str | None = None
    ) -> list[UrlDeliveryTotals]:
        found = [
            callback
            for callback in sorted(self.callbacks.values(), key=lambda one: one.date_created)
            if since <= callback.date_created < until
            and account_sid in (None, callback.account_sid)
            and not callback.has_events
            and callback.replay_of is None
        ]
        counted = Counter((_what_of(one), _how_far(one)) for one in found)
        newest = {_what_of(one): one.date_created for one in found}
        delivered = {
            _what_of(one): one.date_created for one in found if _how_far(one) == "delivered"
        }
        return [
            UrlDeliveryTotals(
                *what,
                *(counted[what, far] for far in _FAR),
                last=newest[what],
                last_delivered=delivered.get(what),
            )
            for what in sorted(newest, key=_in_order)
        ]

    def _next_due(self, lane: Lane, since: datetime | None) -> datetime | None:
        return min((at for at, _ in self._in_lane(lane, since)), default=None)

    def in_lane(self, lane: Lane) -> list[tuple[datetime, CallbackRecord]]:
        """Return the waiting callbacks of a lane, and when each is due."""
        return self._in_lane(lane, None)

    def _in_lane(self, lane: Lane, since: datetime | None) -> list[tuple[datetime, CallbackRecord]]:
        """Return the waiting callbacks of a lane, without those that a store may leave out."""
        first = since if since is not None and self.process is not None else BEGINNING
        due = [(one.progress.due, one) for one in self.callbacks.values() if self._waits(one)]
        waiting = [(at, one) for at, one in due if at is not None and at >= first]
        return [(at, one) for at, one in waiting if lane_of(one) == lane]

    def _waits(self, callback: CallbackRecord) -> bool:
        """Return True if a callback can be claimed once it is due."""
        return callback.progress.due is not None and callback.sid not in self.behind

    def _claim(self, callback: CallbackRecord, now: datetime) -> DeliveryClaim:
        limit = callback.url.connection.total_timeout
        progress = begin(callback.progress, now, total_timeout=limit)
        self.runs[callback.sid] = OpenRun(
            next(self.numbers), self._epoch_of(lane_of(callback)), self.process
        )
        self._keep(callback, progress)
        return self._claim_of(callback, progress)._replace(due=callback.progress.due)

    def _claim_of(self, callback: CallbackRecord, progress: DeliveryProgress) -> DeliveryClaim:
        account = self.accounts.accounts[callback.account_sid]
        run = self.runs[callback.sid].number
        return DeliveryClaim(callback.having(progress), account, lane_of(callback), run=run)

    def _owns(self, lane: Lane) -> bool:
        """Return True if the process that asks may claim callbacks of this lane."""
        owner = self.leases.owners[shard_of(lane.destination)]
        return self.process is None or owner.process == self.process

    def may_change(self, lane: Lane) -> bool:
        """Return True if the process that asks owns the lane, or no other one uses the store."""
        self.shared.append((".callbacks.leases.owners", shard_of(lane.destination)))
        return self._owns(lane)

    def own_open(self) -> set[int]:
        """Return the shards in which their present owners have an attempt under way."""
        open_ = [(lane_of(self.callbacks[sid]), run.epoch) for sid, run in self.runs.items()]
        own = [lane for lane, epoch in open_ if epoch == self._epoch_of(lane)]
        return {shard_of(lane.destination) for lane in own}

    def still_open(self, epochs: Mapping[int, int]) -> dict[str, int]:
        """Return how many attempts of earlier owners have no result, in these owners' shards."""
        to = [(self.callbacks[sid].url.destination, run.epoch) for sid, run in self.runs.items()]
        return Counter(one for one, epoch in to if epoch < epochs.get(shard_of(one), 0))

    def _is_locked(self, callback: CallbackRecord) -> bool:
        """Return True if another transaction, which has not ended, has changed the callback."""
        return (".callbacks.callbacks", callback.sid) in self.locks.held

    def _epoch_of(self, lane: Lane) -> int:
        return self.leases.owners[shard_of(lane.destination)].epoch

    def _is_current(self, claim: DeliveryClaim) -> bool:
        """Return True unless another process has taken the callback over."""
        run = self.runs.get(claim.callback.sid)
        return self.process is None or (run is not None and run.number == claim.run)

    def _is_left_open(self, callback: CallbackRecord) -> bool:
        """Return True if another process began this attempt, and its request has ended by now."""
        lane, run = lane_of(callback), self.runs[callback.sid]
        owner = self.leases.owners[shard_of(lane.destination)]
        has_ended = run.epoch < owner.epoch and owner.open_until <= self.now()
        return self._owns(lane) and has_ended

    def _keep(self, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        self.callbacks[callback.sid] = callback.having(progress)
        self.appointed.discard(callback.sid)
        if not progress.is_under_way:
            self.runs.pop(callback.sid, None)
        else:
            self.runs.setdefault(callback.sid, OpenRun(0, 0))
            attempt = self._claim_of(callback, progress).attempt
            self.rows[callback.sid, attempt.number] = attempt


@dataclass
class MemoryBatches:
    """Implements `ports.IncomingCallbackBatches`."""

    kept: dict[int, str] = field(default_factory=dict[int, str])
    next_number: int = 1

    def add(self, callbacks: Sequence[str]) -> range:
        numbers = range(self.next_number, self.next_number + len(callbacks))
        self.kept.update(zip(numbers, callbacks, strict=True))
        self.next_number = numbers.stop
        return numbers

    def all(self) -> dict[int, str]:
        return dict(self.kept)

    def is_empty(self) -> bool:
        return not self.kept

    def remove(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self.kept.pop(number, None)


def _is_wanted(callback: CallbackRecord, which: CallbackFilter) -> bool:
    created = callback.date_created
    return (
        (which.statuses is None or callback.status in which.statuses)
        and which.source in (None, callback.source)
        and which.event in (None, callback.event)
        and which.stream_sid in (None, callback.stream and callback.stream.stream_sid)
        and which.sim_sid in (None, callback.sim_sid)
        and which.idempotency_token in (None, callback.idempotency_token)
        and which.destination in (None, callback.url.destination)
        and (which.since is None or which.since <= created)
        and (which.until is None or created < which.until)
        and callback.url.shown.startswith(which.url_prefix or "")
        and _has_text(callback, which.text or "")
    )


def _has_text(callback: CallbackRecord, text: str) -> bool:
    own = callback.url.shown, callback.idempotency_token, callback.sid, callback.sim_sid or ""
    decoded = "&".join(map("=".join, callback.parameters))
    is_batch = callback.stream is not None and callback.stream.references
    texts = (*own, "" if is_batch else callback.body, decoded)
    return any(text.lower() in one.lower() for one in texts)


def _key_of(callback: CallbackRecord) -> _Key | None:
    key = callback.order_key
    return None if key is None else (lane_of(callback), key)


def _what_of(callback: CallbackRecord) -> _What:
    return callback.account_sid, callback.url.shown, callback.source, callback.source_asked


def _in_order(what: _What) -> tuple[str, ...]:
    *rest, asked = what
    return (*rest, asked or "")


def _how_far(callback: CallbackRecord) -> str:
    """Return the name of the number in Totals that counts this callback."""
    progress = callback.progress
    if progress.is_ended:
        return "undelivered" if callback.status in UNDELIVERED else "delivered"
    failed = progress.attempt_count - progress.is_under_way
    return "retried" if failed else "waiting"
