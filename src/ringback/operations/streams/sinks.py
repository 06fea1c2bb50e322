"""Create, test, change and delete sinks: the webhooks and Kinesis streams that get events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any, Final

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import UNDELIVERED, CallbackRecord, StreamBatch
from ringback.core.callbacks.create_callback import (
    CALLBACK_BYTES,
    TEST_CALLBACK_BYTES,
    compose_stream,
)
from ringback.core.errors import Conflict, InvalidParameter, NotFound, missing_extra
from ringback.core.events.kore_test_event import write_test_event
from ringback.core.policy.source_policy import Source
from ringback.core.sids import SidKind, is_sid
from ringback.core.sources.idempotency_tokens import TOKEN_BYTES, uuid4_text
from ringback.core.streams.sink import SinkStatus, SinkType, StreamSink, StreamSubscription
from ringback.core.streams.stream_event import write_twilio_test_event
from ringback.core.streams.stream_retries import STREAM_RETRIES
from ringback.operations.context import OperationContext
from ringback.ports import PageWindow, RecordPage, Transaction

_MOST_EXAMINED: Final = 10_000
"""How many sinks are read for a page with a filter, if the page sets no limit."""
SINK_WORDS: Final[Mapping[Source, str]] = {Source.TWILIO: "sink", Source.KORE: "destination"}
"""What each vendor calls a sink."""
_NOUNS: Final = {Source.TWILIO: "Sink", Source.KORE: "StreamDestination"}
"""What a sink is called in the actions of audit entries."""
_MOST_USERS: Final = 1000


@dataclass(frozen=True, slots=True)
class SinkParameters:
    """What a new sink is: its kind, where it sends events, and how."""

    description: str
    sink_type: SinkType
    url: CallbackUrl
    method: HttpMethod = HttpMethod.POST
    has_batches: bool = False
    configuration: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The configuration as it was given, without the URL."""


def create_sink(
    tx: Transaction,
    account_sid: str,
    source: Source,
    given: SinkParameters,
    context: OperationContext,
) -> StreamSink:
    """Create a sink.

    Raises InvalidParameter if the account has too many (91003), or if it is one for a Kinesis
    stream and this server lacks botocore (91000), and the errors of `refuse_unaware_servers`.
    """
    refuse_unaware_servers(tx)
    if given.sink_type is SinkType.KINESIS and find_spec("botocore") is None:
        missing = ModuleNotFoundError(name="botocore")
        what = f"a {SINK_WORDS[source]} of type kinesis"
        raise InvalidParameter(str(missing_extra(what, missing)), code=91000)
    most = context.streams.most
    if len(_own(tx, account_sid, source, limit=most)) >= most:
        raise InvalidParameter(
            f"the account has {most} {SINK_WORDS[source]}s at {source}, which is the most; delete"
            " one that is not needed any more",
            code=91003,
        )
    needs_validation = (
        context.streams.has_beta_flow
        and source is Source.TWILIO
        and given.sink_type is SinkType.KINESIS
    )
    sink = StreamSink(
        **context.record_fields(SidKind.STREAM_SINK, account_sid),
        source=source,
        description=given.description,
        sink_type=given.sink_type,
        url=given.url,
        method=given.method,
        has_batches=given.has_batches,
        configuration=given.configuration,
        status=SinkStatus.INITIALIZED if needs_validation else SinkStatus.ACTIVE,
        created_by=context.actor.id,
    )
    tx.streams.sinks.add(sink)
    context.record_of(tx, f"Create{_NOUNS[source]}", after=sink)
    return sink


def fetch_sink(tx: Transaction, account_sid: str, sid: str, source: Source) -> StreamSink:
    """Return an account's sink at a source, with its present status.

    Raises NotFound if there is none (91001), and InvalidParameter if the SID is malformed (91006).
    """
    if not is_sid(sid, SidKind.STREAM_SINK):
        raise InvalidParameter(
            f"{sid!r} is not the SID of a {SINK_WORDS[source]}; it must be DG and 32 hex digits",
            code=91006,
        )
    sink = tx.streams.sinks.get(sid)
    if sink is None or sink.account_sid != account_sid or sink.source is not source:
        raise NotFound(f"there is no {SINK_WORDS[source]} {sid}", code=91001)
    return with_present_status(tx, sink)


def list_sinks(
    tx: Transaction,
    account_sid: str,
    source: Source,
    window: PageWindow,
    *,
    status: SinkStatus | None = None,
    in_use: bool | None = None,
) -> RecordPage[StreamSink]:
    """Return one page of an account's sinks at a source, newest first.

    `status` and `in_use` (whether a subscription uses a sink) filter them; None matches all.
    """
    which, table = {"source": source}, tx.streams.sinks
    if status is None and in_use is None:
        page = table.page(account_sid, which, window)
        return RecordPage([with_present_status(tx, sink) for sink in page], page.stopped_at)
    # Neither is a column: the status can depend on a test event.
    most = window.examining or _MOST_EXAMINED
    read = table.page(account_sid, which, replace(window, size=most, examining=most))
    users = tx.streams.subscriptions.of_account(account_sid) if in_use is not None else ()
    used = {one.sink_sid for one in users}
    present = (with_present_status(tx, sink) for sink in read)
    found = [
        sink
        for sink in present
        if status in (None, sink.status) and in_use in (None, sink.sid in used)
    ]
    backwards = window.before is not None
    if len(found) >= window.size:
        return RecordPage(found[-window.size :] if backwards else found[: window.size])
    last = read[0 if backwards else -1].sid if len(read) >= most else None
    return RecordPage(found, read.stopped_at or last)


def update_sink(
    tx: Transaction,
    account_sid: str,
    sid: str,
    source: Source,
    context: OperationContext,
    *,
    action: str | None = None,
    **changes: Any,
) -> StreamSink:
    """Change fields of a sink, and return it; raises the errors of `fetch_sink`.

    Batches that were made before keep their URL. `action` is the action of the audit entry.
    """
    before = fetch_sink(tx, account_sid, sid, source)
    changed = replace(before, **changes)
    if changed == before:
        return before
    sink = replace(changed, date_updated=context.now)
    tx.streams.sinks.save(sink)
    action = action or f"Update{_NOUNS[source]}"
    context.record_of(tx, action, before=before, after=sink)
    if sink.url.destination != before.url.destination:
        # Another process may send to the new destination.
        users = list_users(tx, sink)
        context.queue.expect_events(tx, {one.sid: sink.url.destination for one in users})
    return sink


def list_users(tx: Transaction, sink: StreamSink) -> Sequence[StreamSubscription]:
    """Return the subscriptions that use a sink."""
    which = {"sink_sid": sink.sid}
    return tx.streams.subscriptions.page(sink.account_sid, which, PageWindow(_MOST_USERS))


def delete_sink(
    tx: Transaction, account_sid: str, sid: str, source: Source, context: OperationContext
) -> None:
    """Delete a sink.

    Raises InvalidParameter if a subscription uses it (91007), and the errors of `fetch_sink`.
    """
    sink = fetch_sink(tx, account_sid, sid, source)
    user = tx.streams.subscriptions.first({"account_sid": account_sid, "sink_sid": sid})
    if user is not None:
        raise InvalidParameter(
            f"{SINK_WORDS[source].capitalize()} with SID {sid} is in use by {user.sid}; delete that"
            " first",
            code=91007,
        )
    tx.streams.sinks.remove(sid)
    context.record_of(tx, f"Delete{_NOUNS[source]}", before=sink)


def send_test(
    tx: Transaction,
    account_sid: str,
    sid: str,
    source: Source,
    context: OperationContext,
    *,
    action: str | None = None,
) -> CallbackRecord:
    """Send a test event to a sink, and return its callback; raises the errors of `fetch_sink`.

    `action` is the action of the audit entry.
    """
    sink = fetch_sink(tx, account_sid, sid, source)
    random_bytes = context.random_source.bytes(TEST_CALLBACK_BYTES)
    own = random_bytes[CALLBACK_BYTES:]
    test_id = own[:TOKEN_BYTES]
    if source is Source.TWILIO:
        body = write_twilio_test_event(test_id, account_sid=account_sid, at=context.now)
    else:
        body = write_test_event(own, at=context.now)
    if sink.sink_type is SinkType.KINESIS:
        body = body[1:-1]  # a record is one event, without an array
    callback = compose_stream(
        body,
        StreamBatch(sid),
        account_sid=account_sid,
        to=sink.url.of_stream(STREAM_RETRIES[source].connection),
        method=sink.method,
        source=source,
        source_reason=f"the {SINK_WORDS[source]} {sid} is one of {source}",
        random_bytes=random_bytes[:CALLBACK_BYTES],
        now=context.now,
        is_test=True,
        created_by=context.actor.id,
    )
    context.queue.make_room(account_sid, 1)
    context.queue.take(tx, callback)
    status = sink.status
    if status is not SinkStatus.ACTIVE:
        status = SinkStatus.VALIDATING
    after = replace(sink, test_id=uuid4_text(test_id), test_sid=callback.sid, status=status)
    tx.streams.sinks.save(after)
    action = action or f"Test{_NOUNS[source]}"
    context.record(tx, action, sid, account_sid=account_sid, after={"callback": callback.sid})
    return callback


def validate_sink(
    tx: Transaction,
    account_sid: str,
    sid: str,
    source: Source,
    context: OperationContext,
    *,
    test_id: str,
    action: str = "ValidateSink",
) -> StreamSink:
    """Take the id of a test event that has arrived at a sink, which makes the sink active.

    An active sink accepts any id. Raises InvalidParameter if no test event was sent (91004), or if
    its id is another one (91005), and the errors of `fetch_sink`.
    """
    sink = fetch_sink(tx, account_sid, sid, source)
    if sink.status is SinkStatus.ACTIVE:
        return sink
    if sink.test_id is None:
        raise InvalidParameter(
            f"no test event was sent to sink {sid}; send one first with POST …/{sid}/Test",
            code=91004,
        )
    if test_id != sink.test_id:
        raise InvalidParameter(
            f"TestId {test_id!r} is not the id of the newest test event of sink {sid}", code=91005
        )
    return update_sink(
        tx, account_sid, sid, source, context, action=action, status=SinkStatus.ACTIVE
    )


def with_present_status(tx: Transaction, sink: StreamSink) -> StreamSink:
    """Return a sink with status `failed` if it is being validated and its test event has failed."""
    if sink.status is not SinkStatus.VALIDATING or sink.test_sid is None:
        return sink
    test = tx.callbacks.find(sink.test_sid)
    if test is None or test.status not in UNDELIVERED:
        return sink
    return replace(sink, status=SinkStatus.FAILED)


def refuse_unaware_servers(tx: Transaction) -> None:
    """Raise Conflict if a process of an earlier version, without event streams, uses the store."""
    names = tx.streams.events.unaware_servers()
    if names:
        raise Conflict(
            f"{', '.join(names)} of an earlier version can't send events, and would send requests"
            " without them; replace these processes before you create event streams"
        )


def _own(
    tx: Transaction, account_sid: str, source: Source, *, limit: int
) -> RecordPage[StreamSink]:
    return tx.streams.sinks.page(account_sid, {"source": source}, PageWindow(limit))
