"""Consumers of event streams after public ones, as plain functions: what a sender has to satisfy.

The patterns are facts from public code; the programs are ours. Each webhook consumer is a function

    (method, url, headers, body) -> (status, events)

of the request as it was sent: the whole URL with its query, the headers as a mapping whose names
may have any letter case, and the raw body. Each Kinesis consumer is a function of the bytes of one
record. All of them return the status of their answer (a Kinesis consumer returns 200 or 422, since
it has none) and the events that they understood, as dictionaries of what they keep.

`WEBHOOK_CONSUMERS` and `KINESIS_CONSUMERS` list them by name, with what they break on.
"""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from twilio.request_validator import RequestValidator

Understood = tuple[int, list[dict[str, Any]]]
WebhookConsumer = Callable[[str, str, Mapping[str, str], bytes], Understood]
KinesisConsumer = Callable[[bytes], Understood]

CONNECTION: Final = "com.twilio.iot.supersim.connection."
TYPES: Final = frozenset(
    CONNECTION + name
    for name in (
        "attachment.accepted",
        "attachment.rejected",
        "attachment.failed",
        "data-session.started",
        "data-session.updated",
        "data-session.ended",
        "data-session.failed",
    )
)


def header(headers: Mapping[str, str], name: str) -> str | None:
    """Return a header's value, whatever the letter case of its name; None if it is missing."""
    return next((value for given, value in headers.items() if given.lower() == name), None)


# ---- webhooks ------------------------------------------------------------------------------------


def api_with_a_model(_: str, __: str, headers: Mapping[str, str], body: bytes) -> Understood:
    """Take an array of events of exact types, as a FastAPI application for KORE does.

    It checks no signature and doesn't de-duplicate. It breaks on a single object, on another prefix
    of the types (the event is stored as unknown, so it is not returned), and on a test event, which
    has no `event_sid`.
    """
    if not (header(headers, "content-type") or "").startswith("application/json"):
        return 422, []
    events = json.loads(body)
    if not isinstance(events, list):
        return 422, []
    understood = list[dict[str, Any]]()
    for event in events:
        data = event["data"]
        texts = [*(event.get(name) for name in ("id", "time", "type")), data.get("event_type")]
        texts += [data.get(name) for name in ("event_sid", "sim_iccid", "timestamp")]
        if not all(isinstance(text, str) for text in texts):
            return 422, []
        for name in ("network", "location"):
            if not isinstance(data.get(name), dict | None):
                return 422, []
        if event["type"] in TYPES:
            understood.append({"id": event["id"], "type": event["type"], **data})
    return 201, understood


def lambda_of_the_first_event(auth_tokens: Mapping[str, str]) -> WebhookConsumer:
    """Return a consumer that reads only the first event, as an AWS Lambda function for Twilio does.

    `auth_tokens` has the Auth Token of each account. The account of the event chooses it, so the
    consumer breaks on a test event. It checks the signature of the URL, but not the body's hash,
    and loses all events of a batch but the first.
    """

    def receive(_: str, url: str, headers: Mapping[str, str], body: bytes) -> Understood:
        event = json.loads(body)[0]
        account = event["data"].get("account_sid") or event["data"].get("accountSid")
        if account is None:
            return 500, []
        signature = header(headers, "x-twilio-signature") or ""
        if not RequestValidator(auth_tokens[account]).validate(url, {}, signature):
            return 403, []
        return 200, [{"id": event["id"], "type": event["type"], **event["data"]}]

    return receive


def api_with_signature_of_json_written_anew(secret: str) -> WebhookConsumer:
    """Return a consumer that signs parsed JSON, as a Flask application for KORE does.

    It takes an array or an object, and writes JSON anew with escapes, so it breaks on text that is
    not ASCII. It keeps the token of the request and the signature with each event.
    """

    def receive(method: str, url: str, headers: Mapping[str, str], body: bytes) -> Understood:
        given = json.loads(body)
        again = json.dumps(given, separators=(",", ":")).encode()
        signed = f"{secret}{method}{url.partition('?')[0]}".encode() + again
        signature = header(headers, "kore-signature")
        if hashlib.sha256(signed).hexdigest() != signature:
            return 401, []
        token = header(headers, "kore-idempotency-token")
        events = given if isinstance(given, list) else [given]
        kept = [{"token": token, "signature": signature, **event["data"]} for event in events]
        return 200, kept

    return receive


def agent_by_dataschema(_: str, __: str, ___: Mapping[str, str], body: bytes) -> Understood:
    """Choose the mapping of an event by its `dataschema`, as an agent of Elastic does.

    It drops events of another schema or version, and answers 200 all the same.
    """
    schemas = {
        f"https://events-schemas.{host}.com/SuperSim.ConnectionEvent/2"
        for host in ("twilio", "korewireless")
    }
    given = json.loads(body)
    events = given if isinstance(given, list) else [given]
    return 200, [event["data"] for event in events if event["dataschema"] in schemas]


# ---- Kinesis -------------------------------------------------------------------------------------

_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{3})?Z")
_TEXTS: Final = (
    *("account_sid", "apn", "data_session_sid", "event_sid", "event_type", "fleet_sid", "imei"),
    *("imsi", "ip_address", "rat_type", "sim_iccid", "sim_sid", "sim_unique_name"),
)
_COUNTS: Final = tuple(
    f"{of}_{way}" for of in ("data", "data_session_data") for way in ("upload", "download", "total")
)


def importer_of_updates(record: bytes) -> Understood:
    """Import an update of a data session from a Kinesis record, as an importer of VoltDB does.

    A record is one event, and no array. Its 27 values have fixed types: latitude and longitude are
    doubles, written with a decimal point, times have no fraction or three digits, and end with Z.
    It breaks on a location of null, and on events of other types, which lack some of these values.
    """
    event = json.loads(record)
    if not isinstance(event, dict) or not isinstance(event.get("data"), dict):
        return 422, []
    data = event["data"]
    try:
        row = {name: _typed(data[name], str) for name in _TEXTS}
        row |= {name: _typed(data[name], int) for name in _COUNTS}
        row |= {name: _typed(data["network"][name], str) for name in ("mcc", "mnc", "sid")}
        row |= {name: _typed(data["location"][name], float) for name in ("lat", "lon")}
        row |= {name: _time(text) for name, text in (("time", event["time"]), *_times(data))}
    except (KeyError, TypeError, ValueError):
        return 422, []
    return 200, [row]


def _times(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = ("timestamp", "data_session_update_start_time", "data_session_update_end_time")
    return [(name, data[name]) for name in names]


def _typed(value: object, kind: type) -> object:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _time(text: str) -> datetime:
    if not _TIME.fullmatch(text):
        raise ValueError(f"{text!r} has another format")
    return datetime.fromisoformat(text).astimezone(UTC)


def reader_of_test_ids(record: bytes) -> Understood:
    """Return the test id in a Kinesis record, as an application does that validates a sink.

    It reads `data.test_id` of one event, and needs nothing else.
    """
    event = json.loads(record)
    test_id = event["data"].get("test_id") if isinstance(event, dict) else None
    return (200, [{"test_id": test_id}]) if test_id else (422, [])


WEBHOOK_CONSUMERS: Final[Mapping[str, WebhookConsumer]] = {
    "api_with_a_model": api_with_a_model,
    "agent_by_dataschema": agent_by_dataschema,
}
"""The consumers that need no secret; the others are made with one."""
KINESIS_CONSUMERS: Final[Mapping[str, KinesisConsumer]] = {
    "importer_of_updates": importer_of_updates,
    "reader_of_test_ids": reader_of_test_ids,
}
