"""The official client uses every operation of Super SIM that it has, in one story."""

import asyncio
from base64 import b64decode
from collections.abc import AsyncGenerator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from twilio.rest import Client

from tests.contract.official import NotingHttpClient, Story, on, operations_of, pages_of, sids_in
from tests.receivers import RecordingReceiver
from tests.served import Served, served


@pytest_asyncio.fixture
async def story(tmp_path: Path) -> AsyncGenerator[Story]:
    async with served(tmp_path, "--update-takes", "10ms") as dev, RecordingReceiver() as receiver:
        http = NotingHttpClient()
        client = Client(dev.dev["account_sid"], dev.dev["auth_token"], http_client=http)
        client.supersim.base_url = dev.dev["base_url"]
        yield Story(client.supersim.v1, http, dev, receiver)


async def test_it_uses_every_operation_from_a_profile_to_usage(story: Story) -> None:
    profile_sid = await make_a_profile(story.api)
    fleet_sid = await make_a_fleet(story, profile_sid)
    sim_sid = await order_an_esim(story)
    await activate(story, sim_sid, fleet_sid)
    await send_sms_both_ways(story, sim_sid)
    await send_datagrams_both_ways(story, sim_sid)
    await look_at_what_came_of_it(story, sim_sid, fleet_sid)
    assert operations_of(story.api) - story.http.called == set()


async def make_a_profile(api: Any) -> str:
    german = await sids_in(api.networks, iso_country="DE", mnc="01")
    french = await sids_in(api.networks, mcc="208", mnc="01")
    assert (await on(api.networks(french[0]).fetch)).friendly_name == "Orange"
    profiles = api.network_access_profiles
    made = await on(profiles.create, unique_name="Europe", networks=german + french)
    profile = profiles(made.sid)
    assert (await on(profile.update, unique_name="Near us")).unique_name == "Near us"
    assert (await on(profile.fetch)).sid == (await on(profiles("Near us").fetch)).sid
    assert made.sid in await sids_in(profiles)
    american = (await sids_in(api.networks, iso_country="US"))[0]
    assert (await on(profile.networks.create, network=american)).iso_country == "us"
    assert await sids_in(profile.networks) == [*german, *french, american]
    assert (await on(profile.networks(american).fetch)).network_access_profile_sid == made.sid
    assert await on(profile.networks(american).delete)
    assert await sids_in(profile.networks) == german + french
    return made.sid


async def make_a_fleet(story: Story, profile_sid: str) -> str:
    fleets = story.api.fleets
    made = await on(
        fleets.create,
        network_access_profile="Near us",
        unique_name="trackers",
        data_limit=500,
        sms_commands_url=story.receiver.url("/sms"),
        ip_commands_url=story.receiver.url("/ip#cbs=kore"),
    )
    assert (made.data_limit, made.network_access_profile_sid) == (500, profile_sid)
    assert (await on(fleets(made.sid).update, data_limit=5)).data_limit == 5
    fetched = await on(fleets("trackers").fetch)
    assert (fetched.ip_commands_url, fetched.data_limit) == (story.receiver.url("/ip#cbs=kore"), 5)
    assert (await on(fleets(made.sid).fetch)).sid == made.sid
    assert await sids_in(fleets, network_access_profile="Near us") == [made.sid]
    return made.sid


async def order_an_esim(story: Story) -> str:
    profiles = story.api.esim_profiles
    ordered = await on(
        profiles.create, generate_matching_id=True, callback_url=story.receiver.url("/esim")
    )
    assert ordered.status == "new"
    told = await story.told(1)
    profile = await on(profiles(ordered.sid).fetch)
    assert (told["Status"], told["SimSid"]) == ("available", profile.sim_sid)
    assert profile.activation_code.endswith(f"${profile.matching_id}")
    assert await sids_in(profiles, sim_sid=profile.sim_sid, status="available") == [ordered.sid]
    return profile.sim_sid


async def activate(story: Story, sim_sid: str, fleet_sid: str) -> None:
    sims = story.api.sims
    card = await on(sims.create, iccid="8988307000000000777", registration_code="H3LL0W0RLD")
    assert await sids_in(sims, status="new") == [card.sid, sim_sid]
    named = await on(sims(sim_sid).update, unique_name="tracker 1", fleet="trackers")
    assert (named.status, named.fleet_sid) == ("new", fleet_sid)
    url = story.receiver.url("/sim")
    changed = await on(sims("tracker 1").update, status="active", callback_url=url)
    assert changed.status == "scheduled"
    assert (await story.told(2))["SimStatus"] == "active"
    assert (await on(sims(sim_sid).fetch)).status == "active"
    assert await sids_in(sims, fleet="trackers") == [sim_sid]


async def send_sms_both_ways(story: Story, sim_sid: str) -> None:
    commands = story.api.sms_commands
    url = story.receiver.url("/sent")
    sent = await on(commands.create, sim="tracker 1", payload="ping", callback_url=url)
    assert (sent.status, sent.direction) == ("queued", "to_sim")
    assert (await story.told(4))["Status"] == "delivered"
    assert (await on(commands(sent.sid).fetch)).status == "delivered"
    answered = await story.dev.post(f"/portal/v1/devices/{sim_sid}/sms", Payload="pong")
    assert answered.status == 201
    told = await story.told(5)
    assert (told["Payload"], told["SimUniqueName"]) == ("pong", "tracker 1")
    assert await sids_in(commands, direction="from_sim") == [told["CommandSid"]]
    assert await sids_in(commands, sim="tracker 1") == [told["CommandSid"], sent.sid]


async def send_datagrams_both_ways(story: Story, sim_sid: str) -> None:
    commands = story.api.ip_commands
    sent = await on(
        commands.create,
        sim=sim_sid,
        payload="cGluZw==",
        payload_type="binary",
        device_port=4001,
        callback_url=story.receiver.url("/sent"),
    )
    assert (await story.told(6))["Status"] == "sent"
    fetched = await on(commands(sent.sid).fetch)
    (address,) = await on(story.api.sims(sim_sid).sim_ip_addresses.list)
    assert (fetched.status, fetched.device_ip) == ("sent", address.ip_address)
    answered = await story.dev.post(
        f"/portal/v1/devices/{sim_sid}/ip", Payload="cG9uZw==", PayloadType="binary"
    )
    assert answered.status == 201
    told = await story.told(7)
    assert (b64decode(told["Payload"]), told["PayloadType"]) == (b"pong", "binary")
    assert await sids_in(commands, status="received") == [told["CommandSid"]]


async def look_at_what_came_of_it(story: Story, sim_sid: str, fleet_sid: str) -> None:
    used = await story.dev.post(f"/portal/v1/devices/{sim_sid}/data", Upload="200000")
    assert used.status == 200
    records = await on(story.api.usage_records.list, group="sim", fleet="trackers")
    (record,) = [one for one in records if one.sim_sid == sim_sid]
    assert (record.fleet_sid, record.data_upload >= 200_000) == (fleet_sid, True)
    (period,) = await on(story.api.sims(sim_sid).billing_periods.list)
    assert (period.period_type, period.sim_sid) == ("active", sim_sid)
    (update,) = await on(story.api.settings_updates.list, sim="tracker 1")
    assert (update.sim_sid, update.packages[0]["name"]) == (sim_sid, "base-settings")


# ---- paging while records are added --------------------------------------------------------------

MANY = 2300


async def register(dev: Served, number: int) -> str:
    answer = await dev.post("/v1/Sims", Iccid=f"8988307{number:013}", RegistrationCode="H3LL0W0RLD")
    return answer.body["sid"]


async def register_on_and_on(dev: Served, another: asyncio.Event) -> None:
    """Register one SIM after another, until cancelled; call `another` after each."""
    for number in count(MANY):
        await register(dev, number)
        another.set()


@pytest.mark.parametrize("page_size", [50, pytest.param(1000, marks=pytest.mark.long)])
async def test_it_pages_through_2300_sims_while_more_are_added(
    story: Story, page_size: int
) -> None:
    registered = await asyncio.gather(*(register(story.dev, number) for number in range(MANY)))
    another = asyncio.Event()

    async def one_more_is_there(page: list[str]) -> None:
        another.clear()
        await another.wait()

    adding = asyncio.create_task(register_on_and_on(story.dev, another))
    try:
        turned = pages_of(story.api.sims, page_size, one_more_is_there)
        pages = [page async for page in turned]
    finally:
        adding.cancel()
    seen = [sid for page in pages for sid in page]
    assert len(seen) == len(set(seen))
    assert {story.dev.dev["sim_sid"], *registered} <= set(seen)
    assert [len(page) for page in pages[:-1]] == [page_size] * (len(pages) - 1)
