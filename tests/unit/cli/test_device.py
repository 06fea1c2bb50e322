"""`ringback device` and `ringback scenario`, against a served process where they need one."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from click.testing import CliRunner

from ringback.cli.dev.banner import banner
from ringback.cli.device.command import read_size
from ringback.cli.device.send_datagram import at_address, gateway_near
from ringback.cli.main import main
from ringback.dev_environment.dev_file import DevServerDetails
from ringback.operations.supersim.seed_data import SIM_NAME, SIM_SID
from ringback.operations.wireless.seed_data import SIM_NAME as WIRELESS_NAME
from ringback.operations.wireless.seed_data import SIM_SID as WIRELESS_SID
from ringback.portal_client import PortalClient
from ringback.settings.load import load
from tests.ports import free_port
from tests.receivers import RecordingReceiver
from tests.served import Served, served

GATEWAY = ("--gateway", "127.0.0.1:0")
NOBODY = ("--server", "http://127.0.0.1:9", "--account-sid", "AC1", "--auth-token", "x")
AT_ONCE = ("--update-takes", "0s")


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("500", 500), ("300kB", 300_000), ("2MB", 2_000_000), ("1gb", 10**9), ("7B", 7)],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert read_size(text) == size


@pytest.mark.parametrize("text", ["", "kB", "-1", "1.5MB", "1 MB", "1TB", "9" * 13])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid size; write 500, 300kB or 2MB"):
        read_size(text)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["send"], "give either TEXT, --hex or --file"),
        (["send", "x", "--hex", "00"], "give either TEXT, --hex or --file"),
        (["send", "--hex", "0"], "'0' is not hexadecimal; write two digits"),
        (["send", "x", "--port", "0"], "--port"),
        (["data", "--upload", "much"], "'much' is not a valid size"),
        (["receive", "--count", "0"], "--count"),
    ],
)
def test_what_can_not_be_meant_is_refused(words: list[str], complaint: str) -> None:
    given = CliRunner().invoke(main, ["device", *words, *NOBODY])
    assert given.exit_code == 2
    assert complaint in given.output


def test_without_a_dev_a_sim_has_to_be_named() -> None:
    given = CliRunner().invoke(main, ["device", "show", *NOBODY])
    assert given.exit_code == 1
    assert "name the SIM of the device by its SID or unique name: --sim" in given.output


def port_of(said: str) -> int:
    return int(said.rpartition(":")[2])


async def ringback(*words: str, data: Path, fails: bool = False) -> str:
    """Run a command in this process, and return what it says: where it fails, about that."""
    given = [*words, "--data", str(data)]
    done = await asyncio.to_thread(CliRunner().invoke, main, given)
    assert (done.exit_code != 0) is fails, done.output
    return done.stderr if fails else done.stdout


async def commands(dev: Served) -> list[dict[str, Any]]:
    return (await dev.get("/v1/IpCommands")).body["ip_commands"]


async def test_a_datagram_is_sent_from_the_devices_own_address(tmp_path: Path) -> None:
    port = str(free_port())
    async with RecordingReceiver() as receiver, served(tmp_path, *GATEWAY) as dev:
        untold = await ringback("device", "send", "hello", "--port", port, data=tmp_path)
        await dev.post("/v1/Fleets/my_fleet", IpCommandsUrl=receiver.url("/up"))
        said = await ringback("device", "send", "--hex", "00ff", "--port", port, data=tmp_path)
        (request,) = await receiver.wait_for(1)
        second, first = await commands(dev)
    gateway = dev.dev["gateway"]
    way = f"datagram from 127.0.0.1:{port} to {gateway}"
    assert untold.splitlines() == [
        f"{first['sid']}  received  {way}",
        "  no callback: IpCommandsUrl of the SIM's Fleet is not set",
    ]
    assert said.splitlines() == [
        f"{second['sid']}  received  {way}",
        f"  calls back {receiver.url('/up')}",
    ]
    assert (first["payload"], second["payload"]) == ("aGVsbG8=", "AP8=")
    assert dict(parse_qsl(request.body.decode()))["CommandSid"] == second["sid"]


async def test_the_same_text_again_is_another_command(tmp_path: Path) -> None:
    words = ("device", "send", "hello", "--port", str(free_port()), "--json")
    async with served(tmp_path, *GATEWAY) as dev:
        said = [json.loads(await ringback(*words, data=tmp_path)) for _ in range(2)]
        kept = await commands(dev)
    assert [one["sid"] for one in said] == [one["sid"] for one in reversed(kept)]


async def test_where_that_is_taken_or_no_gateway_runs_it_goes_over_the_api(tmp_path: Path) -> None:
    file = tmp_path / "payload"
    file.write_bytes(b"\x00\xff")
    words = ("device", "send", "--file", str(file))
    async with served(tmp_path / "with", *GATEWAY) as dev:
        with at_address("127.0.0.1", 0) as taken:
            port = str(taken.getsockname()[1])
            said = await ringback(*words, "--port", port, data=tmp_path / "with")
        (command,) = await commands(dev)
    assert f"  over the API: 127.0.0.1:{port} can't be used here (" in said
    assert (command["payload"], command["device_port"]) == ("AP8=", int(port))
    async with served(tmp_path / "without") as dev:
        answer = json.loads(await ringback(*words, "--json", data=tmp_path / "without"))
        (command,) = await commands(dev)
    assert command["sid"] == answer["sid"]
    assert (answer["payload"], answer["device_port"]) == ("AP8=", 4000)


async def test_from_a_sim_that_is_inactive_nothing_is_sent(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *GATEWAY, *AT_ONCE) as dev:
        await dev.post(dev.sim_path, Status="inactive", CallbackUrl=receiver.url("/"))
        await receiver.wait_for(1)
        said = await ringback("device", "send", "x", data=tmp_path, fails=True)
    assert f"SIM {SIM_SID} is inactive; its device can send while it is ready or active" in said


async def test_a_datagram_that_the_gateway_refuses_is_said_to_be(tmp_path: Path) -> None:
    words = ("device", "send", "x", "--port", str(free_port()))
    async with served(tmp_path, *GATEWAY, "--data-per-day", "0") as dev:
        await dev.post("/v1/Fleets/my_fleet", DataLimit="1")
        # The same text, from the same port, that was taken in before is no sign of this one.
        await ringback(*words, data=tmp_path)
        await ringback("device", "data", "--upload", "1MB", data=tmp_path)
        said = await ringback(*words, data=tmp_path, fails=True)
    assert "the gateway did not accept it; the log of `ringback dev` has the reason" in said


async def test_an_sms_is_sent(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path) as dev:
        await dev.post("/v1/Fleets/my_fleet", SmsCommandsUrl=receiver.url("/sms"))
        words = ("device", "send", "--sms", "hi", "--sim", SIM_NAME)
        said = await ringback(*words, data=tmp_path)
        (request,) = await receiver.wait_for(1)
        refused = await ringback(
            "device", "send", "--sms", "--hex", "00", data=tmp_path, fails=True
        )
    told = dict(parse_qsl(request.body.decode()))
    assert said.splitlines() == [
        f"{told['CommandSid']}  received  SMS",
        f"  calls back {receiver.url('/sms')}",
    ]
    assert "an SMS is text; give TEXT" in refused


@asynccontextmanager
async def receiving(*words: str, data: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ringback", "device", "receive", "--data", str(data), *words),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def next_line(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    return (await process.stdout.readline()).decode().rstrip("\n")


async def send(dev: Served, port: int, payload: str, kind: str = "text") -> None:
    form = {"Sim": SIM_SID, "Payload": payload, "PayloadType": kind, "DevicePort": str(port)}
    assert (await dev.post("/v1/IpCommands", **form)).status == 201


async def test_it_shows_datagrams_and_sms_and_ends_after_so_many(tmp_path: Path) -> None:
    port = str(free_port())
    words = ("--json", "--port", port, "--count", "3")
    async with served(tmp_path, *GATEWAY, *AT_ONCE) as dev:
        await dev.post("/v1/SmsCommands", Sim=SIM_SID, Payload="before its time")
        async with RecordingReceiver() as receiver:
            url = receiver.url("/")
            await dev.post("/v1/SmsCommands", Sim=SIM_SID, Payload="old", CallbackUrl=url)
            await receiver.wait_for(2)
        async with receiving(*words, data=tmp_path) as process:
            assert json.loads(await next_line(process)) == {"listening": f"127.0.0.1:{port}"}
            shown = list[Mapping[str, Any]]()
            await send(dev, int(port), "set interval 5")
            shown.append(json.loads(await next_line(process)))
            await send(dev, int(port), "AP8=", "binary")
            shown.append(json.loads(await next_line(process)))
            await dev.post("/v1/SmsCommands", Sim=SIM_SID, Payload="hi")
            shown.append(json.loads(await next_line(process)))
            assert await process.wait() == 0
    gateway = dev.dev["gateway"]
    assert [{name: one[name] for name in ("kind", "from", "text", "hex")} for one in shown] == [
        {"kind": "ip", "from": gateway, "text": "set interval 5", "hex": b"set interval 5".hex()},
        {"kind": "ip", "from": gateway, "text": None, "hex": "00ff"},
        {"kind": "sms", "from": "000", "text": "hi", "hex": b"hi".hex()},
    ]


async def test_it_shows_them_to_people_and_stops_on_request(tmp_path: Path) -> None:
    port = str(free_port())
    async with (
        served(tmp_path, *GATEWAY, *AT_ONCE) as dev,
        receiving("--port", port, data=tmp_path) as process,
    ):
        assert await next_line(process) == f"listening at 127.0.0.1:{port} (UDP)"
        await send(dev, int(port), "hello")
        assert (await next_line(process)).endswith(f"  ip   {dev.dev['gateway']}  5 B  hello")
        await send(dev, int(port), "AP8=", "binary")
        assert (await next_line(process)).endswith("  2 B  00 ff")
        await send(dev, int(port), "")
        assert (await next_line(process)).endswith("  0 B")
        process.terminate()
        assert await process.wait() == 0


async def test_a_port_that_is_taken_is_said_to_be(tmp_path: Path) -> None:
    async with served(tmp_path, *GATEWAY):
        with at_address("127.0.0.1", 0) as taken:
            port = str(taken.getsockname()[1])
            words = ("device", "receive", "--port", port)
            said = await ringback(*words, data=tmp_path, fails=True)
    assert f"UDP port {port} of 127.0.0.1 is taken; choose another with --port" in said


async def test_an_address_that_is_not_this_machines_is_said_to_be_none(tmp_path: Path) -> None:
    # Addresses of documentation (RFC 5737): no machine has them.
    async with served(tmp_path, "--devices", "192.0.2.0/24") as dev:
        form = {"Iccid": "89883070000000000042", "RegistrationCode": "H3LL0W0RLD"}
        sim = (await dev.post("/v1/Sims", **form)).body["sid"]
        shown = json.loads(await ringback("device", "show", "--sim", sim, "--json", data=tmp_path))
        words = ("device", "receive", "--sim", sim)
        said = await ringback(*words, data=tmp_path, fails=True)
    address = shown["device_ip"]
    assert address.startswith("192.0.2.")
    assert f"{address}, the device's address, is not an address of this machine" in said


async def test_it_is_shown_how_a_device_is_reached(tmp_path: Path) -> None:
    async with served(tmp_path, *GATEWAY):
        said = await ringback("device", "show", data=tmp_path)
        shown = json.loads(await ringback("device", "show", "--json", data=tmp_path))
    assert said.splitlines() == [
        f"{SIM_SID}  {SIM_NAME}  active",
        "  address    127.0.0.1",
        f"  sends to   {shown['gateway']}",
        "  datagrams  no callback: IpCommandsUrl of the SIM's Fleet is not set",
        "  SMS        no callback: SmsCommandsUrl of the SIM's Fleet is not set",
        "  scenario   normal, set for all",
    ]
    assert port_of(shown["gateway"])


async def test_data_is_used_and_a_profile_downloaded(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *AT_ONCE) as dev:
        words = ("device", "data", "--upload", "300kB", "--download", "1MB")
        said = await ringback(*words, data=tmp_path)
        ordered = await dev.post(
            "/v1/ESimProfiles", Eid="89" * 16, CallbackUrl=receiver.url("/esim")
        )
        await receiver.wait_for(1)
        downloading = await ringback("device", "download", ordered.body["sid"], data=tmp_path)
        await receiver.wait_for(2)
    assert said == f"{SIM_SID}  1300000 bytes\n"
    assert downloading == f"{ordered.body['sid']}  download started\n"
    assert dict(parse_qsl(receiver.requests[1].body.decode()))["Status"] == "downloaded"


# ---- a Programmable Wireless SIM


WIRELESS = ("--sim", WIRELESS_NAME)


async def test_a_wireless_device_sends_commands(tmp_path: Path) -> None:
    file = tmp_path / "payload"
    file.write_bytes(b"\x00\xff")
    async with RecordingReceiver() as receiver, served(tmp_path) as dev:
        untold = await ringback("device", "send", "hello", *WIRELESS, data=tmp_path)
        there = receiver.url("/commands")
        await dev.post(dev.wireless_sim_path, CommandsCallbackUrl=there)
        words = ("device", "send", "--command", "--file", str(file), *WIRELESS)
        said = await ringback(*words, data=tmp_path)
        (request,) = await receiver.wait_for(1)
        second, first = (await dev.get("/wireless/v1/Commands")).body["commands"]
    assert untold.splitlines() == [
        f"{first['sid']}  received  Command",
        "  no callback: CommandsCallbackUrl of the SIM is not set",
    ]
    assert said.splitlines() == [f"{second['sid']}  received  Command", f"  calls back {there}"]
    assert (first["command"], first["command_mode"]) == ("hello", "text")
    assert (second["command"], second["command_mode"]) == ("AP8=", "binary")
    assert dict(parse_qsl(request.body.decode()))["CommandSid"] == second["sid"]


async def test_a_command_that_is_sent_is_shown_as_json(tmp_path: Path) -> None:
    words = ("device", "send", "--hex", "00ff", "--sim", WIRELESS_SID, "--json")
    async with served(tmp_path) as dev:
        said = json.loads(await ringback(*words, data=tmp_path))
        shown = (await dev.get(f"/wireless/v1/Commands/{said['sid']}")).body
    assert (said["command"], said["direction"]) == ("AP8=", "from_sim")
    assert said["command"] == shown["command"]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--sms", *WIRELESS), "is a Programmable Wireless SIM, whose devices send Commands"),
        (("--ip", *WIRELESS), "is a Programmable Wireless SIM, whose devices send Commands"),
        (("--command", "--sim", SIM_NAME), "is a Super SIM, whose devices send only SMS"),
        (("--sim", "nobody"), "there is no SIM with the SID or unique name 'nobody'"),
    ],
)
async def test_what_the_other_product_has_is_refused(
    words: tuple[str, ...], why: str, tmp_path: Path
) -> None:
    async with served(tmp_path):
        said = await ringback("device", "send", "hi", *words, data=tmp_path, fails=True)
    assert why in said


async def test_from_a_sim_that_is_suspended_no_command_is_sent(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *AT_ONCE) as dev:
        await dev.post(dev.wireless_sim_path, Status="suspended", CallbackUrl=receiver.url("/"))
        await receiver.wait_for(1)
        said = await ringback("device", "send", "x", *WIRELESS, data=tmp_path, fails=True)
    assert f"SIM {WIRELESS_SID} is suspended; its device can send while it is ready" in said


async def test_it_is_shown_what_a_wireless_device_has(tmp_path: Path) -> None:
    async with served(tmp_path, *GATEWAY) as dev:
        said = await ringback("device", "show", *WIRELESS, data=tmp_path)
        await dev.post(dev.wireless_sim_path, CommandsCallbackUrl="http://a.example/#cbs=kore")
        told = await ringback("device", "show", *WIRELESS, data=tmp_path)
        shown = json.loads(await ringback("device", "show", *WIRELESS, "--json", data=tmp_path))
        plan = (await dev.get(dev.wireless_sim_path)).body["rate_plan_sid"]
    assert said.splitlines() == [
        f"{WIRELESS_SID}  {WIRELESS_NAME}  active",
        f"  rate plan  {plan}",
        "  Commands   no callback: CommandsCallbackUrl of the SIM is not set",
        "  scenario   normal, set for all",
    ]
    assert "  Commands   calls back http://a.example/#cbs=kore" in told.splitlines()
    assert (shown["product"], shown["rate_plan_sid"]) == ("wireless", plan)
    assert shown["device_ip"] is shown["gateway"] is None


async def test_commands_that_come_to_a_device_are_shown(tmp_path: Path) -> None:
    words = (*WIRELESS, "--json", "--count", "2")
    async with served(tmp_path, *AT_ONCE) as dev:

        async def send_command(command: str, **form: str) -> dict[str, Any]:
            sent = await dev.post(
                "/wireless/v1/Commands", Sim=WIRELESS_SID, Command=command, **form
            )
            assert sent.status == 201
            return sent.body

        async with RecordingReceiver() as receiver:
            await send_command("old", CallbackUrl=receiver.url("/"))
            await receiver.wait_for(1)
        async with receiving(*words, data=tmp_path) as process:
            assert json.loads(await next_line(process)) == {"listening": WIRELESS_SID}
            text = await send_command("set interval 5", IncludeSid="end")
            shown = [json.loads(await next_line(process))]
            await send_command("AP8=", CommandMode="binary")
            shown.append(json.loads(await next_line(process)))
            assert await process.wait() == 0
    whole = f"set interval 5 {text['sid']}"
    assert [{name: one[name] for name in ("kind", "from", "text", "hex")} for one in shown] == [
        {"kind": "command", "from": "2936", "text": whole, "hex": whole.encode().hex()},
        {"kind": "command", "from": "2936", "text": None, "hex": "00ff"},
    ]


async def test_people_are_shown_commands_until_they_have_seen_enough(tmp_path: Path) -> None:
    async with served(tmp_path, *AT_ONCE) as dev, receiving(*WIRELESS, data=tmp_path) as process:
        assert await next_line(process) == f"waiting for Commands to {WIRELESS_SID}"
        await dev.post("/wireless/v1/Commands", Sim=WIRELESS_SID, Command="hello")
        assert (await next_line(process)).endswith("  command  2936  5 B  hello")
        process.terminate()
        assert await process.wait() == 0


async def test_a_wireless_device_uses_data(tmp_path: Path) -> None:
    async with served(tmp_path, "--data-per-day", "0") as dev:
        words = ("device", "data", "--upload", "300kB", "--download", "1MB", *WIRELESS)
        said = await ringback(*words, data=tmp_path)
        usage = await dev.get("/wireless/v1/UsageRecords", Granularity="all")
        too_much = ("device", "data", "--download", "1000MB", *WIRELESS)
        refused = await ringback(*too_much, data=tmp_path, fails=True)
    assert said == f"{WIRELESS_SID}  1300000 bytes\n"
    used = usage.body["usage_records"][0]["data"]
    assert (used["upload"], used["download"]) == (300_000, 1_000_000)
    assert f"SIM {WIRELESS_SID} may use 998700000 more bytes this month" in refused


async def test_a_scenario_is_chosen_shown_and_taken_back(tmp_path: Path) -> None:
    async with served(tmp_path):
        words = ("scenario", "unattached", "--sim", SIM_NAME, "--json")
        chosen = json.loads(await ringback(*words, data=tmp_path))
        shown = (await ringback("scenario", "--sim", SIM_NAME, data=tmp_path)).splitlines()
        back = await ringback("scenario", "--reset", "--sim", SIM_NAME, data=tmp_path)
        both = await ringback("scenario", "slow", "--reset", data=tmp_path, fails=True)
    assert (chosen["scenario"], chosen["reason"]) == ("unattached", "chosen for this SIM")
    assert shown[0] == f"{SIM_SID}  unattached: {chosen['meaning']}  (chosen for this SIM)"
    assert "  slow             everything takes twenty times as long" in shown
    assert back == f"{SIM_SID}  normal: everything works  (set for all)\n"
    assert "give either a NAME or --reset" in both


@pytest.mark.parametrize(
    ("gateway", "line"),
    [
        ("127.0.0.1:6969", "127.0.0.1:6969 (UDP); see `ringback device show`"),
        (
            "none",
            "nowhere: no gateway is open (--gateway); datagrams stay in the simulated network",
        ),
    ],
)
def test_the_banner_says_where_devices_send_to(gateway: str, line: str) -> None:
    settings = load({"data": "other"}, {})
    told = DevServerDetails("http://127.0.0.1:8080", *(["x"] * 9), gateway=gateway)
    shown = banner(told, settings, settings.policy.phases[0], ahead=timedelta(0))
    assert f"  Devices send to      {line}\n" in shown


def test_the_banner_names_the_borders_that_are_near() -> None:
    settings = load({}, {})
    told = DevServerDetails("http://127.0.0.1:8080", *(["x"] * 9))
    near = ["twilio ends at 2024-11-02T00:00:00Z, in 1 day"]
    shown = banner(told, settings, settings.policy.phases[0], ahead=timedelta(0), near=near)
    assert f"or --at 2024-10-20\n                       {near[0]}\n  Data file" in shown


def a_portal(base_url: str) -> PortalClient:
    return PortalClient(base_url, "AC1", "x")


@pytest.mark.parametrize(
    ("gateway", "server", "near"),
    [
        (None, "http://127.0.0.1:8080", None),
        ("127.0.0.1:6969", "http://127.0.0.1:8080", ("127.0.0.1", 6969)),
        ("127.0.0.1:6969", "http://localhost:8080", ("127.0.0.1", 6969)),
        ("127.0.0.1:6969", "https://ringback.example", None),
        ("10.0.0.1:6969", "https://ringback.example", ("10.0.0.1", 6969)),
        ("0.0.0.0:6969", "http://10.0.0.1:8080", ("10.0.0.1", 6969)),
    ],
)
def test_the_loopback_of_another_machine_is_no_gateway_for_this_one(
    gateway: str | None, server: str, near: tuple[str, int] | None
) -> None:
    assert gateway_near(gateway, a_portal(server)) == near
