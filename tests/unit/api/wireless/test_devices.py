"""Registering Programmable Wireless SIMs in the portal, and operating their devices."""

import re
from typing import Any

import pytest
from starlette.types import ASGIApp

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.sims.message import MessageStatus, PayloadType
from ringback.core.sims.scenario import TaskKind
from ringback.core.wireless.command import IncludeSid
from ringback.core.wireless.sim import WirelessStatus
from ringback.ports import Store, Transaction
from tests.callback_queues import RecordingQueue
from tests.fakes import ACCOUNT_SID, NOW
from tests.unit.api.caller import Caller
from tests.unit.api.world import CountingNotifier, called_back, refusal
from tests.wireless_fakes import (
    COMMAND_SID,
    RATE_PLAN_SID,
    WIRELESS_ICCID,
    WIRELESS_SIM_SID,
    a_command,
    a_rate_plan,
    a_wireless_sim,
)

REGISTER = "/portal/v1/wireless_sims"
SIMS = "/wireless/v1/Sims"
DEVICE = "/portal/v1/devices/meter_1"
NEW_ICCID = "8901340852295524704"
TOLD = "http://127.0.0.1:9000/told#cbs=kore"
TO_TOLD = CallbackTarget(CallbackUrl.parse(TOLD), HttpMethod.GET)


async def put(store: Store, **fields: Any) -> None:
    """Change the account's SIM."""
    await store.transact(lambda tx: tx.wireless.sims.save(a_wireless_sim(**fields)))


# ---- registering ---------------------------------------------------------------------------------


async def test_a_card_is_registered_with_201_as_a_new_sim(
    caller: Caller, task_runner: CountingNotifier
) -> None:
    answer = await caller.post(REGISTER, {"Iccid": NEW_ICCID})
    sid = answer.json["sid"]
    expected = {
        "sid": sid,
        "unique_name": None,
        "account_sid": ACCOUNT_SID,
        "rate_plan_sid": None,
        "iccid": NEW_ICCID,
        "e_id": None,
        "status": "new",
        "date_created": "2024-07-03T14:40:58Z",
        "url": f"http://127.0.0.1:8080{SIMS}/{sid}",
    }
    assert re.fullmatch("DE[0-9a-f]{32}", sid)
    assert (answer.status, task_runner.times) == (201, 1)
    assert answer.json.items() >= expected.items()
    assert (await caller.get(f"{SIMS}/{sid}")).json == answer.json


async def test_without_a_card_one_is_made_up(caller: Caller) -> None:
    made = [(await caller.call("POST", REGISTER)).json["iccid"] for _ in range(2)]
    for iccid in made:
        assert re.fullmatch("890134[0-9]{13}", iccid)
    assert len(set(made)) == 2


async def test_a_card_is_registered_with_all_given_values(caller: Caller, store: Store) -> None:
    form = {
        "Iccid": NEW_ICCID,
        "RegistrationCode": "H3LL0W0RLD",
        "EId": "89049032005008882600033489aaaaaa",
        "Narrowband": "true",
    }
    answer = await caller.post(REGISTER, form)
    assert (answer.status, answer.json["e_id"]) == (201, form["EId"])
    sim = await store.transact(lambda tx: tx.wireless.sims.get(answer.json["sid"]))
    assert sim is not None
    assert (sim.registration_code, sim.eid, sim.is_narrowband) == ("H3LL0W0RLD", form["EId"], True)


async def test_empty_values_count_as_missing(caller: Caller, store: Store) -> None:
    form = {"Iccid": "", "RegistrationCode": "", "EId": ""}
    sid = (await caller.post(REGISTER, form)).json["sid"]
    sim = await store.transact(lambda tx: tx.wireless.sims.get(sid))
    assert sim is not None
    assert (sim.registration_code, sim.eid, sim.is_narrowband) == (None, None, False)


@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        ({"Iccid": WIRELESS_ICCID}, 33101, f"Iccid {WIRELESS_ICCID} is registered already"),
        ({"Iccid": "1234"}, 33101, "Iccid='1234': an ICCID is 18 to 22 digits that begin with 89"),
        ({"Iccid": "89" + "0" * 15}, 33101, "Iccid='89"),
        ({"Iccid": "89" + "0" * 21}, 33101, "Iccid='89"),
        ({"Iccid": "890134085229552470x"}, 33101, "Iccid='890134085229552470x'"),
        ({"RegistrationCode": "a" * 65}, 83600, "RegistrationCode must be at most 64 printable"),
        ({"EId": "a" * 65}, 83600, "EId must be at most 64 printable characters"),
        ({"Narrowband": "yes"}, 83600, "Narrowband='yes': Narrowband must be one of true, false"),
    ],
)
async def test_an_impossible_card_says_why_and_is_not_registered(
    caller: Caller, form: dict[str, str], code: int, message: str
) -> None:
    answer = await caller.post(REGISTER, form)
    assert refusal(answer) == (400, code)
    assert answer.json["message"].startswith(message)
    assert len((await caller.get(SIMS)).json["sims"]) == 1


async def test_the_card_of_another_account_cannot_be_registered(caller: Caller) -> None:
    assert refusal(await caller.post(REGISTER, {"Iccid": "8901340852295524799"})) == (400, 33101)


async def test_registering_names_unknown_parameters(caller: Caller) -> None:
    answer = await caller.post(REGISTER, {"UniqueName": "x"})
    assert (answer.status, answer.json["unique_name"]) == (201, None)
    assert (
        answer.headers["ringback-warning"]
        == "unknown parameters, which had no effect: 'UniqueName'"
    )


async def test_a_client_without_credentials_can_register_no_card(app: ASGIApp) -> None:
    assert refusal(await Caller(app, credentials=None).post(REGISTER, {})) == (401, 20003)


async def test_registered_cards_are_read_only_in_the_api(caller: Caller) -> None:
    assert refusal(await caller.get(REGISTER)) == (405, 20004)


# ---- Commands from a device ----------------------------------------------------------------------


@pytest.mark.parametrize("name", [WIRELESS_SIM_SID, "meter_1"])
async def test_it_sends_a_command(
    caller: Caller, store: Store, task_runner: CountingNotifier, name: str
) -> None:
    await put(store, commands_to=TO_TOLD)
    answer = await caller.post(f"/portal/v1/devices/{name}/commands", {"Payload": "hi; thére"})
    sid = answer.json["sid"]
    assert answer.status == 201
    assert answer.json == {
        "sid": sid,
        "account_sid": ACCOUNT_SID,
        "sim_sid": WIRELESS_SIM_SID,
        "command": "hi; thére",
        "command_mode": "text",
        "transport": "sms",
        "delivery_receipt_requested": False,
        "status": "received",
        "direction": "from_sim",
        "date_created": "2024-07-03T14:40:58Z",
        "date_updated": "2024-07-03T14:40:58Z",
        "url": f"http://127.0.0.1:8080/wireless/v1/Commands/{sid}",
    }
    (callback,) = await called_back(store)
    assert (callback.url.configured, callback.method) == (TOLD, "GET")
    assert f"CommandSid={sid}" in callback.body
    assert (await caller.get(f"/wireless/v1/Commands/{sid}")).json == answer.json
    assert task_runner.times == 1


@pytest.mark.parametrize(
    ("form", "command", "mode"),
    [
        ({"Payload": "a" * 160, "PayloadType": "text"}, "a" * 160, "text"),
        ({"Payload": "a" * 161}, "a" * 160, "text"),
        ({"Payload": "AP8=", "PayloadType": "binary"}, "AP8=", "binary"),
        ({"Payload": "AAAA" * 50, "PayloadType": "binary"}, "AAAA" * 46 + "AAA=", "binary"),
    ],
    ids=["a text", "a text that is too long", "bytes", "too many bytes"],
)
async def test_a_payload_that_is_too_long_is_truncated(
    caller: Caller, form: dict[str, str], command: str, mode: str
) -> None:
    answer = await caller.post(f"{DEVICE}/commands", form)
    assert answer.status == 201
    assert (answer.json["command"], answer.json["command_mode"]) == (command, mode)


async def test_a_command_of_a_narrowband_sim_is_sent_by_ip(caller: Caller, store: Store) -> None:
    await put(store, is_narrowband=True)
    answer = await caller.post(f"{DEVICE}/commands", {"Payload": "hi"})
    assert answer.json["transport"] == "ip"


@pytest.mark.parametrize(
    ("path", "form", "code", "word"),
    [
        ("commands", {}, 20002, "Payload is required"),
        ("commands", {"Payload": ""}, 20002, "Payload is required"),
        ("commands", {"Payload": "€"}, 33101, "single-byte"),
        ("commands", {"Payload": "?", "PayloadType": "binary"}, 83600, "not valid Base64"),
        ("commands", {"Payload": "x", "PayloadType": "json"}, 83600, "PayloadType"),
        ("data", {}, 20002, "Upload or Download"),
        ("data", {"Upload": "-1"}, 83600, "Upload"),
        ("data", {"Upload": "1000000000", "Download": "1"}, 33201, "1000 MB in home"),
    ],
)
async def test_an_impossible_action_of_a_device_is_refused(
    caller: Caller, path: str, form: dict[str, str], code: int, word: str
) -> None:
    answer = await caller.post(f"{DEVICE}/{path}", form)
    assert refusal(answer) == (400, code)
    assert word in answer.json["message"]


OFF_THE_AIR = ["new", "suspended", "deactivated", "canceled", "scheduled", "updating"]


@pytest.mark.parametrize("status", OFF_THE_AIR)
@pytest.mark.parametrize(
    ("path", "form"), [("commands", {"Payload": "x"}), ("data", {"Upload": "1"})]
)
async def test_the_device_of_a_sim_that_is_not_connected_can_do_nothing(
    caller: Caller, store: Store, path: str, form: dict[str, str], status: str
) -> None:
    await put(store, status=WirelessStatus(status))
    answer = await caller.post(f"{DEVICE}/{path}", form)
    assert refusal(answer) == (400, 33104)
    assert f"is {status}" in answer.json["message"]


@pytest.mark.parametrize(
    ("plan", "path", "code"),
    [({"messaging_enabled": False}, "commands", 33203), ({"data_enabled": False}, "data", 33201)],
)
async def test_a_device_cannot_use_services_that_its_plan_lacks(
    caller: Caller, store: Store, plan: dict[str, Any], path: str, code: int
) -> None:
    await store.transact(lambda tx: tx.wireless.rate_plans.save(a_rate_plan(**plan)))
    answer = await caller.post(f"{DEVICE}/{path}", {"Payload": "x", "Upload": "1"})
    assert refusal(answer) == (400, code)


async def test_if_too_many_callbacks_wait_nothing_is_accepted(
    caller: Caller, store: Store, callback_queue: RecordingQueue
) -> None:
    await put(store, commands_to=TO_TOLD)
    callback_queue.room = 0
    answer = await caller.post(f"{DEVICE}/commands", {"Payload": "x"})
    assert refusal(answer) == (429, 20429)
    assert (await caller.get("/wireless/v1/Commands")).json["commands"] == []


async def test_unknown_parameters_of_a_command_are_named(caller: Caller) -> None:
    answer = await caller.post(f"{DEVICE}/commands", {"Payload": "x", "DevicePort": "1"})
    assert answer.status == 201
    assert (
        answer.headers["ringback-warning"]
        == "unknown parameters, which had no effect: 'DevicePort'"
    )


# ---- data ----------------------------------------------------------------------------------------


async def test_it_uses_data(caller: Caller, store: Store) -> None:
    answer = await caller.post(f"{DEVICE}/data", {"Upload": "300000", "Download": "1200000"})
    assert answer.status == 200
    assert answer.json == {
        "sim_sid": WIRELESS_SIM_SID,
        "data_upload": 300000,
        "data_download": 1200000,
        "data_total": 1500000,
    }
    (record,) = (await caller.get(f"{SIMS}/meter_1/UsageRecords")).json["usage_records"]
    assert (record["data"]["upload"], record["data"]["download"]) == (300000, 1200000)
    (session,) = (await caller.get(f"{SIMS}/meter_1/DataSessions")).json["data_sessions"]
    assert (session["packets_uploaded"], session["packets_downloaded"]) == (215, 858)


async def test_a_ready_sim_with_enough_usage_becomes_active_soon(
    caller: Caller, store: Store
) -> None:
    await put(store, status=WirelessStatus.READY, status_since=NOW, metered_since=NOW)
    await caller.post(f"{DEVICE}/data", {"Upload": "250000"})
    (task,) = await store.transact(lambda tx: tx.tasks.claim(NOW, limit=9))
    assert (task.step, task.subject_sid) == (TaskKind.FINALIZE_SIM, WIRELESS_SIM_SID)


# ---- showing a device ----------------------------------------------------------------------------


async def test_it_shows_the_callback_url_and_the_rate_plan(caller: Caller, store: Store) -> None:
    told = CallbackTarget(CallbackUrl.parse("http://user:secret@127.0.0.1:9000/in"), HttpMethod.GET)
    await put(store, commands_to=told)
    await caller.post("/portal/v1/scenarios", {"Scenario": "asleep", "Sim": "meter_1"})
    answer = await caller.get(DEVICE)
    assert answer.status == 200
    assert answer.json == {
        "sim_sid": WIRELESS_SIM_SID,
        "sim_unique_name": "meter_1",
        "sim_status": "active",
        "product": "wireless",
        "device_ip": None,
        "gateway": None,
        "fleet_sid": None,
        "rate_plan_sid": RATE_PLAN_SID,
        "ip_commands_url": None,
        "sms_commands_url": None,
        "commands_callback_url": "http://127.0.0.1:9000/in",
        "scenario": "asleep",
        "scenario_reason": "chosen for this SIM",
    }


async def test_a_device_whose_sim_has_no_callback_url_is_shown_too(
    caller: Caller, store: Store
) -> None:
    await put(store, status=WirelessStatus.NEW, rate_plan_sid=None)
    shown = (await caller.get(DEVICE)).json
    assert (shown["rate_plan_sid"], shown["commands_callback_url"]) == (None, None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"command": "grüß"}, "grüß".encode()),
        ({"command": "AP8=", "command_mode": PayloadType.BINARY}, b"\x00\xff"),
        ({"command": "hi", "include_sid": IncludeSid.START}, f"{COMMAND_SID} hi".encode()),
        ({"command": "hi", "include_sid": IncludeSid.END}, f"hi {COMMAND_SID}".encode()),
    ],
    ids=["a text", "bytes", "with its SID in front", "with its SID behind"],
)
@pytest.mark.parametrize("status", ["sent", "delivered"])
async def test_a_command_is_shown_as_its_device_receives_it(
    caller: Caller, store: Store, fields: dict[str, Any], message: bytes, status: str
) -> None:
    came = a_command(status=MessageStatus(status), **fields)
    await store.transact(lambda tx: tx.wireless.commands.add(came))
    answer = await caller.get(f"{DEVICE}/inbox")
    expected = {"sid": COMMAND_SID, "date": "2024-07-03T14:40:58Z", "hex": message.hex()}
    assert (answer.status, answer.json) == (200, {"messages": [expected]})


@pytest.mark.parametrize("status", ["queued", "failed", "received"])
async def test_an_unsent_command_has_not_been_received(
    caller: Caller, store: Store, status: str
) -> None:
    def work(tx: Transaction) -> None:
        tx.wireless.commands.add(a_command(status=MessageStatus(status)))

    await store.transact(work)
    assert (await caller.get(f"{DEVICE}/inbox")).json == {"messages": []}
