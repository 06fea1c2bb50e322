"""Creates callbacks, and chooses their source and idempotency token, which never change."""

from datetime import datetime
from typing import Final

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import (
    FORGED,
    CallbackRecord,
    CallbackStatus,
    DeliveryProgress,
    StreamBatch,
)
from ringback.core.events.event_kinds import STREAM_EVENTS, TEST_EVENT, event_and_sim
from ringback.core.events.kore_test_event import TEST_EVENT_BYTES, write_test_event
from ringback.core.policy.source_policy import Policy, Source, SourceName
from ringback.core.sids import SID_BYTES, TIME_BYTES, SidKind, dated, make_sid, time_bytes
from ringback.core.sources.body_encoding import BodyEncoding
from ringback.core.sources.idempotency_tokens import KORE_TOKEN, TOKEN_BYTES, IdempotencyTokenFormat
from ringback.core.sources.source_definition import BUILT_IN, Sources
from ringback.core.streams.stream_retries import STREAM_RETRIES

CALLBACK_BYTES: Final = SID_BYTES + TOKEN_BYTES
"""The number of random bytes needed to create a callback."""
TEST_CALLBACK_BYTES: Final = CALLBACK_BYTES + TEST_EVENT_BYTES
"""The number of random bytes needed to create a test event."""
_FORM: Final = BodyEncoding.FORM
_WHY_FORGED: Final = (
    "a test event comes from kore; this one is forged, and receivers must refuse it"
)


def compose(
    body: str,
    *,
    account_sid: str,
    to: CallbackUrl,
    method: HttpMethod,
    policy: Policy,
    random_bytes: bytes,
    now: datetime,
    due: datetime | None = None,
    idempotency_key: str | None = None,
    order_key: str | None = None,
    sources: Sources = BUILT_IN,
    created_by: str | None = None,
) -> CallbackRecord:
    """Return a new callback with these parameters to the URL `to`, due now or at `due`.

    `body` has the parameters as a form; the callback's source may encode them in another way.
    Callbacks to one destination with the same `order_key` are sent in order.
    """
    choice = policy.choose(to.source, at=policy.date_at(now), account_sid=account_sid, url=to.wire)
    source, time = choice.source, time_bytes(now)
    event, sim_sid = event_and_sim(body)
    definition = sources[source]
    if definition.body_encoding is not _FORM:
        body = definition.body_of(body, method)
    # By position, which takes half as long as by name.
    return CallbackRecord(
        make_sid(SidKind.CALLBACK, time + random_bytes[TIME_BYTES:SID_BYTES]),
        account_sid,
        to,
        method,
        body,
        source,
        choice.asked,
        choice.reason,
        definition.token.make(time + random_bytes[SID_BYTES + TIME_BYTES :]),
        now,
        DeliveryProgress(now, CallbackStatus.SCHEDULED, None, 0, due or now),
        idempotency_key,
        event=event,
        sim_sid=sim_sid,
        created_by=created_by,
        order_key=order_key,
    )


def compose_test(
    *,
    account_sid: str,
    to: CallbackUrl,
    method: HttpMethod,
    secret_id: str | None,
    random_bytes: bytes,
    now: datetime,
    created_by: str | None = None,
) -> CallbackRecord:
    """Return a new test event to the URL `to`, due now.

    `secret_id` is the id of the webhook secret that signs the event; None for the active secret,
    and FORGED for a secret that no receiver has.
    """
    own = random_bytes[CALLBACK_BYTES:]
    return CallbackRecord(
        sid=_sid(random_bytes, now),
        account_sid=account_sid,
        url=to,
        method=method,
        body=write_test_event(own, at=now),
        source=Source.KORE,
        source_asked=to.source,
        source_reason=_WHY_FORGED if secret_id == FORGED else "test events always come from kore",
        idempotency_token=_token(KORE_TOKEN, random_bytes[:CALLBACK_BYTES], now),
        date_created=now,
        progress=DeliveryProgress(now, due=now),
        is_test=True,
        secret_id=secret_id,
        event=TEST_EVENT,
        created_by=created_by,
    )


def compose_stream(
    body: str,
    stream: StreamBatch,
    *,
    account_sid: str,
    to: CallbackUrl,
    method: HttpMethod,
    source: Source,
    source_reason: str,
    random_bytes: bytes,
    now: datetime,
    is_test: bool = False,
    sim_sid: str | None = None,
    created_by: str | None = None,
) -> CallbackRecord:
    """Return a new request of an event stream, due now: a batch of events, or a test event."""
    token = BUILT_IN[source].token
    return CallbackRecord(
        sid=_sid(random_bytes, now),
        account_sid=account_sid,
        url=to,
        method=method,
        body=body,
        source=source,
        source_asked=None,
        source_reason=source_reason,
        idempotency_token=_token(token, random_bytes[:CALLBACK_BYTES], now),
        date_created=now,
        progress=DeliveryProgress(now, due=now),
        is_test=is_test,
        event=TEST_EVENT if is_test else STREAM_EVENTS,
        sim_sid=sim_sid,
        created_by=created_by,
        stream=stream,
    )


def repeat(
    callback: CallbackRecord,
    *,
    source: SourceName,
    random_bytes: bytes,
    now: datetime,
    sources: Sources = BUILT_IN,
    created_by: str | None = None,
    body: str | None = None,
) -> CallbackRecord:
    """Return a new callback with the content of `callback`, but another source and a new token.

    The content is encoded as the other source encodes it. `body` is the body of a stream's batch as
    the other source writes its events, and is retried as that source retries it; None for a
    callback.
    """
    definition, url = sources[source], callback.url
    if callback.stream is not None:
        url = url.of_stream(STREAM_RETRIES[source].connection)
    return callback._replace(
        sid=_sid(random_bytes, now),
        url=url,
        body=definition.body_of(callback.body, callback.method) if body is None else body,
        source=source,
        source_reason=f"chosen when {callback.sid} was replayed",
        idempotency_token=_token(definition.token, random_bytes, now),
        date_created=now,
        progress=DeliveryProgress(now, due=now),
        idempotency_key=None,
        replay_of=callback.sid,
        created_by=created_by,
    )


def _sid(random_bytes: bytes, now: datetime) -> str:
    return make_sid(SidKind.CALLBACK, dated(random_bytes[:SID_BYTES], now))


def _token(scheme: IdempotencyTokenFormat, random_bytes: bytes, now: datetime) -> str:
    return scheme.make(dated(random_bytes[SID_BYTES:], now))
