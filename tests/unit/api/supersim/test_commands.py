"""The operations on SMS and IP Commands: sending, errors, and lists."""

from base64 import b64encode
from typing import Any, NamedTuple

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.sims.scenario import TaskKind
from ringback.operations.supersim.device_actions import receive_datagram, receive_sms
from ringback.ports import Store, Transaction
from tests.callback_queues import RecordingQueue
from tests.fakes import ACCOUNT_SID, NOW, SIM_SID, TAKES, SeededRandomness, a_context
from tests.unit.api.caller import Caller
from tests.unit.api.world import THEIR_SIM, CountingNotifier, error, refusal

SMS, IP = "/v1/SmsCommands", "/v1/IpCommands"
URL = "http://127.0.0.1:9000/path?foo=bar#cbs=kore"
PING = {"Sim": SIM_SID, "Payload": "ping"}
DATAGRAM = {**PING, "DevicePort": "100"}
ICCID = "8988307000000000001"


async def hear_from_the_device(store: Store) -> None:
    """Make the SIM's device send an SMS and a datagram."""

    def work(tx: Transaction) -> None:
        sim = tx.supersim.sims.get(SIM_SID)
        assert sim is not None
        context = a_context(random_source=SeededRandomness(9))
        receive_sms(tx, sim, "pong", context)
        receive_datagram(tx, sim, b"\x00pong", port=4000, context=context)

    await store.transact(work)


# ---- both kinds ----------------------------------------------------------------------------------


class Kind(NamedTuple):
    """The differences between the two kinds of Commands."""

    name: str
    path: str
    form: dict[str, str]
    step: TaskKind
    fields: dict[str, Any]


OF_IP = {"sim_iccid": ICCID, "device_ip": None, "device_port": 100, "payload_type": "text"}
KINDS = [
    Kind("SMS Command", SMS, PING, TaskKind.SEND_SMS, {}),
    Kind("IP Command", IP, DATAGRAM, TaskKind.SEND_IP, OF_IP),
]
BOTH = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


@BOTH
@pytest.mark.parametrize("sim", [SIM_SID, "my_super_sim"])
async def test_a_command_is_queued_with_201(caller: Caller, kind: Kind, sim: str) -> None:
    answer = await caller.post(kind.path, {**kind.form, "Sim": sim})
    sid = answer.json["sid"]
    assert answer.status == 201
    assert answer.json == kind.fields | {
        "sid": sid,
        "account_sid": ACCOUNT_SID,
        "sim_sid": SIM_SID,
        "payload": "ping",
        "status": "queued",
        "direction": "to_sim",
        "date_created": "2024-07-03T14:40:58Z",
        "date_updated": "2024-07-03T14:40:58Z",
        "url": f"http://127.0.0.1:8080{kind.path}/{sid}",
    }
    assert (await caller.get(f"{kind.path}/{sid}")).json == answer.json


@BOTH
async def test_a_queued_command_is_due_after_the_networks_delay(
    caller: Caller, store: Store, task_runner: CountingNotifier, kind: Kind
) -> None:
    told = {"CallbackUrl": URL, "CallbackMethod": "GET"}
    sid = (await caller.post(kind.path, {**kind.form, **told})).json["sid"]
    (task,) = await store.transact(lambda tx: tx.tasks.claim(NOW + TAKES, limit=9))
    assert task == ScheduledTask(kind.step, sid, ACCOUNT_SID, NOW + TAKES)
    assert task_runner.times == 1
    command = await store.transact(
        lambda tx: tx.supersim.sms_commands.get(sid) or tx.supersim.ip_commands.get(sid)
    )
    assert command is not None
    assert command.callback.url is not None
    assert (command.callback.url.shown, command.callback.method) == (URL, HttpMethod.GET)


@BOTH
@pytest.mark.parametrize("query", ["Status=delivering", "Direction=up", "PageSize=0", "Status="])
async def test_an_invalid_list_of_commands_names_the_parameter(
    caller: Caller, kind: Kind, query: str
) -> None:
    answer = await caller.get(f"{kind.path}?{query}")
    assert refusal(answer) == (400, 83600)
    name, _, value = query.partition("=")
    assert answer.json["message"].startswith(f"{name}={value!r}: {name} must be ")


@BOTH
async def test_an_unknown_command_is_not_found(caller: Caller, kind: Kind) -> None:
    answer = await caller.get(f"{kind.path}/nobody")
    assert answer.json == error(404, 20404, f"there is no {kind.name} with the SID 'nobody'")


@BOTH
async def test_a_command_with_a_callback_needs_room_for_it(
    caller: Caller, callback_queue: RecordingQueue, kind: Kind
) -> None:
    callback_queue.room = 0
    answer = await caller.post(kind.path, {**kind.form, "CallbackUrl": URL})
    assert refusal(answer) == (429, 20429)
    assert callback_queue.asked == [(ACCOUNT_SID, 1)]
    assert (await caller.post(kind.path, kind.form)).status == 201


@BOTH
async def test_a_parameter_that_may_belong_to_a_commands_callback_url_is_named(
    caller: Caller, kind: Kind
) -> None:
    answer = await caller.post(kind.path, {**kind.form, "CallbackUrl": URL, "baz": "1"})
    assert answer.status == 201
    assert answer.headers["ringback-warning"] == "unknown parameters, which had no effect: 'baz'"


# ---- SMS -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload", ["a" * 160, "\xff" * 160, "ÄÖÜ\r\n@$£", " "])
async def test_an_sms_has_up_to_160_single_byte_characters(caller: Caller, payload: str) -> None:
    answer = await caller.post(SMS, {"Sim": SIM_SID, "Payload": payload})
    assert (answer.status, answer.json["payload"]) == (201, payload)


@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        ({}, 20002, "Sim is required and was not given"),
        ({"Payload": "ping"}, 20002, "Sim is required and was not given"),
        ({"Sim": "", "Payload": "ping"}, 20002, "Sim is required and was not given"),
        ({"Sim": SIM_SID}, 20002, "Payload is required and was not given"),
        ({"Sim": SIM_SID, "Payload": ""}, 20002, "Payload is required and was not given"),
        ({**PING, "Sim": "nobody's"}, 83005, 'Sim="nobody\'s": there is no SIM'),
        ({**PING, "Sim": THEIR_SIM}, 83005, f"Sim='{THEIR_SIM}': there is no SIM"),
        ({**PING, "Payload": "a" * 161}, 83600, "Payload: 161 characters are too many"),
        ({**PING, "Payload": "5 €"}, 83600, "Payload: '€' is not a single-byte character"),
        ({**PING, "CallbackUrl": "nowhere"}, 11100, "'nowhere' is not a valid URL"),
        ({**PING, "CallbackUrl": "http://a.example#cbs=foo"}, 11100, "#cbs=foo: cbs must be"),
        ({**PING, "CallbackMethod": "PUT"}, 83600, "CallbackMethod='PUT': CallbackMethod must be"),
    ],
)
async def test_an_sms_that_cannot_be_sent_says_why_and_is_not_stored(
    caller: Caller, form: dict[str, str], code: int, message: str
) -> None:
    answer = await caller.post(SMS, form)
    assert refusal(answer) == (400, code)
    assert answer.json["message"].startswith(message)
    assert (await caller.get(SMS)).json["sms_commands"] == []


@pytest.mark.parametrize(
    ("query", "payloads"),
    [
        ("", ["pong", "ping"]),
        (f"Sim={SIM_SID}", ["pong", "ping"]),
        ("Sim=my_super_sim", ["pong", "ping"]),
        ("Sim=nobody", []),
        ("Sim=", []),
        (f"Sim={THEIR_SIM}", []),
        ("Status=queued", ["ping"]),
        ("Status=received", ["pong"]),
        ("Status=failed", []),
        ("Direction=to_sim", ["ping"]),
        ("Direction=from_sim", ["pong"]),
        ("Direction=from_sim&Status=queued", []),
        ("PageSize=1", ["pong"]),
    ],
)
async def test_sms_are_listed_newest_first_and_filtered(
    caller: Caller, store: Store, query: str, payloads: list[str]
) -> None:
    await caller.post(SMS, PING)
    await hear_from_the_device(store)
    answer = await caller.get(f"{SMS}?{query}")
    assert [command["payload"] for command in answer.json["sms_commands"]] == payloads
    assert answer.json["meta"]["key"] == "sms_commands"


# ---- datagrams -----------------------------------------------------------------------------------


def base64_of(size: int) -> str:
    return b64encode(b"\xff" * size).decode()


@pytest.mark.parametrize(
    ("kind", "payload", "datagram"),
    [
        ("text", "", b""),
        ("text", "a" * 1300, b"a" * 1300),
        ("text", "€" * 433, "€".encode() * 433),
        ("binary", "", b""),
        ("binary", "AP8=", b"\x00\xff"),
        ("binary", base64_of(1300), b"\xff" * 1300),
    ],
    ids=["nothing", "1300 bytes", "wide characters", "no bytes", "any bytes", "1300 of any bytes"],
)
async def test_a_datagram_has_up_to_1300_bytes_of_any_kind(
    caller: Caller, store: Store, kind: str, payload: str, datagram: bytes
) -> None:
    answer = await caller.post(IP, {**DATAGRAM, "Payload": payload, "PayloadType": kind})
    assert (answer.status, answer.json["payload"], answer.json["payload_type"]) == (
        201,
        payload,
        kind,
    )
    command = await store.transact(lambda tx: tx.supersim.ip_commands.get(answer.json["sid"]))
    assert command is not None
    assert command.datagram == datagram


@pytest.mark.parametrize("port", ["1", "65535"])
async def test_a_datagram_goes_to_any_port(caller: Caller, port: str) -> None:
    answer = await caller.post(IP, {**DATAGRAM, "DevicePort": port})
    assert (answer.status, answer.json["device_port"]) == (201, int(port))


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in DATAGRAM.items() if key != name}


def binary(payload: str) -> dict[str, str]:
    return {**DATAGRAM, "Payload": payload, "PayloadType": "binary"}


@pytest.mark.parametrize(
    ("form", "code", "message"),
    [
        (without("Sim"), 20002, "Sim is required and was not given"),
        (without("Payload"), 20002, "Payload is required and was not given"),
        (without("DevicePort"), 20002, "DevicePort is required and was not given"),
        ({**DATAGRAM, "DevicePort": ""}, 20002, "DevicePort is required and was not given"),
        ({**DATAGRAM, "DevicePort": "0"}, 83600, "DevicePort='0': DevicePort must be a whole"),
        ({**DATAGRAM, "DevicePort": "65536"}, 83600, "DevicePort='65536'"),
        ({**DATAGRAM, "DevicePort": "4.5"}, 83600, "DevicePort='4.5'"),
        ({**DATAGRAM, "Sim": "nobody"}, 83005, "Sim='nobody': there is no SIM"),
        ({**DATAGRAM, "Sim": THEIR_SIM}, 83005, f"Sim='{THEIR_SIM}': there is no SIM"),
        ({**DATAGRAM, "PayloadType": "hex"}, 83600, "PayloadType='hex': PayloadType must be one"),
        ({**DATAGRAM, "Payload": "a" * 1301}, 83600, "Payload has 1301 bytes"),
        ({**DATAGRAM, "Payload": "€" * 434}, 83600, "Payload has 1302 bytes"),
        (binary(base64_of(1301)), 83600, "Payload has 1301 bytes"),
        (binary("AP8"), 83600, "Payload is not valid Base64"),
        (binary("not base64"), 83600, "Payload is not valid Base64"),
        (binary("€"), 83600, "Payload is not valid Base64"),
        ({**DATAGRAM, "CallbackUrl": "http://a.example#rc=9"}, 11100, "#rc=9: rc must be"),
        ({**DATAGRAM, "CallbackMethod": "get"}, 83600, "CallbackMethod='get'"),
    ],
)
async def test_a_datagram_that_cannot_be_sent_says_why_and_is_not_stored(
    caller: Caller, form: dict[str, str], code: int, message: str
) -> None:
    answer = await caller.post(IP, form)
    assert refusal(answer) == (400, code)
    assert answer.json["message"].startswith(message)
    assert (await caller.get(IP)).json["ip_commands"] == []


@pytest.mark.parametrize(
    ("query", "directions"),
    [
        ("", ["from_sim", "to_sim"]),
        ("Sim=my_super_sim", ["from_sim", "to_sim"]),
        ("Sim=nobody", []),
        (f"SimIccid={ICCID}", ["from_sim", "to_sim"]),
        ("SimIccid=8988307000000000002", []),
        ("SimIccid=", []),
        ("Status=queued", ["to_sim"]),
        ("Status=sent", []),
        ("Direction=from_sim", ["from_sim"]),
        (f"Direction=to_sim&Status=queued&SimIccid={ICCID}&Sim={SIM_SID}", ["to_sim"]),
    ],
)
async def test_datagrams_are_listed_newest_first_and_filtered(
    caller: Caller, store: Store, query: str, directions: list[str]
) -> None:
    await caller.post(IP, DATAGRAM)
    await hear_from_the_device(store)
    answer = await caller.get(f"{IP}?{query}")
    assert [command["direction"] for command in answer.json["ip_commands"]] == directions


async def test_a_datagram_from_a_device_is_binary(caller: Caller, store: Store) -> None:
    await hear_from_the_device(store)
    (command,) = (await caller.get(IP)).json["ip_commands"]
    assert (command["payload_type"], command["payload"]) == ("binary", "AHBvbmc=")
    assert (command["status"], command["device_port"]) == ("received", 4000)
