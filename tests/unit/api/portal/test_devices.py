"""Operating simulated devices over the portal."""

import json
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from ringback.api.app import create_app
from ringback.api.dependencies import ApiDependencies
from ringback.core.sims.message import Direction, MessageStatus
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.command import SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile, EsimStatus
from ringback.core.supersim.sim import SimStatus
from ringback.ports import Store, Transaction
from tests.callback_queues import BatchesAtOnce, RecordingQueue
from tests.fakes import (
    ACCOUNT_SID,
    AUTH_TOKEN,
    FLEET_SID,
    NOW,
    SIM_SID,
    UNIQUE_NAME,
    FakeClock,
    a_context,
    a_fleet,
    a_sim,
)
from tests.streams import a_sink, a_subscription, add_stream
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import (
    THEIR_SIM,
    THEIR_WIRELESS_SIM,
    CountingNotifier,
    called_back,
    refusal,
)
from tests.wireless_fakes import WIRELESS_SIM_SID, a_command, a_wireless_sim

DEVICE = f"/portal/v1/devices/{UNIQUE_NAME}"
PROFILE_SID = "HP" + "0" * 32
TOLD = "http://127.0.0.1:9000/told"
SENDING = ("sms", "ip", "commands", "data")


@pytest.fixture
async def told(store: Store) -> None:
    """Set the URLs of the fleet that receive callbacks about messages from devices."""
    fleet = a_fleet(sms_commands_url=f"{TOLD}/sms", ip_commands_url=f"{TOLD}/ip")
    await store.transact(lambda tx: tx.supersim.fleets.save(fleet))


async def put(store: Store, **fields: Any) -> None:
    """Change the notice's SIM."""
    sim = replace(a_sim(), **fields)
    await store.transact(lambda tx: tx.supersim.sims.save(sim))


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("name", [SIM_SID, UNIQUE_NAME])
async def test_it_sends_an_sms(
    caller: Caller, store: Store, task_runner: CountingNotifier, name: str
) -> None:
    answer = await caller.post(f"/portal/v1/devices/{name}/sms", {"Payload": "hi; there"})
    assert answer.status == 201
    sid = answer.json["sid"]
    assert answer.json == {
        "sid": sid,
        "account_sid": ACCOUNT_SID,
        "sim_sid": SIM_SID,
        "payload": "hi; there",
        "status": "received",
        "direction": "from_sim",
        "date_created": "2024-07-03T14:40:58Z",
        "date_updated": "2024-07-03T14:40:58Z",
        "url": f"http://127.0.0.1:8080/supersim/v1/SmsCommands/{sid}",
    }
    (callback,) = await called_back(store)
    assert callback.url.configured == f"{TOLD}/sms"
    assert f"CommandSid={sid}" in callback.body
    assert (await caller.get(f"/v1/SmsCommands/{sid}")).status == 200
    assert task_runner.times == 1


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize(
    ("form", "payload", "port"),
    [
        ({"Payload": "grüß"}, "grüß".encode(), 4000),
        ({"Payload": "hi", "PayloadType": "text", "DevicePort": "65535"}, b"hi", 65535),
        ({"Payload": "AP8=", "PayloadType": "binary", "DevicePort": "1"}, b"\x00\xff", 1),
        ({"Payload": ""}, b"", 4000),
        ({"Payload": "x" * 1301}, b"x" * 1300, 4000),
    ],
)
async def test_it_sends_a_datagram(
    caller: Caller, store: Store, form: dict[str, str], payload: bytes, port: int
) -> None:
    await put(store, device_ip="127.0.0.1")
    answer = await caller.post(f"{DEVICE}/ip", form)
    assert answer.status == 201
    expected = {
        "sim_sid": SIM_SID,
        "status": "received",
        "direction": "from_sim",
        "device_ip": "127.0.0.1",
        "device_port": port,
        "payload_type": "binary",
        "payload": b64encode(payload).decode(),
    }
    assert answer.json.items() >= expected.items()
    (callback,) = await called_back(store)
    assert callback.url.configured == f"{TOLD}/ip"
    assert f"CommandSid={answer.json['sid']}" in callback.body


@pytest.mark.parametrize(
    ("path", "form", "code", "word"),
    [
        ("sms", {}, 20002, "Payload is required"),
        ("sms", {"Payload": ""}, 20002, "Payload is required"),
        ("sms", {"Payload": "€"}, 83600, "single-byte"),
        ("sms", {"Payload": "x" * 161}, 83600, "161 characters"),
        ("ip", {}, 20002, "Payload is required"),
        ("ip", {"Payload": "?", "PayloadType": "binary"}, 83600, "not valid Base64"),
        ("ip", {"Payload": "ü", "PayloadType": "binary"}, 83600, "not valid Base64"),
        ("ip", {"Payload": "x", "PayloadType": "json"}, 83600, "PayloadType"),
        ("ip", {"Payload": "x", "DevicePort": "0"}, 83600, "DevicePort"),
        ("ip", {"Payload": "x", "DevicePort": "65536"}, 83600, "DevicePort"),
        ("data", {}, 20002, "Upload or Download"),
        ("data", {"Upload": "0"}, 20002, "Upload or Download"),
        ("data", {"Upload": "-1"}, 83600, "Upload"),
        ("data", {"Download": "1000000001"}, 83600, "Download"),
    ],
)
async def test_an_impossible_action_of_a_device_is_refused(
    caller: Caller, path: str, form: dict[str, str], code: int, word: str
) -> None:
    answer = await caller.post(f"{DEVICE}/{path}", form)
    assert refusal(answer) == (400, code)
    assert word in answer.json["message"]


@pytest.mark.parametrize(
    ("path", "form"),
    [("sms", {"Payload": "x"}), ("ip", {"Payload": "x"}), ("data", {"Upload": "1"})],
)
async def test_the_device_of_an_inactive_sim_can_do_nothing(
    caller: Caller, store: Store, path: str, form: dict[str, str]
) -> None:
    await put(store, status=SimStatus.INACTIVE)
    answer = await caller.post(f"{DEVICE}/{path}", form)
    assert refusal(answer) == (400, 83401)
    assert "is inactive" in answer.json["message"]


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("sms", {"Payload": "x"}),
        ("ip", {"Payload": "x"}),
        ("commands", {"Payload": "x"}),
        ("data", {"Upload": "1"}),
    ],
)
@pytest.mark.parametrize("name", [THEIR_SIM, THEIR_WIRELESS_SIM, "nobody"])
async def test_another_accounts_device_is_not_found(
    caller: Caller, name: str, path: str, form: dict[str, str]
) -> None:
    answer = await caller.post(f"/portal/v1/devices/{name}/{path}", form)
    assert refusal(answer) == (404, 20404)
    for target in (f"/portal/v1/devices/{name}", f"/portal/v1/devices/{name}/inbox"):
        assert refusal(await caller.get(target)) == (404, 20404)


async def test_a_client_without_credentials_can_operate_no_device(caller: Caller, app: Any) -> None:
    stranger = Caller(app, credentials=None)
    for path in SENDING:
        assert refusal(await stranger.post(f"{DEVICE}/{path}", {"Payload": "x"})) == (401, 20003)
    assert refusal(await stranger.get(DEVICE)) == (401, 20003)
    assert refusal(await stranger.get(f"{DEVICE}/inbox")) == (401, 20003)
    download = f"/portal/v1/esim_profiles/{PROFILE_SID}/download"
    assert refusal(await stranger.post(download, {})) == (401, 20003)
    assert refusal(await stranger.get("/portal/v1/scenarios")) == (401, 20003)


@pytest.mark.usefixtures("told")
async def test_if_too_many_callbacks_wait_nothing_is_accepted(
    caller: Caller, callback_queue: RecordingQueue
) -> None:
    callback_queue.room = 0
    for path in ("sms", "ip"):
        assert refusal(await caller.post(f"{DEVICE}/{path}", {"Payload": "x"})) == (429, 20429)
    assert (await caller.get("/v1/SmsCommands")).json["sms_commands"] == []
    assert (await caller.get("/v1/IpCommands")).json["ip_commands"] == []


async def test_it_uses_data(caller: Caller) -> None:
    answer = await caller.post(f"{DEVICE}/data", {"Upload": "300000", "Download": "1200000"})
    assert answer.status == 200
    assert answer.json == {
        "sim_sid": SIM_SID,
        "data_upload": 300000,
        "data_download": 1200000,
        "data_total": 1500000,
    }


async def test_it_uses_no_more_data_than_its_fleet_allows(caller: Caller) -> None:
    answer = await caller.post(f"{DEVICE}/data", {"Upload": "1000000000", "Download": "1"})
    assert refusal(answer) == (400, 83600)
    assert "DataLimit" in answer.json["message"]


async def test_it_shows_its_address(caller: Caller, store: Store) -> None:
    await put(store, device_ip="127.76.86.81")
    await caller.post("/portal/v1/scenarios", {"Scenario": "slow", "Sim": SIM_SID})
    answer = await caller.get(DEVICE)
    assert answer.status == 200
    assert answer.json == {
        "sim_sid": SIM_SID,
        "sim_unique_name": UNIQUE_NAME,
        "sim_status": "active",
        "product": "supersim",
        "device_ip": "127.76.86.81",
        "gateway": None,
        "fleet_sid": FLEET_SID,
        "rate_plan_sid": None,
        "ip_commands_url": None,
        "sms_commands_url": None,
        "commands_callback_url": None,
        "scenario": "slow",
        "scenario_reason": "chosen for this SIM",
    }


async def test_it_shows_the_gateway_and_the_callback_urls(
    store: Store, clock: FakeClock, callback_queue: RecordingQueue
) -> None:
    dependencies = ApiDependencies(
        store=store,
        clock=clock,
        context=lambda: a_context(queue=callback_queue),
        task_runner=CountingNotifier(),
        callback_queue=callback_queue,
        batch_queue=BatchesAtOnce(store, callback_queue),
        gateway="127.0.0.1:6969",
    )
    caller = Caller(create_app(dependencies), credentials=(ACCOUNT_SID, AUTH_TOKEN))
    fleet = a_fleet(ip_commands_url="http://user:secret@127.0.0.1:9000/ip")
    await store.transact(lambda tx: tx.supersim.fleets.save(fleet))
    shown = (await caller.get(DEVICE)).json
    assert shown["gateway"] == "127.0.0.1:6969"
    assert shown["ip_commands_url"] == "http://127.0.0.1:9000/ip"


async def test_a_sim_without_a_fleet_is_shown_too(caller: Caller, store: Store) -> None:
    await put(store, fleet_sid=None, status=SimStatus.NEW)
    shown = (await caller.get(DEVICE)).json
    assert (shown["fleet_sid"], shown["ip_commands_url"]) == (None, None)


# ---- the connection of a device ------------------------------------------------------------------


async def subscribe(store: Store) -> None:
    await store.transact(lambda tx: add_stream(tx, a_sink(), a_subscription()))


def types_in(answer: Answer) -> list[str]:
    return [one["event_type"].rpartition("connection.")[2] for one in answer.json["events"]]


async def test_it_attaches_reports_and_detaches(caller: Caller, store: Store) -> None:
    await subscribe(store)
    attached = await caller.post(f"{DEVICE}/attach", {})
    assert (attached.status, attached.json["sim_sid"]) == (200, SIM_SID)
    assert types_in(attached) == ["attachment.accepted", "data-session.started"]
    sid = attached.json["events"][1]["event_sid"]
    event = await store.transact(lambda tx: tx.streams.events.get(sid))
    assert event is not None
    assert json.loads(event.data)["data_session_sid"] == attached.json["data_session_sid"]
    reported = await caller.post(f"{DEVICE}/report", {})
    assert types_in(reported) == ["data-session.updated"]
    assert reported.json["data_session_sid"] == attached.json["data_session_sid"]
    detached = await caller.post(f"{DEVICE}/detach", {})
    assert types_in(detached) == ["data-session.ended"]
    assert detached.json["data_session_sid"] is detached.json["error_code"] is None
    assert refusal(await caller.post(f"{DEVICE}/report", {})) == (400, 83401)


@pytest.mark.parametrize(
    ("scenario", "code", "types"),
    [
        ("attach-fails", 83700, ["attachment.failed"]),
        ("session-fails", 83701, ["attachment.accepted", "data-session.failed"]),
        ("unattached", 83401, []),
    ],
)
async def test_why_it_does_not_attach_is_answered(
    caller: Caller, store: Store, scenario: str, code: int, types: list[str]
) -> None:
    await subscribe(store)
    await caller.post("/portal/v1/scenarios", {"Scenario": scenario, "Sim": SIM_SID})
    answer = await caller.post(f"{DEVICE}/attach", {})
    assert (answer.status, answer.json["error_code"]) == (200, code)
    assert answer.json["error_message"]
    assert types_in(answer) == types


async def test_without_subscription_it_publishes_nothing(caller: Caller) -> None:
    assert (await caller.post(f"{DEVICE}/attach", {})).json == {
        "sim_sid": SIM_SID,
        "data_session_sid": None,
        "error_code": None,
        "error_message": None,
        "events": [],
    }


# ---- messages that a device has received ---------------------------------------------------------


def an_sms(letter: str, *, status: str = "sent", **fields: Any) -> SmsCommand:
    usual = {
        "sid": "HC" + letter * 32,
        "account_sid": ACCOUNT_SID,
        "sim_sid": SIM_SID,
        "payload": f"{letter} \xe9",
        "status": MessageStatus(status),
        "direction": Direction.TO_SIM,
        "date_created": NOW,
        "date_updated": NOW,
    }
    return SmsCommand(**(usual | fields))


async def arrived(caller: Caller, name: str) -> list[str]:
    answer = await caller.get(f"/portal/v1/devices/{name}/inbox")
    assert answer.status == 200
    return [message["sid"] for message in answer.json["messages"]]


async def test_received_messages_are_shown_byte_by_byte(caller: Caller, store: Store) -> None:
    await store.transact(lambda tx: tx.supersim.sms_commands.add(an_sms("a")))
    answer = await caller.get(f"{DEVICE}/inbox")
    message = {"sid": "HC" + "a" * 32, "date": "2024-07-03T14:40:58Z", "hex": "6120c3a9"}
    assert (answer.status, answer.json) == (200, {"messages": [message]})


@pytest.mark.parametrize("name", [SIM_SID, UNIQUE_NAME])
async def test_only_messages_to_this_device_are_shown_newest_first(
    caller: Caller, store: Store, name: str
) -> None:
    def work(tx: Transaction) -> None:
        for message in (
            an_sms("1", status="delivered"),
            an_sms("2", status="queued"),
            an_sms("3", status="failed"),
            an_sms("4", status="received", direction=Direction.FROM_SIM),
            an_sms("5", sim_sid="HS" + "d" * 32),
            an_sms("6"),
        ):
            tx.supersim.sms_commands.add(message)
        tx.wireless.commands.add(a_command(status=MessageStatus.DELIVERED))

    await store.transact(work)
    assert await arrived(caller, name) == ["HC" + "6" * 32, "HC" + "1" * 32]


async def test_only_the_newest_hundred_are_shown(caller: Caller, store: Store) -> None:
    def work(tx: Transaction) -> None:
        for number in range(101):
            tx.supersim.sms_commands.add(an_sms("", sid=f"HC{number:032}"))

    await store.transact(work)
    shown = await arrived(caller, SIM_SID)
    assert (len(shown), shown[0], shown[-1]) == (100, f"HC{100:032}", f"HC{1:032}")


async def test_messages_from_a_device_hide_none_that_it_received(
    caller: Caller, store: Store
) -> None:
    def work(tx: Transaction) -> None:
        tx.supersim.sms_commands.add(an_sms("a"))
        for number in range(100):
            sent = an_sms(
                "", sid=f"HC{number:032}", status="received", direction=Direction.FROM_SIM
            )
            tx.supersim.sms_commands.add(sent)

    await store.transact(work)
    assert await arrived(caller, SIM_SID) == ["HC" + "a" * 32]


# ---- devices of both products --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path", "word"),
    [
        (WIRELESS_SIM_SID, "sms", "is a Programmable Wireless SIM"),
        (WIRELESS_SIM_SID, "ip", "is a Programmable Wireless SIM"),
        (SIM_SID, "commands", "is a Super SIM"),
    ],
)
async def test_a_device_can_send_only_what_its_product_has(
    caller: Caller, name: str, path: str, word: str
) -> None:
    answer = await caller.post(f"/portal/v1/devices/{name}/{path}", {"Payload": "x"})
    assert refusal(answer) == (400, 83600)
    assert answer.json["message"].startswith(f"SIM {name} {word}")


async def test_a_name_of_a_sim_in_each_product_is_ambiguous(caller: Caller, store: Store) -> None:
    same = a_wireless_sim(unique_name=UNIQUE_NAME)
    await store.transact(lambda tx: tx.wireless.sims.save(same))
    used = await caller.post(f"{DEVICE}/data", {"Upload": "1"})
    for answer in (await caller.get(DEVICE), await caller.get(f"{DEVICE}/inbox"), used):
        assert refusal(answer) == (400, 83600)
        assert f"of {SIM_SID} and of {WIRELESS_SIM_SID}" in answer.json["message"]
    for sid in (SIM_SID, WIRELESS_SIM_SID):
        assert (await caller.get(f"/portal/v1/devices/{sid}")).json["sim_sid"] == sid


@pytest.mark.parametrize(
    ("path", "sid"), [("sms", SIM_SID), ("ip", SIM_SID), ("commands", WIRELESS_SIM_SID)]
)
async def test_a_product_specific_message_finds_its_sim_despite_an_equal_name(
    caller: Caller, store: Store, path: str, sid: str
) -> None:
    same = a_wireless_sim(unique_name=UNIQUE_NAME)
    await store.transact(lambda tx: tx.wireless.sims.save(same))
    answer = await caller.post(f"{DEVICE}/{path}", {"Payload": "x"})
    assert (answer.status, answer.json["sim_sid"]) == (201, sid)


# ---- eSIM Profiles -----------------------------------------------------------------------------


def a_download(status: EsimStatus) -> EsimProfile:
    return EsimProfile(
        sid=PROFILE_SID,
        account_sid=ACCOUNT_SID,
        status=status,
        eid="89" * 16,
        has_matching_id=False,
        date_created=NOW,
        date_updated=NOW,
    )


async def test_it_downloads_an_available_profile(
    caller: Caller, store: Store, task_runner: CountingNotifier
) -> None:
    await store.transact(lambda tx: tx.supersim.esim_profiles.add(a_download(EsimStatus.AVAILABLE)))
    answer = await caller.post(f"/portal/v1/esim_profiles/{PROFILE_SID}/download", {})
    assert (answer.status, task_runner.times) == (202, 1)
    assert (answer.json["sid"], answer.json["status"]) == (PROFILE_SID, "available")
    (task,) = await store.transact(lambda tx: tx.tasks.claim(NOW.replace(year=2025), limit=9))
    assert (task.step, task.subject_sid) == (TaskKind.DOWNLOAD_PROFILE, PROFILE_SID)


async def test_an_unavailable_profile_cannot_be_downloaded(caller: Caller, store: Store) -> None:
    await store.transact(lambda tx: tx.supersim.esim_profiles.add(a_download(EsimStatus.RESERVING)))
    answer = await caller.post(f"/portal/v1/esim_profiles/{PROFILE_SID}/download", {})
    assert refusal(answer) == (409, 83600)


async def test_an_unknown_profile_cannot_be_downloaded(caller: Caller) -> None:
    answer = await caller.post(f"/portal/v1/esim_profiles/{PROFILE_SID}/download", {})
    assert refusal(answer) == (404, 20404)
