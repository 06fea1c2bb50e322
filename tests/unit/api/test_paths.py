"""Paths with escapes, verbs, and queries."""

from urllib.parse import quote

import pytest

from ringback.core.sims.mobile_networks import NETWORKS
from tests.fakes import FLEET_SID, PROFILE_SID, SIM_SID
from tests.unit.api.caller import Caller
from tests.unit.api.pages import ORIGIN
from tests.unit.api.world import error, refusal

NAMED = {"Sims": SIM_SID, "Fleets": FLEET_SID, "NetworkAccessProfiles": PROFILE_SID}
NETWORK = NETWORKS[0].sid


@pytest.mark.parametrize("resource", NAMED)
@pytest.mark.parametrize(
    "name", ["My SIM", "a/b", "/", "a//b/", "100%", "a%2Fb", "%2F", "a+b", "a?b#c", "Zoë", "."]
)
async def test_any_name_can_be_in_a_path_with_escapes(
    caller: Caller, resource: str, name: str
) -> None:
    sid = NAMED[resource]
    await caller.post(f"/v1/{resource}/{sid}", {"UniqueName": name})
    for prefix in ("", "/supersim"):
        target = f"{prefix}/v1/{resource}/{quote(name, safe='')}"
        answer = await caller.get(target)
        assert (answer.status, answer.json["sid"]) == (200, sid)
        assert answer.json["url"] == f"{ORIGIN}{prefix}/v1/{resource}/{sid}"
        assert (await caller.post(target, {})).status == 200


@pytest.mark.parametrize("escaped", ["a%2Fb", "a%2fb"])
async def test_an_escaped_slash_belongs_to_the_name_and_a_plain_one_does_not(
    caller: Caller, escaped: str
) -> None:
    await caller.post(f"/v1/Sims/{SIM_SID}", {"UniqueName": "a/b"})
    assert (await caller.get(f"/v1/Sims/{escaped}")).json["sid"] == SIM_SID
    assert refusal(await caller.get("/v1/Sims/a/b")) == (404, 20404)


@pytest.mark.parametrize("escaped", ["a%00b", "a%00%2Fb", "a%ED%B0%AFb"])
async def test_no_other_character_is_read_as_a_slash(caller: Caller, escaped: str) -> None:
    for name in ("a/b", "a//b"):
        await caller.post(f"/v1/Sims/{SIM_SID}", {"UniqueName": name})
        assert refusal(await caller.get(f"/v1/Sims/{escaped}")) == (404, 20404)


async def test_an_unknown_name_with_a_slash_is_shown_unchanged(caller: Caller) -> None:
    expected = error(404, 20404, "there is no SIM with the SID or unique name 'a/b'")
    assert (await caller.get("/v1/Sims/a%2Fb")).json == expected


@pytest.mark.parametrize("name", ["My SIM", "a/b", "100%", "Zoë"])
async def test_the_urls_of_a_list_under_a_name_lead_back_to_it(caller: Caller, name: str) -> None:
    target = f"/v1/NetworkAccessProfiles/{quote(name, safe='')}/Networks"
    await caller.post(f"/v1/NetworkAccessProfiles/{PROFILE_SID}", {"UniqueName": name})
    for network in NETWORKS[:2]:
        assert (await caller.post(target, {"Network": network.sid})).status == 201
    first = (await caller.get(f"{target}?PageSize=1")).json
    url = first["meta"]["next_page_url"]
    assert url.startswith(f"{ORIGIN}{target}?PageSize=1&Page=1&PageToken=PA")
    second = (await caller.get(url.removeprefix(ORIGIN))).json
    sids = [page["networks"][0]["sid"] for page in (first, second)]
    assert sids == [network.sid for network in NETWORKS[:2]]


@pytest.mark.parametrize(
    "target",
    [
        f"/v1/Sims/{SIM_SID}",
        f"/v1/Sims/{SIM_SID}/BillingPeriods",
        "/v1/SmsCommands",
        "/v1/IpCommands",
        "/v1/ESimProfiles",
        f"/v1/Fleets/{FLEET_SID}",
        f"/v1/NetworkAccessProfiles/{PROFILE_SID}/Networks",
        f"/v1/Networks/{NETWORK}",
        "/v1/SettingsUpdates",
        "/v1/UsageRecords",
        "/v1/Sims/nobody",
    ],
)
async def test_head_has_the_headers_of_get_everywhere(caller: Caller, target: str) -> None:
    get, head = await caller.call("GET", target), await caller.call("HEAD", target)
    assert (head.status, head.headers) == (get.status, get.headers)


@pytest.mark.parametrize(
    "target",
    [
        f"/v1/Sims/{SIM_SID}",
        f"/v1/Fleets/{FLEET_SID}",
        f"/v1/NetworkAccessProfiles/{PROFILE_SID}",
        f"/v1/Networks/{NETWORK}",
    ],
)
async def test_fetching_names_unknown_parameters(caller: Caller, target: str) -> None:
    answer = await caller.get(f"{target}?Color=red")
    assert answer.headers["ringback-warning"] == "unknown parameters, which had no effect: 'Color'"
    assert answer.status == 200


@pytest.mark.parametrize("verb", ["GET", "DELETE"])
async def test_a_network_of_a_profile_names_unknown_parameters(caller: Caller, verb: str) -> None:
    target = f"/v1/NetworkAccessProfiles/{PROFILE_SID}/Networks"
    await caller.post(target, {"Network": NETWORK})
    answer = await caller.call(verb, f"{target}/{NETWORK}?Color=red")
    assert answer.headers["ringback-warning"] == "unknown parameters, which had no effect: 'Color'"
