"""The operations on rate plans: creating, renaming, fetching, deleting."""

from collections.abc import Callable
from typing import Any

import pytest

from ringback.core.wireless.sim import WirelessStatus
from ringback.ports import Store
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN
from tests.unit.api.caller import Caller
from tests.unit.api.world import app_on, error, only_https, refusal
from tests.wireless_fakes import (
    RATE_PLAN_SID,
    WIRELESS_SIM_SID,
    a_rate_plan,
    a_wireless_sim,
    a_wireless_update,
)

PATH = "/wireless/v1/RatePlans"
ONE = f"{PATH}/{RATE_PLAN_SID}"
AT_KORE = "programmable-wireless.api.korewireless.com"
OTHER = "WP" + "d" * 32
PLAN: dict[str, Any] = {
    "sid": RATE_PLAN_SID,
    "unique_name": "my_plan",
    "account_sid": ACCOUNT_SID,
    "friendly_name": None,
    "data_enabled": True,
    "data_metering": "payg",
    "data_limit": 1000,
    "messaging_enabled": True,
    "voice_enabled": False,
    "national_roaming_enabled": False,
    "national_roaming_data_limit": 1000,
    "international_roaming": [],
    "international_roaming_data_limit": 1000,
    "date_created": "2024-07-03T14:40:58Z",
    "date_updated": "2024-07-03T14:40:58Z",
    "url": f"http://127.0.0.1:8080{ONE}",
}
ONLY_AT_KORE: dict[str, Any] = {
    "usage_notification_url": "",
    "usage_notification_method": "POST",
    "data_limit_strategy": "block",
}


@pytest.fixture
def at_kore(at_host: Callable[[str], Caller]) -> Caller:
    return at_host(AT_KORE)


def new(sid: str, **changes: Any) -> dict[str, Any]:
    """Return a plan without names, with these changes."""
    at = {"sid": sid, "url": f"http://127.0.0.1:8080{PATH}/{sid}", "unique_name": None}
    return PLAN | at | changes


# ---- creating ------------------------------------------------------------------------------------


async def test_a_plan_is_created_without_parameters_with_201_and_the_defaults(
    caller: Caller,
) -> None:
    answer = await caller.call("POST", PATH)
    sid = answer.json["sid"]
    assert sid.startswith("WP")
    assert (answer.status, answer.json) == (201, new(sid))
    assert list(answer.json) == list(PLAN)
    assert (await caller.get(f"{PATH}/{sid}")).json == answer.json


async def test_a_plan_is_created_with_all_given_values(caller: Caller) -> None:
    form = [
        ("UniqueName", "trackers"),
        ("FriendlyName", "Those on trucks"),
        ("DataEnabled", "false"),
        ("DataLimit", "2000000"),
        ("DataMetering", "quota-10"),
        ("MessagingEnabled", "false"),
        ("VoiceEnabled", "true"),
        ("NationalRoamingEnabled", "true"),
        ("InternationalRoaming", "voice"),
        ("InternationalRoaming", "data"),
        ("InternationalRoaming", "messaging"),
        ("InternationalRoaming", "data"),
        ("NationalRoamingDataLimit", "1"),
        ("InternationalRoamingDataLimit", "2"),
        ("DataLimitStrategy", "throttle"),
        ("UsageNotificationUrl", "http://user:secret@a.example/usage#rc=2"),
        ("UsageNotificationMethod", "GET"),
    ]
    answer = await caller.post(PATH, form)
    assert answer.status == 201
    assert answer.json == new(
        answer.json["sid"],
        unique_name="trackers",
        friendly_name="Those on trucks",
        data_enabled=False,
        data_limit=2_000_000,
        data_metering="quota-10",
        messaging_enabled=False,
        voice_enabled=True,
        national_roaming_enabled=True,
        international_roaming=["data", "messaging", "voice"],
        national_roaming_data_limit=1,
        international_roaming_data_limit=2,
    )
    assert (await caller.get(f"{PATH}/trackers")).json == answer.json
    assert "ringback-warning" not in answer.headers


@pytest.mark.parametrize("metering", ["payg", "quota-1", "quota-10", "quota-50"])
async def test_a_plan_has_the_given_data_metering(caller: Caller, metering: str) -> None:
    answer = await caller.post(PATH, {"DataMetering": metering})
    assert answer.json["data_metering"] == metering


# Invalid names of a plan, for creating and renaming.
WRONG = [
    ({"UniqueName": "taken"}, 33101, "UniqueName 'taken' already belongs to WP"),
    ({"UniqueName": OTHER}, 33101, f"UniqueName '{OTHER}' already belongs to WP"),
    ({"UniqueName": "a" * 65}, 33101, "UniqueName must be at most 64 printable characters"),
    ({"UniqueName": "a\tb"}, 33101, "UniqueName must be at most 64 printable characters"),
    ({"FriendlyName": "a" * 65}, 33101, "FriendlyName must be at most 64 printable characters"),
    (
        {"UsageNotificationUrl": "nowhere"},
        11100,
        "UsageNotificationUrl: 'nowhere' is not a valid URL",
    ),
    ({"UsageNotificationMethod": "PUT"}, 33101, "UsageNotificationMethod='PUT'"),
]
FLAGS = ["DataEnabled", "MessagingEnabled", "VoiceEnabled", "NationalRoamingEnabled"]
LIMITS = ["DataLimit", "NationalRoamingDataLimit", "InternationalRoamingDataLimit"]


@pytest.fixture
async def other(store: Store) -> None:
    plan = a_rate_plan(sid=OTHER, unique_name="taken")
    await store.transact(lambda tx: tx.wireless.rate_plans.add(plan))


@pytest.mark.usefixtures("other")
@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        *WRONG,
        *(({name: "yes"}, 33101, f"{name}='yes': {name} must be one of true, f") for name in FLAGS),
        *(({name: "0"}, 33101, f"{name}='0': {name} must be a whole number fr") for name in LIMITS),
        *(({name: "2000001"}, 33101, f"{name}='2000001'") for name in LIMITS),
        *(({name: "1.5"}, 33101, f"{name}='1.5'") for name in LIMITS),
        *(({name: ""}, 33101, f"{name}=''") for name in LIMITS),
        ({"DataMetering": "quota-2"}, 33101, "DataMetering='quota-2': DataMetering must be one"),
        ({"DataLimitStrategy": "stop"}, 33101, "DataLimitStrategy='stop'"),
        ({"InternationalRoaming": "fax"}, 33101, "InternationalRoaming='fax': it must be one of"),
        ({"InternationalRoaming": ""}, 33101, "InternationalRoaming='': it must be one of"),
    ],
)
async def test_an_impossible_plan_says_why_and_is_not_stored(
    caller: Caller, form: dict[str, str], code: int, message: str
) -> None:
    answer = await caller.post(PATH, form)
    assert refusal(answer) == (400, code)
    assert answer.json["message"].startswith(message)
    plans = (await caller.get(PATH)).json["rate_plans"]
    assert [plan["sid"] for plan in plans] == [OTHER, RATE_PLAN_SID]


async def test_one_wrong_roaming_service_makes_all_invalid(caller: Caller) -> None:
    pairs = [("InternationalRoaming", "data"), ("InternationalRoaming", "fax")]
    answer = await caller.post(PATH, pairs)
    assert refusal(answer) == (400, 33101)
    assert answer.json["message"].startswith("InternationalRoaming='fax'")


async def test_only_roaming_services_may_be_repeated(caller: Caller) -> None:
    answer = await caller.post(PATH, [("DataLimit", "1"), ("DataLimit", "2")])
    assert answer.json == error(400, 33101, "DataLimit is given twice; give it once")


# ---- renaming ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [ONE, f"{PATH}/my_plan"])
@pytest.mark.parametrize(
    ("form", "changes"),
    [
        ({}, {}),
        ({"UniqueName": "renamed"}, {"unique_name": "renamed"}),
        ({"UniqueName": "my_plan"}, {}),
        ({"UniqueName": ""}, {"unique_name": None}),
        ({"FriendlyName": "Those on trucks"}, {"friendly_name": "Those on trucks"}),
        ({"FriendlyName": ""}, {}),
        ({"UsageNotificationUrl": "http://a.example/"}, {}),
        ({"UsageNotificationMethod": "GET"}, {}),
    ],
)
async def test_only_the_name_of_a_plan_is_changed_with_200(
    caller: Caller, target: str, form: dict[str, str], changes: dict[str, Any]
) -> None:
    answer = await caller.post(target, form)
    assert (answer.status, answer.json) == (200, PLAN | changes)
    assert (await caller.get(ONE)).json == answer.json
    assert "ringback-warning" not in answer.headers


@pytest.mark.usefixtures("other")
@pytest.mark.parametrize(("form", "code", "message"), WRONG)
async def test_a_plan_that_cannot_be_renamed_says_why_and_is_unchanged(
    caller: Caller, form: dict[str, str], code: int, message: str
) -> None:
    answer = await caller.post(ONE, {"FriendlyName": "x"} | form)
    assert refusal(answer) == (400, code)
    assert answer.json["message"].startswith(message)
    assert (await caller.get(ONE)).json == PLAN


@pytest.mark.parametrize(
    "name", [*FLAGS, *LIMITS, "DataMetering", "InternationalRoaming", "DataLimitStrategy", "Status"]
)
async def test_parameters_that_cannot_be_changed_are_named_as_unknown(
    caller: Caller, name: str
) -> None:
    answer = await caller.post(ONE, {name: "1"})
    assert (
        answer.headers["ringback-warning"] == f"unknown parameters, which had no effect: '{name}'"
    )
    assert (answer.status, answer.json) == (200, PLAN)


async def test_the_operators_rules_apply_to_the_url_of_a_plan(store: Store) -> None:
    caller = Caller(app_on(store, read_url=only_https), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    for target in (ONE, PATH):
        answer = await caller.post(target, {"UsageNotificationUrl": "http://a.example/"})
        expected = error(400, 11100, "UsageNotificationUrl: http is not permitted here")
        assert answer.json == expected


# ---- at KORE's host names ------------------------------------------------------------------------


async def test_at_kores_host_a_plan_is_created_with_200_and_has_three_more_fields(
    at_kore: Caller,
) -> None:
    form = {
        "DataLimitStrategy": "throttle",
        "UsageNotificationUrl": "http://a.example/usage#rc=2",
        "UsageNotificationMethod": "GET",
    }
    answer = await at_kore.post("/v1/RatePlans", form)
    sid = answer.json["sid"]
    assert answer.status == 200
    assert answer.json == new(sid, url=f"http://{AT_KORE}/v1/RatePlans/{sid}") | {
        "data_limit_strategy": "throttle",
        "usage_notification_url": "http://a.example/usage#rc=2",
        "usage_notification_method": "GET",
    }
    assert (await at_kore.get(f"/v1/RatePlans/{sid}")).json == answer.json


async def test_at_kores_host_a_plan_is_shown_alike_everywhere(at_kore: Caller) -> None:
    expected = PLAN | ONLY_AT_KORE | {"url": f"http://{AT_KORE}/v1/RatePlans/{RATE_PLAN_SID}"}
    target = f"/v1/RatePlans/{RATE_PLAN_SID}"
    assert (await at_kore.get(target)).json == expected
    assert (await at_kore.post(target, {})).json == expected
    assert (await at_kore.get("/v1/RatePlans")).json["rate_plans"] == [expected]


async def test_at_kores_host_an_empty_url_removes_that_of_a_plan(at_kore: Caller) -> None:
    target = f"/v1/RatePlans/{RATE_PLAN_SID}"
    set_to = await at_kore.post(target, {"UsageNotificationUrl": "http://a.example/"})
    assert set_to.json["usage_notification_url"] == "http://a.example/"
    taken = await at_kore.post(target, {"UsageNotificationUrl": ""})
    assert taken.json["usage_notification_url"] == ""


@pytest.mark.parametrize(
    "host", ["wireless.twilio.com", "wireless.dublin.ie1.twilio.com", "127.0.0.1:8080"]
)
async def test_at_other_hosts_a_plan_has_none_of_them(
    at_host: Callable[[str], Caller], host: str
) -> None:
    caller = at_host(host)
    made = await caller.post(PATH, {"DataLimitStrategy": "throttle"})
    assert (made.status, set(made.json)) == (201, set(PLAN))
    assert set((await caller.get(ONE)).json) == set(PLAN)


async def test_a_prefix_at_kores_host_has_kores_answers(at_kore: Caller) -> None:
    answer = await at_kore.post(PATH, {})
    assert (answer.status, set(answer.json)) == (200, {*PLAN, *ONLY_AT_KORE})


# ---- finding and deleting ------------------------------------------------------------------------


@pytest.mark.usefixtures("other")
@pytest.mark.parametrize(
    ("query", "names"), [("", ["taken", "my_plan"]), ("PageSize=1", ["taken"])]
)
async def test_plans_are_listed_newest_first(caller: Caller, query: str, names: list[str]) -> None:
    answer = await caller.get(f"{PATH}?{query}")
    assert [plan["unique_name"] for plan in answer.json["rate_plans"]] == names
    assert answer.json["meta"]["key"] == "rate_plans"


@pytest.mark.parametrize("query", ["PageSize=0", "Page=-1", "PageToken=WP"])
async def test_an_invalid_list_of_plans_names_the_parameter(caller: Caller, query: str) -> None:
    answer = await caller.get(f"{PATH}?{query}")
    assert refusal(answer) == (400, 33103)
    assert answer.json["message"].startswith(query.partition("=")[0])


@pytest.mark.parametrize("verb", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("sid", ["WP" + "0" * 32, "nobody"])
async def test_an_unknown_plan_is_not_found(caller: Caller, verb: str, sid: str) -> None:
    answer = await caller.call(verb, f"{PATH}/{sid}")
    expected = error(404, 20404, f"there is no RatePlan with the SID or unique name {sid!r}")
    assert answer.json == expected


@pytest.mark.usefixtures("other")
@pytest.mark.parametrize("name", [OTHER, "taken"])
async def test_only_the_unused_plan_is_deleted_with_204(caller: Caller, name: str) -> None:
    answer = await caller.call("DELETE", f"{PATH}/{name}")
    assert (answer.status, answer.body) == (204, b"")
    assert refusal(await caller.get(f"{PATH}/{OTHER}")) == (404, 20404)
    assert (await caller.post(PATH, {"UniqueName": "taken"})).status == 201


async def test_a_plan_that_a_sim_uses_is_not_deleted(caller: Caller, store: Store) -> None:
    answer = await caller.call("DELETE", ONE)
    assert refusal(answer) == (400, 33201)
    assert answer.json["message"].endswith(
        f"SIMs such as {WIRELESS_SIM_SID} use it; give them another plan first"
    )
    assert (await caller.get(ONE)).json == PLAN
    await store.transact(lambda tx: tx.wireless.sims.remove(WIRELESS_SIM_SID))
    assert (await caller.call("DELETE", ONE)).status == 204


@pytest.mark.usefixtures("other")
async def test_a_plan_that_a_sim_will_get_is_not_deleted(caller: Caller, store: Store) -> None:
    sim = a_wireless_sim(status=WirelessStatus.UPDATING)
    await store.transact(lambda tx: tx.wireless.sims.save(sim))
    update = a_wireless_update(to_rate_plan_sid=OTHER)
    await store.transact(lambda tx: tx.wireless.sim_updates.add(update))
    answer = await caller.call("DELETE", f"{PATH}/{OTHER}")
    assert refusal(answer) == (400, 33201)
    assert answer.json["message"].endswith(
        f"SIMs such as {WIRELESS_SIM_SID} use it; give them another plan first"
    )
