"""The law of the counters: they equal what can be counted from the rows of callbacks."""

from datetime import datetime
from typing import Final

from ringback.core.accounts.account import EVERY
from ringback.core.callback_counts import CallbackCounts, CountSpan
from ringback.core.callbacks.callback import Attempt
from ringback.core.http.http_exchange import AttemptResult
from ringback.core.http.outcome import (
    AttemptFailure,
    DeliveredOutcome,
    NoAnswerOutcome,
    Outcome,
    RefusedOutcome,
    UnknownOutcome,
)
from ringback.ports import (
    BEGINNING,
    CallbackFilter,
    CountFilter,
    CountSplit,
    PageWindow,
    Transaction,
)

Place = tuple[datetime, str, str, str]
"""A minute, and the account, destination and source of callbacks."""
Counted = dict[Place, CallbackCounts]

_FAILURES: Final = {failure.label: failure for failure in AttemptFailure}


def counts_of_rows(tx: Transaction) -> Counted:
    """Count all callbacks and attempts in a store; `replayed` stays 0, since no row shows it."""
    counted = Counted()

    def at(instant: datetime, key: tuple[str, str, str]) -> CallbackCounts:
        return counted.setdefault((CountSpan.MINUTE.begin_of(instant), *key), CallbackCounts())

    for callback in tx.callbacks.page(EVERY, CallbackFilter(), PageWindow(1_000_000)):
        key = callback.account_sid, callback.url.destination, callback.source
        at(callback.date_created, key).accepted += 1
        for attempt in tx.callbacks.attempts(callback.sid):
            if attempt.result != "open":
                result = AttemptResult(_outcome_of(attempt), attempt.timings)
                at(attempt.date_started, key).attempt_ended(attempt.number, result)
        progress = callback.progress
        if progress.is_ended:
            took = (progress.date_updated - callback.date_created).total_seconds()
            at(progress.date_updated, key).ended(progress.status, took)
    return counted


def counts_stored(tx: Transaction) -> Counted:
    """Return the counters of a store by minute."""
    which = CountFilter(BEGINNING, datetime.max.replace(tzinfo=BEGINNING.tzinfo))
    sums = tx.counters.sums(which, CountSpan.MINUTE, split=CountSplit, limit=1_000_000)
    return {
        (one.began or BEGINNING, one.account_sid or "", one.destination or "", one.source or ""): (
            one.counts
        )
        for one in sums
    }


def _outcome_of(attempt: Attempt) -> Outcome:
    if attempt.failure is not None:
        return NoAnswerOutcome(_FAILURES[attempt.failure], "")
    if attempt.result == UnknownOutcome.label:
        return UnknownOutcome()
    status = attempt.status_code or 0
    kind = DeliveredOutcome if attempt.result == DeliveredOutcome.label else RefusedOutcome
    return kind(status)
