"""The official client manages SIMs, with no setting except its base URL."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from twilio.base.exceptions import TwilioRestException
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from tests.receivers import ReceivedRequest, RecordingReceiver
from tests.served import Served, served


@pytest_asyncio.fixture
async def dev(tmp_path: Path) -> AsyncGenerator[Served]:
    async with served(tmp_path, "--update-takes", "10ms") as dev:
        yield dev


def sims_of(dev: Served) -> Any:
    client = Client(dev.dev["account_sid"], dev.dev["auth_token"])
    client.supersim.base_url = dev.dev["base_url"]
    return client.supersim.v1.sims


def register(sims: Any, count: int) -> list[str]:
    return [
        sims.create(iccid=f"8988307{number:012}", registration_code="H3LL0W0RLD").sid
        for number in range(count)
    ]


async def test_it_registers_a_sim(dev: Served) -> None:
    sim = await asyncio.to_thread(
        sims_of(dev).create, iccid="89883070000000000001", registration_code="H3LL0W0RLD"
    )
    assert sim.sid.startswith("HS")
    assert sim.status == "new"
    assert sim.iccid == "89883070000000000001"
    assert sim.account_sid == dev.dev["account_sid"]
    # It parses only exactly the vendors' format, and leaves any other as text.
    assert sim.date_created.tzinfo is not None


async def test_it_fetches_a_sim_by_its_sid_and_by_its_name(dev: Served) -> None:
    sims = sims_of(dev)
    by_sid = await asyncio.to_thread(sims(dev.dev["sim_sid"]).fetch)
    by_name = await asyncio.to_thread(sims("my_super_sim").fetch)
    assert by_sid.sid == by_name.sid == dev.dev["sim_sid"]
    assert by_sid.links["billing_periods"].startswith(dev.dev["base_url"])


@pytest.mark.parametrize("name", ["My SIM", "a+b", "Zoë"])
async def test_it_fetches_a_sim_by_any_name(dev: Served, name: str) -> None:
    sims = sims_of(dev)
    await asyncio.to_thread(sims(dev.dev["sim_sid"]).update, unique_name=name)
    assert (await asyncio.to_thread(sims(name).fetch)).sid == dev.dev["sim_sid"]


async def test_a_name_with_a_slash_is_found_if_the_client_escapes_it(dev: Served) -> None:
    # The official client does not, so its slash separates the path.
    await dev.post(dev.sim_path, UniqueName="a/b")
    assert (await dev.get("/v1/Sims/a%2Fb")).body["sid"] == dev.dev["sim_sid"]
    with pytest.raises(TwilioRestException) as raised:
        await asyncio.to_thread(sims_of(dev)("a/b").fetch)
    assert raised.value.code == 20404


async def test_it_lists_by_status_fleet_and_iccid(dev: Served) -> None:
    sims = sims_of(dev)
    await asyncio.to_thread(register, sims, 3)
    seeded = await asyncio.to_thread(sims("my_super_sim").fetch)

    def listed(**filters: str) -> list[str]:
        return [sim.sid for sim in sims.list(**filters)]

    assert len(await asyncio.to_thread(listed)) == 4
    assert len(await asyncio.to_thread(listed, status="new")) == 3
    assert await asyncio.to_thread(listed, fleet="my_fleet") == [seeded.sid]
    assert await asyncio.to_thread(listed, fleet=seeded.fleet_sid) == [seeded.sid]
    assert await asyncio.to_thread(listed, iccid=seeded.iccid) == [seeded.sid]


async def test_it_pages_through_all_sims_and_back(dev: Served) -> None:
    sims = sims_of(dev)
    registered = await asyncio.to_thread(register, sims, 25)

    def forwards_and_back() -> tuple[list[str], list[str]]:
        seen = [sim.sid for sim in sims.stream(page_size=4)]
        page = sims.page(page_size=4)
        while page.next_page_url:
            page = page.next_page()
        return seen, [sim.sid for sim in page.previous_page()]

    seen, last_but_one = await asyncio.to_thread(forwards_and_back)
    assert seen == [*registered[::-1], dev.dev["sim_sid"]]
    assert last_but_one == seen[20:24]


async def test_it_updates_a_sim_and_gets_the_callback(dev: Served) -> None:
    async with RecordingReceiver() as receiver:
        sim = sims_of(dev)("my_super_sim")
        updated = await asyncio.to_thread(
            sim.update, status="inactive", callback_url=receiver.url("/a"), callback_method="POST"
        )
        assert updated.status == "scheduled"
        await receiver.wait_for(1)
        assert (await asyncio.to_thread(sim.fetch)).status == "inactive"


async def test_it_raises_the_code_and_the_message_of_a_refusal(dev: Served) -> None:
    with pytest.raises(TwilioRestException) as raised:
        await asyncio.to_thread(sims_of(dev)("my_super_sim").update, status="ready")
    assert raised.value.status == 400
    assert raised.value.code == 83010
    assert "can't become ready" in raised.value.msg


@pytest.mark.parametrize("path", ["/a", "/a?foo=bar&foo=baz&x=", ""])
@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_its_validator_accepts_each_twilio_callback(
    dev: Served, method: str, path: str
) -> None:
    async with RecordingReceiver() as receiver:
        await asyncio.to_thread(
            sims_of(dev)("my_super_sim").update,
            status="active",
            callback_url=receiver.url(path),
            callback_method=method,
        )
        (request,) = await receiver.wait_for(1)
    url = receiver.url(path)
    if method == "GET":
        sent = request.line.split(" ")[1]
        url = receiver.url(sent if path else sent.removeprefix("/"))
    assert accepts(dev.dev["auth_token"], url, request)
    assert not accepts("another token", url, request)


def accepts(auth_token: str, url: str, request: ReceivedRequest) -> bool:
    headers = dict(header.split(": ", 1) for header in request.headers)
    form = dict(pair.split("=", 1) for pair in request.body.decode().split("&") if pair)
    return RequestValidator(auth_token).validate(url, form, headers["X-Twilio-Signature"])
