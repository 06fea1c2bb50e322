"""Stores events, and has them sent to all who have subscribed to them."""

from collections.abc import Sequence
from datetime import datetime

from ringback.core.policy.source_policy import Phase, Policy, Source
from ringback.core.sims.scenario import TaskKind
from ringback.core.streams.event_types import EventTypeStatus, status_at_twilio
from ringback.core.streams.sink import StreamSubscription
from ringback.core.streams.stream_event import StreamEvent
from ringback.operations.context import OperationContext
from ringback.ports import PageWindow, Transaction


def listening(
    tx: Transaction, account_sid: str, context: OperationContext
) -> Sequence[StreamSubscription]:
    """Return the subscriptions of an account that get events at present."""
    enabled = [one for one in tx.streams.subscriptions.of_account(account_sid) if one.is_enabled]
    # Whether they get any depends on their source only, and an account may have many.
    first = {one.source: one for one in enabled}
    silent = {
        source: why_silent(one, context.policy, context.now) is not None
        for source, one in first.items()
    }
    return [one for one in enabled if not silent[one.source]]


def why_silent(subscription: StreamSubscription, policy: Policy, now: datetime) -> str | None:
    """Return why a subscription gets no events at present; None if it gets them."""
    if not subscription.is_enabled:
        return "it is disabled"
    if subscription.source is not Source.TWILIO:
        return None
    phase = phase_of_account(policy, subscription.account_sid, now)
    if status_at_twilio(phase) is not EventTypeStatus.DISCONTINUED:
        return None
    since = "" if phase.since is None else f" since {phase.since:%Y-%m-%d}"
    return f"its types are discontinued at twilio{since} (phase {phase.name!r} of the policy)"


def silent_from(subscription: StreamSubscription, policy: Policy, now: datetime) -> datetime | None:
    """Return the date from which a subscription that gets events will get none.

    None if the policy has no such date, or if it gets none at present.
    """
    if why_silent(subscription, policy, now) is not None:
        return None
    dates = policy.instants_after(policy.date_at(now))
    ends = (one for one in dates if why_silent(subscription, policy, one - policy.ahead))
    return next(ends, None)


def phase_of_account(policy: Policy, account_sid: str, now: datetime) -> Phase:
    """Return the phase that decides what an account gets from twilio: by date and by holds.

    Holds for some URLs only do not count, since all sinks of an account have the same types.
    """
    return policy.phase_of(at=policy.date_at(now), account_sid=account_sid, url="")[1]


def publish(
    tx: Transaction,
    event: StreamEvent,
    subscriptions: Sequence[StreamSubscription],
    context: OperationContext,
) -> None:
    """Have an event sent to those of these subscriptions that are subscribed to its type.

    The event is stored once for all of them; if there is none, nothing is stored.
    """
    wanted = [one for one in subscriptions if event.type in one.types]
    if not wanted:
        return
    tx.streams.events.add(event, [one.sid for one in wanted])
    # One query for all: a query for each sink would hold up the callbacks of other accounts.
    to = tx.streams.sinks.destinations(event.account_sid)
    context.queue.expect_events(
        tx, {one.sid: to[one.sink_sid] for one in wanted if one.sink_sid in to}, event.sim_sid
    )


def follow_sessions(tx: Transaction, account_sid: str, context: OperationContext) -> None:
    """Have the account's running data sessions followed, since a subscription now gets events.

    Tasks do that, from the newest SIM to the oldest (`operations/supersim/connection_events`).
    """
    newest = tx.supersim.sims.page(account_sid, {}, PageWindow(1))
    if newest and listening(tx, account_sid, context):
        context.put_off(tx, TaskKind.FOLLOW_SESSIONS, newest[0], context.now)
