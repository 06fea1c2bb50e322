"""The official client uses every operation of Programmable Wireless that it has, in one story."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from tests.contract.official import NotingHttpClient, Story, on, operations_of, pages_of, sids_in
from tests.receivers import RecordingReceiver
from tests.served import Served, served


@pytest_asyncio.fixture
async def story(tmp_path: Path) -> AsyncGenerator[Story]:
    async with served(tmp_path, "--update-takes", "10ms") as dev, RecordingReceiver() as receiver:
        http = NotingHttpClient()
        client = Client(dev.dev["account_sid"], dev.dev["auth_token"], http_client=http)
        client.wireless.base_url = f"{dev.dev['base_url']}/wireless"
        yield Story(client.wireless.v1, http, dev, receiver)


async def test_it_uses_every_operation_from_a_plan_to_the_end_of_a_sim(story: Story) -> None:
    sim_sid = await register(story.dev, Iccid="8901340000000000777", RegistrationCode="H3LL0W0RLD")
    plan_sid = await make_a_plan(story.api)
    await activate(story, sim_sid, plan_sid)
    await send_commands_both_ways(story, sim_sid)
    await look_at_what_was_used(story.api, sim_sid)
    await reset(story, sim_sid)
    await end(story, sim_sid, plan_sid)
    assert operations_of(story.api) - story.http.called == set()
    assert story.http.bases == {f"{story.dev.dev['base_url']}/wireless"}


async def register(dev: Served, **form: str) -> str:
    """Register a SIM card, which only the portal can do."""
    return (await dev.post("/portal/v1/wireless_sims", **form)).body["sid"]


async def make_a_plan(api: Any) -> str:
    plans = api.rate_plans
    made = await on(
        plans.create,
        unique_name="trackers",
        data_limit=5,
        data_metering="payg",
        data_limit_strategy="throttle",
        international_roaming=["data", "messaging"],
        voice_enabled=False,
    )
    assert (made.data_limit, made.international_roaming) == (5, ["data", "messaging"])
    assert made.date_created.tzinfo is not None
    named = await on(plans(made.sid).update, friendly_name="Those on trucks")
    assert (named.friendly_name, named.unique_name) == ("Those on trucks", "trackers")
    assert (await on(plans("trackers").fetch)).sid == (await on(plans(made.sid).fetch)).sid
    spare = await on(plans.create, unique_name="spare")
    assert (await sids_in(plans))[:2] == [spare.sid, made.sid]
    assert await on(plans(spare.sid).delete)
    assert spare.sid not in await sids_in(plans)
    return made.sid


async def activate(story: Story, sim_sid: str, plan_sid: str) -> None:
    """Make a SIM ready and then, by usage, active; check that both are called back."""
    sims = story.api.sims
    new = await on(sims(sim_sid).update, unique_name="tracker 1", rate_plan="trackers")
    assert (new.status, new.rate_plan_sid) == ("new", plan_sid)
    assert await sids_in(sims, status="new", rate_plan="trackers") == [sim_sid]
    assert await sids_in(sims, sim_registration_code="H3LL0W0RLD") == [sim_sid]
    changed = await on(
        sims("tracker 1").update,
        status="ready",
        callback_url=story.receiver.url("/sim#cbs=kore"),
        commands_callback_url=story.receiver.url("/in"),
    )
    assert changed.status == "updating"
    told = await story.told(1)
    assert (told["SimStatus"], told["SimUniqueName"]) == ("ready", "tracker 1")
    assert (await on(sims(sim_sid).fetch)).status == "ready"
    used = await story.dev.post(f"/portal/v1/devices/{sim_sid}/data", Upload="300000")
    assert used.status == 200
    assert (await story.told(2))["SimStatus"] == "active"
    assert (await on(sims("tracker 1").fetch)).status == "active"


async def send_commands_both_ways(story: Story, sim_sid: str) -> None:
    commands = story.api.commands
    sent = await on(
        commands.create,
        command="ping",
        sim="tracker 1",
        include_sid="end",
        callback_url=story.receiver.url("/sent"),
    )
    assert (sent.status, sent.direction, sent.transport) == ("queued", "to_sim", "sms")
    told = await story.told(3)
    assert (told["CommandStatus"], told["CommandSid"]) == ("delivered", sent.sid)
    assert (await on(commands(sent.sid).fetch)).status == "delivered"
    inbox = await story.dev.get(f"/portal/v1/devices/{sim_sid}/inbox")
    assert [bytes.fromhex(one["hex"]) for one in inbox.body["messages"]] == [
        f"ping {sent.sid}".encode()
    ]
    heard = await story.dev.post(
        f"/portal/v1/devices/{sim_sid}/commands", Payload="cG9uZw==", PayloadType="binary"
    )
    assert heard.status == 201
    told = await story.told(4)
    assert (b64decode(told["Command"]), told["CommandStatus"]) == (b"pong", "received")
    assert await sids_in(commands, direction="from_sim") == [told["CommandSid"]]
    assert await sids_in(commands, sim="tracker 1") == [told["CommandSid"], sent.sid]
    assert await sids_in(commands, status="delivered", transport="sms") == [sent.sid]
    assert await on(commands(sent.sid).delete)
    assert await sids_in(commands) == [told["CommandSid"]]


async def look_at_what_was_used(api: Any, sim_sid: str) -> None:
    (record,) = await on(api.sims(sim_sid).usage_records.list)
    assert (record.sim_sid, record.data["upload"] >= 300_000) == (sim_sid, True)
    # Including the Command that was deleted meanwhile.
    assert (record.commands["to_sim"], record.commands["from_sim"]) == (1, 1)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    days = await on(
        api.usage_records.list,
        start=today - timedelta(days=2),
        end=today + timedelta(days=1),
        granularity="daily",
    )
    assert len(days) == 3
    assert sum(day.data["total"] for day in days) >= record.data["total"]
    sessions = await on(api.sims(sim_sid).data_sessions.list)
    assert {session.sim_sid for session in sessions} == {sim_sid}
    assert sessions[-1].start.tzinfo is not None


async def reset(story: Story, sim_sid: str) -> None:
    sim = story.api.sims(sim_sid)
    url = story.receiver.url("/reset")
    asked = await on(sim.update, reset_status="resetting", callback_url=url)
    assert asked.reset_status == "resetting"
    assert (await story.told(5))["SimStatus"] == "active"
    assert (await on(sim.fetch)).reset_status is None


async def end(story: Story, sim_sid: str, plan_sid: str) -> None:
    """Deactivate a SIM, let it be canceled after three days, and delete it and its plan."""
    sim, plan = story.api.sims(sim_sid), story.api.rate_plans(plan_sid)
    url = story.receiver.url("/end")
    await on(sim.update, status="deactivated", callback_url=url, callback_method="POST")
    assert (await story.told(6))["SimStatus"] == "deactivated"
    assert (await on(sim.fetch)).status == "deactivated"
    moved = await story.dev.post("/portal/v1/clock", Advance="72h")
    assert moved.status == 200
    assert (await story.told(7))["SimStatus"] == "canceled"
    with pytest.raises(TwilioRestException) as raised:
        await on(plan.delete)
    assert (raised.value.status, raised.value.code) == (400, 33201)
    assert await on(sim.delete)
    assert sim_sid not in await sids_in(story.api.sims)
    assert await on(plan.delete)


async def test_it_raises_the_code_and_the_message_of_a_refusal(story: Story) -> None:
    sim = story.api.sims(story.dev.dev["wireless_sim_sid"])
    with pytest.raises(TwilioRestException) as raised:
        await on(sim.update, status="new")
    assert (raised.value.status, raised.value.code) == (400, 33105)
    assert "can't become new" in raised.value.msg


# ---- paging while records are deleted ------------------------------------------------------------

MANY = 330


@pytest.mark.parametrize("page_size", [50, 7])
async def test_it_pages_through_330_sims_while_some_are_deleted(
    story: Story, page_size: int
) -> None:
    new = await asyncio.gather(*(register(story.dev) for _ in range(MANY)))
    deleted = set[str]()

    async def delete_some(page: list[str]) -> None:
        """Delete all SIMs of the page shown last, and some that are not shown yet."""
        left = [sid for sid in new if sid not in deleted and sid not in page]
        gone = [sid for sid in page if sid in new] + left[:: len(left) // 3 or 1][:3]
        deleted.update(gone)
        await asyncio.gather(*(on(story.api.sims(sid).delete) for sid in gone))

    seen = list[str]()
    async for page in pages_of(story.api.sims, page_size, delete_some):
        assert not deleted & set(page)
        seen += page
    assert len(seen) == len(set(seen))
    assert set(new) - deleted <= set(seen)
    assert {story.dev.dev["wireless_sim_sid"], *new} - set(seen) <= deleted
    assert story.http.bases == {f"{story.dev.dev['base_url']}/wireless"}
    assert await sids_in(story.api.sims, limit=1000) == [story.dev.dev["wireless_sim_sid"]]
