"""Callbacks and their attempts in plain dictionaries."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from ringback.core.callbacks.callback import (
    UNDELIVERED,
    Attempt,
    CallbackRecord,
    DeliveryProgress,
    begin,
    put_back,
)
from ringback.core.policy.source_policy import SourceName
from ringback.ports import (
    CallbackFilter,
    DeliveryClaim,
    Lane,
    LaneClaims,
    LaneDue,
    LaneQuota,
    PageWindow,
    RecordPage,
    Settlement,
    UrlDeliveryTotals,
    lane_of,
)
from tests.memory_store.accounts import MemoryAccounts
from tests.memory_store.kept_responses import MemoryKeptResponses
from tests.memory_store.records import first_of, of_account, page_of

_What = tuple[str, str, SourceName, SourceName | None]
_FAR: Final = ("delivered", "undelivered", "retried", "waiting")


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

    def add(self, callback: CallbackRecord) -> int:
        self._keep(callback, callback.progress)
        due = callback.progress.due
        if due is not None and due > callback.date_created:
            self.appointed.add(callback.sid)
        return 0

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
        after: str | None,
        limit: int,
        examining: int | None = None,
    ) -> RecordPage[CallbackRecord]:
        own = of_account(account_sid, self.callbacks.values())
        sids = [callback.sid for callback in own]
        start = sids.index(after) + 1 if after in sids else 0
        return first_of(own[start:], lambda one: _is_wanted(one, which), limit, examining)

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

    def change(self, callback: CallbackRecord) -> None:
        self._keep(callback, callback.progress)

    def claim(self, quotas: Sequence[LaneQuota], now: datetime) -> list[LaneClaims]:
        return [self._claim_from(lane, limit, now) for lane, limit, _ in quotas]

    def _claim_from(self, lane: Lane, limit: int, now: datetime) -> LaneClaims:
        due = [(at, callback) for at, callback in self._in_lane(lane) if at <= now]
        taken = sorted(due, key=lambda pair: pair[0])[:limit]
        claims = [self._claim(callback, now) for _, callback in taken]
        return LaneClaims(
            claims, taken[-1][0] if taken and len(taken) == limit else self._next_due(lane)
        )

    def settle(self, settlements: Sequence[Settlement]) -> Sequence[Settlement]:
        for settlement in settlements:
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
        self.responses.keep_within_budget()
        return ()

    def put_back(self, claims: Sequence[DeliveryClaim], now: datetime) -> None:
        for callback, *_ in claims:
            self._keep(callback, put_back(callback.progress, now))
            del self.rows[callback.sid, callback.progress.attempt_count]

    def left_open(self) -> list[DeliveryClaim]:
        under_way = [one for one in self.callbacks.values() if one.progress.is_under_way]
        return [self._claim_of(callback, callback.progress) for callback in under_way]

    def waiting(self, *, after: Lane | None = None, limit: int | None = None) -> list[LaneDue]:
        lanes = {lane_of(callback) for callback in self.callbacks.values()}
        due = [(lane, self._next_due(lane)) for lane in sorted(lanes) if not after or lane > after]
        return [LaneDue(lane, at) for lane, at in due if at is not None][:limit]

    def changed_after(self, instant: datetime, *, limit: int) -> list[CallbackRecord]:
        found = [
            one
            for one in self.callbacks.values()
            if one.progress.due is not None
            and one.progress.date_updated > instant
            and one.sid not in self.appointed
        ]
        return sorted(found, key=lambda one: one.progress.date_updated)[:limit]

    def unfinished(self) -> dict[str, int]:
        unfinished = [one for one in self.callbacks.values() if not one.progress.is_ended]
        return dict(Counter(callback.account_sid for callback in unfinished))

    def due_before(self, instants: Sequence[datetime]) -> list[int]:
        dues = [one.progress.due for one in self.callbacks.values() if one.progress.due]
        return [sum(due < instant for due in dues) for instant in instants]

    def date_of(self, nth: int, *, since: datetime) -> datetime | None:
        first = since - timedelta(microseconds=since.microsecond % 1000)
        found = [one for one in self.callbacks.values() if first <= one.date_created]
        following = sorted(found, key=lambda one: one.sid)[nth:]
        return following[0].date_created if following else None

    def totals(
        self, *, since: datetime, until: datetime, account_sid: str | None = None
    ) -> list[UrlDeliveryTotals]:
        counted = Counter(
            (_what_of(callback), _how_far(callback))
            for callback in self.callbacks.values()
            if since <= callback.date_created < until
            and account_sid in (None, callback.account_sid)
            and not callback.is_test
            and callback.replay_of is None
        )
        return [
            UrlDeliveryTotals(*what, *(counted[what, far] for far in _FAR))
            for what in sorted({what for what, _ in counted}, key=_in_order)
        ]

    def _next_due(self, lane: Lane) -> datetime | None:
        return min((at for at, _ in self._in_lane(lane)), default=None)

    def _in_lane(self, lane: Lane) -> list[tuple[datetime, CallbackRecord]]:
        own = [one for one in self.callbacks.values() if lane_of(one) == lane]
        return [(one.progress.due, one) for one in own if one.progress.due is not None]

    def _claim(self, callback: CallbackRecord, now: datetime) -> DeliveryClaim:
        limit = callback.url.connection.total_timeout
        progress = begin(callback.progress, now, total_timeout=limit)
        self._keep(callback, progress)
        return self._claim_of(callback, progress)

    def _claim_of(self, callback: CallbackRecord, progress: DeliveryProgress) -> DeliveryClaim:
        account = self.accounts.accounts[callback.account_sid]
        return DeliveryClaim(callback.having(progress), account, lane_of(callback))

    def _keep(self, callback: CallbackRecord, progress: DeliveryProgress) -> None:
        self.callbacks[callback.sid] = callback.having(progress)
        self.appointed.discard(callback.sid)
        if progress.is_under_way:
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

    def remove(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self.kept.pop(number, None)


def _is_wanted(callback: CallbackRecord, which: CallbackFilter) -> bool:
    created = callback.date_created
    return (
        (which.statuses is None or callback.status in which.statuses)
        and which.source in (None, callback.source)
        and which.event in (None, callback.event)
        and which.sim_sid in (None, callback.sim_sid)
        and which.idempotency_token in (None, callback.idempotency_token)
        and which.destination in (None, callback.url.destination)
        and (which.since is None or which.since <= created)
        and (which.until is None or created < which.until)
        and callback.url.shown.startswith(which.url_prefix or "")
    )


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
