"""Sets how long what is kept, and counts beforehand what a change would delete."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from ringback.core.accounts.account import EVERY, one_account
from ringback.core.errors import Conflict
from ringback.core.retention import (
    RetentionPolicy,
    SetTimes,
    StoredTimes,
    TimeSubject,
    shortened,
    show_time,
)
from ringback.operations.accounts import fetch_account
from ringback.operations.context import AccountOperationContext
from ringback.ports import Store, Transaction

MOST_COUNTED: Final = 10_000
"""The number of callbacks from which on an estimate stops counting."""
_PART: Final = 1000


class ExpiredEstimate(NamedTuple):
    """How many callbacks would lose something now."""

    callbacks: int
    has_more: bool

    def __str__(self) -> str:
        """Return the estimate in words."""
        more = "more than " if self.has_more else ""
        return f"{more}{self.callbacks:,} callbacks"


class TimeChanges(NamedTuple):
    """Times to set or unset for an account, or for the whole server."""

    account_sid: str
    """The account's SID, or EVERY for the server."""
    to_set: Mapping[str, timedelta | None]
    to_unset: Sequence[str]


def fetch_times(tx: Transaction, in_settings: StoredTimes) -> SetTimes:
    """Return all times that are set."""
    return SetTimes(in_settings, tx.retention.times())


async def change_times(
    store: Store,
    changes: TimeChanges,
    in_settings: StoredTimes,
    context: AccountOperationContext,
    *,
    is_sure: bool,
) -> SetTimes:
    """Set or unset times, and return all that are set afterwards.

    Unless `is_sure`, raises Conflict if something would be kept for less long than before; the
    message says how much would go now. Raises NotFound if there is no such account.
    """
    subject, now = changes.account_sid, context.now
    to_set = {TimeSubject(subject, kind): time for kind, time in changes.to_set.items()}
    to_unset = [TimeSubject(subject, kind) for kind in changes.to_unset]

    def look(tx: Transaction) -> tuple[SetTimes, list[str]]:
        if changes.account_sid != EVERY:
            fetch_account(tx, changes.account_sid)
        return fetch_times(tx, in_settings), [account.sid for account in tx.accounts.all()]

    def change(tx: Transaction) -> SetTimes:
        stored = tx.retention.times()
        tx.retention.set_times(to_set, now)
        tx.retention.unset_times(to_unset)
        after = fetch_times(tx, in_settings)
        context.record(
            *(tx, "SetRetention", "retention"),
            account_sid=one_account(changes.account_sid),
            before=_shown(stored, subject),
            after=_shown(after.in_store, subject),
        )
        return after

    before, accounts = await store.read(look)
    after = before.having(to_set, to_unset).in_force()
    losing = [sid for sid in accounts if shortened(before.in_force().of(sid), after.of(sid))]
    if losing and not is_sure:
        found = await estimate(store, after, losing, now)
        raise Conflict(
            f"this keeps something for less long than before: {found} would lose their attempts or"
            " go as a whole at once, and bodies of answers may go, too. Nothing brings them back."
            " Give Confirm=yes (--yes) to do it"
        )
    return await store.transact(change)


def _shown(times: StoredTimes, subject: str) -> dict[str, str]:
    """Return the times that are set for a subject, as audit entries show them."""
    return {key.kind: show_time(time) for key, time in times.items() if key.subject == subject}


async def estimate(
    store: Store, policy: RetentionPolicy, accounts: Sequence[str], now: datetime
) -> ExpiredEstimate:
    """Return how many callbacks of these accounts would lose something by these times."""
    count = 0
    for account_sid in accounts:
        place, is_over = None, False
        cutoffs = policy.of(account_sid).before(now)
        while not is_over:
            rows, place, is_over = await store.read(
                lambda tx, sid=account_sid, cutoffs=cutoffs, place=place: tx.retention.find_expired(
                    sid, cutoffs, place, limit=_PART
                )
            )
            count += len(rows)
            # A store whose places are all None would find the same callbacks again.
            is_over = is_over or place is None
            if count >= MOST_COUNTED:
                return ExpiredEstimate(MOST_COUNTED, has_more=True)
    return ExpiredEstimate(count, has_more=False)
