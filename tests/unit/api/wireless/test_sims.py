"""The operations on Programmable Wireless SIMs: their responses, and the tasks they start."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.scenario import TaskKind
from ringback.core.wireless.sim import WirelessStatus
from ringback.ports import Store, Transaction
from tests.callback_queues import RecordingQueue
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, NOW, TAKES, an_account
from tests.unit.api.caller import Caller
from tests.unit.api.pages import ORIGIN
from tests.unit.api.world import (
    THEIR_PLAN,
    THEIRS,
    CountingNotifier,
    app_on,
    called_back,
    error,
    only_https,
    refusal,
)
from tests.wireless_fakes import (
    RATE_PLAN_SID,
    WIRELESS_ICCID,
    WIRELESS_SIM_SID,
    a_rate_plan,
    a_wireless_sim,
)

PATH = "/wireless/v1/Sims"
ONE = f"{PATH}/{WIRELESS_SIM_SID}"
AT_KORE = "programmable-wireless.api.korewireless.com"
URL = "http://127.0.0.1:9000/path?foo=bar#cbs=kore"
TOLD = CallbackTarget(CallbackUrl.parse(URL), HttpMethod.GET)
OTHER_PLAN = "WP" + "d" * 32
ROAMING_PLAN = "WP" + "e" * 32
CHILD = "AC" + "c" * 32
SIM: dict[str, Any] = {
    "sid": WIRELESS_SIM_SID,
    "unique_name": "meter_1",
    "account_sid": ACCOUNT_SID,
    "rate_plan_sid": RATE_PLAN_SID,
    "friendly_name": None,
    "iccid": WIRELESS_ICCID,
    "e_id": None,
    "status": "active",
    "reset_status": None,
    "commands_callback_url": None,
    "commands_callback_method": "POST",
    "sms_url": None,
    "sms_method": "POST",
    "sms_fallback_url": None,
    "sms_fallback_method": "POST",
    "voice_url": None,
    "voice_method": "POST",
    "voice_fallback_url": None,
    "voice_fallback_method": "POST",
    "date_created": "2024-07-03T14:40:58Z",
    "date_updated": "2024-07-03T14:40:58Z",
    "url": f"{ORIGIN}{ONE}",
    "links": {
        "data_sessions": f"{ORIGIN}{ONE}/DataSessions",
        "rate_plan": f"{ORIGIN}/wireless/v1/RatePlans/{RATE_PLAN_SID}",
        "usage_records": f"{ORIGIN}{ONE}/UsageRecords",
    },
    "ip_address": None,
}


@pytest.fixture
async def store(store: Store) -> Store:
    """The store with two more plans, and a subaccount."""

    def work(tx: Transaction) -> None:
        tx.wireless.rate_plans.add(a_rate_plan(sid=OTHER_PLAN, unique_name="other"))
        tx.wireless.rate_plans.add(
            a_rate_plan(sid=ROAMING_PLAN, unique_name="roams", national_roaming_enabled=True)
        )
        tx.accounts.add(replace(an_account(sid=CHILD), parent_sid=ACCOUNT_SID), [])

    await store.transact(work)
    return store


async def put(store: Store, **fields: Any) -> None:
    """Change the account's SIM."""
    await store.transact(lambda tx: tx.wireless.sims.save(a_wireless_sim(**fields)))


async def tasks(store: Store) -> list[ScheduledTask]:
    return await store.transact(lambda tx: tx.tasks.claim(NOW.replace(year=2030), limit=9))


# ---- fetching and listing ------------------------------------------------------------------------


@pytest.mark.parametrize("target", [ONE, f"{PATH}/meter_1"])
async def test_a_sim_is_fetched_with_200(caller: Caller, target: str) -> None:
    answer = await caller.get(target)
    assert (answer.status, answer.json) == (200, SIM)
    assert list(answer.json) == list(SIM)


async def test_a_sim_without_a_plan_has_no_link_to_one(caller: Caller, store: Store) -> None:
    await put(store, rate_plan_sid=None, status=WirelessStatus.SUSPENDED)
    sim = (await caller.get(ONE)).json
    assert (sim["rate_plan_sid"], sim["links"]["rate_plan"]) == (None, None)


async def test_at_kores_host_a_sim_without_a_plan_has_no_null_among_its_links(
    at_host: Callable[[str], Caller], store: Store
) -> None:
    at_kore = at_host("programmable-wireless.api.korewireless.com")
    with_plan = (await at_kore.get(f"/v1/Sims/{WIRELESS_SIM_SID}")).json["links"]["rate_plan"]
    assert with_plan.endswith(f"/v1/RatePlans/{RATE_PLAN_SID}")
    await put(store, rate_plan_sid=None, status=WirelessStatus.SUSPENDED)
    sim = (await at_kore.get(f"/v1/Sims/{WIRELESS_SIM_SID}")).json
    assert (sim["rate_plan_sid"], sim["links"]["rate_plan"]) == (None, "")


@pytest.mark.parametrize("verb", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize("sid", ["DE" + "0" * 32, "nobody", RATE_PLAN_SID])
async def test_an_unknown_sim_is_not_found(caller: Caller, verb: str, sid: str) -> None:
    answer = await caller.call(verb, f"{PATH}/{sid}")
    expected = error(404, 20404, f"there is no SIM with the SID or unique name {sid!r}")
    assert answer.json == expected


async def test_a_list_has_the_accounts_own_sims(caller: Caller) -> None:
    answer = await caller.get(PATH)
    assert (answer.status, answer.json["sims"]) == (200, [SIM])
    assert answer.json["meta"]["key"] == "sims"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["newer", "meter_1"]),
        ("PageSize=1", ["newer"]),
        ("Status=active", ["meter_1"]),
        ("Status=new", ["newer"]),
        ("Status=canceled", []),
        (f"Iccid={WIRELESS_ICCID}", ["meter_1"]),
        ("Iccid=8901340852295524704", ["newer"]),
        ("Iccid=", []),
        (f"RatePlan={RATE_PLAN_SID}", ["meter_1"]),
        ("RatePlan=my_plan", ["meter_1"]),
        ("RatePlan=other", ["newer"]),
        ("RatePlan=roams", []),
        ("RatePlan=nobody%27s", []),
        ("RatePlan=", []),
        (f"RatePlan={THEIR_PLAN}", []),
        ("EId=89049032005008882600033489aaaaaa", ["newer"]),
        ("EId=8904", []),
        ("SimRegistrationCode=H3LL0W0RLD", ["newer"]),
        ("SimRegistrationCode=H3LL0", []),
        (f"Status=active&RatePlan=my_plan&Iccid={WIRELESS_ICCID}", ["meter_1"]),
        ("Status=new&RatePlan=my_plan", []),
    ],
)
async def test_sims_are_listed_newest_first_and_filtered(
    caller: Caller, store: Store, query: str, names: list[str]
) -> None:
    newer = a_wireless_sim(
        sid="DE" + "d" * 32,
        iccid="8901340852295524704",
        unique_name="newer",
        status=WirelessStatus.NEW,
        rate_plan_sid=OTHER_PLAN,
        eid="89049032005008882600033489aaaaaa",
        registration_code="H3LL0W0RLD",
    )
    await store.transact(lambda tx: tx.wireless.sims.add(newer))
    answer = await caller.get(f"{PATH}?{query}")
    assert [sim["unique_name"] for sim in answer.json["sims"]] == names
    assert "ringback-warning" not in answer.headers


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("Status=inactive", 33101),
        ("Status=deleted", 33101),
        ("Status=", 33101),
        ("Status=new&Status=new", 33101),
        ("PageSize=0", 33103),
        ("PageSize=1001", 33103),
        ("Page=-1", 33103),
        ("PageToken=5", 33103),
    ],
)
async def test_an_invalid_list_names_the_parameter(caller: Caller, query: str, code: int) -> None:
    answer = await caller.get(f"{PATH}?{query}")
    assert refusal(answer) == (400, code)
    assert answer.json["message"].startswith(query.partition("=")[0])


@pytest.mark.parametrize("field", ["e_id", "eid"])
async def test_the_number_of_the_chip_has_each_vendors_name(
    at_host: Callable[[str], Caller], store: Store, field: str
) -> None:
    await put(store, eid="8904")
    host = AT_KORE if field == "eid" else "wireless.twilio.com"
    caller = at_host(host)
    sim = (await caller.get(f"/v1/Sims/{WIRELESS_SIM_SID}")).json
    assert {name: sim[name] for name in ("e_id", "eid") if name in sim} == {field: "8904"}
    (listed,) = (await caller.get("/v1/Sims")).json["sims"]
    updated = (await caller.post(f"/v1/Sims/{WIRELESS_SIM_SID}", {})).json
    assert listed == updated == sim


# ---- changes that need no network ----------------------------------------------------------------

HANDLERS = ["Sms", "SmsFallback", "Voice", "VoiceFallback"]


def field_of(parameter: str) -> str:
    """Return the field that shows a deprecated handler's parameter."""
    return (
        parameter.replace("Fallback", "_Fallback")
        .replace("Url", "_Url")
        .lower()
        .replace("method", "_method")
    )


@pytest.mark.parametrize("target", [ONE, f"{PATH}/meter_1"])
@pytest.mark.parametrize(
    ("form", "changes"),
    [
        ({}, {}),
        ({"UniqueName": "renamed"}, {"unique_name": "renamed"}),
        ({"UniqueName": "meter_1"}, {}),
        ({"UniqueName": ""}, {"unique_name": None}),
        ({"FriendlyName": "The one in the cellar"}, {"friendly_name": "The one in the cellar"}),
        ({"FriendlyName": ""}, {}),
        (
            {"CommandsCallbackUrl": "http://user:secret@a.example/in?x=1#cbs=kore&rc=2"},
            {"commands_callback_url": "http://user:secret@a.example/in?x=1#cbs=kore&rc=2"},
        ),
        ({"CommandsCallbackMethod": "GET"}, {"commands_callback_method": "GET"}),
        ({"AccountSid": ACCOUNT_SID}, {}),
        *(
            ({f"{name}Url": "http://a.example/"}, {field_of(f"{name}Url"): "http://a.example/"})
            for name in HANDLERS
        ),
        *(({f"{name}Method": "GET"}, {field_of(f"{name}Method"): "GET"}) for name in HANDLERS),
    ],
)
async def test_only_the_given_values_of_a_sim_are_updated(
    caller: Caller, store: Store, target: str, form: dict[str, str], changes: dict[str, Any]
) -> None:
    answer = await caller.post(target, {**form, "CallbackUrl": URL})
    assert (answer.status, answer.json) == (200, SIM | changes)
    assert (await caller.get(ONE)).json == answer.json
    assert "ringback-warning" not in answer.headers
    assert await called_back(store) == []
    assert await tasks(store) == []


@pytest.mark.parametrize("name", ["CommandsCallback", *HANDLERS])
async def test_an_empty_url_removes_a_sims_url(caller: Caller, name: str) -> None:
    field = "commands_callback_url" if name == "CommandsCallback" else field_of(f"{name}Url")
    set_to = (await caller.post(ONE, {f"{name}Url": "http://a.example/"})).json
    assert set_to[field] == "http://a.example/"
    assert (await caller.post(ONE, {f"{name}Url": ""})).json == SIM


async def test_a_name_and_a_callback_url_can_be_changed_during_a_pending_change(
    caller: Caller, store: Store
) -> None:
    await put(store, status=WirelessStatus.UPDATING)
    form = {"UniqueName": "renamed", "CommandsCallbackUrl": "http://a.example/"}
    answer = await caller.post(ONE, form)
    assert answer.status == 200
    expected = {"status": "updating", "commands_callback_url": "http://a.example/"}
    assert answer.json == SIM | expected | {"unique_name": "renamed"}


# ---- changes that the network carries out --------------------------------------------------------


async def test_a_change_by_the_network_is_answered_with_200_and_updating(
    caller: Caller, store: Store, task_runner: CountingNotifier
) -> None:
    form = {"Status": "suspended", "CallbackUrl": URL, "CallbackMethod": "GET"}
    answer = await caller.post(ONE, form)
    assert (answer.status, answer.json) == (200, SIM | {"status": "updating"})
    assert await tasks(store) == [
        ScheduledTask(TaskKind.CHANGE_SIM, WIRELESS_SIM_SID, ACCOUNT_SID, NOW + TAKES)
    ]
    update = await store.transact(lambda tx: tx.wireless.sim_updates.get(WIRELESS_SIM_SID))
    assert update is not None
    assert (update.to_status, update.to_rate_plan_sid) == ("suspended", RATE_PLAN_SID)
    assert update.told == TOLD
    assert (await called_back(store), task_runner.times) == ([], 1)


async def test_a_change_is_scheduled_if_the_operator_is_busy(caller: Caller, store: Store) -> None:
    await put(store, unique_name="meter+operator-busy")
    answer = await caller.post(ONE, {"Status": "suspended"})
    assert (answer.status, answer.json["status"]) == (200, "scheduled")
    (task,) = await tasks(store)
    assert task.step is TaskKind.TAKE_ON_CHANGE


@pytest.mark.parametrize("plan", [OTHER_PLAN, "other"])
async def test_a_change_of_the_plan_takes_time_too(caller: Caller, store: Store, plan: str) -> None:
    answer = await caller.post(ONE, {"RatePlan": plan})
    assert (answer.status, answer.json) == (200, SIM | {"status": "updating"})
    update = await store.transact(lambda tx: tx.wireless.sim_updates.get(WIRELESS_SIM_SID))
    assert update is not None
    assert (update.to_status, update.to_rate_plan_sid) == ("active", OTHER_PLAN)


async def test_the_plan_of_a_disconnected_sim_can_be_removed(caller: Caller, store: Store) -> None:
    await put(store, status=WirelessStatus.SUSPENDED)
    assert (await caller.post(ONE, {"RatePlan": ""})).json["status"] == "updating"
    update = await store.transact(lambda tx: tx.wireless.sim_updates.get(WIRELESS_SIM_SID))
    assert update is not None
    assert (update.to_status, update.to_rate_plan_sid) == ("suspended", None)


@pytest.mark.parametrize("plan", [OTHER_PLAN, "other"])
async def test_a_new_sim_gets_its_plan_at_once(caller: Caller, store: Store, plan: str) -> None:
    await put(store, status=WirelessStatus.NEW, rate_plan_sid=None)
    answer = await caller.post(ONE, {"RatePlan": plan, "CallbackUrl": URL})
    (callback,) = await called_back(store)
    assert (answer.status, answer.json["status"]) == (200, "new")
    assert answer.json["rate_plan_sid"] == OTHER_PLAN
    assert "SimStatus=new" in callback.body


@pytest.mark.parametrize("form", [{"Status": "active"}, {"RatePlan": "my_plan"}])
async def test_setting_the_present_status_is_called_back_at_once(
    caller: Caller, store: Store, callback_queue: RecordingQueue, form: dict[str, str]
) -> None:
    answer = await caller.post(ONE, {**form, "CallbackUrl": URL, "CallbackMethod": "GET"})
    (callback,) = await called_back(store)
    assert (answer.status, answer.json) == (200, SIM)
    assert (callback.progress.due, callback.url.shown, callback.method) == (NOW, URL, "GET")
    assert callback.body == (
        f"ApiVersion=v1&SimUniqueName=meter_1&SimSid={WIRELESS_SIM_SID}&SimStatus=active"
        f"&AccountSid={ACCOUNT_SID}"
    )
    assert callback_queue.taken == [callback.sid]


async def test_an_empty_callback_url_means_none(caller: Caller, store: Store) -> None:
    assert (await caller.post(ONE, {"Status": "active", "CallbackUrl": ""})).status == 200
    assert await called_back(store) == []


async def test_a_reset_of_the_connectivity_lasts_until_the_network_has_done_it(
    caller: Caller, store: Store
) -> None:
    form = {"ResetStatus": "resetting", "CallbackUrl": URL, "CallbackMethod": "GET"}
    answer = await caller.post(ONE, form)
    assert (answer.status, answer.json) == (200, SIM | {"reset_status": "resetting"})
    assert await tasks(store) == [
        ScheduledTask(TaskKind.RESET_SIM, WIRELESS_SIM_SID, ACCOUNT_SID, NOW + TAKES)
    ]
    sim = await store.transact(lambda tx: tx.wireless.sims.get(WIRELESS_SIM_SID))
    assert sim is not None
    assert sim.reset_to == TOLD
    assert await called_back(store) == []


async def test_a_sim_can_be_reset_and_get_another_plan_in_one_request(
    caller: Caller, store: Store
) -> None:
    answer = await caller.post(ONE, {"ResetStatus": "resetting", "RatePlan": "other"})
    assert answer.json == SIM | {"status": "updating", "reset_status": "resetting"}
    assert {task.step for task in await tasks(store)} == {TaskKind.CHANGE_SIM, TaskKind.RESET_SIM}


# ---- errors --------------------------------------------------------------------------------------

LONG = "a" * 65


@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        ({"UniqueName": LONG}, 33101, "UniqueName must be at most 64 printable characters"),
        ({"UniqueName": "a\tb"}, 33101, "UniqueName must be at most 64 printable characters"),
        ({"UniqueName": "taken"}, 33101, "UniqueName 'taken' already belongs to DE"),
        ({"FriendlyName": LONG}, 33101, "FriendlyName must be at most 64 printable characters"),
        ({"Status": "inactive"}, 33101, "Status='inactive': Status must be one of new, ready"),
        ({"Status": "deleted"}, 33101, "Status='deleted'"),
        ({"Status": ""}, 33101, "Status=''"),
        ({"ResetStatus": "done"}, 33101, "ResetStatus='done': ResetStatus must be one of"),
        ({"ResetStatus": ""}, 33101, "ResetStatus=''"),
        ({"Status": "suspended", "CallbackMethod": "PUT"}, 33101, "CallbackMethod='PUT'"),
        ({"CommandsCallbackMethod": "put"}, 33101, "CommandsCallbackMethod='put'"),
        *(({f"{name}Method": "PUT"}, 33101, f"{name}Method='PUT'") for name in HANDLERS),
        ({"CallbackUrl": "nowhere"}, 11100, "'nowhere' is not a valid URL"),
        ({"CallbackUrl": "http://a.example#cbs=foo"}, 11100, "#cbs=foo: cbs must be"),
        (
            {"CommandsCallbackUrl": "nowhere"},
            11100,
            "CommandsCallbackUrl: 'nowhere' is not a valid URL",
        ),
        *(({f"{name}Url": "nowhere"}, 11100, f"{name}Url: 'nowhere' is") for name in HANDLERS),
        ({"RatePlan": "nobody's"}, 33108, 'RatePlan="nobody\'s": there is no RatePlan'),
        ({"RatePlan": THEIR_PLAN}, 33108, f"RatePlan='{THEIR_PLAN}': there is no RatePlan"),
        ({"Status": "new"}, 33105, f"SIM {WIRELESS_SIM_SID} is active and can't become new"),
        ({"Status": "ready"}, 33105, f"SIM {WIRELESS_SIM_SID} is active and can't become ready"),
        ({"Status": "canceled"}, 33105, f"SIM {WIRELESS_SIM_SID} is active and can't become"),
        ({"Status": "scheduled"}, 33105, f"SIM {WIRELESS_SIM_SID} is active and can't become"),
        ({"Status": "updating"}, 33105, f"SIM {WIRELESS_SIM_SID} is active and can't become"),
        ({"RatePlan": ""}, 33104, f"SIM {WIRELESS_SIM_SID} can't be active without a rate plan"),
        (
            {"Status": "suspended", "RatePlan": ""},
            33121,
            "Status=suspended and an empty RatePlan can't be given together",
        ),
        (
            {"Status": "suspended", "ResetStatus": "resetting"},
            33121,
            "Status and ResetStatus can't be given together",
        ),
        ({"AccountSid": CHILD}, 33201, f"SIM {WIRELESS_SIM_SID} is active; only a SIM that is new"),
        ({"AccountSid": THEIRS}, 33201, f"AccountSid='{THEIRS}': a SIM can be moved only to"),
        ({"AccountSid": ""}, 33201, "AccountSid='': a SIM can be moved only to"),
    ],
)
async def test_an_impossible_update_says_why_and_changes_nothing(
    caller: Caller, store: Store, form: dict[str, str], code: int, message: str
) -> None:
    taken = a_wireless_sim(sid="DE" + "d" * 32, iccid="8901340000000000001", unique_name="taken")
    await store.transact(lambda tx: tx.wireless.sims.add(taken))
    beside = {"FriendlyName": "x", "CommandsCallbackUrl": URL, "CallbackUrl": URL}
    answer = await caller.post(ONE, beside | form)
    assert refusal(answer) == (400, code)
    assert answer.json["message"].startswith(message)
    assert (await caller.get(ONE)).json == SIM
    assert (await called_back(store), await tasks(store)) == ([], [])


@pytest.mark.parametrize(
    ("fields", "form", "expected"),
    [
        ({"status": "new", "rate_plan_sid": None}, {"Status": "ready"}, (400, 33104)),
        ({"status": "new", "rate_plan_sid": None}, {"Status": "active"}, (400, 33104)),
        ({"status": "new"}, {"Status": "suspended"}, (400, 33105)),
        ({"status": "new"}, {"ResetStatus": "resetting"}, (400, 33119)),
        ({"status": "suspended"}, {"ResetStatus": "resetting"}, (400, 33119)),
        ({"status": "suspended"}, {"Status": "ready"}, (400, 33105)),
        ({"status": "suspended", "rate_plan_sid": None}, {"Status": "active"}, (400, 33104)),
        ({"status": "deactivated"}, {"Status": "suspended"}, (400, 33105)),
        ({"status": "canceled"}, {"Status": "active"}, (400, 33105)),
        ({"status": "canceled"}, {"Status": "deactivated"}, (400, 33105)),
        ({"status": "updating"}, {"Status": "active"}, (409, 33010)),
        ({"status": "updating"}, {"RatePlan": "other"}, (409, 33010)),
        ({"status": "scheduled"}, {"Status": "deactivated"}, (409, 33010)),
        ({"status": "scheduled"}, {"RatePlan": ""}, (409, 33010)),
        ({"status": "updating"}, {"ResetStatus": "resetting"}, (400, 33119)),
        ({"is_resetting": True}, {"ResetStatus": "resetting"}, (409, 33120)),
        ({"is_narrowband": True}, {"RatePlan": "roams"}, (400, 33105)),
    ],
)
async def test_updates_forbidden_by_the_state_of_a_sim_are_refused(
    caller: Caller,
    store: Store,
    fields: dict[str, Any],
    form: dict[str, str],
    expected: tuple[int, int],
) -> None:
    at = {"status": WirelessStatus(fields["status"])} if "status" in fields else {}
    await put(store, **(fields | at))
    before = (await caller.get(ONE)).json
    answer = await caller.post(ONE, {"UniqueName": "renamed", **form, "CallbackUrl": URL})
    assert refusal(answer) == expected
    assert WIRELESS_SIM_SID in answer.json["message"]
    assert (await caller.get(ONE)).json == before
    assert (await called_back(store), await tasks(store)) == ([], [])


async def test_a_second_change_waits_for_the_first(caller: Caller) -> None:
    assert (await caller.post(ONE, {"Status": "suspended"})).status == 200
    assert refusal(await caller.post(ONE, {"Status": "suspended"})) == (409, 33010)
    assert (await caller.post(ONE, {"FriendlyName": "x"})).status == 200


async def test_an_update_with_a_callback_needs_room_for_it(
    caller: Caller, callback_queue: RecordingQueue
) -> None:
    callback_queue.room = 0
    answer = await caller.post(ONE, {"Status": "suspended", "CallbackUrl": URL})
    assert refusal(answer) == (429, 20429)
    assert answer.headers["retry-after"] == "5"
    assert callback_queue.asked == [(ACCOUNT_SID, 1)]
    assert (await caller.get(ONE)).json == SIM
    assert (await caller.post(ONE, {"Status": "suspended"})).status == 200


async def test_the_operators_rules_apply_to_every_url_of_a_sim(store: Store) -> None:
    caller = Caller(app_on(store, read_url=only_https), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    for name in ("CommandsCallback", *HANDLERS):
        answer = await caller.post(ONE, {f"{name}Url": "http://a.example/"})
        assert answer.json == error(400, 11100, f"{name}Url: http is not permitted here")
    answer = await caller.post(ONE, {"Status": "active", "CallbackUrl": "http://a.example/"})
    assert answer.json == error(400, 11100, "http is not permitted here")


async def test_unknown_parameters_of_a_sim_are_named(caller: Caller) -> None:
    answer = await caller.post(ONE, {"Fleet": "my_fleet", "status": "suspended"})
    assert (answer.status, answer.json) == (200, SIM)
    expected = "unknown parameters, which had no effect: 'Fleet', 'status'"
    assert answer.headers["ringback-warning"] == expected
    for verb, target in (("GET", f"{PATH}?Fleet=x"), ("GET", f"{ONE}?Fleet=x")):
        answer = await caller.call(verb, target)
        assert (
            answer.headers["ringback-warning"] == "unknown parameters, which had no effect: 'Fleet'"
        )


@pytest.mark.parametrize(
    ("target", "verb", "allowed"),
    [(PATH, "POST", "GET"), (PATH, "DELETE", "GET"), (ONE, "PUT", "GET, POST, DELETE")],
)
async def test_a_method_that_a_sim_does_not_have_is_refused(
    caller: Caller, target: str, verb: str, allowed: str
) -> None:
    answer = await caller.call(verb, target)
    assert refusal(answer) == (405, 20004)
    assert set(allowed.split(", ")) <= set(answer.headers["allow"].split(", "))


# ---- moving to a subaccount ----------------------------------------------------------------------


async def test_a_new_sim_is_moved_to_a_subaccount_without_its_plan(
    caller: Caller, store: Store, app: Any
) -> None:
    await put(store, status=WirelessStatus.NEW)
    answer = await caller.post(ONE, {"AccountSid": CHILD})
    assert (answer.status, answer.json["account_sid"]) == (200, CHILD)
    assert (answer.json["status"], answer.json["rate_plan_sid"]) == ("new", None)
    assert refusal(await caller.get(ONE)) == (404, 20404)
    child = Caller(app, credentials=(CHILD, AUTH_TOKEN))
    assert (await child.get(ONE)).json == answer.json


async def test_a_moved_sim_can_get_a_plan_of_its_new_account(caller: Caller, store: Store) -> None:
    plan = a_rate_plan(sid="WP" + "c" * 32, account_sid=CHILD, unique_name="child's")
    await store.transact(lambda tx: tx.wireless.rate_plans.add(plan))
    await put(store, status=WirelessStatus.NEW)
    refused = await caller.post(ONE, {"AccountSid": CHILD, "RatePlan": "my_plan"})
    assert refusal(refused) == (400, 33108)
    answer = await caller.post(ONE, {"AccountSid": CHILD, "RatePlan": "child's"})
    assert (answer.status, answer.json["rate_plan_sid"]) == (200, plan.sid)


async def test_a_moved_sim_cannot_take_a_name_that_is_taken_there(
    caller: Caller, store: Store
) -> None:
    theirs = a_wireless_sim(sid="DE" + "c" * 32, account_sid=CHILD, iccid="8901340000000000001")
    await store.transact(lambda tx: tx.wireless.sims.add(theirs))
    await put(store, status=WirelessStatus.NEW)
    assert refusal(await caller.post(ONE, {"AccountSid": CHILD})) == (400, 33101)
    answer = await caller.post(ONE, {"AccountSid": CHILD, "UniqueName": "meter_2"})
    assert (answer.status, answer.json["unique_name"]) == (200, "meter_2")


# ---- deleting ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["new", "suspended", "deactivated", "canceled"])
@pytest.mark.parametrize("target", [ONE, f"{PATH}/meter_1"])
async def test_only_the_disconnected_sim_is_deleted_with_204(
    caller: Caller, store: Store, target: str, status: str
) -> None:
    await put(store, status=WirelessStatus(status))
    answer = await caller.call("DELETE", target)
    assert (answer.status, answer.body) == (204, b"")
    assert refusal(await caller.get(ONE)) == (404, 20404)
    assert refusal(await caller.call("DELETE", target)) == (404, 20404)
    assert (await caller.get(PATH)).json["sims"] == []


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("ready", (400, 33105)),
        ("active", (400, 33105)),
        ("updating", (409, 33010)),
        ("scheduled", (409, 33010)),
    ],
)
async def test_a_connected_or_changing_sim_is_not_deleted(
    caller: Caller, store: Store, status: str, expected: tuple[int, int]
) -> None:
    await put(store, status=WirelessStatus(status))
    answer = await caller.call("DELETE", ONE)
    assert refusal(answer) == expected
    assert answer.json["message"].startswith(f"SIM {WIRELESS_SIM_SID} is {status}")
    assert (await caller.get(ONE)).status == 200


async def test_the_card_of_a_deleted_sim_can_be_registered_again(
    caller: Caller, store: Store
) -> None:
    await put(store, status=WirelessStatus.CANCELED)
    await caller.call("DELETE", ONE)
    answer = await caller.post("/portal/v1/wireless_sims", {"Iccid": WIRELESS_ICCID})
    assert (answer.status, answer.json["status"]) == (201, "new")


async def test_deleting_names_unknown_parameters_and_wakes_the_engine(
    caller: Caller, store: Store, task_runner: CountingNotifier
) -> None:
    await put(store, status=WirelessStatus.NEW)
    answer = await caller.call("DELETE", f"{ONE}?Force=true")
    assert answer.status == 204
    assert answer.headers["ringback-warning"] == "unknown parameters, which had no effect: 'Force'"
    assert task_runner.times == 1
