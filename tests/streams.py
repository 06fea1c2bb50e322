"""Sinks, subscriptions and events for tests of event streams."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import jsonschema_rs

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackRecord, DeliveryProgress, StreamBatch
from ringback.core.callbacks.create_callback import CALLBACK_BYTES, compose_stream
from ringback.core.policy.source_policy import Source
from ringback.core.streams.event_references import (
    EventReference,
    body_of_references,
    write_references,
)
from ringback.core.streams.event_schema import schema_of
from ringback.core.streams.event_types import LATEST_VERSION, SCHEMA_VERSIONS, StreamEventType
from ringback.core.streams.kinesis_stream import url_of_stream
from ringback.core.streams.sink import SinkType, StreamSink, StreamSubscription
from ringback.core.streams.stream_event import StreamEvent, compact
from ringback.core.streams.stream_retries import STREAM_RETRIES
from ringback.ports import Transaction
from tests.fakes import ACCOUNT_SID, NOW

STARTED, UPDATED, ENDED = (
    StreamEventType.SESSION_STARTED,
    StreamEventType.SESSION_UPDATED,
    StreamEventType.SESSION_ENDED,
)
ARN = "arn:aws:kinesis:us-east-1:111111111111:stream/events"
ROLE_ARN = "arn:aws:iam::111111111111:role/events"


def sim_sid(number: int) -> str:
    return f"HS{number:032x}"


def an_event_of(
    number: int,
    sim: int = 1,
    type_: StreamEventType = STARTED,
    *,
    account_sid: str = ACCOUNT_SID,
    at: datetime = NOW,
    **more: Any,
) -> StreamEvent:
    sid = f"EZ{number:032x}"
    data = {
        "event_sid": sid,
        "event_type": type_,
        "timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "account_sid": account_sid,
        "sim_sid": sim_sid(sim),
        "sim_iccid": "89883070000123456789",
        **more,
    }
    return StreamEvent(sid, account_sid, sim_sid(sim), type_, at, compact(data))


def a_sink(
    number: int = 1,
    source: Source = Source.KORE,
    url: str = "http://a.example/events",
    *,
    account_sid: str = ACCOUNT_SID,
    method: HttpMethod = HttpMethod.POST,
    has_batches: bool = False,
    arn: str | None = None,
) -> StreamSink:
    return StreamSink(
        sid=f"DG{number:032x}",
        account_sid=account_sid,
        source=source,
        description="the sink",
        sink_type=SinkType.WEBHOOK if arn is None else SinkType.KINESIS,
        url=CallbackUrl.parse(url) if arn is None else url_of_stream(arn),
        method=method,
        has_batches=has_batches,
        date_created=NOW,
        date_updated=NOW,
    )


def a_subscription(
    number: int = 1,
    source: Source = Source.KORE,
    *,
    account_sid: str = ACCOUNT_SID,
    types: dict[str, int] | None = None,
) -> StreamSubscription:
    return StreamSubscription(
        sid=f"DF{number:032x}",
        account_sid=account_sid,
        sink_sid=f"DG{number:032x}",
        source=source,
        description="the subscription",
        types=dict.fromkeys(StreamEventType, LATEST_VERSION) if types is None else types,
        date_created=NOW,
        date_updated=NOW,
    )


def add_stream(tx: Transaction, sink: StreamSink, subscription: StreamSubscription) -> None:
    tx.streams.sinks.add(sink)
    tx.streams.subscriptions.add(subscription)


def a_batch(
    tx: Transaction, number: int, subscription: StreamSubscription, events: Sequence[int]
) -> CallbackRecord:
    """Return a batch with the events that have these numbers; `number` makes its SID."""
    references = write_references([EventReference(one, LATEST_VERSION) for one in events])
    source = subscription.source
    return compose_stream(
        body_of_references(references, source, tx.streams.events.numbered),
        StreamBatch(subscription.sid, references),
        account_sid=subscription.account_sid,
        to=CallbackUrl.parse("http://a.example/events").of_stream(
            STREAM_RETRIES[source].connection
        ),
        method=HttpMethod.POST,
        source=source,
        source_reason="the stream's own",
        random_bytes=number.to_bytes(CALLBACK_BYTES),
        now=NOW,
    )


def a_batch_of(
    events: Sequence[StreamEvent],
    sink: StreamSink,
    subscription: StreamSubscription,
    number: int = 1,
    *,
    at: datetime = NOW,
    numbers: Sequence[int] | None = None,
) -> CallbackRecord:
    """Return a batch of these events, which have these numbers in the store."""
    references = write_references(
        (
            EventReference(one, subscription.types[event.type])
            for one, event in zip(numbers or range(len(events)), events, strict=True)
        ),
        is_array=sink.sink_type is not SinkType.KINESIS,
    )
    return compose_stream(
        body_of_references(references, sink.source, lambda _: events),
        StreamBatch(subscription.sid, references),
        account_sid=sink.account_sid,
        to=sink.url.of_stream(STREAM_RETRIES[sink.source].connection),
        method=sink.method,
        source=sink.source,
        source_reason=f"the stream {subscription.sid} sends from {sink.source}",
        random_bytes=bytes([number]) * CALLBACK_BYTES,
        now=at,
    )


def add_batch(
    tx: Transaction,
    sink: StreamSink,
    subscription: StreamSubscription,
    number: int = 1,
    *,
    at: datetime = NOW,
    progress: DeliveryProgress | None = None,
) -> CallbackRecord:
    """Put all events that wait for a subscription into a batch, and return it."""
    numbers = [one.number for one in tx.streams.events.pending(subscription.sid, limit=1000)]
    events = tx.streams.events.numbered(numbers)
    batch = a_batch_of(events, sink, subscription, number, at=at, numbers=numbers)
    if progress is not None:
        batch = batch.having(progress)
    tx.streams.events.take(subscription.sid, numbers)
    tx.callbacks.add(batch)
    return batch


def events_in(body: str) -> list[dict[str, Any]]:
    """Return the data of the events in a body."""
    return [event["data"] for event in json.loads(body)]


def check_valid(event: StreamEvent) -> None:
    """Check an event's data against each version of the schema, without fields that none has."""
    for version in SCHEMA_VERSIONS:
        schema, data = schema_of(version), json.loads(event.data_in(version))
        jsonschema_rs.Draft7Validator(dict(schema)).validate(data)
        assert data.keys() <= schema["properties"].keys()
    data = json.loads(event.data)
    assert (data["event_sid"], data["event_type"]) == (event.sid, event.type)
    assert (data["account_sid"], data["sim_sid"]) == (event.account_sid, event.sim_sid)
    assert data["timestamp"] == f"{event.date_created:%Y-%m-%dT%H:%M:%SZ}"
