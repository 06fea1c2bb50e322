"""Responses are exactly what the OpenAPI documents describe: statuses, headers, all fields."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import jsonschema_rs
import pytest
from starlette.types import ASGIApp

from ringback.api.openapi.responses import ERRORS
from ringback.core.accounts.account import AccountStatus
from ringback.core.errors import StoreUnavailable
from tests.callback_queues import RecordingQueue
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, FLEET_SID, PROFILE_SID, SIM_SID, an_account
from tests.memory_store import MemoryStore
from tests.streams import UPDATED
from tests.unit.api.caller import Caller
from tests.unit.api.described import (
    EVENT_STREAMS,
    SUPER_SIM,
    WIRELESS,
    Api,
    Call,
    Document,
    check,
    make,
    operations_in,
    validate,
)
from tests.unit.api.plenty import (
    ESIM_SID,
    FREE_PLAN_SID,
    FREE_SINK_SID,
    IP_SID,
    NETWORK_SID,
    NEW_ESIM_SID,
    NEW_SIM_SID,
    NEW_SINK_SID,
    NEW_WIRELESS_SIM_SID,
    SINK_SID,
    SMS_SID,
    SUBSCRIPTION_SID,
    TEST_ID,
    fill_with_plenty,
)
from tests.unit.api.world import app_on
from tests.wireless_fakes import COMMAND_SID, RATE_PLAN_SID, WIRELESS_SIM_SID

HOOK: Final = "http://127.0.0.1:9000/path#cbs=kore"
OTHER_NETWORK: Final = "HWffffffffffffffffffffffffffffffff"

PROFILE_NETWORKS: Final = "/v1/NetworkAccessProfiles/{sid}/Networks"

# Each operation at least once with success, and each error that a test can cause.
OF_SUPER_SIM: Final = (
    Call("GET", "/v1/Sims", 200),
    Call("GET", "/v1/Sims", 200, {"PageSize": "1"}),
    Call("GET", "/v1/Sims", 200, {"Iccid": "none such"}),
    Call("GET", "/v1/Sims", 400, {"Status": "wrong"}),
    Call(
        "POST", "/v1/Sims", 201, {"Iccid": "89883070000123456789", "RegistrationCode": "H3LL0W0RLD"}
    ),
    Call("POST", "/v1/Sims", 400, {"Iccid": "89883070000123456789"}),
    Call("GET", "/v1/Sims/{sid}", 200, sid=SIM_SID),
    Call("GET", "/v1/Sims/{sid}", 200, sid=NEW_SIM_SID),
    Call("GET", "/v1/Sims/{sid}", 200, {"Unknown": "1"}, sid=SIM_SID),
    Call("GET", "/v1/Sims/{sid}", 404, sid="none"),
    Call("POST", "/v1/Sims/{sid}", 200, {"UniqueName": "renamed", "Foo": "1"}, sid=SIM_SID),
    Call("POST", "/v1/Sims/{sid}", 202, {"Status": "inactive", "CallbackUrl": HOOK}, sid=SIM_SID),
    Call("POST", "/v1/Sims/{sid}", 409, {"Status": "active"}, sid=SIM_SID),
    Call("POST", "/v1/Sims/{sid}", 400, {"Status": "new"}, sid=NEW_SIM_SID),
    Call("POST", "/v1/Sims/{sid}", 404, {"Status": "ready"}, sid="none"),
    Call("GET", "/v1/Sims/{sid}/BillingPeriods", 200, sid=SIM_SID),
    Call("GET", "/v1/Sims/{sid}/BillingPeriods", 404, sid="none"),
    Call("GET", "/v1/Sims/{sid}/IpAddresses", 200, sid=SIM_SID),
    Call("GET", "/v1/SmsCommands", 200),
    Call("POST", "/v1/SmsCommands", 201, {"Sim": SIM_SID, "Payload": "Hi", "CallbackUrl": HOOK}),
    Call("POST", "/v1/SmsCommands", 400, {"Sim": "none", "Payload": "Hi"}),
    Call("GET", "/v1/SmsCommands/{sid}", 200, sid=SMS_SID),
    Call("GET", "/v1/IpCommands", 200),
    Call("POST", "/v1/IpCommands", 201, {"Sim": SIM_SID, "Payload": "", "DevicePort": "6969"}),
    Call("POST", "/v1/IpCommands", 400, {"Sim": SIM_SID, "Payload": "", "DevicePort": "0"}),
    Call("GET", "/v1/IpCommands/{sid}", 200, sid=IP_SID),
    Call("GET", "/v1/ESimProfiles", 200),
    Call("POST", "/v1/ESimProfiles", 201, {"GenerateMatchingId": "true", "CallbackUrl": HOOK}),
    Call("POST", "/v1/ESimProfiles", 400, {"Eid": "1"}),
    Call("GET", "/v1/ESimProfiles/{sid}", 200, sid=ESIM_SID),
    Call("GET", "/v1/ESimProfiles/{sid}", 200, sid=NEW_ESIM_SID),
    Call("GET", "/v1/Fleets", 200),
    Call("POST", "/v1/Fleets", 201, {"NetworkAccessProfile": PROFILE_SID, "SmsCommandsUrl": HOOK}),
    Call("POST", "/v1/Fleets", 400),
    Call("GET", "/v1/Fleets/{sid}", 200, sid=FLEET_SID),
    Call("POST", "/v1/Fleets/{sid}", 200, {"IpCommandsUrl": HOOK, "DataLimit": "5"}, sid=FLEET_SID),
    Call("POST", "/v1/Fleets/{sid}", 404, sid="none"),
    Call("GET", "/v1/NetworkAccessProfiles", 200),
    Call("POST", "/v1/NetworkAccessProfiles", 201, {"UniqueName": "another"}),
    Call("GET", "/v1/NetworkAccessProfiles/{sid}", 200, sid=PROFILE_SID),
    Call("POST", "/v1/NetworkAccessProfiles/{sid}", 200, {"UniqueName": ""}, sid=PROFILE_SID),
    Call("GET", PROFILE_NETWORKS, 200, sid=PROFILE_SID),
    Call("GET", f"{PROFILE_NETWORKS}/{{network_sid}}", 200, sid=PROFILE_SID),
    Call("GET", f"{PROFILE_NETWORKS}/{{network_sid}}", 404, sid=PROFILE_SID, network_sid="none"),
    Call("DELETE", f"{PROFILE_NETWORKS}/{{network_sid}}", 204, sid=PROFILE_SID),
    Call("DELETE", f"{PROFILE_NETWORKS}/{{network_sid}}", 404, sid=PROFILE_SID),
    Call("POST", PROFILE_NETWORKS, 201, {"Network": NETWORK_SID}, sid=PROFILE_SID),
    Call("POST", PROFILE_NETWORKS, 400, {"Network": OTHER_NETWORK}, sid=PROFILE_SID),
    Call("GET", "/v1/Networks", 200, {"IsoCountry": "US"}),
    Call("GET", "/v1/Networks/{sid}", 200, sid=NETWORK_SID),
    Call("GET", "/v1/SettingsUpdates", 200),
    Call("GET", "/v1/UsageRecords", 200),
    Call("GET", "/v1/UsageRecords", 200, {"Group": "sim", "Sim": SIM_SID}),
    Call("GET", "/v1/UsageRecords", 200, {"Sim": "none", "Fleet": "", "Network": "?"}),
    Call("GET", "/v1/UsageRecords", 400, {"Granularity": "hour", "StartTime": "yesterday"}),
)
OF_WIRELESS: Final = (
    Call("GET", "/v1/Sims", 200),
    Call("GET", "/v1/Sims", 200, {"PageSize": "1", "Unknown": "1"}),
    Call("GET", "/v1/Sims", 200, {"RatePlan": "none such"}),
    Call("GET", "/v1/Sims", 400, {"Status": "wrong"}),
    Call("GET", "/v1/Sims/{sid}", 200, sid=WIRELESS_SIM_SID),
    Call("GET", "/v1/Sims/{sid}", 200, sid=NEW_WIRELESS_SIM_SID),
    Call("GET", "/v1/Sims/{sid}", 404, sid="none"),
    Call("POST", "/v1/Sims/{sid}", 200, {"FriendlyName": "x", "Foo": "1"}, sid=WIRELESS_SIM_SID),
    Call("POST", "/v1/Sims/{sid}", 200, {"ResetStatus": "resetting"}, sid=WIRELESS_SIM_SID),
    Call(
        "POST",
        "/v1/Sims/{sid}",
        200,
        {"Status": "suspended", "CallbackUrl": HOOK, "CommandsCallbackUrl": HOOK},
        sid=WIRELESS_SIM_SID,
    ),
    Call("POST", "/v1/Sims/{sid}", 409, {"Status": "active"}, sid=WIRELESS_SIM_SID),
    Call("POST", "/v1/Sims/{sid}", 400, {"Status": "ready"}, sid=NEW_WIRELESS_SIM_SID),
    Call("POST", "/v1/Sims/{sid}", 404, {"Status": "ready"}, sid="none"),
    Call("DELETE", "/v1/Sims/{sid}", 409, sid=WIRELESS_SIM_SID),
    Call("DELETE", "/v1/Sims/{sid}", 404, sid="none"),
    Call("GET", "/v1/Sims/{sid}/UsageRecords", 200, sid=WIRELESS_SIM_SID),
    Call(
        "GET",
        "/v1/Sims/{sid}/UsageRecords",
        200,
        {"Granularity": "daily", "PageSize": "2"},
        sid=WIRELESS_SIM_SID,
    ),
    Call("GET", "/v1/Sims/{sid}/UsageRecords", 400, {"Start": "x"}, sid=WIRELESS_SIM_SID),
    Call("GET", "/v1/Sims/{sid}/UsageRecords", 404, sid="none"),
    Call("GET", "/v1/Sims/{sid}/DataSessions", 200, sid=WIRELESS_SIM_SID),
    Call("GET", "/v1/Sims/{sid}/DataSessions", 200, sid=NEW_WIRELESS_SIM_SID),
    Call("GET", "/v1/Sims/{sid}/DataSessions", 404, sid="none"),
    Call("DELETE", "/v1/Sims/{sid}", 204, sid=NEW_WIRELESS_SIM_SID),
    Call("GET", "/v1/Commands", 200),
    Call("GET", "/v1/Commands", 400, {"PageSize": "0"}),
    Call("POST", "/v1/Commands", 400, {"Sim": WIRELESS_SIM_SID}),
    Call("POST", "/v1/Commands", 400, {"Sim": WIRELESS_SIM_SID, "Command": "Hi"}),
    Call("GET", "/v1/Commands/{sid}", 200, sid=COMMAND_SID),
    Call("GET", "/v1/Commands/{sid}", 404, sid="none"),
    Call("DELETE", "/v1/Commands/{sid}", 204, {"Unknown": "1"}, sid=COMMAND_SID),
    Call("DELETE", "/v1/Commands/{sid}", 404, sid=COMMAND_SID),
    Call("GET", "/v1/RatePlans", 200),
    Call("POST", "/v1/RatePlans", 201, {"UniqueName": "another", "DataLimit": "1"}),
    Call("POST", "/v1/RatePlans", 400, {"DataLimit": "0"}),
    Call("GET", "/v1/RatePlans/{sid}", 200, sid=FREE_PLAN_SID),
    Call("POST", "/v1/RatePlans/{sid}", 200, {"UniqueName": ""}, sid=RATE_PLAN_SID),
    Call("POST", "/v1/RatePlans/{sid}", 404, sid="none"),
    Call("DELETE", "/v1/RatePlans/{sid}", 400, sid=RATE_PLAN_SID),
    Call("DELETE", "/v1/RatePlans/{sid}", 204, sid=FREE_PLAN_SID),
    Call("GET", "/v1/UsageRecords", 200),
    Call("GET", "/v1/UsageRecords", 200, {"Granularity": "hourly", "PageSize": "3"}),
    Call("GET", "/v1/UsageRecords", 400, {"Granularity": "hour"}),
)
A_SINK: Final = {
    "Description": "x",
    "SinkType": "webhook",
    "SinkConfiguration": '{"destination": "http://127.0.0.1:9000/events#rc=3", "odd": [1]}',
}
A_STREAM: Final = {"SinkSid": SINK_SID, "Types": f'{{"type": "{UPDATED}"}}'}
NO_SINK, NO_SUBSCRIPTION = f"DG{9:032x}", f"DF{9:032x}"
OF_ONE: Final = "/v1/Subscriptions/{sid}"
TYPES: Final = f"{OF_ONE}/SubscribedEvents"
OF_EVENT_STREAMS: Final = (
    Call("GET", "/v1/Sinks", 200),
    Call("GET", "/v1/Sinks", 200, {"InUse": "true", "Status": "active", "Unknown": "1"}),
    Call("GET", "/v1/Sinks", 400, {"InUse": "perhaps"}),
    Call("POST", "/v1/Sinks", 201, A_SINK),
    Call("POST", "/v1/Sinks", 201, {**A_SINK, "Unknown": "1"}),
    Call("POST", "/v1/Sinks", 400, {"Description": "x"}),
    Call("GET", "/v1/Sinks/{sid}", 200, sid=SINK_SID),
    Call("GET", "/v1/Sinks/{sid}", 200, sid=NEW_SINK_SID),
    Call("GET", "/v1/Sinks/{sid}", 404, sid=NO_SINK),
    Call("POST", "/v1/Sinks/{sid}", 200, {"Description": "y"}, sid=SINK_SID),
    Call("POST", "/v1/Sinks/{sid}/Test", 201, sid=SINK_SID),
    Call("POST", "/v1/Sinks/{sid}/Test", 404, sid=NO_SINK),
    Call("POST", "/v1/Sinks/{sid}/Validate", 400, {"TestId": "x"}, sid=NEW_SINK_SID),
    Call("POST", "/v1/Sinks/{sid}/Validate", 201, {"TestId": TEST_ID}, sid=NEW_SINK_SID),
    Call("DELETE", "/v1/Sinks/{sid}", 400, sid=SINK_SID),
    Call("GET", "/v1/Subscriptions", 200),
    Call("GET", "/v1/Subscriptions", 200, {"SinkSid": SINK_SID}),
    Call("POST", "/v1/Subscriptions", 400, {**A_STREAM, "Description": "x"}),
    Call(
        *("POST", "/v1/Subscriptions", 201),
        {**A_STREAM, "Description": "x", "SinkSid": FREE_SINK_SID},
    ),
    Call("GET", OF_ONE, 200, sid=SUBSCRIPTION_SID),
    Call("GET", OF_ONE, 404, sid=NO_SUBSCRIPTION),
    Call("POST", OF_ONE, 200, {"Description": "y", "Filter": "a == 1"}, sid=SUBSCRIPTION_SID),
    Call("GET", TYPES, 200, sid=SUBSCRIPTION_SID),
    Call("GET", TYPES, 404, sid=NO_SUBSCRIPTION),
    Call("POST", TYPES, 201, {"Type": UPDATED}, sid=SUBSCRIPTION_SID),
    Call("POST", TYPES, 200, {"Type": UPDATED, "SchemaVersion": "1"}, sid=SUBSCRIPTION_SID),
    Call("POST", TYPES, 400, {"Type": "odd"}, sid=SUBSCRIPTION_SID),
    Call("GET", f"{TYPES}/{{type}}", 200, sid=SUBSCRIPTION_SID),
    Call("GET", f"{TYPES}/{{type}}", 404, sid=SUBSCRIPTION_SID, type="odd"),
    Call("POST", f"{TYPES}/{{type}}", 200, {"SchemaVersion": "2"}, sid=SUBSCRIPTION_SID),
    Call("POST", f"{TYPES}/{{type}}", 400, {"SchemaVersion": "3"}, sid=SUBSCRIPTION_SID),
    Call("DELETE", f"{TYPES}/{{type}}", 204, sid=SUBSCRIPTION_SID),
    Call("DELETE", f"{TYPES}/{{type}}", 404, sid=SUBSCRIPTION_SID),
    Call("DELETE", OF_ONE, 204, sid=SUBSCRIPTION_SID),
    Call("DELETE", "/v1/Sinks/{sid}", 204, sid=SINK_SID),
    Call("GET", "/v1/Types", 200),
    Call("GET", "/v1/Types", 200, {"SchemaId": "odd"}),
    Call("GET", "/v1/Types/{type}", 200),
    Call("GET", "/v1/Types/{type}", 404, type="odd"),
    Call("GET", "/v1/Schemas/{schema_id}", 200),
    Call("GET", "/v1/Schemas/{schema_id}", 404, schema_id="odd"),
    Call("GET", "/v1/Schemas/{schema_id}/Versions", 200, {"PageSize": "1"}),
    Call("GET", "/v1/Schemas/{schema_id}/Versions", 404, schema_id="odd"),
    Call("GET", "/v1/Schemas/{schema_id}/Versions/{schema_version}", 200),
    Call("GET", "/v1/Schemas/{schema_id}/Versions/{schema_version}", 404, schema_version="x"),
)
TO_A_SIM: Final = {"Sim": WIRELESS_SIM_SID, "Command": "Hi", "CallbackUrl": HOOK}
OWN_HOSTS: Final = {
    SUPER_SIM.document: "supersim.api.korewireless.com",
    WIRELESS.document: "programmable-wireless.api.korewireless.com",
    EVENT_STREAMS.document: "events.twilio.com",
}
CALLS: Final = {
    SUPER_SIM.document: OF_SUPER_SIM,
    WIRELESS.document: (Call("POST", "/v1/Commands", 201, TO_A_SIM), *OF_WIRELESS),
    EVENT_STREAMS.document: OF_EVENT_STREAMS,
}


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()
    await store.transact(fill_with_plenty)
    return store


@pytest.fixture
async def document(caller: Caller, api: Api) -> Document:
    return (await caller.get(api.document)).json


async def test_each_answer_is_as_in_the_document(
    caller: Caller, api: Api, document: Document
) -> None:
    for call in CALLS[api.document]:
        answer = await make(caller, call, prefix=api.prefix)
        assert answer.status == call.status, (call, answer.body)
        check(document, call, answer)


async def test_at_the_vendors_host_it_is_as_in_the_document_too(
    at_host: Callable[[str], Caller], api: Api, document: Document
) -> None:
    caller = at_host(OWN_HOSTS[api.document])
    made_with_200 = ("POST", "/v1/RatePlans", 201)
    for call in CALLS[api.document]:
        answer = await make(caller, call)
        status = 200 if call[:3] == made_with_200 else call.status
        assert answer.status == status, (call, answer.body)
        check(document, call, answer)


def test_each_operation_is_called(api: Api, document: Document) -> None:
    succeeding = {(call.verb, call.path) for call in CALLS[api.document] if call.status < 300}
    assert succeeding == operations_in(document, "/v1/")


async def test_a_client_without_credentials_gets_the_documented_answer(
    app: ASGIApp, api: Api, document: Document
) -> None:
    stranger = Caller(app, credentials=None)
    for call in {(call.verb, call.path): call for call in CALLS[api.document]}.values():
        answer = await make(stranger, call, prefix=api.prefix)
        assert answer.status == 401
        check(document, call, answer)


async def test_too_many_callbacks_are_answered_as_in_the_document(
    caller: Caller, api: Api, document: Document, callback_queue: RecordingQueue
) -> None:
    callback_queue.room = 0
    calling = [
        call
        for call in CALLS[api.document]
        if "CallbackUrl" in call.given or (call.path.endswith("/Test") and call.status == 201)
    ]
    assert calling
    for call in calling:
        answer = await make(caller, call, prefix=api.prefix)
        assert answer.status == 429
        check(document, call, answer)


class NoStore(MemoryStore):
    """A store whose database is unavailable."""

    async def transact(self, work: object, **how: bool) -> Any:
        raise StoreUnavailable("the disk is full")

    async def read(self, work: object, *, asked_by: str = "") -> Any:
        raise StoreUnavailable("the disk is full")


async def test_an_unavailable_database_is_answered_as_in_the_document(
    api: Api, document: Document
) -> None:
    caller = Caller(app_on(NoStore()), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    call = CALLS[api.document][0]
    answer = await make(caller, call, prefix=api.prefix)
    assert answer.status == 503
    check(document, call, answer)


async def test_a_suspended_account_is_answered_as_in_the_document(
    api: Api, document: Document
) -> None:
    store = MemoryStore()
    suspended = replace(an_account(), status=AccountStatus.SUSPENDED)
    await store.transact(lambda tx: tx.accounts.add(suspended, []))
    call = CALLS[api.document][0]
    caller = Caller(app_on(store), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    answer = await make(caller, call, prefix=api.prefix)
    assert answer.status == 403
    check(document, call, answer)


async def test_each_error_in_the_document_occurs(document: Document) -> None:
    calls = [call for some in CALLS.values() for call in some]
    brought_about = {call.status for call in calls} | {401, 403, 429, 503}
    assert set(ERRORS) == {status for status in brought_about if status >= 400}
    assert set(document["components"]["responses"]) == {str(status) for status in ERRORS}


@pytest.mark.parametrize(
    ("name", "target"),
    [("sim", f"/v1/Sims/{SIM_SID}"), ("wireless_sim", f"/wireless/v1/Sims/{WIRELESS_SIM_SID}")],
)
async def test_an_undocumented_answer_would_be_noticed(
    caller: Caller, name: str, target: str
) -> None:
    # The document of Super SIM has both, since the portal registers Programmable Wireless SIMs.
    document = (await caller.get("/openapi.json")).json
    schema = document["components"]["schemas"][name]
    sim = (await caller.get(target)).json
    validate(document, sim, schema)
    wrong = [{**sim, "status": "lost"}, {**sim, "more": 1}, {**sim, "date_created": "today"}]
    wrong.append({name: value for name, value in sim.items() if name != "iccid"})
    for record in wrong:
        with pytest.raises(jsonschema_rs.ValidationError):
            validate(document, record, schema)
    assert sim["status"] == "active"


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("wireless_sim", {"e_id", "eid"}),
        (
            "rate_plan",
            {"usage_notification_url", "usage_notification_method", "data_limit_strategy"},
        ),
        ("command", set[str]()),
    ],
)
async def test_fields_of_one_vendor_are_optional(
    caller: Caller, name: str, fields: set[str]
) -> None:
    document = (await caller.get(WIRELESS.document)).json
    schema = document["components"]["schemas"][name]
    assert set(schema["properties"]) - set(schema["required"]) == fields
