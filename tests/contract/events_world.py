"""An account with sinks and a subscription, under the SIDs of samples.

Samples are about messages, for which there are no events here, so types of Super SIM replace them.
"""

from dataclasses import replace
from typing import Final

from ringback.core.policy.source_policy import Source
from ringback.core.streams.event_types import SCHEMA_ID
from ringback.core.streams.sink import SinkStatus, StreamSink, StreamSubscription
from ringback.ports import Transaction
from tests.contract.worlds import ACCOUNT, World, sample
from tests.streams import ENDED, STARTED, UPDATED, a_sink, a_subscription

SINK: Final = sample("DG")
FREE_SINK: Final = sample("DG", "b")
SUBSCRIPTION: Final = sample("DF")

_ARN: Final = "arn:aws:kinesis:us-east-1:111111111:stream/test"
_KINESIS: Final = {
    "arn": _ARN,
    "role_arn": "arn:aws:iam::111111111:role/Role",
    "external_id": "1234567890",
}
_WEBHOOK: Final = {"method": "POST", "batch_events": True}
_TYPE: Final = "com.twilio.messaging.message"
_SCHEMA: Final = "Messaging.MessageStatus"
_VERSION: Final = "schema_version"


def _sink(letter: str, *, is_kinesis: bool) -> StreamSink:
    made = a_sink(
        *(1, Source.TWILIO, "http://example.org/webhook"),
        account_sid=ACCOUNT,
        arn=_ARN if is_kinesis else None,
    )
    configuration = _KINESIS if is_kinesis else _WEBHOOK
    return replace(made, sid=sample("DG", letter), configuration=configuration)


def _subscription() -> StreamSubscription:
    made = a_subscription(1, Source.TWILIO, account_sid=ACCOUNT)
    return replace(made, sid=SUBSCRIPTION, sink_sid=SINK)


def _fill(tx: Transaction, asked: str, name: str) -> None:
    # Each sample shows what its name says: a sink for Kinesis, one in use, one of this status.
    is_kinesis = name not in ("", "readResultsStatus")
    status = SinkStatus.INITIALIZED if asked.startswith("GET /v1/Sinks") else SinkStatus.ACTIVE
    tx.streams.sinks.add(replace(_sink("a", is_kinesis=is_kinesis), status=status))
    tx.streams.sinks.add(_sink("b", is_kinesis=is_kinesis))
    is_free = asked in ("POST /v1/Subscriptions", "DELETE /v1/Sinks/{Sid}")
    if not is_free:
        types = {ENDED: 2} if name == "create" else {STARTED: 2, ENDED: 2}
        tx.streams.subscriptions.add(replace(_subscription(), types=types))


_ONE: Final = "/v1/Subscriptions/{Sid}"
_TYPES: Final = "/v1/Subscriptions/{SubscriptionSid}/SubscribedEvents"

WORLD: Final = World(
    fill=_fill,
    sids={
        "/v1/Sinks/{Sid}": SINK,
        "/v1/Sinks/{Sid}/Test": SINK,
        "/v1/Sinks/{Sid}/Validate": SINK,
        _ONE: SUBSCRIPTION,
    },
    parents={
        "SubscriptionSid": SUBSCRIPTION,
        "Type": STARTED,
        "Id": SCHEMA_ID,
        "SchemaVersion": "1",
    },
    forms={
        ("/v1/Sinks", 201): {
            "Description": "new",
            "SinkType": "webhook",
            "SinkConfiguration": '{"destination": "http://example.org/webhook"}',
        },
        ("/v1/Sinks/{Sid}", 200): {"Description": "renamed"},
        ("/v1/Sinks/{Sid}/Test", 201): {},
        ("/v1/Sinks/{Sid}/Validate", 201): {"TestId": "any"},
        ("/v1/Subscriptions", 201): {
            "Description": "new",
            "SinkSid": SINK,
            "Types": f'{{"type": "{STARTED}"}}',
        },
        (_ONE, 200): {"Description": "renamed"},
        (_TYPES, 201): {"Type": UPDATED},
        (_TYPES, 200): {"Type": ENDED},
        (f"{_TYPES}/{{Type}}", 200): {"SchemaVersion": "1"},
    },
    values={
        "InUse": "true",
        "Status": "active",
        "SinkSid": SINK,
        "SchemaId": SCHEMA_ID,
        "PageSize": "10",
        "Page": "0",
    },
    replaced={
        f"{_TYPE}.delivered": STARTED,
        f"{_TYPE}.failed": ENDED,
        _SCHEMA: SCHEMA_ID,
        f'"{_VERSION}": 12': f'"{_VERSION}": 2',
        f'"{_VERSION}\\": 12': f'"{_VERSION}\\": 2',
    },
)
