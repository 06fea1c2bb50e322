"""The data of events about connections: their fields, their order, and where values come from."""

import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ringback.core.policy.source_policy import Source
from ringback.core.sims.mobile_networks import CITIES, NETWORKS, MobileNetwork, MobileNetworkCode
from ringback.core.sims.scenario import SCENARIOS, CarrierFailure
from ringback.core.sims.simulated_network import SimulationSettings
from ringback.core.streams.event_types import StreamEventType
from ringback.core.streams.stream_event import EventChoice, StreamEvent, write_batch
from ringback.core.supersim.connection_event import (
    BLOCKED,
    REFUSED_STATUSES,
    SimConnection,
    type_of_failure,
)
from ringback.core.supersim.sim import SimStatus
from ringback.core.supersim.usage_windows import UsageWindow
from tests.fakes import NOW, TAKES, a_sim
from tests.streams import check_valid
from tests.unit.core.builders import a_session

SETTINGS = SimulationSettings(TAKES)
T = StreamEventType

# One example of each type, in bytes; only the type, the sid's end and the time differ in the front.
FRONT = (
    '{{"event_sid":"EZ0000000000000000000000000000000{number}"'
    ',"event_type":"com.twilio.iot.supersim.connection.{name}"'
    ',"timestamp":"2024-10-15T{time}Z","account_sid":"AC3ba717b1d236e6c4a835e46130267eb4"'
    ',"sim_sid":"HSab3f06be8f5d32caecb91e8a306c6c08","sim_iccid":"89883070000123456789"'
    ',"sim_unique_name":"my_super_sim","fleet_sid":"HF0123456789abcdef0123456789abcdef"'
    ',"imsi":"732123200000001","imei":"358600840000001","network":{{"mcc":"310","mnc":"260"'
    ',"sid":"HW89abcdef0123456789abcdef01234567","friendly_name":"T-Mobile"'
    ',"iso_country":"US"}},'
)
SESSION = (
    '"apn":"super","rat_type":"4G LTE","ip_address":"100.68.56.159","location":{"cell_id":'
    '"47322374","lac":"15170","lat":34.166991,"lon":-118.5720773},"data_session_sid":'
    '"PIfedcba9876543210fedcba9876543210","data_session_start_time":"2024-10-15T08:30:02Z"'
)
REST = {
    T.ATTACHMENT_ACCEPTED: '"rat_type":"4G LTE","location":null}',
    T.ATTACHMENT_REJECTED: '"location":null,"error":{"code":83705,"message":"Attachment Rejected'
    ' Due To SIM In Inactive State"}}',
    T.ATTACHMENT_FAILED: '"location":null,"error":{"code":83700,"message":"Attachment Failed Due To'
    ' Internal Error"}}',
    T.SESSION_STARTED: f"{SESSION}}}",
    T.SESSION_UPDATED: f'{SESSION},"data_session_update_start_time":"2024-10-15T08:36:02Z"'
    ',"data_session_update_end_time":"2024-10-15T08:42:02Z","data_upload":2048,"data_download":6144'
    ',"data_total":8192,"data_session_data_upload":4096,"data_session_data_download":12288'
    ',"data_session_data_total":16384}',
    T.SESSION_ENDED: f'{SESSION},"data_session_end_time":"2024-10-15T08:45:02Z"'
    ',"data_session_update_start_time":"2024-10-15T08:42:02Z"'
    ',"data_session_update_end_time":"2024-10-15T08:45:02Z","data_upload":100,"data_download":300'
    ',"data_total":400,"data_session_data_upload":4196,"data_session_data_download":12588'
    ',"data_session_data_total":16784}',
    T.SESSION_FAILED: '"apn":"super","rat_type":"4G LTE","location":null,"error":{"code":83701'
    ',"message":"Data Session Establishment Failed Due To Internal Error"}}',
}
FULL = SimConnection(
    sim=a_sim(iccid="89883070000123456789", unique_name="my_super_sim", device_ip="100.68.56.159"),
    fleet_sid="HF0123456789abcdef0123456789abcdef",
    imsi="732123200000001",
    imei="358600840000001",
    network=MobileNetwork("T-Mobile", "US", (MobileNetworkCode("310", "260"),)),
    cell={"cell_id": "47322374", "lac": "15170", "lat": 34.166991, "lon": -118.5720773},
)
SID_OF_T_MOBILE = NETWORKS[1].sid


def at(time: str) -> datetime:
    return datetime.fromisoformat(f"2024-10-15T{time}").replace(tzinfo=UTC)


def the_session() -> Any:
    return replace(
        a_session(), sid="WNfedcba9876543210fedcba9876543210", date_created=at("08:30:02.9")
    )


UPDATE = UsageWindow(at("08:36:02.9"), at("08:42:02.9"), 2048, 6144, 4096, 12288)
REMAINDER = UsageWindow(at("08:42:02.9"), at("08:45:02.9"), 100, 300, 4196, 12588)
ABOUT: dict[StreamEventType, tuple[str, dict[str, Any]]] = {
    T.ATTACHMENT_ACCEPTED: ("08:30:00", {}),
    T.ATTACHMENT_REJECTED: ("08:30:00", {"failure": REFUSED_STATUSES[SimStatus.INACTIVE]}),
    T.ATTACHMENT_FAILED: ("08:30:00", {"failure": SCENARIOS["attach-fails"].attachment}),
    T.SESSION_STARTED: ("08:30:02", {"session": the_session()}),
    T.SESSION_UPDATED: ("08:42:02", {"session": the_session(), "usage": UPDATE}),
    T.SESSION_ENDED: (
        "08:45:02",
        {"session": the_session(), "usage": REMAINDER, "ended": at("08:45:02.9")},
    ),
    T.SESSION_FAILED: ("08:30:02", {"failure": SCENARIOS["session-fails"].data_session}),
}


def an_event_about(
    type_: StreamEventType, connection: SimConnection = FULL, **more: Any
) -> StreamEvent:
    time, about = ABOUT[type_]
    sid = f"EZ{list(T).index(type_) + 1:032x}"
    # What happened has a fraction of a second, which the event leaves out.
    return connection.event(type_, sid, at(f"{time}.9"), **{**about, **more})


def told(event: StreamEvent) -> dict[str, Any]:
    return json.loads(event.data)


# ---- the fields of each type ---------------------------------------------------------------------


@pytest.mark.parametrize("type_", T)
def test_each_type_is_written_as_in_its_example(type_: StreamEventType) -> None:
    number, (time, _) = list(T).index(type_) + 1, ABOUT[type_]
    expected = FRONT.format(number=number, name=type_.short, time=time) + REST[type_]
    written = an_event_about(type_).data
    assert written.replace(SID_OF_T_MOBILE, "HW89abcdef0123456789abcdef01234567") == expected


def test_the_body_from_twilio_has_the_published_length_and_hash() -> None:
    event = an_event_about(T.SESSION_STARTED)
    data = event.data.replace(SID_OF_T_MOBILE, "HW89abcdef0123456789abcdef01234567")
    event = replace(event, date_created=at("08:30:02"), data=data)
    body = write_batch(Source.TWILIO, [EventChoice(event)]).encode()
    assert len(body) == 1158
    digest = "530c33c888ee77cd9666370490b5c4a4172a8d2b81a929fab55ae2e3c60d8ff0"
    assert hashlib.sha256(body).hexdigest() == digest


@pytest.mark.parametrize("type_", T)
def test_each_type_fits_both_versions_of_the_schema(type_: StreamEventType) -> None:
    check_valid(an_event_about(type_))


@pytest.mark.parametrize("type_", T)
def test_what_is_unknown_is_absent_but_imei_and_location_are_null(type_: StreamEventType) -> None:
    sim = a_sim(unique_name=None, device_ip=None)
    bare = SimConnection.of(sim, None, None, SETTINGS)
    data = told(an_event_about(type_, bare))
    assert data.keys().isdisjoint({"sim_unique_name", "fleet_sid", "network", "ip_address"})
    assert (data["imei"], data["location"]) == (None, None)
    assert "data_modifier" not in data
    check_valid(an_event_about(type_, bare))


def test_no_usage_is_zero_and_not_absent() -> None:
    nothing = UsageWindow(NOW, NOW, 0, 0, 0, 0)
    data = told(an_event_about(T.SESSION_UPDATED, usage=nothing))
    assert [value for name, value in data.items() if name.startswith("data_") and value == 0] == (
        [0] * 6
    )


def test_a_session_that_the_data_limit_ended_says_so() -> None:
    data = told(an_event_about(T.SESSION_ENDED, modifier=BLOCKED))
    assert data["data_modifier"] == "blocked"
    assert list(data)[-1] == "data_modifier"


def test_a_name_is_written_as_it_is() -> None:
    connection = replace(FULL, sim=replace(FULL.sim, unique_name='Zähler "7" 🌡'))
    assert (
        '"sim_unique_name":"Zähler \\"7\\" 🌡"' in an_event_about(T.SESSION_STARTED, connection).data
    )


# ---- the device and its cell ---------------------------------------------------------------------


def connection_in(network: MobileNetwork, seed: int = 0, iccid: str = "8988307") -> SimConnection:
    settings = replace(SETTINGS, seed=seed)
    return SimConnection.of(a_sim(iccid=iccid), None, network, settings)


def is_valid_by_luhn(digits: str) -> bool:
    doubled = [int(one) * (1 + index % 2) for index, one in enumerate(digits[::-1])]
    return sum(value // 10 + value % 10 for value in doubled) % 10 == 0


@pytest.mark.parametrize("network", NETWORKS, ids=lambda one: one.sid)
def test_a_card_in_a_network_has_numbers_of_the_right_form(network: MobileNetwork) -> None:
    for seed in range(20):
        connection = connection_in(network, seed)
        assert re.fullmatch("[0-9]{15}", connection.imsi)
        if connection.imei is not None:
            assert re.fullmatch("[0-9]{15}", connection.imei)
            assert is_valid_by_luhn(connection.imei)
        assert connection.cell is not None
        data = an_event_about(T.SESSION_STARTED, connection).data
        (lat, lon) = re.findall(r'"l(?:at|on)":(-?[0-9]+\.[0-9]+)[,}]', data)
        city = CITIES[network.iso_country]
        assert abs(float(lat) - city[0]) <= 0.05
        assert abs(float(lon) - city[1]) <= 0.05
        assert re.fullmatch("[0-9]+", str(connection.cell["cell_id"]))
        assert 1 <= int(str(connection.cell["lac"])) <= 65_534


def test_the_same_card_network_and_seed_give_the_same_and_others_give_others() -> None:
    one = connection_in(NETWORKS[0])
    assert one == connection_in(NETWORKS[0])
    assert one.cell != connection_in(NETWORKS[1]).cell
    assert one.cell != connection_in(NETWORKS[0], seed=1).cell
    other = connection_in(NETWORKS[0], iccid="8988308")
    assert (one.cell, one.imsi) != (other.cell, other.imsi)
    assert one.imsi == connection_in(NETWORKS[1]).imsi


def test_some_networks_do_not_pass_on_the_imei() -> None:
    silent = [network for network in NETWORKS if connection_in(network).imei is None]
    assert 0 < len(silent) < len(NETWORKS) / 2


# ---- attempts that do not succeed ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (83700, "attachment.failed"),
        (83701, "data-session.failed"),
        (83702, "attachment.rejected"),
        (83703, "attachment.rejected"),
        (83704, "attachment.rejected"),
        (83705, "attachment.rejected"),
    ],
)
def test_each_error_has_its_type(code: int, name: str) -> None:
    assert type_of_failure(CarrierFailure(code, "")).short == name


def test_new_and_inactive_sims_are_refused() -> None:
    assert {status: failure.code for status, failure in REFUSED_STATUSES.items()} == {
        SimStatus.NEW: 83704,
        SimStatus.INACTIVE: 83705,
    }
