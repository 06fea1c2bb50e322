"""The operations on fleets: creating, updating, fetching, listing."""

from typing import Any

import pytest

from ringback.ports import Store
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, FLEET_SID, PROFILE_SID, a_profile
from tests.unit.api.caller import Caller
from tests.unit.api.world import THEIRS, app_on, error, only_https, refusal

PATH = "/v1/Fleets"
ONE = f"{PATH}/{FLEET_SID}"
OTHER_PROFILE = "HA" + "d" * 32
THEIR_PROFILE = "HA" + "f" * 32
FLEET: dict[str, Any] = {
    "account_sid": ACCOUNT_SID,
    "sid": FLEET_SID,
    "unique_name": "my_fleet",
    "date_created": "2024-07-03T14:40:58Z",
    "date_updated": "2024-07-03T14:40:58Z",
    "url": f"http://127.0.0.1:8080/v1/Fleets/{FLEET_SID}",
    "data_enabled": True,
    "data_limit": 1000,
    "data_metering": "payg",
    "sms_commands_enabled": True,
    "sms_commands_url": None,
    "sms_commands_method": "POST",
    "network_access_profile_sid": PROFILE_SID,
    "ip_commands_url": None,
    "ip_commands_method": "POST",
}


@pytest.fixture
async def store(store: Store) -> Store:
    """The store with another profile, and one of another account."""
    await store.transact(
        lambda tx: tx.supersim.access_profiles.add(
            a_profile(sid=OTHER_PROFILE, unique_name="other")
        )
    )
    theirs = a_profile(sid=THEIR_PROFILE, account_sid=THEIRS)
    await store.transact(lambda tx: tx.supersim.access_profiles.add(theirs))
    return store


# ---- creating ------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", [PROFILE_SID, "my_profile"])
async def test_a_fleet_is_created_with_201_and_the_defaults(caller: Caller, profile: str) -> None:
    answer = await caller.post(PATH, {"NetworkAccessProfile": profile})
    sid = answer.json["sid"]
    url = f"http://127.0.0.1:8080/v1/Fleets/{sid}"
    assert answer.status == 201
    assert answer.json == FLEET | {"sid": sid, "url": url, "unique_name": None}
    assert (await caller.get(f"{PATH}/{sid}")).json == answer.json


async def test_a_fleet_is_created_with_all_given_values(caller: Caller) -> None:
    form = {
        "NetworkAccessProfile": "other",
        "UniqueName": "trackers",
        "DataEnabled": "false",
        "DataLimit": "2000000",
        "SmsCommandsEnabled": "false",
        "SmsCommandsUrl": "http://user:secret@a.example/sms#cbs=kore&rc=2",
        "SmsCommandsMethod": "GET",
        "IpCommandsUrl": "https://a.example/ip?x=1",
        "IpCommandsMethod": "GET",
    }
    answer = await caller.post(PATH, form)
    sid = answer.json["sid"]
    assert answer.json == FLEET | {
        "sid": sid,
        "url": f"http://127.0.0.1:8080/v1/Fleets/{sid}",
        "unique_name": "trackers",
        "data_enabled": False,
        "data_limit": 2_000_000,
        "sms_commands_enabled": False,
        "sms_commands_url": "http://user:secret@a.example/sms#cbs=kore&rc=2",
        "sms_commands_method": "GET",
        "network_access_profile_sid": OTHER_PROFILE,
        "ip_commands_url": "https://a.example/ip?x=1",
        "ip_commands_method": "GET",
    }
    assert (await caller.get(f"{PATH}/trackers")).json == answer.json
    assert "ringback-warning" not in answer.headers


# Invalid settings of a fleet, for creating and updating.
WRONG = [
    ({"NetworkAccessProfile": "nobody"}, 83600, "NetworkAccessProfile='nobody': there is no"),
    ({"NetworkAccessProfile": THEIR_PROFILE}, 83600, "NetworkAccessProfile='HAf"),
    ({"UniqueName": "a" * 65}, 83600, "UniqueName must be at most 64 printable characters"),
    ({"UniqueName": "a\tb"}, 83600, "UniqueName must be at most 64 printable characters"),
    ({"DataLimit": "0"}, 83600, "DataLimit='0': DataLimit must be a whole number from 1 to"),
    ({"DataLimit": "2000001"}, 83600, "DataLimit='2000001'"),
    ({"DataLimit": "1.5"}, 83600, "DataLimit='1.5'"),
    ({"DataLimit": ""}, 83600, "DataLimit=''"),
    ({"SmsCommandsMethod": "PUT"}, 83600, "SmsCommandsMethod='PUT': SmsCommandsMethod must be"),
    ({"IpCommandsMethod": "post"}, 83600, "IpCommandsMethod='post': IpCommandsMethod must be"),
    ({"SmsCommandsUrl": "nowhere"}, 11100, "SmsCommandsUrl: 'nowhere' is not a valid URL"),
    ({"IpCommandsUrl": "ftp://a.example"}, 11100, "IpCommandsUrl: 'ftp://a.example': callbacks"),
    (
        {"SmsCommandsUrl": "http://a.example#cbs=foo"},
        11100,
        "SmsCommandsUrl: #cbs=foo: cbs must be twilio or kore",
    ),
    (
        {"IpCommandsUrl": "http://a.example#cbs=foo"},
        11100,
        "IpCommandsUrl: #cbs=foo: cbs must be twilio or kore",
    ),
    ({"IpCommandsUrl": "http://a.example#rc=9"}, 11100, "IpCommandsUrl: #rc=9: rc must be"),
]


@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        *WRONG,
        ({"UniqueName": "my_fleet"}, 83011, "UniqueName 'my_fleet' already belongs to HF"),
        ({"UniqueName": FLEET_SID}, 83011, f"UniqueName '{FLEET_SID}' already belongs to HF"),
        ({"NetworkAccessProfile": ""}, 20002, "NetworkAccessProfile is required and was not"),
        ({"DataEnabled": "yes"}, 83600, "DataEnabled='yes': DataEnabled must be one of true"),
        ({"SmsCommandsEnabled": "1"}, 83600, "SmsCommandsEnabled='1': SmsCommandsEnabled must"),
    ],
)
async def test_an_impossible_fleet_says_why_and_is_not_stored(
    caller: Caller, form: dict[str, str], code: int, message: str
) -> None:
    answer = await caller.post(PATH, {"NetworkAccessProfile": PROFILE_SID} | form)
    assert refusal(answer) == (400, code)
    assert answer.json["message"].startswith(message)
    assert (await caller.get(PATH)).json["fleets"] == [FLEET]


async def test_a_fleet_needs_a_profile(caller: Caller) -> None:
    answer = await caller.post(PATH, {"UniqueName": "trackers"})
    expected = error(400, 20002, "NetworkAccessProfile is required and was not given")
    assert answer.json == expected


# ---- updating ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [ONE, f"{PATH}/my_fleet"])
@pytest.mark.parametrize(
    ("form", "changes"),
    [
        ({}, {}),
        ({"UniqueName": "renamed"}, {"unique_name": "renamed"}),
        ({"UniqueName": "my_fleet"}, {}),
        ({"UniqueName": ""}, {"unique_name": None}),
        ({"NetworkAccessProfile": "other"}, {"network_access_profile_sid": OTHER_PROFILE}),
        ({"DataLimit": "1"}, {"data_limit": 1}),
        ({"SmsCommandsUrl": "http://a.example/"}, {"sms_commands_url": "http://a.example/"}),
        ({"SmsCommandsMethod": "GET"}, {"sms_commands_method": "GET"}),
        ({"IpCommandsUrl": "http://a.example/"}, {"ip_commands_url": "http://a.example/"}),
        ({"IpCommandsMethod": "GET"}, {"ip_commands_method": "GET"}),
    ],
)
async def test_only_the_given_values_of_a_fleet_are_updated(
    caller: Caller, target: str, form: dict[str, str], changes: dict[str, Any]
) -> None:
    answer = await caller.post(target, form)
    assert (answer.status, answer.json) == (200, FLEET | changes)
    assert (await caller.get(ONE)).json == FLEET | changes


@pytest.mark.parametrize("kind", ["Sms", "Ip"])
async def test_an_empty_url_removes_a_fleets_url(caller: Caller, kind: str) -> None:
    name = f"{kind}CommandsUrl"
    set_to = (await caller.post(ONE, {name: "http://a.example/"})).json
    assert set_to[f"{kind.lower()}_commands_url"] == "http://a.example/"
    assert (await caller.post(ONE, {name: ""})).json == FLEET


@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        *WRONG,
        ({"UniqueName": "taken"}, 83011, "UniqueName 'taken' already belongs to HF"),
        ({"NetworkAccessProfile": ""}, 83600, "NetworkAccessProfile='': there is no"),
    ],
)
async def test_a_fleet_that_cannot_be_updated_says_why_and_is_unchanged(
    caller: Caller, form: dict[str, str], code: int, message: str
) -> None:
    await caller.post(PATH, {"NetworkAccessProfile": PROFILE_SID, "UniqueName": "taken"})
    answer = await caller.post(ONE, {"DataLimit": "5"} | form)
    assert refusal(answer) == (400, code)
    assert answer.json["message"].startswith(message)
    assert (await caller.get(ONE)).json == FLEET


@pytest.mark.parametrize("name", ["DataEnabled", "SmsCommandsEnabled"])
async def test_parameters_that_cannot_be_changed_are_named_as_unknown(
    caller: Caller, name: str
) -> None:
    answer = await caller.post(ONE, {name: "false"})
    assert (
        answer.headers["ringback-warning"] == f"unknown parameters, which had no effect: '{name}'"
    )
    assert answer.json == FLEET


async def test_the_operators_rules_apply_to_the_urls_of_a_fleet(store: Store) -> None:
    caller = Caller(app_on(store, read_url=only_https), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    answer = await caller.post(ONE, {"IpCommandsUrl": "http://a.example/"})
    assert answer.json == error(400, 11100, "IpCommandsUrl: http is not permitted here")


# ---- finding -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["newer", "my_fleet"]),
        (f"NetworkAccessProfile={PROFILE_SID}", ["my_fleet"]),
        ("NetworkAccessProfile=other", ["newer"]),
        ("NetworkAccessProfile=nobody", []),
        ("NetworkAccessProfile=", []),
        (f"NetworkAccessProfile={THEIR_PROFILE}", []),
        ("PageSize=1", ["newer"]),
    ],
)
async def test_fleets_are_listed_newest_first_and_filtered(
    caller: Caller, query: str, names: list[str]
) -> None:
    await caller.post(PATH, {"NetworkAccessProfile": "other", "UniqueName": "newer"})
    fleets = (await caller.get(f"{PATH}?{query}")).json["fleets"]
    assert [fleet["unique_name"] for fleet in fleets] == names


@pytest.mark.parametrize("sid", ["HF" + "0" * 32, "nobody"])
async def test_an_unknown_fleet_is_not_found(caller: Caller, sid: str) -> None:
    expected = error(404, 20404, f"there is no Fleet with the SID or unique name {sid!r}")
    assert (await caller.get(f"{PATH}/{sid}")).json == expected
    assert (await caller.post(f"{PATH}/{sid}", {"DataLimit": "5"})).json == expected
