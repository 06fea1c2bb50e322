"""An account sees and changes only its own records."""

import pytest
from starlette.types import ASGIApp

from ringback.ports import Store
from tests.fakes import AUTH_TOKEN, FLEET_SID, PROFILE_SID, SIM_SID
from tests.memory_store import MemoryStore
from tests.streams import ENDED, STARTED
from tests.unit.api.caller import Caller
from tests.unit.api.plenty import (
    ESIM_SID,
    FREE_PLAN_SID,
    IP_SID,
    NETWORK_SID,
    NEW_WIRELESS_SIM_SID,
    SINK_SID,
    SMS_SID,
    SUBSCRIPTION_SID,
    fill_with_plenty,
)
from tests.unit.api.world import THEIR_PLAN, THEIR_SIM, THEIR_WIRELESS_SIM, THEIRS, refusal
from tests.wireless_fakes import COMMAND_SID, RATE_PLAN_SID, WIRELESS_SIM_SID

SUPER_SIM, WIRELESS, EVENTS = "/supersim/v1", "/wireless/v1", "/events/v1"
NETWORKS_OF_OWN = f"{SUPER_SIM}/NetworkAccessProfiles/{PROFILE_SID}/Networks"

# Paths of records that can be changed, by SID.
OWN = [
    f"{SUPER_SIM}/Sims/{SIM_SID}",
    f"{SUPER_SIM}/Fleets/{FLEET_SID}",
    f"{SUPER_SIM}/NetworkAccessProfiles/{PROFILE_SID}",
    f"{WIRELESS}/Sims/{WIRELESS_SIM_SID}",
    f"{WIRELESS}/RatePlans/{RATE_PLAN_SID}",
]
# The same by unique name, which the other account doesn't use.
NAMED = [
    f"{SUPER_SIM}/Fleets/my_fleet",
    f"{SUPER_SIM}/NetworkAccessProfiles/my_profile",
    f"{WIRELESS}/RatePlans/free_plan",
]
# Paths that can only be read, or to which something is sent.
FIXED = [
    f"{SUPER_SIM}/SmsCommands/{SMS_SID}",
    f"{SUPER_SIM}/IpCommands/{IP_SID}",
    f"{SUPER_SIM}/ESimProfiles/{ESIM_SID}",
    f"{WIRELESS}/Commands/{COMMAND_SID}",
]
UNDER_OWN = [
    f"{SUPER_SIM}/Sims/{SIM_SID}/BillingPeriods",
    f"{SUPER_SIM}/Sims/{SIM_SID}/IpAddresses",
    NETWORKS_OF_OWN,
    f"{NETWORKS_OF_OWN}/{NETWORK_SID}",
    f"{WIRELESS}/Sims/{WIRELESS_SIM_SID}/DataSessions",
    f"{WIRELESS}/Sims/{WIRELESS_SIM_SID}/UsageRecords",
]
DELETABLE = [
    f"{NETWORKS_OF_OWN}/{NETWORK_SID}",
    f"{WIRELESS}/Sims/{NEW_WIRELESS_SIM_SID}",
    f"{WIRELESS}/RatePlans/{FREE_PLAN_SID}",
    f"{WIRELESS}/Commands/{COMMAND_SID}",
]
LISTS = {
    f"{SUPER_SIM}/Fleets": "fleets",
    f"{SUPER_SIM}/NetworkAccessProfiles": "network_access_profiles",
    f"{SUPER_SIM}/SmsCommands": "sms_commands",
    f"{SUPER_SIM}/IpCommands": "ip_commands",
    f"{SUPER_SIM}/ESimProfiles": "esim_profiles",
    f"{SUPER_SIM}/SettingsUpdates": "settings_updates",
    f"{SUPER_SIM}/Sims?Status=active&Iccid=8988307000000000001": "sims",
    f"{SUPER_SIM}/UsageRecords?Group=sim&Sim={SIM_SID}": "usage_records",
    f"{WIRELESS}/Commands": "commands",
    f"{EVENTS}/Sinks": "sinks",
    f"{EVENTS}/Sinks?InUse=true": "sinks",
    f"{EVENTS}/Subscriptions": "subscriptions",
    f"{EVENTS}/Subscriptions?SinkSid={SINK_SID}": "subscriptions",
    f"{WIRELESS}/Sims?Iccid=8901340852295524704": "sims",
    f"{WIRELESS}/Sims?RatePlan={RATE_PLAN_SID}": "sims",
}
MAKING = {
    f"{SUPER_SIM}/SmsCommands": {"Sim": SIM_SID, "Payload": "ping"},
    f"{SUPER_SIM}/IpCommands": {"Sim": SIM_SID, "Payload": "ping", "DevicePort": "100"},
    f"{WIRELESS}/Commands": {"Sim": WIRELESS_SIM_SID, "Command": "ping"},
}
EVENT_RECORDS = {
    f"{EVENTS}/Sinks/{SINK_SID}": 91001,
    f"{EVENTS}/Subscriptions/{SUBSCRIPTION_SID}": 91102,
    f"{EVENTS}/Subscriptions/{SUBSCRIPTION_SID}/SubscribedEvents": 91102,
    f"{EVENTS}/Subscriptions/{SUBSCRIPTION_SID}/SubscribedEvents/{STARTED}": 91102,
}
"""Paths of records of the Events API, each with the code of the error if there is none."""


@pytest.fixture
async def store() -> Store:
    """A store with records of every kind, nearly all of the first account."""
    store = MemoryStore()
    await store.transact(fill_with_plenty)
    return store


@pytest.fixture
def other(app: ASGIApp) -> Caller:
    """A caller that is signed in to another account."""
    return Caller(app, credentials=(THEIRS, AUTH_TOKEN))


@pytest.mark.parametrize("target", [*OWN, *NAMED, *FIXED, *UNDER_OWN])
async def test_records_of_another_account_are_not_found(
    caller: Caller, other: Caller, target: str
) -> None:
    assert (await caller.get(target)).status == 200
    assert refusal(await other.get(target)) == (404, 20404)


@pytest.mark.parametrize(
    ("target", "sids"),
    [
        (f"{SUPER_SIM}/Sims/my_super_sim", [SIM_SID, THEIR_SIM]),
        (f"{WIRELESS}/Sims/meter_1", [WIRELESS_SIM_SID, THEIR_WIRELESS_SIM]),
        (f"{WIRELESS}/RatePlans/my_plan", [RATE_PLAN_SID, THEIR_PLAN]),
    ],
)
async def test_two_accounts_may_use_the_same_name(
    caller: Caller, other: Caller, target: str, sids: list[str]
) -> None:
    assert [(await each.get(target)).json["sid"] for each in (caller, other)] == sids


@pytest.mark.parametrize("target", LISTS)
async def test_records_of_another_account_are_in_no_list(
    caller: Caller, other: Caller, target: str
) -> None:
    assert (await caller.get(target)).json[LISTS[target]] != []
    assert (await other.get(target)).json[LISTS[target]] == []


async def test_usage_of_another_account_is_in_no_record(caller: Caller, other: Caller) -> None:
    (own,) = (await caller.get(f"{WIRELESS}/UsageRecords")).json["usage_records"]
    (theirs,) = (await other.get(f"{WIRELESS}/UsageRecords")).json["usage_records"]
    assert (own["data"]["total"] > 0, own["commands"]["total"]) == (True, 3)
    assert (theirs["data"]["total"], theirs["commands"]["total"]) == (0, 0)


@pytest.mark.parametrize("target", [*OWN, *NAMED])
async def test_records_of_another_account_are_not_changed(
    caller: Caller, other: Caller, target: str
) -> None:
    before = (await caller.get(target)).json
    assert refusal(await other.post(target, {"UniqueName": "theirs"})) == (404, 20404)
    assert (await caller.get(target)).json == before


@pytest.mark.parametrize("target", DELETABLE)
async def test_records_of_another_account_are_not_deleted(
    caller: Caller, other: Caller, target: str
) -> None:
    assert refusal(await other.call("DELETE", target)) == (404, 20404)
    assert (await caller.call("DELETE", target)).status == 204


@pytest.mark.parametrize("target", EVENT_RECORDS)
async def test_streams_of_another_account_are_not_found(
    caller: Caller, other: Caller, target: str
) -> None:
    refused = (404, EVENT_RECORDS[target])
    shown = await caller.get(target)
    assert shown.status == 200
    assert refusal(await other.get(target)) == refused
    form = {"Description": "theirs", "Type": ENDED, "SchemaVersion": "1"}
    assert refusal(await other.post(target, form)) == refused
    if not target.endswith("SubscribedEvents"):
        assert refusal(await other.call("DELETE", target)) == refused
    if "Sinks" in target:
        assert refusal(await other.post(f"{target}/Test", {})) == refused
        assert refusal(await other.post(f"{target}/Validate", {"TestId": "x"})) == refused
    assert (await caller.get(target)).json == shown.json


@pytest.mark.parametrize("path", MAKING)
async def test_nothing_is_sent_to_a_sim_of_another_account(
    caller: Caller, other: Caller, path: str
) -> None:
    code = 33107 if path.startswith(WIRELESS) else 83005
    assert (await caller.post(path, MAKING[path])).status == 201
    assert refusal(await other.post(path, MAKING[path])) == (400, code)


@pytest.mark.parametrize("target", FIXED)
async def test_a_page_cannot_begin_at_a_record_of_another_account(
    caller: Caller, other: Caller, target: str
) -> None:
    path, _, sid = target.rpartition("/")
    code = 33103 if path.startswith(WIRELESS) else 83600
    assert (await caller.get(f"{path}?PageToken=PA{sid}")).status == 200
    assert refusal(await other.get(f"{path}?PageToken=PA{sid}")) == (400, code)


async def test_no_network_is_added_to_another_accounts_profile(
    caller: Caller, other: Caller
) -> None:
    assert refusal(await other.post(NETWORKS_OF_OWN, {"Network": NETWORK_SID})) == (404, 20404)
    assert len((await caller.get(NETWORKS_OF_OWN)).json["networks"]) == 1


@pytest.mark.parametrize(
    "target",
    [
        *(*OWN, *FIXED, *LISTS, *UNDER_OWN, *EVENT_RECORDS),
        *(f"{SUPER_SIM}/Networks", f"{WIRELESS}/RatePlans", f"{WIRELESS}/UsageRecords"),
    ],
)
async def test_without_credentials_nothing_of_it_is_shown(app: ASGIApp, target: str) -> None:
    assert refusal(await Caller(app, credentials=None).get(target)) == (401, 20003)


@pytest.mark.parametrize("path", [*MAKING, *OWN, NETWORKS_OF_OWN, f"{WIRELESS}/RatePlans"])
async def test_without_credentials_nothing_of_it_is_changed(app: ASGIApp, path: str) -> None:
    answer = await Caller(app, credentials=None).post(path, MAKING.get(path, {"UniqueName": "x"}))
    assert refusal(answer) == (401, 20003)


@pytest.mark.parametrize("target", DELETABLE)
async def test_without_credentials_nothing_of_it_is_deleted(
    app: ASGIApp, caller: Caller, target: str
) -> None:
    assert refusal(await Caller(app, credentials=None).call("DELETE", target)) == (401, 20003)
    assert (await caller.call("DELETE", target)).status == 204
