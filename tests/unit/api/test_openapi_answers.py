"""What is really answered is what the document says: statuses, headers, and each field."""

from typing import Any, Final

import jsonschema_rs
import pytest
from starlette.types import ASGIApp

from ringback.api.openapi.answers import ERRORS
from ringback.core.errors import StoreUnavailable
from ringback.core.supersim.sim import SimStatus
from ringback.stores.memory import MemoryStore
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, FLEET_SID, PROFILE_SID, SIM_SID
from tests.intakes import KeepingIntake
from tests.unit.api.caller import Caller
from tests.unit.api.described import Call, Document, check, make, validate
from tests.unit.api.plenty import (
    ESIM_SID,
    IP_SID,
    NETWORK_SID,
    NEW_ESIM_SID,
    NEW_SIM_SID,
    SMS_SID,
    fill_with_plenty,
)
from tests.unit.api.world import app_on

HOOK: Final = "http://127.0.0.1:9000/path#cbs=kore"
OTHER_NETWORK: Final = "HWffffffffffffffffffffffffffffffff"

PROFILE_NETWORKS: Final = "/v1/NetworkAccessProfiles/{sid}/Networks"

# Each operation at least once where it succeeds, and each error that can be brought about.
CALLS: Final = (
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


@pytest.fixture
async def store() -> MemoryStore:
    store = MemoryStore()
    await store.transact(fill_with_plenty)
    return store


@pytest.fixture
async def document(caller: Caller) -> Document:
    return (await caller.get("/openapi.json")).json


async def test_what_is_answered_is_what_the_document_says(
    caller: Caller, document: Document
) -> None:
    for call in CALLS:
        answer = await make(caller, call)
        assert answer.status == call.status, (call, answer.body)
        check(document, call, answer)


def test_each_operation_is_among_what_is_called(document: Document) -> None:
    described = {
        (verb.upper(), path)
        for path, item in document["paths"].items()
        for verb in item
        if path.startswith("/v1/") and verb != "parameters"
    }
    succeeding = {(call.verb, call.path) for call in CALLS if call.status < 300}
    assert succeeding == described


async def test_who_is_not_signed_in_gets_what_the_document_says(
    app: ASGIApp, document: Document
) -> None:
    stranger = Caller(app, credentials=None)
    for call in {(call.verb, call.path): call for call in CALLS}.values():
        answer = await make(stranger, call)
        assert answer.status == 401
        check(document, call, answer)


@pytest.mark.parametrize(
    "call", [call for call in CALLS if "CallbackUrl" in call.given], ids=lambda call: call.path
)
async def test_too_many_callbacks_are_answered_as_the_document_says(
    caller: Caller, document: Document, intake: KeepingIntake, call: Call
) -> None:
    intake.room = 0
    answer = await make(caller, call)
    assert answer.status == 429
    check(document, call, answer)


class NoStore(MemoryStore):
    """A store whose database is gone."""

    async def transact(self, work: object) -> Any:
        raise StoreUnavailable("the disk is full")


async def test_a_database_that_is_gone_is_answered_as_the_document_says(
    document: Document,
) -> None:
    caller = Caller(app_on(NoStore()), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    answer = await make(caller, CALLS[0])
    assert answer.status == 503
    check(document, CALLS[0], answer)


async def test_each_error_of_the_document_is_one_that_comes(document: Document) -> None:
    brought_about = {call.status for call in CALLS} | {401, 429, 503}
    assert set(ERRORS) == {status for status in brought_about if status >= 400}
    assert set(document["components"]["responses"]) == {str(status) for status in ERRORS}


async def test_an_answer_that_the_document_does_not_say_would_be_noticed(
    caller: Caller, document: Document
) -> None:
    schema = document["components"]["schemas"]["sim"]
    sim = (await caller.get(f"/v1/Sims/{SIM_SID}")).json
    validate(document, sim, schema)
    wrong = [{**sim, "status": "lost"}, {**sim, "more": 1}, {**sim, "date_created": "today"}]
    wrong.append({name: value for name, value in sim.items() if name != "iccid"})
    for record in wrong:
        with pytest.raises(jsonschema_rs.ValidationError):
            validate(document, record, schema)
    assert sim["status"] == SimStatus.ACTIVE
