"""Examples of each event's data, and signed bodies; the texts are ours, the signatures computed.

The signatures of `TWILIO_SIGNATURES` were made with Twilio's own Python library.
"""

from datetime import datetime
from typing import Any, Final

from ringback.core.streams.event_types import StreamEventType
from ringback.core.streams.stream_event import StreamEvent, compact

ACCOUNT: Final = "AC3ba717b1d236e6c4a835e46130267eb4"
SIM: Final = "HSab3f06be8f5d32caecb91e8a306c6c08"
SESSION: Final[dict[str, Any]] = {
    "apn": "super",
    "rat_type": "4G LTE",
    "ip_address": "100.68.56.159",
    "location": {"cell_id": "47322374", "lac": "15170", "lat": 34.166991, "lon": -118.5720773},
    "data_session_sid": "PIfedcba9876543210fedcba9876543210",
    "data_session_start_time": "2024-10-15T08:30:02Z",
}


def _event(number: int, type_: StreamEventType, time: str, rest: dict[str, Any]) -> dict[str, Any]:
    return {
        "event_sid": f"EZ{number:032}",
        "event_type": type_.value,
        "timestamp": f"2024-10-15T{time}Z",
        "account_sid": ACCOUNT,
        "sim_sid": SIM,
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
    }


DATA: Final = {
    type_: _event(number, type_, time, rest)
    for number, (type_, time, rest) in enumerate(
        [
            (
                StreamEventType.ATTACHMENT_ACCEPTED,
                "08:30:00",
                {"rat_type": "4G LTE", "location": None},
            ),
            (
                StreamEventType.ATTACHMENT_REJECTED,
                "08:30:00",
                {
                    "location": None,
                    "error": {
                        "code": 83705,
                        "message": "Attachment Rejected Due To SIM In Inactive State",
                    },
                },
            ),
            (
                StreamEventType.ATTACHMENT_FAILED,
                "08:30:00",
                {
                    "location": None,
                    "error": {"code": 83700, "message": "Attachment Failed Due To Internal Error"},
                },
            ),
            (StreamEventType.SESSION_STARTED, "08:30:02", SESSION),
            (
                StreamEventType.SESSION_UPDATED,
                "08:42:02",
                {
                    **SESSION,
                    "data_session_update_start_time": "2024-10-15T08:36:02Z",
                    "data_session_update_end_time": "2024-10-15T08:42:02Z",
                    "data_upload": 2048,
                    "data_download": 6144,
                    "data_total": 8192,
                    "data_session_data_upload": 4096,
                    "data_session_data_download": 12288,
                    "data_session_data_total": 16384,
                },
            ),
            (
                StreamEventType.SESSION_ENDED,
                "08:45:02",
                {
                    **SESSION,
                    "data_session_end_time": "2024-10-15T08:45:02Z",
                    "data_session_update_start_time": "2024-10-15T08:42:02Z",
                    "data_session_update_end_time": "2024-10-15T08:45:02Z",
                    "data_upload": 100,
                    "data_download": 300,
                    "data_total": 400,
                    "data_session_data_upload": 4196,
                    "data_session_data_download": 12588,
                    "data_session_data_total": 16784,
                },
            ),
            (
                StreamEventType.SESSION_FAILED,
                "08:30:02",
                {
                    "apn": "super",
                    "rat_type": "4G LTE",
                    "location": None,
                    "error": {
                        "code": 83701,
                        "message": "Data Session Establishment Failed Due To Internal Error",
                    },
                },
            ),
        ],
        1,
    )
}
"""The data of one event of each type."""


def event(type_: StreamEventType) -> StreamEvent:
    """Return the example of this type as an event."""
    data = DATA[type_]
    at = datetime.fromisoformat(data["timestamp"])
    return StreamEvent(data["event_sid"], ACCOUNT, SIM, type_, at, compact(data))


TEST_BODY: Final = (
    '[{"specversion":"1.0","type":"com.twilio.eventstreams.test-event","source":"Sink",'
    '"id":"AC11111111111111111111111111111111","dataschema":'
    '"https://events-schemas.twilio.com/EventStreams.TestSink/1.json","datacontenttype":'
    '"application/json","time":"2026-06-10T06:02:54.377Z","data":{"test_id":'
    '"cae2f9e2-c277-4612-8ad3-93c1a7a3ef88"}}]'
)
"""A test event from Twilio."""
TOKEN: Final = "12345"
TWILIO_SIGNATURES: Final = {
    "https://example.com/events": "NbGgYQVrx1FdlqY9g9ZopFy0cVo=",
    "https://example.com/events?foo=bar": "DhFHZjn1llGT3b2YFi9Jtnp4w90=",
    "https://example.com:8443/events": "gUmWnT2O8mH/tcGQUQjifJDPgAM=",
}
"""The signatures of `TEST_BODY`, by the sink's URL, with the Auth Token `TOKEN`."""
TEST_BODY_HASH: Final = "f4dc494f1e604a19df36cdd069f7956b1f261dc954ae1c698ed8b4939fd9ab54"
SIGNED_URL: Final = "https://testendpoint.com/events"
STARTED_SIGNATURES: Final = {
    "twilio": "IMIIj870gu/S3o+oU1LAOB9naJ8=",
    "kore": "9ed4ca289f9b15b0c83868577497181469c8edeb1caa876c51008a96a66cabe5",
}
"""The signatures of a batch with the `data-session.started` of `DATA`, sent to `SIGNED_URL`."""
