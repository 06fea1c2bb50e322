"""Create, change and delete subscriptions: which events go to which sink."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from ringback.core.errors import InvalidParameter, NotFound
from ringback.core.policy.source_policy import Source
from ringback.core.sids import SidKind, is_sid
from ringback.core.streams.event_types import (
    LATEST_VERSION,
    SCHEMA_VERSIONS,
    EventTypeStatus,
    StreamEventType,
    status_at_twilio,
)
from ringback.core.streams.sink import SinkStatus, StreamSink, StreamSubscription
from ringback.operations.context import OperationContext
from ringback.operations.streams.publish import follow_sessions, phase_of_account
from ringback.operations.streams.sinks import fetch_sink, refuse_unaware_servers
from ringback.ports import PageWindow, RecordPage, Transaction

_WORDS: Final[Mapping[Source, str]] = {Source.TWILIO: "subscription", Source.KORE: "streaming rule"}
"""What each vendor calls a subscription."""
_NOUNS: Final = {Source.TWILIO: "Subscription", Source.KORE: "StreamingRule"}
"""What a subscription is called in the actions of audit entries."""


def create_subscription(
    tx: Transaction,
    account_sid: str,
    source: Source,
    context: OperationContext,
    *,
    description: str,
    sink_sid: str,
    types: Sequence[tuple[str, int | None]],
    is_enabled: bool = True,
    product_group: str | None = None,
    notes: tuple[str, ...] = (),
) -> StreamSubscription:
    """Create a subscription to these types, each with the version of its schema (None: the latest).

    Raises InvalidParameter for types that can't be subscribed to (91101, 91103, 91104), if the
    account has too many subscriptions, if the sink is not active or, at twilio, used already
    (91100), and the errors of `fetch_sink` and `refuse_unaware_servers`.
    """
    refuse_unaware_servers(tx)
    wanted = check_types(types, source, context, account_sid=account_sid)
    _check_sink(tx, account_sid, sink_sid, source)
    most = context.streams.most
    own = tx.streams.subscriptions.page(account_sid, {"source": source}, PageWindow(most))
    if len(own) >= most:
        raise InvalidParameter(
            f"the account has {most} {_WORDS[source]}s at {source}, which is the most; delete one"
            " that is not needed any more",
            code=91101,
        )
    subscription = StreamSubscription(
        **context.record_fields(SidKind.STREAM_SUBSCRIPTION, account_sid),
        sink_sid=sink_sid,
        source=source,
        description=description,
        types=wanted,
        is_enabled=is_enabled,
        product_group=product_group,
        notes=notes,
        created_by=context.actor.id,
    )
    tx.streams.subscriptions.add(subscription)
    context.record_of(tx, f"Create{_NOUNS[source]}", after=subscription)
    follow_sessions(tx, account_sid, context)
    return subscription


def fetch_subscription(
    tx: Transaction, account_sid: str, sid: str, source: Source
) -> StreamSubscription:
    """Return an account's subscription at a source.

    Raises NotFound if there is none (91102).
    """
    found = tx.streams.subscriptions.get(sid) if is_sid(sid, SidKind.STREAM_SUBSCRIPTION) else None
    if found is None or found.account_sid != account_sid or found.source is not source:
        raise NotFound(f"there is no {_WORDS[source]} {sid}", code=91102)
    return found


def list_subscriptions(
    tx: Transaction,
    account_sid: str,
    source: Source,
    window: PageWindow,
    *,
    sink_sid: str | None = None,
) -> RecordPage[StreamSubscription]:
    """Return one page of an account's subscriptions at a source, newest first."""
    which = {"source": source, "sink_sid": sink_sid}
    return tx.streams.subscriptions.page(account_sid, which, window)


def update_subscription(
    tx: Transaction,
    account_sid: str,
    sid: str,
    source: Source,
    context: OperationContext,
    *,
    action: str | None = None,
    **changes: Any,
) -> StreamSubscription:
    """Change fields of a subscription, and return it; raises NotFound if there is none.

    Events that wait go to a new sink. Raises InvalidParameter if it can't use that. `action` is the
    action of the audit entry.
    """
    before = fetch_subscription(tx, account_sid, sid, source)
    sink_sid = changes.get("sink_sid", before.sink_sid)
    changed = replace(before, **changes)
    if changed == before:
        return before
    if sink_sid != before.sink_sid:
        sink = _check_sink(tx, account_sid, sink_sid, source)
        context.queue.expect_events(tx, {sid: sink.url.destination})
    after = replace(changed, date_updated=context.now)
    tx.streams.subscriptions.save(after)
    action = action or f"Update{_NOUNS[source]}"
    context.record_of(tx, action, before=before, after=after)
    if (after.types, after.is_enabled) != (before.types, before.is_enabled):
        follow_sessions(tx, account_sid, context)
    return after


def delete_subscription(
    tx: Transaction, account_sid: str, sid: str, source: Source, context: OperationContext
) -> None:
    """Delete a subscription; events that still wait for it are not sent.

    Raises NotFound if there is none.
    """
    before = fetch_subscription(tx, account_sid, sid, source)
    sink = tx.streams.sinks.get(before.sink_sid)
    tx.streams.subscriptions.remove(sid)
    context.record_of(tx, f"Delete{_NOUNS[source]}", before=before)
    if sink is not None:
        context.queue.expect_events(tx, {sid: sink.url.destination})


def _check_sink(tx: Transaction, account_sid: str, sid: str, source: Source) -> StreamSink:
    """Return the sink that a subscription is to use; raises InvalidParameter if it can't (91100).

    Raises the errors of `fetch_sink`, too.
    """
    sink = fetch_sink(tx, account_sid, sid, source)
    if sink.status is not SinkStatus.ACTIVE:
        raise InvalidParameter(
            f"Sink with SID {sid} is {sink.status}; only an active one can be subscribed to",
            code=91100,
        )
    check_free(tx, account_sid, sid, source)
    return sink


def check_free(tx: Transaction, account_sid: str, sink_sid: str, source: Source) -> None:
    """Raise InvalidParameter if a sink has a subscription, and can have only one (91100)."""
    user = tx.streams.subscriptions.first({"account_sid": account_sid, "sink_sid": sink_sid})
    if user is not None and source is Source.TWILIO:
        raise InvalidParameter(f"Sink with SID {sink_sid} is in use", code=91100)


def check_types(
    types: Sequence[tuple[str, int | None]],
    source: Source,
    context: OperationContext,
    *,
    account_sid: str,
) -> Mapping[str, int]:
    """Return the types by name, each with a version of its schema.

    Raises InvalidParameter if there is none (91103), if one is given twice (91101), if one is
    unknown or no longer published (91104), or has no such version.
    """
    if not types:
        raise InvalidParameter("the list of types is empty; give at least one", code=91103)
    found = dict[str, int]()
    for name, version in types:
        if name in found:
            raise InvalidParameter(f"the type {name} is given twice; give it once", code=91101)
        found[name] = check_type(name, version, source, context, account_sid=account_sid)
    return found


def check_type(
    name: str, version: int | None, source: Source, context: OperationContext, *, account_sid: str
) -> int:
    """Return the version of a type's schema, the latest for None.

    Raises InvalidParameter as `check_types` does.
    """
    if name not in list(StreamEventType):
        known = ", ".join(StreamEventType)
        raise InvalidParameter(
            f"{name[:200]}: Type not found in the system; the types are {known}", code=91104
        )
    if source is Source.TWILIO:
        phase = phase_of_account(context.policy, account_sid, context.now)
        if status_at_twilio(phase) is EventTypeStatus.DISCONTINUED:
            raise InvalidParameter(f"{name}: Type is discontinued", code=91104)
    if version is not None and version not in SCHEMA_VERSIONS:
        raise InvalidParameter(
            f"{name}: there is no version {version} of its schema; there are"
            f" {', '.join(map(str, SCHEMA_VERSIONS))}",
            code=91104,
        )
    return version or LATEST_VERSION


def with_type(
    tx: Transaction,
    subscription: StreamSubscription,
    name: str,
    version: int | None,
    context: OperationContext,
    *,
    action: str | None = None,
) -> StreamSubscription:
    """Add a type to a subscription, or change its version; raises InvalidParameter for bad ones."""
    checked = check_type(
        *(name, version, subscription.source, context), account_sid=subscription.account_sid
    )
    return update_subscription(
        *(tx, subscription.account_sid, subscription.sid, subscription.source, context),
        action=action,
        types={**subscription.types, name: checked},
    )


def without_type(
    tx: Transaction,
    subscription: StreamSubscription,
    name: str,
    context: OperationContext,
    *,
    action: str | None = None,
) -> StreamSubscription:
    """Remove a type from a subscription; raises NotFound if it does not have it."""
    if name not in subscription.types:
        raise NotFound(f"the subscription {subscription.sid} has no type {name[:200]!r}")
    return update_subscription(
        *(tx, subscription.account_sid, subscription.sid, subscription.source, context),
        action=action,
        types={one: version for one, version in subscription.types.items() if one != name},
    )
