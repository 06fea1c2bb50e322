"""`ringback trigger` with a running server: real callbacks arrive; no setting stays changed."""

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from ringback.cli.portal_commands import portal_of
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import ConfigurationError
from ringback.data_folder import DataFolder
from ringback.dev_environment.dev_file import DevServerDetails
from ringback.operations.streams.publish import follow_sessions
from ringback.operations.wireless.seed_data import SIM_SID as WIRELESS_SIM_SID
from ringback.ports import Transaction
from ringback.runtime.system_clock import SystemClock
from ringback.triggers import TRIGGERS, TriggerDefinition
from ringback.triggers.trigger import TriggerRun
from tests.end_to_end.test_sending import ringback
from tests.fakes import SIM_SID, a_context
from tests.receivers import ReceivedRequest, RecordingReceiver
from tests.served import Served, asked_until, served
from tests.streams import a_sink, a_subscription, add_stream

FAST = ("--update-takes", "10ms")
NOBODY = "http://127.0.0.1:9/"


async def trigger(*words: str, data: Path) -> dict[str, Any]:
    """Run a trigger, and return its output for programs."""
    return json.loads(await ringback("trigger", *words, "--json", data=data))


def told_by(request: ReceivedRequest) -> dict[str, str]:
    _, target, _ = request.line.split()
    return dict(parse_qsl(request.body.decode() or urlsplit(target).query))


async def fleet_of(dev: Served) -> dict[str, Any]:
    (fleet,) = (await dev.get("/v1/Fleets")).body["fleets"]
    return fleet


async def wireless_sim_of(dev: Served) -> dict[str, Any]:
    return (await dev.get(dev.wireless_sim_path)).body


async def chosen(dev: Served, **whose: str) -> str | None:
    return (await dev.get("/portal/v1/scenarios", **whose)).body["chosen"]


# ---- callbacks -----------------------------------------------------------------------------------


CALLING_BACK = {name: one for name, one in TRIGGERS.items() if one.publishes is None}
PUBLISHING = {name: one for name, one in TRIGGERS.items() if one.publishes is not None}


@pytest.mark.parametrize("pulled", CALLING_BACK.values(), ids=CALLING_BACK)
async def test_each_trigger_causes_the_promised_callbacks(
    pulled: TriggerDefinition, tmp_path: Path
) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *FAST) as dev:
        said = await trigger(pulled.name, "--to", receiver.url("/"), data=tmp_path)
        arrived = list(map(told_by, await receiver.wait_for(len(pulled.calls_back))))
        chosen_now = [await chosen(dev), await chosen(dev, Sim=SIM_SID)]
        chosen_now.append(await chosen(dev, Sim=WIRELESS_SIM_SID))
        fleet, sim = await fleet_of(dev), await wireless_sim_of(dev)
    for callback, promised in zip(said["callbacks"], pulled.calls_back, strict=True):
        assert callback["parameters"] in arrived
        assert promised.items() <= callback["parameters"].items()
        assert callback["status"] == "delivered"
    assert chosen_now == [None, None, None]
    assert fleet["sms_commands_url"] is fleet["ip_commands_url"] is None
    assert sim["commands_callback_url"] is None


async def subscribed(folder: Path, url: str) -> None:
    """Create the data of `ringback dev`, with a sink at this URL that gets all events."""
    async with served(folder, *FAST) as dev:
        account = dev.dev["account_sid"]
        await dev.stop()

    def add(tx: Transaction) -> None:
        sink = a_sink(1, url=url, account_sid=account)
        add_stream(tx, sink, a_subscription(1, account_sid=account))
        follow_sessions(tx, account, a_context(now=SystemClock().now()))

    await asyncio.to_thread(DataFolder(folder).transact, add)


async def test_each_trigger_of_connections_publishes_the_promised_event(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver:
        await subscribed(tmp_path, receiver.url("/events"))
        async with served(tmp_path, *FAST) as dev:
            promised = set[str]()
            for name, pulled in PUBLISHING.items():
                said = await trigger(name, data=tmp_path)
                assert {one["event_type"] for one in said["events"]} == {pulled.publishes}
                assert said["callbacks"] == []
                promised |= {one["event_sid"] for one in said["events"]}

            async def arrived() -> set[str]:
                bodies = [json.loads(one.body) for one in receiver.requests]
                return {event["id"] for body in bodies for event in body}

            await asked_until(arrived, lambda sids: promised <= sids)
            assert await chosen(dev, Sim=SIM_SID) is None


async def test_an_event_that_nobody_gets_is_reported(tmp_path: Path) -> None:
    async with served(tmp_path, *FAST):
        words = ("trigger", "connection.attachment.accepted")
        said = await ringback(*words, data=tmp_path, fails=True)
    assert said.startswith(
        "ringback: no event com.twilio.iot.supersim.connection.attachment.accepted was published."
        " Only an enabled subscription"
    )


async def test_the_source_is_set_without_losing_the_rest_of_the_fragment(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *FAST):
        url = receiver.url("/hook?x=1#rc=2&cbs=twilio")
        words = ("sim.unchanged", "--to", url, "--cbs", "kore", "--method", "GET")
        (callback,) = (await trigger(*words, data=tmp_path))["callbacks"]
        (request,) = await receiver.wait_for(1)
    assert callback["url"] == receiver.url("/hook?x=1#rc=2&cbs=kore")
    assert callback["source_reason"] == "the URL asks for it: #cbs=kore"
    assert request.line.startswith("GET /hook?x=1&ApiVersion=v1&")
    assert "User-Agent: KoreProxy/1.1" in request.headers


async def test_it_uses_the_given_sim_and_payload(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *FAST) as dev:
        card = {"Iccid": "89883070000000000001", "RegistrationCode": "H3LL0W0RLD"}
        sim = (await dev.post("/v1/Sims", **card)).body["sid"]
        await dev.post(f"/v1/Sims/{sim}", UniqueName="my meter")
        words = ("--sim", "my meter", "--payload", "wake up", "--to", receiver.url("/"))
        await trigger("sms.sent", *words, data=tmp_path)
        (request, *_) = await receiver.wait_for(1)
    told = told_by(request)
    assert (told["SimSid"], told["SimUniqueName"], told["Payload"]) == (sim, "my meter", "wake up")


async def test_a_new_sim_is_made_ready_itself(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *FAST) as dev:
        card = {"Iccid": "89883070000000000001", "RegistrationCode": "H3LL0W0RLD"}
        sim = (await dev.post("/v1/Sims", **card)).body["sid"]
        await trigger("sim.ready", "--sim", sim, "--to", receiver.url("/"), data=tmp_path)
        (request,) = await receiver.wait_for(1)
    assert told_by(request)["SimSid"] == sim


async def test_an_sms_that_should_stay_unconfirmed_is_never_delivered(tmp_path: Path) -> None:
    # Slow enough that restoring its scenario too early would show.
    slow = ("--update-takes", "300ms")
    async with RecordingReceiver() as receiver, served(tmp_path, *slow) as dev:
        to = ("--to", receiver.url("/"))
        said = await trigger("sms.unconfirmed", *to, data=tmp_path)
        await trigger("sms.delivered", *to, data=tmp_path)
        sid = said["callbacks"][0]["parameters"]["CommandSid"]
        assert (await dev.get(f"/v1/SmsCommands/{sid}")).body["status"] == "sent"
        arrived = list(map(told_by, await receiver.wait_for(3)))
    assert [told["Status"] for told in arrived if told["CommandSid"] == sid] == ["sent"]


async def test_a_trigger_takes_no_callback_of_the_trigger_before(tmp_path: Path) -> None:
    # Slow enough for the SMS to be delivered while the SIM changes.
    slow = ("--update-takes", "200ms")
    async with RecordingReceiver() as receiver, served(tmp_path, *slow):
        to = ("--to", receiver.url("/"))
        first = await trigger("sms.sent", *to, data=tmp_path)
        second = await trigger("sim.active", *to, data=tmp_path)
        arrived = list(map(told_by, await receiver.wait_for(3)))
    assert [one["parameters"]["Status"] for one in first["callbacks"]] == ["sent"]
    assert [one["parameters"]["SimStatus"] for one in second["callbacks"]] == ["active"]
    assert [one["Status"] for one in arrived if "CommandSid" in one] == ["sent", "delivered"]


async def test_a_trigger_takes_no_callback_of_a_change_that_was_under_way(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, "--update-takes", "200ms") as dev:
        url = receiver.url("/")
        await dev.post(dev.sim_path, Status="inactive", CallbackUrl=url)
        (callback,) = (await trigger("sim.active", "--to", url, data=tmp_path))["callbacks"]
        arrived = list(map(told_by, await receiver.wait_for(2)))
    assert callback["parameters"]["SimStatus"] == "active"
    assert [one["SimStatus"] for one in arrived] == ["inactive", "active"]


async def test_a_command_is_sent_to_the_given_wireless_sim(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *FAST) as dev:
        sim = await a_connected_sim(dev)
        words = ("--sim", "my meter", "--payload", "wake up", "--to", receiver.url("/"))
        await trigger("command.delivered", *words, "--cbs", "kore", data=tmp_path)
        (request,) = await receiver.wait_for(1)
    told = told_by(request)
    assert (told["SimSid"], told["SimUniqueName"], told["Command"]) == (sim, "my meter", "wake up")
    assert "User-Agent: KoreProxy/1.1" in request.headers


async def a_connected_sim(dev: Served) -> str:
    """Return the SID of another Programmable Wireless SIM, `my meter`, which is active."""
    sim = (await dev.post("/portal/v1/wireless_sims")).body["sid"]
    form = {"UniqueName": "my meter", "Status": "active", "RatePlan": "my_rate_plan"}
    await dev.post(f"/wireless/v1/Sims/{sim}", **form)
    path = f"/wireless/v1/Sims/{sim}"
    await asked_until(lambda: dev.get(path), lambda answered: answered.body["status"] == "active")
    return sim


async def test_a_new_wireless_sim_is_made_ready_itself(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *FAST) as dev:
        sim = (await dev.post("/portal/v1/wireless_sims")).body["sid"]
        await dev.post(f"/wireless/v1/Sims/{sim}", RatePlan="my_rate_plan")
        await trigger("wireless.ready", "--sim", sim, "--to", receiver.url("/"), data=tmp_path)
        (request,) = await receiver.wait_for(1)
        sims = (await dev.get("/wireless/v1/Sims")).body["sims"]
    assert told_by(request)["SimSid"] == sim
    assert len(sims) == 2


async def test_the_second_callback_of_a_sim_comes_after_the_first(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *FAST):
        await trigger("wireless.activated", "--to", receiver.url("/"), data=tmp_path)
        first, second = map(told_by, await receiver.wait_for(2))
    assert first["SimSid"] == second["SimSid"] != WIRELESS_SIM_SID
    assert (first["SimStatus"], second["SimStatus"]) == ("ready", "active")


async def test_a_truncated_command_arrives_without_its_end(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *FAST):
        words = ("command.cut-off", "--payload", "abc", "--to", receiver.url("/"))
        await trigger(*words, data=tmp_path)
        (request,) = await receiver.wait_for(1)
    assert told_by(request)["Command"] == ("abc" * 160)[:160]


async def test_a_suspended_sim_is_activated_first(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *FAST) as dev:
        await dev.post(dev.wireless_sim_path, Status="suspended")
        await trigger("command.sent", "--to", receiver.url("/"), data=tmp_path)
        assert (await wireless_sim_of(dev))["status"] == "active"


# ---- restored settings ---------------------------------------------------------------------------


async def test_the_scenarios_chosen_before_are_restored(tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *FAST) as dev:
        await dev.post("/portal/v1/scenarios", Scenario="unattached", Sim=SIM_SID)
        await dev.post("/portal/v1/scenarios", Scenario="settings-fail")
        for name in ("sms.failed", "esim.failed"):
            await trigger(name, "--to", receiver.url("/"), data=tmp_path)
        now = [await chosen(dev, Sim=SIM_SID), await chosen(dev)]
    assert now == ["unattached", "settings-fail"]


@pytest.mark.parametrize("name", ["wireless.failed", "wireless.reset-failed", "command.failed"])
async def test_the_scenario_of_a_wireless_sim_is_restored(name: str, tmp_path: Path) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *FAST) as dev:
        await dev.post("/portal/v1/scenarios", Scenario="asleep", Sim=WIRELESS_SIM_SID)
        await trigger(name, "--to", receiver.url("/"), data=tmp_path)
        now = [await chosen(dev, Sim=WIRELESS_SIM_SID), await chosen(dev)]
    assert now == ["asleep", None]


@pytest.mark.parametrize("name", ["command.received", "command.cut-off"])
async def test_the_callback_url_of_a_wireless_sim_is_restored(name: str, tmp_path: Path) -> None:
    before = {
        "CommandsCallbackUrl": "http://127.0.0.1:9/mine#cbs=kore",
        "CommandsCallbackMethod": "GET",
    }
    async with RecordingReceiver() as receiver, served(tmp_path, *FAST) as dev:
        await dev.post(dev.wireless_sim_path, **before)
        await trigger(name, "--to", receiver.url("/"), data=tmp_path)
        sim = await wireless_sim_of(dev)
    assert sim["commands_callback_url"] == before["CommandsCallbackUrl"]
    assert sim["commands_callback_method"] == before["CommandsCallbackMethod"]


@pytest.mark.parametrize("prefix", ["Sms", "Ip"])
async def test_the_callback_urls_of_a_fleet_are_restored(prefix: str, tmp_path: Path) -> None:
    before = {f"{prefix}CommandsUrl": "http://127.0.0.1:9/mine", f"{prefix}CommandsMethod": "GET"}
    async with RecordingReceiver() as receiver, served(tmp_path, *FAST) as dev:
        path = f"/v1/Fleets/{(await fleet_of(dev))['sid']}"
        await dev.post(path, **before)
        name = f"{prefix.lower()}.received"
        await trigger(name, "--to", receiver.url("/"), data=tmp_path)
        fleet = await fleet_of(dev)
    assert fleet[f"{prefix.lower()}_commands_url"] == "http://127.0.0.1:9/mine"
    assert fleet[f"{prefix.lower()}_commands_method"] == "GET"


async def test_settings_are_restored_if_the_rest_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path, *FAST) as dev:
        words = ("trigger", "ip.failed", "--payload", "x" * 1301)
        said = await ringback(*words, data=tmp_path, fails=True)
        now = await chosen(dev, Sim=SIM_SID)
    assert said == "ringback: Payload has 1301 bytes; an IP Command has at most 1300\n"
    assert now is None


async def test_settings_are_restored_if_a_person_stops_it(tmp_path: Path) -> None:
    async with served(tmp_path, "--update-takes", "1h") as dev:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ringback", "trigger", "ip.failed", "--data", str(tmp_path)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        await process.stdout.readuntil(b" is queued")
        assert await chosen(dev, Sim=SIM_SID) == "ip-fails"
        process.send_signal(signal.SIGINT)
        _, said = await process.communicate()
        assert await chosen(dev, Sim=SIM_SID) is None
    assert (process.returncode, said.decode().strip()) == (1, "ringback: aborted")


# ---- output for people ---------------------------------------------------------------------------


async def test_people_see_each_step_and_why_the_callback_came_from_its_source(
    tmp_path: Path,
) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *FAST) as dev:
        said = await ringback("trigger", "sim.active", "--to", receiver.url("/"), data=tmp_path)
        (callback,) = await dev.callbacks()
    assert said.splitlines() == [
        f"SIM {SIM_SID} is active; first it becomes inactive, without a callback",
        f"SIM {SIM_SID} is inactive",
        f"its status is set to active, with CallbackUrl={receiver.url('/')} (POST)",
        f"{callback['sid']}  SimStatus=active  by POST: delivered",
        f"  twilio: {callback['source_reason']}",
    ]


async def test_a_url_where_nothing_listens_is_reported_plainly(tmp_path: Path) -> None:
    async with served(tmp_path, *FAST):
        words = ("trigger", "sim.unchanged", "--to", NOBODY)
        said = await ringback(*words, data=tmp_path, fails=True)
    assert said == (
        f"ringback: nothing listens at {NOBODY}; start `ringback listen`, or give the URL of"
        " another receiver with --to\n"
    )


async def test_a_receiver_that_refuses_is_reported(tmp_path: Path) -> None:
    refusal = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    async with RecordingReceiver(refusal) as receiver, served(tmp_path, *FAST) as dev:
        words = ("trigger", "sim.unchanged", "--to", receiver.url("/"))
        said = await ringback(*words, data=tmp_path, fails=True)
        (callback,) = await dev.callbacks()
    assert said.startswith(f"ringback: {callback['sid']} was not delivered: ")
    assert "404" in said


async def test_an_outcome_that_the_sim_does_not_allow_is_reported_with_its_reason(
    tmp_path: Path,
) -> None:
    async with RecordingReceiver() as receiver, served(tmp_path, *FAST) as dev:
        await dev.post("/portal/v1/scenarios", Scenario="unattached", Sim=SIM_SID)
        words = ("trigger", "ip.sent", "--to", receiver.url("/"))
        said = await ringback(*words, data=tmp_path, fails=True)
    assert said == (
        "ringback: ip.sent should cause Status=sent, but it caused Status=failed ErrorCode=83401:"
        " the device is not attached to a network\n"
    )


async def test_a_canceled_wireless_sim_is_not_used(tmp_path: Path) -> None:
    async with served(tmp_path, *FAST) as dev:
        await dev.post(dev.wireless_sim_path, Status="deactivated")
        said = await ringback("trigger", "command.sent", data=tmp_path, fails=True)
    assert said == (
        f"ringback: SIM {WIRELESS_SIM_SID} is deactivated, but must be active or suspended;"
        " name another one with --sim, or register one: POST /portal/v1/wireless_sims\n"
    )


async def test_it_does_not_wait_forever_for_a_sim_whose_changes_fail(tmp_path: Path) -> None:
    async with served(tmp_path, *FAST) as dev:
        await dev.post("/portal/v1/scenarios", Scenario="update-fails", Sim=SIM_SID)
        said = await ringback("trigger", "sim.active", data=tmp_path, fails=True)
    assert said == (
        f"ringback: SIM {SIM_SID} did not become inactive: does its scenario make it fail?\n"
    )


async def test_a_network_that_takes_too_long_is_reported(tmp_path: Path) -> None:
    async with served(tmp_path, "--update-takes", "1h"):

        def pull() -> None:
            run = TriggerRun(
                product="supersim",
                portal=portal_of(DevServerDetails.read(tmp_path)),
                to=CallbackUrl.parse(NOBODY),
                method="POST",
                report=lambda _: None,
                patience=0,
            )
            TRIGGERS["esim.available"].pull(run)

        with pytest.raises(ConfigurationError, match=r"the callback did not arrive within 0 s; if"):
            await asyncio.to_thread(pull)
