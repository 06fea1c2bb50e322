"""The operations on Commands: sending, errors, and lists."""

from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.scenario import TaskKind
from ringback.core.wireless.command import CommandTransport
from ringback.core.wireless.sim import WirelessStatus
from ringback.ports import Store, Transaction
from tests.callback_queues import RecordingQueue
from tests.fakes import ACCOUNT_SID, NOW, TAKES
from tests.unit.api.caller import Caller
from tests.unit.api.world import THEIR_WIRELESS_SIM, CountingNotifier, error, refusal
from tests.wireless_fakes import WIRELESS_SIM_SID, a_command, a_rate_plan, a_wireless_sim

PATH = "/wireless/v1/Commands"
URL = "http://127.0.0.1:9000/path?foo=bar#cbs=kore"
PING = {"Sim": WIRELESS_SIM_SID, "Command": "ping"}
COMMAND: dict[str, Any] = {
    "account_sid": ACCOUNT_SID,
    "sim_sid": WIRELESS_SIM_SID,
    "command": "ping",
    "command_mode": "text",
    "transport": "sms",
    "delivery_receipt_requested": True,
    "status": "queued",
    "direction": "to_sim",
    "date_created": "2024-07-03T14:40:58Z",
    "date_updated": "2024-07-03T14:40:58Z",
}


async def put(store: Store, **fields: Any) -> None:
    """Change the account's SIM."""
    await store.transact(lambda tx: tx.wireless.sims.save(a_wireless_sim(**fields)))


def base64_of(size: int) -> str:
    return b64encode(b"\xff" * size).decode()


# ---- sending -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sim", [WIRELESS_SIM_SID, "meter_1"])
async def test_a_command_is_queued_with_201(caller: Caller, sim: str) -> None:
    answer = await caller.post(PATH, {"Sim": sim, "Command": "ping"})
    sid = answer.json["sid"]
    url = f"http://127.0.0.1:8080{PATH}/{sid}"
    assert answer.status == 201
    assert answer.json == COMMAND | {"sid": sid, "url": url}
    assert sid.startswith("DC")
    assert (await caller.get(f"{PATH}/{sid}")).json == answer.json


async def test_a_command_is_created_with_all_given_values(caller: Caller, store: Store) -> None:
    form = {
        "Sim": "meter_1",
        "Command": "cGluZw==",
        "CommandMode": "binary",
        "IncludeSid": "none",
        "DeliveryReceiptRequested": "false",
        "CallbackUrl": URL,
        "CallbackMethod": "GET",
    }
    answer = await caller.post(PATH, form)
    assert (answer.status, answer.json["command"]) == (201, "cGluZw==")
    assert (answer.json["command_mode"], answer.json["delivery_receipt_requested"]) == (
        "binary",
        False,
    )
    assert "ringback-warning" not in answer.headers
    kept = await store.transact(lambda tx: tx.wireless.commands.get(answer.json["sid"]))
    assert kept is not None
    assert kept.message == b"ping"
    assert kept.told == CallbackTarget(CallbackUrl.parse(URL), HttpMethod.GET)


@pytest.mark.parametrize(
    ("include_sid", "message"), [("none", "ping"), ("start", "{sid} ping"), ("end", "ping {sid}")]
)
async def test_a_text_includes_the_commands_sid_on_request(
    caller: Caller, store: Store, include_sid: str, message: str
) -> None:
    answer = await caller.post(PATH, {**PING, "IncludeSid": include_sid})
    sid = answer.json["sid"]
    kept = await store.transact(lambda tx: tx.wireless.commands.get(sid))
    assert kept is not None
    assert kept.message.decode() == message.format(sid=sid)
    assert answer.json["command"] == "ping"


async def test_a_queued_command_is_due_after_the_networks_delay(
    caller: Caller, store: Store, task_runner: CountingNotifier
) -> None:
    sid = (await caller.post(PATH, PING)).json["sid"]
    due = await store.transact(lambda tx: tx.tasks.claim(NOW + timedelta(days=30), limit=9))
    assert due == [
        ScheduledTask(TaskKind.SEND_COMMAND, sid, ACCOUNT_SID, NOW + TAKES),
        ScheduledTask(TaskKind.FORGET_COMMAND, sid, ACCOUNT_SID, NOW + timedelta(days=30)),
    ]
    assert task_runner.times == 1


@pytest.mark.parametrize("text", ["a" * 160, "\xff" * 160, "ÄÖÜ\r\n@$£", " "])
async def test_a_text_has_160_single_byte_characters(caller: Caller, text: str) -> None:
    answer = await caller.post(PATH, {**PING, "Command": text})
    assert (answer.status, answer.json["command"]) == (201, text)


@pytest.mark.parametrize("include_sid", ["start", "end"])
async def test_with_its_sid_a_text_has_128_characters(caller: Caller, include_sid: str) -> None:
    form = {**PING, "IncludeSid": include_sid}
    assert (await caller.post(PATH, {**form, "Command": "a" * 128})).status == 201
    assert refusal(await caller.post(PATH, {**form, "Command": "a" * 129})) == (400, 33111)


@pytest.mark.parametrize("size", [1, 140])
async def test_a_binary_command_has_140_bytes(caller: Caller, size: int) -> None:
    answer = await caller.post(
        PATH, {**PING, "Command": base64_of(size), "CommandMode": "binary", "IncludeSid": "end"}
    )
    assert (answer.status, answer.json["command"]) == (201, base64_of(size))


async def test_a_command_to_a_narrowband_sim_is_sent_by_ip(caller: Caller, store: Store) -> None:
    await put(store, is_narrowband=True)
    answer = await caller.post(PATH, PING)
    assert (answer.status, answer.json["transport"]) == (201, "ip")


async def test_a_command_to_a_ready_sim_is_queued_too(caller: Caller, store: Store) -> None:
    await put(store, status=WirelessStatus.READY)
    assert (await caller.post(PATH, PING)).status == 201


# ---- errors --------------------------------------------------------------------------------------


def binary(command: str) -> dict[str, str]:
    return {**PING, "Command": command, "CommandMode": "binary"}


@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        ({}, 33102, "Sim is required and was not given"),
        ({"Command": "ping"}, 33102, "Sim is required and was not given"),
        ({"Sim": "", "Command": "ping"}, 33102, "Sim is required and was not given"),
        ({"Sim": WIRELESS_SIM_SID}, 33102, "Command is required and was not given"),
        ({**PING, "Command": ""}, 33102, "Command is required and was not given"),
        ({**PING, "Sim": "nobody's"}, 33107, 'Sim="nobody\'s": there is no SIM with this SID'),
        (
            {**PING, "Sim": THEIR_WIRELESS_SIM},
            33107,
            f"Sim='{THEIR_WIRELESS_SIM}': there is no SIM",
        ),
        ({**PING, "Sim": "my_super_sim"}, 33107, "Sim='my_super_sim': there is no SIM with"),
        ({**PING, "Command": "a" * 161}, 33111, "Command: 161 characters are too many"),
        ({**PING, "Command": "5 €"}, 33101, "Command: '€' is not a single-byte character"),
        ({**PING, "Command": "€" * 161}, 33111, "Command: 161 characters are too many"),
        (binary(base64_of(141)), 33111, "Command: 141 bytes are too many"),
        (binary("AP8"), 33101, "Command: it is not valid Base64"),
        (binary("not base64"), 33101, "Command: it is not valid Base64"),
        (binary("€"), 33101, "Command: it is not valid Base64"),
        ({**PING, "CommandMode": "hex"}, 33101, "CommandMode='hex': CommandMode must be one of"),
        ({**PING, "IncludeSid": "both"}, 33101, "IncludeSid='both': IncludeSid must be one of"),
        (
            {**PING, "DeliveryReceiptRequested": "yes"},
            33101,
            "DeliveryReceiptRequested='yes': DeliveryReceiptRequested must be one of true",
        ),
        ({**PING, "CallbackUrl": "nowhere"}, 11100, "'nowhere' is not a valid URL"),
        ({**PING, "CallbackUrl": "http://a.example#cbs=foo"}, 11100, "#cbs=foo: cbs must be"),
        ({**PING, "CallbackMethod": "PUT"}, 33101, "CallbackMethod='PUT': CallbackMethod must be"),
    ],
)
async def test_a_command_that_cannot_be_sent_says_why_and_is_not_stored(
    caller: Caller, form: dict[str, str], code: int, message: str
) -> None:
    answer = await caller.post(PATH, form)
    assert refusal(answer) == (400, code)
    assert answer.json["message"].startswith(message)
    assert (await caller.get(PATH)).json["commands"] == []


@pytest.mark.parametrize(
    "status", ["new", "suspended", "deactivated", "canceled", "scheduled", "updating"]
)
async def test_a_sim_that_is_not_connected_gets_no_commands(
    caller: Caller, store: Store, status: str
) -> None:
    await put(store, status=WirelessStatus(status))
    answer = await caller.post(PATH, PING)
    assert refusal(answer) == (400, 33104)
    assert answer.json["message"].startswith(f"SIM {WIRELESS_SIM_SID} is {status}")


@pytest.mark.parametrize(
    ("plan", "is_narrowband", "status"),
    [
        ({"messaging_enabled": False}, False, 400),
        ({"messaging_enabled": False}, True, 201),
        ({"data_enabled": False}, False, 201),
        ({"data_enabled": False}, True, 400),
    ],
)
async def test_the_plan_must_include_the_transport_of_commands(
    caller: Caller, store: Store, plan: dict[str, Any], is_narrowband: bool, status: int
) -> None:
    await store.transact(lambda tx: tx.wireless.rate_plans.save(a_rate_plan(**plan)))
    await put(store, is_narrowband=is_narrowband)
    answer = await caller.post(PATH, PING)
    assert answer.status == status
    assert status == 201 or refusal(answer) == (400, 33203)


async def test_no_more_than_100_commands_are_queued_for_a_narrowband_sim(
    caller: Caller, store: Store
) -> None:
    await put(store, is_narrowband=True)
    first = (await caller.post(PATH, PING)).json["sid"]
    for _ in range(99):
        assert (await caller.post(PATH, PING)).status == 201
    answer = await caller.post(PATH, PING)
    assert refusal(answer) == (400, 33118)
    assert answer.json["message"].startswith(
        "100 Commands are already queued for the Narrowband SIM"
    )
    await caller.call("DELETE", f"{PATH}/{first}")
    assert (await caller.post(PATH, PING)).status == 201


async def test_any_number_of_commands_is_queued_for_other_sims(caller: Caller) -> None:
    for _ in range(101):
        assert (await caller.post(PATH, PING)).status == 201


async def test_a_command_with_a_callback_needs_room_for_it(
    caller: Caller, callback_queue: RecordingQueue
) -> None:
    callback_queue.room = 0
    answer = await caller.post(PATH, {**PING, "CallbackUrl": URL})
    assert refusal(answer) == (429, 20429)
    assert callback_queue.asked == [(ACCOUNT_SID, 1)]
    assert (await caller.post(PATH, PING)).status == 201


async def test_unknown_parameters_of_a_command_are_named(caller: Caller) -> None:
    answer = await caller.post(PATH, {**PING, "Payload": "ping"})
    assert answer.status == 201
    assert (
        answer.headers["ringback-warning"] == "unknown parameters, which had no effect: 'Payload'"
    )
    answer = await caller.get(f"{PATH}?SimIccid=1")
    assert (
        answer.headers["ringback-warning"] == "unknown parameters, which had no effect: 'SimIccid'"
    )


# ---- finding and deleting ------------------------------------------------------------------------


async def keep(store: Store) -> None:
    """Keep a Command of each kind, the newest one from the device."""

    def work(tx: Transaction) -> None:
        other = a_wireless_sim(sid="DE" + "d" * 32, iccid="8901340000000000001", unique_name="iot")
        tx.wireless.sims.add(other)
        tx.wireless.commands.add(a_command(sid="DC" + "1" * 32, command="sms"))
        tx.wireless.commands.add(
            a_command(
                sid="DC" + "2" * 32,
                command="aXA=",
                command_mode=PayloadType.BINARY,
                sim_sid=other.sid,
                transport=CommandTransport.IP,
                status=MessageStatus.FAILED,
            )
        )
        tx.wireless.commands.add(
            a_command(
                sid="DC" + "3" * 32,
                command="heard",
                direction=Direction.FROM_SIM,
                status=MessageStatus.RECEIVED,
            )
        )

    await store.transact(work)


@pytest.mark.parametrize(
    ("query", "commands"),
    [
        ("", ["heard", "aXA=", "sms"]),
        ("PageSize=1", ["heard"]),
        (f"Sim={WIRELESS_SIM_SID}", ["heard", "sms"]),
        ("Sim=meter_1", ["heard", "sms"]),
        ("Sim=iot", ["aXA="]),
        ("Sim=nobody", []),
        ("Sim=", []),
        (f"Sim={THEIR_WIRELESS_SIM}", []),
        ("Status=queued", ["sms"]),
        ("Status=received", ["heard"]),
        ("Status=failed", ["aXA="]),
        ("Status=sent", []),
        ("Status=delivered", []),
        ("Direction=to_sim", ["aXA=", "sms"]),
        ("Direction=from_sim", ["heard"]),
        ("Transport=ip", ["aXA="]),
        ("Transport=sms", ["heard", "sms"]),
        ("Direction=from_sim&Status=queued", []),
        ("Sim=meter_1&Status=queued&Direction=to_sim&Transport=sms", ["sms"]),
    ],
)
async def test_commands_are_listed_newest_first_and_filtered(
    caller: Caller, store: Store, query: str, commands: list[str]
) -> None:
    await keep(store)
    answer = await caller.get(f"{PATH}?{query}")
    assert [command["command"] for command in answer.json["commands"]] == commands
    assert answer.json["meta"]["key"] == "commands"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("Status=delivering", 33101),
        ("Status=", 33101),
        ("Direction=up", 33101),
        ("Transport=mail", 33101),
        ("PageSize=0", 33103),
        ("Page=x", 33103),
        ("PageToken=DC", 33103),
    ],
)
async def test_an_invalid_list_of_commands_names_the_parameter(
    caller: Caller, query: str, code: int
) -> None:
    answer = await caller.get(f"{PATH}?{query}")
    assert refusal(answer) == (400, code)
    name, _, value = query.partition("=")
    assert answer.json["message"].startswith(f"{name}={value!r}")


async def test_a_deleted_command_is_answered_with_204_and_not_sent(
    caller: Caller, store: Store, task_runner: CountingNotifier
) -> None:
    sid = (await caller.post(PATH, PING)).json["sid"]
    answer = await caller.call("DELETE", f"{PATH}/{sid}")
    assert (answer.status, answer.body) == (204, b"")
    assert refusal(await caller.get(f"{PATH}/{sid}")) == (404, 20404)
    assert (await caller.get(PATH)).json["commands"] == []
    due = await store.transact(lambda tx: tx.tasks.claim(NOW + timedelta(days=99), limit=9))
    assert (due, task_runner.times) == ([], 2)


@pytest.mark.parametrize("verb", ["GET", "DELETE"])
@pytest.mark.parametrize("sid", ["DC" + "0" * 32, "nobody"])
async def test_an_unknown_command_is_not_found(caller: Caller, verb: str, sid: str) -> None:
    answer = await caller.call(verb, f"{PATH}/{sid}")
    assert answer.json == error(404, 20404, f"there is no Command with the SID {sid!r}")


async def test_a_command_cannot_be_changed(caller: Caller) -> None:
    sid = (await caller.post(PATH, PING)).json["sid"]
    assert refusal(await caller.post(f"{PATH}/{sid}", {"Command": "x"})) == (405, 20004)
