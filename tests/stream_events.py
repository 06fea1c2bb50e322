"""Event streams as both vendors send them: the seven connection events, envelopes, signatures.

The values are made up; the fields, their order and the signatures follow the vendors' formats.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ringback.core.policy.source_policy import Source
from ringback.core.sources.signature import sign_as_kore, sign_as_twilio
from ringback.receiver.verification import ReceivedRequest
from tests.fakes import AUTH_TOKEN, KORE_SECRET

PREFIX: Final = "com.twilio.iot.supersim.connection."
ACCOUNT: Final = "AC3ba717b1d236e6c4a835e46130267eb4"
_SESSION: Final[Mapping[str, Any]] = {
    "apn": "super",
    "rat_type": "4G LTE",
    "ip_address": "100.68.56.159",
    "location": {"cell_id": "47322374", "lac": "15170", "lat": 34.166991, "lon": -118.5720773},
    "data_session_sid": "PIfedcba9876543210fedcba9876543210",
    "data_session_start_time": "2024-10-15T08:30:02Z",
}


def _used(begin: str, end: str, window: Sequence[int], session: Sequence[int]) -> dict[str, Any]:
    names = ("upload", "download", "total")
    return {
        "data_session_update_start_time": f"2024-10-15T{begin}Z",
        "data_session_update_end_time": f"2024-10-15T{end}Z",
        **{f"data_{name}": count for name, count in zip(names, window, strict=True)},
        **{f"data_session_data_{name}": n for name, n in zip(names, session, strict=True)},
    }


def _error(code: int, message: str) -> dict[str, Any]:
    return {"location": None, "error": {"code": code, "message": message}}


_ROWS: Final[Sequence[tuple[str, str, Mapping[str, Any]]]] = (
    ("attachment.accepted", "08:30:00", {"rat_type": "4G LTE", "location": None}),
    (
        "attachment.rejected",
        "08:30:00",
        _error(83705, "Attachment Rejected Due To SIM In Inactive State"),
    ),
    ("attachment.failed", "08:30:00", _error(83700, "Attachment Failed Due To Internal Error")),
    ("data-session.started", "08:30:02", _SESSION),
    (
        "data-session.updated",
        "08:42:02",
        {**_SESSION, **_used("08:36:02", "08:42:02", (2048, 6144, 8192), (4096, 12288, 16384))},
    ),
    (
        "data-session.ended",
        "08:45:02",
        {
            **_SESSION,
            "data_session_end_time": "2024-10-15T08:45:02Z",
            **_used("08:42:02", "08:45:02", (100, 300, 400), (4196, 12588, 16784)),
        },
    ),
    (
        "data-session.failed",
        "08:30:02",
        {
            "apn": "super",
            "rat_type": "4G LTE",
            **_error(83701, "Data Session Establishment Failed Due To Internal Error"),
        },
    ),
)


def data_of(number: int, **changes: object) -> dict[str, Any]:
    """Return the `data` of an event; 1 to 7 have the seven types, in the order of the catalogue.

    A greater number repeats the types, with an `event_sid` of its own.
    """
    kind, time, rest = _ROWS[(number - 1) % len(_ROWS)]
    return {
        "event_sid": f"EZ{number:032}",
        "event_type": PREFIX + kind,
        "timestamp": f"2024-10-15T{time}Z",
        "account_sid": ACCOUNT,
        "sim_sid": "HSab3f06be8f5d32caecb91e8a306c6c08",
        "sim_iccid": "89883070000123456789",
        "sim_unique_name": "my_super_sim",
        "fleet_sid": "HF0123456789abcdef0123456789abcdef",
        "imsi": "732123200000001",
        "imei": "358600840000001",
        "network": {
            "mcc": "310",
            "mnc": "260",
            "sid": "HW89abcdef0123456789abcdef01234567",
            "friendly_name": "T-Mobile",
            "iso_country": "US",
        },
        **rest,
        **changes,
    }


def enveloped(data: Mapping[str, Any], source: Source, **changes: object) -> dict[str, Any]:
    """Return a connection event in the envelope of a source."""
    if source is Source.TWILIO:
        return {
            "specversion": "1.0",
            "type": data["event_type"],
            "source": f"/v1/SuperSim/ConnectionEvents/{data['event_sid']}",
            "id": data["event_sid"],
            "dataschema": "https://events-schemas.twilio.com/SuperSim.ConnectionEvent/2",
            "datacontenttype": "application/json",
            "time": data["timestamp"].replace("Z", ".000Z"),
            "data": data,
            **changes,
        }
    return {
        "data": data,
        "id": data["event_sid"],
        "time": data["timestamp"],
        "type": data["event_type"],
        "source": "kore-events",
        "dataschema": "https://events-schemas.korewireless.com/SuperSim.ConnectionEvent/2",
        "specversion": "1.0",
        "datacontenttype": "application/json",
        **changes,
    }


def events_of(source: Source, *numbers: int) -> list[dict[str, Any]]:
    """Return the events with these numbers, in the envelope of a source."""
    return [enveloped(data_of(number), source) for number in numbers]


def compact(document: object) -> bytes:
    """Return the document as both vendors write it: without spaces, and in raw UTF-8."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


B1: Final = (
    b'[{"specversion":"1.0","type":"com.twilio.eventstreams.test-event","source":"Sink",'
    b'"id":"AC11111111111111111111111111111111",'
    b'"dataschema":"https://events-schemas.twilio.com/EventStreams.TestSink/1.json",'
    b'"datacontenttype":"application/json","time":"2026-06-10T06:02:54.377Z",'
    b'"data":{"test_id":"cae2f9e2-c277-4612-8ad3-93c1a7a3ef88"}}]'
)
"""A test event of Twilio's, as its blog of June 2026 shows it."""
B2: Final = compact(events_of(Source.TWILIO, 4))
B2_OF_KORE: Final = compact(events_of(Source.KORE, 4))
KORE_TEST: Final[Mapping[str, Any]] = {
    "data": {"test_id": "88bf54a9-f2fb-40b6-8faf-e6c5a3c348d2"},
    "id": "fff521c2-c7db-4b53-a5a0-c5d5d01f66ce",
    "time": "2024-09-25T19:09:48.5842087+00:00",
    "type": "com.kore.eventstreams.test.event",
    "source": "kore-events",
    "dataschema": "/schemas/test/1",
    "specversion": "1.0",
    "datacontenttype": "application/json",
}


def streamed(
    source: Source,
    document: object,
    *,
    url: str = "https://example.com/events",
    token: str | None = None,
    method: str = "POST",
) -> ReceivedRequest:
    """Return the request in which a source sends this body, JSON or bytes, signed for `url`."""
    body = document if isinstance(document, bytes) else compact(document)
    path, mark, query = url.partition("://")[2].partition("/")[2].partition("?")
    target = f"/{path}{mark}{query}"
    if source is Source.KORE:
        bare = url.partition("?")[0]
        headers = {
            "kore-signature": sign_as_kore(method, bare, body, secret=KORE_SECRET),
            **({} if token is None else {"kore-idempotency-token": token}),
        }
    else:
        added = f"{'&' if mark else '?'}bodySHA256={hashlib.sha256(body).hexdigest()}"
        target += added
        headers = {
            "X-Twilio-Signature": sign_as_twilio(url + added, (), auth_token=AUTH_TOKEN),
            **({} if token is None else {"I-Twilio-Idempotency-Token": token}),
        }
    headers = {"Content-Type": "application/json", **headers}
    return ReceivedRequest(method, target, tuple(headers.items()), body)


def listen_line(request: ReceivedRequest) -> str:
    """Return the request as a line of `ringback listen --json`, as far as others read it."""
    return json.dumps(
        {
            "method": request.method,
            "path": request.target,
            "signature": {"ok": True},
            "headers": request.headers,
            "body": request.body.decode(),
        }
    )
