"""An account sees and changes its own records, and nothing of any other's."""

import pytest
from starlette.types import ASGIApp

from ringback.core.network import NETWORKS
from ringback.core.supersim.billing import PeriodType
from ringback.core.supersim.settings_update import SettingsStatus
from ringback.ports import Store, Transaction
from tests.fakes import AUTH_TOKEN, FLEET_SID, PROFILE_SID, SIM_SID, a_sim
from tests.unit.api.caller import Caller
from tests.unit.api.supersim.test_histories import a_period, an_update_of
from tests.unit.api.supersim.test_usage_records import a_session
from tests.unit.api.world import THEIR_SIM, THEIRS, refusal

NETWORK = NETWORKS[0].sid
MADE = {
    "/v1/SmsCommands": {"Sim": SIM_SID, "Payload": "ping"},
    "/v1/IpCommands": {"Sim": SIM_SID, "Payload": "ping", "DevicePort": "100"},
    "/v1/ESimProfiles": {"GenerateMatchingId": "true"},
}
OWN = [f"/v1/Sims/{SIM_SID}", f"/v1/Fleets/{FLEET_SID}", f"/v1/NetworkAccessProfiles/{PROFILE_SID}"]
NAMED = ["/v1/Fleets/my_fleet", "/v1/NetworkAccessProfiles/my_profile"]
NETWORKS_OF_OWN = f"/v1/NetworkAccessProfiles/{PROFILE_SID}/Networks"
UNDER_OWN = [
    f"/v1/Sims/{SIM_SID}/BillingPeriods",
    f"/v1/Sims/{SIM_SID}/IpAddresses",
    NETWORKS_OF_OWN,
    f"{NETWORKS_OF_OWN}/{NETWORK}",
]
LISTS = {
    "/v1/Fleets": "fleets",
    "/v1/NetworkAccessProfiles": "network_access_profiles",
    "/v1/SmsCommands": "sms_commands",
    "/v1/IpCommands": "ip_commands",
    "/v1/ESimProfiles": "esim_profiles",
    "/v1/SettingsUpdates": "settings_updates",
    "/v1/Sims?Status=active&Iccid=8988307000000000001": "sims",
    f"/v1/UsageRecords?Group=sim&Sim={SIM_SID}": "usage_records",
}


@pytest.fixture
async def store(store: Store) -> Store:
    """The store with something of everything, all of it the first account's."""

    def work(tx: Transaction) -> None:
        tx.supersim.sims.save(a_sim(device_ip="100.64.0.123"))
        tx.supersim.settings_updates.add(an_update_of("a", SettingsStatus.SUCCESSFUL))
        tx.supersim.billing_periods.add(a_period("a", kind=PeriodType.ACTIVE))
        tx.supersim.sessions.add(a_session("a"))

    await store.transact(work)
    return store


@pytest.fixture
async def other(caller: Caller, app: ASGIApp) -> Caller:
    """A caller that is signed in to another account; the first one's profile has a network."""
    await caller.post(NETWORKS_OF_OWN, {"Network": NETWORK})
    return Caller(app, credentials=(THEIRS, AUTH_TOKEN))


@pytest.mark.parametrize("target", [*OWN, *NAMED, *UNDER_OWN])
async def test_what_belongs_to_another_account_is_not_found(
    caller: Caller, other: Caller, target: str
) -> None:
    assert (await caller.get(target)).status == 200
    assert refusal(await other.get(target)) == (404, 20404)


async def test_a_name_that_two_accounts_gave_is_each_ones_own(
    caller: Caller, other: Caller
) -> None:
    sims = [(await each.get("/v1/Sims/my_super_sim")).json["sid"] for each in (caller, other)]
    assert sims == [SIM_SID, THEIR_SIM]


@pytest.mark.parametrize("path", MADE)
async def test_what_another_account_made_is_not_found(
    caller: Caller, other: Caller, path: str
) -> None:
    sid = (await caller.post(path, MADE[path])).json["sid"]
    assert (await caller.get(f"{path}/{sid}")).status == 200
    assert refusal(await other.get(f"{path}/{sid}")) == (404, 20404)


@pytest.mark.parametrize("target", LISTS)
async def test_what_belongs_to_another_account_is_in_no_list(
    caller: Caller, other: Caller, target: str
) -> None:
    for path, form in MADE.items():
        await caller.post(path, form)
    assert len((await caller.get(target)).json[LISTS[target]]) == 1
    assert (await other.get(target)).json[LISTS[target]] == []


@pytest.mark.parametrize("target", [*OWN, *NAMED])
async def test_what_belongs_to_another_account_is_not_changed(
    caller: Caller, other: Caller, target: str
) -> None:
    before = (await caller.get(target)).json
    assert refusal(await other.post(target, {"UniqueName": "theirs"})) == (404, 20404)
    assert (await caller.get(target)).json == before


@pytest.mark.parametrize("path", MADE)
async def test_a_page_cant_begin_at_a_record_of_another_account(
    caller: Caller, other: Caller, path: str
) -> None:
    sid = (await caller.post(path, MADE[path])).json["sid"]
    assert (await caller.get(f"{path}?PageToken=PA{sid}")).status == 200
    assert refusal(await other.get(f"{path}?PageToken=PA{sid}")) == (400, 83600)


async def test_the_networks_of_another_accounts_profile_stay(caller: Caller, other: Caller) -> None:
    answer = await other.call("DELETE", f"{NETWORKS_OF_OWN}/{NETWORK}")
    assert refusal(answer) == (404, 20404)
    assert refusal(await other.post(NETWORKS_OF_OWN, {"Network": NETWORK})) == (404, 20404)
    assert len((await caller.get(NETWORKS_OF_OWN)).json["networks"]) == 1


@pytest.mark.parametrize("target", [*OWN, *LISTS, *UNDER_OWN, "/v1/Networks"])
async def test_without_credentials_nothing_of_it_is_shown(app: ASGIApp, target: str) -> None:
    assert refusal(await Caller(app, credentials=None).get(target)) == (401, 20003)


@pytest.mark.parametrize("path", [*MADE, *OWN, NETWORKS_OF_OWN])
async def test_without_credentials_nothing_of_it_is_changed(app: ASGIApp, path: str) -> None:
    answer = await Caller(app, credentials=None).post(path, MADE.get(path, {"UniqueName": "x"}))
    assert refusal(answer) == (401, 20003)
