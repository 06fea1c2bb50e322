"""The JSON Schema of the events' data, in each of its versions.

The vendors' own documents can't be read without an account, so these follow their tables of fields
and real events. Version 1 is version 2 without the sums since the beginning of a data session
(Twilio's change log of 2022-06-15).
"""

from collections.abc import Mapping
from typing import Any, Final

from ringback.core.streams.event_types import SCHEMA_ID

SUMS: Final = ("data_session_data_upload", "data_session_data_download", "data_session_data_total")
"""The fields that version 2 has and version 1 has not."""

_TEXT: Final = {"type": "string"}
_BYTES: Final = {"type": "integer", "minimum": 0}
_FIELDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "event_sid": _TEXT,
    "event_type": _TEXT,
    "timestamp": _TEXT,
    "account_sid": _TEXT,
    "sim_sid": _TEXT,
    "sim_iccid": _TEXT,
    "sim_unique_name": _TEXT,
    "fleet_sid": _TEXT,
    "imsi": _TEXT,
    "imei": {"type": ["string", "null"]},
    "network": {
        "type": "object",
        "properties": dict.fromkeys(("mcc", "mnc", "sid", "friendly_name", "iso_country"), _TEXT),
    },
    "apn": _TEXT,
    "rat_type": _TEXT,
    "ip_address": _TEXT,
    "location": {
        "type": ["object", "null"],
        "properties": {
            **dict.fromkeys(("cell_id", "lac"), _TEXT),
            "lat": {"type": "number"},
            "lon": {"type": "number"},
        },
    },
    "data_session_sid": _TEXT,
    "data_session_start_time": _TEXT,
    "data_session_end_time": _TEXT,
    "data_session_update_start_time": _TEXT,
    "data_session_update_end_time": _TEXT,
    "data_upload": _BYTES,
    "data_download": _BYTES,
    "data_total": _BYTES,
    **dict.fromkeys(SUMS, _BYTES),
    "data_modifier": _TEXT,
    "error": {"type": "object", "properties": {"code": {"type": "integer"}, "message": _TEXT}},
}
_REQUIRED: Final = (
    *("event_sid", "event_type", "timestamp", "account_sid", "sim_sid", "sim_iccid"),
)


def schema_of(version: int) -> Mapping[str, Any]:
    """Return the JSON Schema of the events' data in one of `SCHEMA_VERSIONS`."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": f"{SCHEMA_ID}/{version}",
        "type": "object",
        "required": list(_REQUIRED),
        "properties": {
            name: field for name, field in _FIELDS.items() if version > 1 or name not in SUMS
        },
    }
