"""The operations on Network Access Profiles, their networks, and all networks."""

from itertools import pairwise
from typing import Any

import pytest

from ringback.core.sims.mobile_networks import NETWORKS, MobileNetwork
from tests.fakes import ACCOUNT_SID, PROFILE_SID
from tests.unit.api.caller import Caller
from tests.unit.api.pages import ORIGIN
from tests.unit.api.world import error, refusal

PATH = "/v1/NetworkAccessProfiles"
ONE = f"{PATH}/{PROFILE_SID}"
IN_ONE = f"{ONE}/Networks"
NETWORK_PATH = "/v1/Networks"
ATT, T_MOBILE, VERIZON = NETWORKS[:3]
UNKNOWN = "HW" + "0" * 32
PROFILE: dict[str, Any] = {
    "sid": PROFILE_SID,
    "unique_name": "my_profile",
    "account_sid": ACCOUNT_SID,
    "date_created": "2024-07-03T14:40:58Z",
    "date_updated": "2024-07-03T14:40:58Z",
    "url": f"{ORIGIN}{ONE}",
    "links": {"networks": f"{ORIGIN}{IN_ONE}"},
}


async def sids_in(caller: Caller, target: str) -> list[str]:
    return [network["sid"] for network in (await caller.get(target)).json["networks"]]


def sids_of(*networks: MobileNetwork) -> list[str]:
    return [network.sid for network in networks]


# ---- profiles ------------------------------------------------------------------------------------


async def test_a_profile_is_created_without_parameters_with_201(caller: Caller) -> None:
    answer = await caller.call("POST", PATH)
    sid = answer.json["sid"]
    assert answer.status == 201
    assert answer.json == PROFILE | {
        "sid": sid,
        "unique_name": None,
        "url": f"{ORIGIN}{PATH}/{sid}",
        "links": {"networks": f"{ORIGIN}{PATH}/{sid}/Networks"},
    }
    assert (await caller.get(f"{PATH}/{sid}")).json == answer.json
    assert await sids_in(caller, f"{PATH}/{sid}/Networks") == []


async def test_a_profile_is_created_with_a_name_and_networks_each_in_a_parameter(
    caller: Caller,
) -> None:
    pairs = [("UniqueName", "US"), *(("Networks", one) for one in sids_of(VERIZON, ATT, VERIZON))]
    answer = await caller.post(PATH, pairs)
    assert (answer.status, answer.json["unique_name"]) == (201, "US")
    assert await sids_in(caller, f"{PATH}/US/Networks") == sids_of(VERIZON, ATT)


@pytest.mark.parametrize(
    ("pairs", "code", "message"),
    [
        ([("Networks", UNKNOWN)], 83600, f"Networks='{UNKNOWN}': there is no Network"),
        ([("Networks", ATT.sid), ("Networks", "x")], 83600, "Networks='x': there is no Network"),
        ([("Networks", "")], 83600, "Networks='': there is no Network"),
        ([("UniqueName", "my_profile")], 83011, "UniqueName 'my_profile' already belongs to"),
        ([("UniqueName", PROFILE_SID)], 83011, f"UniqueName '{PROFILE_SID}' already belongs to"),
        ([("UniqueName", "a" * 65)], 83600, "UniqueName must be at most 64 printable characters"),
        ([("UniqueName", "a"), ("UniqueName", "b")], 83600, "UniqueName is given twice"),
    ],
)
async def test_an_impossible_profile_says_why_and_is_not_stored(
    caller: Caller, pairs: list[tuple[str, str]], code: int, message: str
) -> None:
    answer = await caller.post(PATH, pairs)
    assert refusal(answer) == (400, code)
    assert answer.json["message"].startswith(message)
    assert (await caller.get(PATH)).json["network_access_profiles"] == [PROFILE]


@pytest.mark.parametrize("target", [ONE, f"{PATH}/my_profile"])
@pytest.mark.parametrize(
    ("form", "name"),
    [
        ({}, "my_profile"),
        ({"UniqueName": "my_profile"}, "my_profile"),
        ({"UniqueName": "renamed"}, "renamed"),
        ({"UniqueName": ""}, None),
    ],
)
async def test_a_profile_is_renamed_with_200(
    caller: Caller, target: str, form: dict[str, str], name: str | None
) -> None:
    answer = await caller.post(target, form)
    assert (answer.status, answer.json) == (200, PROFILE | {"unique_name": name})
    assert (await caller.get(ONE)).json == answer.json


async def test_a_profile_cannot_have_the_name_of_another(caller: Caller) -> None:
    await caller.post(PATH, {"UniqueName": "taken"})
    answer = await caller.post(ONE, {"UniqueName": "taken"})
    assert refusal(answer) == (400, 83011)
    assert (await caller.get(ONE)).json == PROFILE


async def test_the_networks_of_a_profile_are_not_renamed_with_it(caller: Caller) -> None:
    answer = await caller.post(ONE, {"Networks": ATT.sid})
    assert (
        answer.headers["ringback-warning"] == "unknown parameters, which had no effect: 'Networks'"
    )
    assert await sids_in(caller, IN_ONE) == []


async def test_profiles_are_listed_newest_first(caller: Caller) -> None:
    newer = (await caller.post(PATH, {"UniqueName": "newer"})).json
    answer = await caller.get(f"{PATH}?PageSize=2")
    assert answer.json["network_access_profiles"] == [newer, PROFILE]
    assert answer.json["meta"]["key"] == "network_access_profiles"


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", f"{PATH}/nobody"),
        ("POST", f"{PATH}/nobody"),
        ("GET", f"{PATH}/nobody/Networks"),
        ("GET", f"{PATH}/nobody/Networks/{ATT.sid}"),
        ("DELETE", f"{PATH}/nobody/Networks/{ATT.sid}"),
    ],
)
async def test_an_unknown_profile_is_not_found(caller: Caller, method: str, target: str) -> None:
    answer = await caller.call(method, target)
    message = "there is no Network Access Profile with the SID or unique name 'nobody'"
    assert answer.json == error(404, 20404, message)


async def test_a_network_cannot_be_added_to_an_unknown_profile(caller: Caller) -> None:
    answer = await caller.post(f"{PATH}/nobody/Networks", {"Network": ATT.sid})
    assert refusal(answer) == (404, 20404)


# ---- the networks of a profile -------------------------------------------------------------------


@pytest.mark.parametrize("target", [IN_ONE, f"{PATH}/my_profile/Networks"])
async def test_a_network_is_added_with_201(caller: Caller, target: str) -> None:
    answer = await caller.post(target, {"Network": ATT.sid})
    assert answer.status == 201
    assert answer.json == {
        "sid": ATT.sid,
        "network_access_profile_sid": PROFILE_SID,
        "friendly_name": "AT&T",
        "iso_country": "us",
        "identifiers": [{"mcc": "310", "mnc": "410"}, {"mcc": "310", "mnc": "280"}],
        "url": f"{ORIGIN}{IN_ONE}/{ATT.sid}",
    }
    assert (await caller.get(f"{target}/{ATT.sid}")).json == answer.json


async def test_an_already_added_network_keeps_its_place(caller: Caller) -> None:
    for network in (ATT, VERIZON, ATT):
        assert (await caller.post(IN_ONE, {"Network": network.sid})).status == 201
    assert await sids_in(caller, IN_ONE) == sids_of(ATT, VERIZON)


@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        ({}, 20002, "Network is required and was not given"),
        ({"Network": ""}, 20002, "Network is required and was not given"),
        ({"Network": UNKNOWN}, 83600, f"Network='{UNKNOWN}': there is no Network with this SID"),
        ({"Network": "AT&T"}, 83600, "Network='AT&T': there is no Network with this SID"),
    ],
)
async def test_a_network_that_cannot_be_added_says_why(
    caller: Caller, form: dict[str, str], code: int, message: str
) -> None:
    answer = await caller.post(IN_ONE, form)
    assert refusal(answer) == (400, code)
    assert answer.json["message"].startswith(message)
    assert await sids_in(caller, IN_ONE) == []


async def test_only_the_removed_network_is_removed_with_204(caller: Caller) -> None:
    for network in (ATT, T_MOBILE, VERIZON):
        await caller.post(IN_ONE, {"Network": network.sid})
    answer = await caller.call("DELETE", f"{IN_ONE}/{T_MOBILE.sid}")
    assert (answer.status, answer.body) == (204, b"")
    assert await sids_in(caller, IN_ONE) == sids_of(ATT, VERIZON)
    gone = await caller.call("DELETE", f"{IN_ONE}/{T_MOBILE.sid}")
    assert gone.json == error(404, 20404, f"there is no Network '{T_MOBILE.sid}' in {PROFILE_SID}")


@pytest.mark.parametrize("sid", [ATT.sid, UNKNOWN, "nobody"])
async def test_a_network_that_is_not_in_a_profile_is_not_found(caller: Caller, sid: str) -> None:
    expected = error(404, 20404, f"there is no Network {sid!r} in {PROFILE_SID}")
    assert (await caller.get(f"{IN_ONE}/{sid}")).json == expected


async def test_the_networks_of_a_profile_are_paged(caller: Caller) -> None:
    for network in NETWORKS[:5]:
        await caller.post(IN_ONE, {"Network": network.sid})
    seen, target = list[str](), f"{IN_ONE}?PageSize=2"
    while target:
        page = (await caller.get(target)).json
        seen += [network["sid"] for network in page["networks"]]
        target = (page["meta"]["next_page_url"] or "").removeprefix(ORIGIN)
    assert seen == sids_of(*NETWORKS[:5])


# ---- all networks --------------------------------------------------------------------------------


async def test_a_network_is_fetched_with_200(caller: Caller) -> None:
    answer = await caller.get(f"{NETWORK_PATH}/{ATT.sid}")
    assert answer.status == 200
    assert answer.json == {
        "sid": ATT.sid,
        "friendly_name": "AT&T",
        "url": f"{ORIGIN}{NETWORK_PATH}/{ATT.sid}",
        "iso_country": "US",
        "identifiers": [{"mcc": "310", "mnc": "410"}, {"mcc": "310", "mnc": "280"}],
    }


@pytest.mark.parametrize("sid", [UNKNOWN, "AT&T", "nobody"])
async def test_an_unknown_network_is_not_found(caller: Caller, sid: str) -> None:
    expected = error(404, 20404, f"there is no Network with the SID {sid!r}")
    assert (await caller.get(f"{NETWORK_PATH}/{sid}")).json == expected


def these(*names: str) -> set[str]:
    return {network.sid for network in NETWORKS if network.friendly_name in names}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("IsoCountry=US", these("AT&T", "T-Mobile", "Verizon")),
        ("IsoCountry=us", these("AT&T", "T-Mobile", "Verizon")),
        ("IsoCountry=XX", set()),
        ("IsoCountry=", set()),
        ("Mcc=311", these("Verizon")),
        ("Mnc=280", these("AT&T")),
        ("Mcc=310&Mnc=410", these("AT&T")),
        ("Mcc=311&Mnc=410", set()),
        ("IsoCountry=US&Mcc=310&Mnc=260", these("T-Mobile")),
        ("IsoCountry=CA&Mcc=310", set()),
        ("PageSize=1000", set(sids_of(*NETWORKS))),
    ],
)
async def test_networks_are_listed_by_country_and_codes(
    caller: Caller, query: str, expected: set[str]
) -> None:
    assert set(await sids_in(caller, f"{NETWORK_PATH}?{query}")) == expected


@pytest.mark.parametrize("size", [1, 7, len(NETWORKS) - 1, len(NETWORKS), 1000])
async def test_networks_are_paged_in_both_directions(caller: Caller, size: int) -> None:
    pages = [(await caller.get(f"{NETWORK_PATH}?PageSize={size}")).json]
    while url := pages[-1]["meta"]["next_page_url"]:
        pages.append((await caller.get(url.removeprefix(ORIGIN))).json)
    assert [one["sid"] for page in pages for one in page["networks"]] == sids_of(*NETWORKS)
    assert [page["meta"]["page"] for page in pages] == list(range(len(pages)))
    for page, following in pairwise(pages):
        url = following["meta"]["previous_page_url"]
        assert (await caller.get(url.removeprefix(ORIGIN))).json["networks"] == page["networks"]


@pytest.mark.parametrize("token", [f"PA{UNKNOWN}", f"PB{UNKNOWN}", "PA", "PB"])
async def test_a_token_of_no_network_is_refused(caller: Caller, token: str) -> None:
    answer = await caller.get(f"{NETWORK_PATH}?PageToken={token}")
    assert refusal(answer) == (400, 83600)
    assert answer.json["message"].startswith("PageToken: there is no record")


async def test_a_token_of_a_filtered_out_network_is_refused(caller: Caller) -> None:
    answer = await caller.get(f"{NETWORK_PATH}?IsoCountry=CA&PageToken=PA{ATT.sid}")
    assert refusal(answer) == (400, 83600)
