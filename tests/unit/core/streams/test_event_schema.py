from typing import Any

import jsonschema_rs
import pytest

from ringback.core.streams.event_schema import SUMS, schema_of
from ringback.core.streams.event_types import StreamEventType
from tests.unit.core.streams.vectors import DATA


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("type_", StreamEventType)
def test_each_example_is_valid(type_: StreamEventType, version: int) -> None:
    schema = dict(schema_of(version))
    jsonschema_rs.Draft7Validator(schema).validate(DATA[type_])
    assert DATA[type_].keys() - schema["properties"].keys() <= ({*SUMS} if version == 1 else set())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("event_sid", None),
        ("imei", 358600840000001),
        ("data_upload", 1.5),
        ("data_total", -1),
        ("location", "here"),
        ("error", {"code": "83700"}),
    ],
)
def test_values_of_other_kinds_are_not_valid(field: str, value: Any) -> None:
    data = {**DATA[StreamEventType.SESSION_UPDATED], field: value}
    with pytest.raises(jsonschema_rs.ValidationError):
        jsonschema_rs.Draft7Validator(dict(schema_of(2))).validate(data)


def test_each_required_field_is_missed() -> None:
    for field in ("event_sid", "event_type", "timestamp", "account_sid", "sim_sid", "sim_iccid"):
        data = dict(DATA[StreamEventType.SESSION_STARTED])
        del data[field]
        with pytest.raises(jsonschema_rs.ValidationError):
            jsonschema_rs.Draft7Validator(dict(schema_of(2))).validate(data)


def test_only_version_2_has_the_sums() -> None:
    first, second = (schema_of(version)["properties"].keys() for version in (1, 2))
    assert second - first == {*SUMS}
    assert schema_of(1)["$id"] == "SuperSim.ConnectionEvent/1"
