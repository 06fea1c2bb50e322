"""What was not delivered: its groups, the preview of a replay, and its job."""

import re
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from ringback.core.policy.source_policy import Source
from tests.consoles import ConsoleWorld, ScriptlessBrowser, console_world
from tests.receivers import RecordingReceiver, status_reply
from tests.streams import ENDED

PAGE = "/console/undelivered"


@pytest.fixture
async def refusing() -> AsyncGenerator[RecordingReceiver]:
    async with RecordingReceiver(answer=lambda _: status_reply(403)) as receiver:
        yield receiver


async def fail(world: ConsoleWorld, receiver: RecordingReceiver) -> list[str]:
    """Let two callbacks to one URL and one to another fail; return their SIDs."""
    sids = [await world.send(receiver.url(path)) for path in ("/a", "/a", "/b#cbs=kore")]
    assert [await world.wait_until_ended(sid) for sid in sids] == ["failed"] * 3
    world.clock.advance(timedelta(seconds=1))  # what is created now is not replayed
    return sids


def keys_in(html: str) -> list[str]:
    return re.findall(r'name="group" value="([0-9a-f]+)"', html)


async def previewed(browser: ScriptlessBrowser, query: str) -> tuple[str, dict[str, str]]:
    """Return a preview, and the fields of its form."""
    page = await browser.open(f"{PAGE}/preview?{query}")
    assert page.status == 200, page.text
    form = page.html.partition('action="/console/undelivered/replay"')[2]
    return page.text, dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))


async def test_what_failed_is_grouped_by_url_source_and_answer(
    world: ConsoleWorld, refusing: RecordingReceiver
) -> None:
    await fail(world, refusing)
    page = await (await world.owner()).open(PAGE)
    assert len(keys_in(page.html)) == 2
    assert page.text.count("403 Forbidden") == 2
    assert '<td class="num" data-name="callbacks">2</td>' in page.html
    assert "All 3 that match" in page.text
    assert "ringback callbacks undelivered --groups" in page.text


async def test_nothing_failed_and_nothing_matches_are_told_apart(world: ConsoleWorld) -> None:
    owner = await world.owner()
    assert "Nothing failed" in (await owner.open(PAGE)).text
    assert "Nothing matches" in (await owner.open(f"{PAGE}?source=kore")).text


async def test_a_group_is_replayed_after_a_preview_that_sends_nothing(
    world: ConsoleWorld, refusing: RecordingReceiver
) -> None:
    await fail(world, refusing)
    owner = await world.owner()
    key = keys_in((await owner.open(PAGE)).html)[0]
    before = len(refusing.requests)
    text, form = await previewed(owner, f"group={key}")
    assert "Replay 2 callbacks?" in text
    assert "nothing is sent yet" in text
    assert len(refusing.requests) == before
    answer = await owner.send(f"{PAGE}/replay", **form)
    assert answer.leads_to.startswith(f"{PAGE}/jobs/")
    await refusing.wait_for(before + 2)
    page = await owner.open(answer.leads_to)
    assert "Replay of 2 callbacks" in page.text
    assert "2 sent again" in page.text
    assert len(refusing.requests) == before + 2


async def test_all_that_match_are_replayed_as_the_other_source(
    world: ConsoleWorld, refusing: RecordingReceiver
) -> None:
    await fail(world, refusing)
    owner = await world.owner()
    before = len(refusing.requests)
    text, form = await previewed(owner, "all=yes&as_other=yes&source=twilio")
    assert "a new callback from the other source is made" in text
    assert form["Source"] == "twilio"
    assert "ringback callbacks replay" in text
    assert "--as-other-source" in text
    await owner.send(f"{PAGE}/replay", **form)
    await refusing.wait_for(before + 2)
    assert all("Kore-Signature" in str(one.headers) for one in refusing.requests[before:])


async def test_nothing_chosen_says_what_to_do_and_keeps_the_filter(world: ConsoleWorld) -> None:
    owner = await world.owner()
    answer = await owner.open(f"{PAGE}/preview?source=kore")
    assert answer.leads_to == f"{PAGE}?source=kore"
    assert "Tick a group first" in (await owner.open(answer.leads_to)).text


async def test_the_operator_replays_callbacks_of_one_account_at_a_time(
    world: ConsoleWorld, refusing: RecordingReceiver
) -> None:
    await fail(world, refusing)
    operator = await world.operator()
    text, form = await previewed(operator, "all=yes")
    assert "Replay 3 callbacks?" in text
    assert form["account_sid"] == world.account.account.sid


async def test_a_job_is_paused_resumed_and_cancelled(
    world: ConsoleWorld, refusing: RecordingReceiver
) -> None:
    await fail(world, refusing)
    owner = await world.owner()
    _, form = await previewed(owner, "all=yes")
    answer = await owner.send(f"{PAGE}/replay", **{**form, "Rate": "1"})
    job = answer.leads_to
    assert "It is paused" in (await owner.do(f"{job}/pause")).text
    assert '<span class="state paused">paused</span>' in (await owner.open(job)).html
    assert "It goes on" in (await owner.do(f"{job}/resume")).text
    assert "It is cancelled" in (await owner.do(f"{job}/cancel")).text
    again = await owner.do(f"{job}/resume")
    assert 'role="alert"' in again.html
    assert (await owner.send(f"{job}/explode")).status == 404


async def test_who_can_only_read_sees_groups_without_boxes(
    world: ConsoleWorld, refusing: RecordingReceiver
) -> None:
    await fail(world, refusing)
    reader = await world.reader()
    page = await reader.open(PAGE)
    assert "403 Forbidden" in page.text
    assert "checkbox" not in page.html
    _, form = await previewed(reader, "all=yes")
    before = len(refusing.requests)
    refused = await reader.do(f"{PAGE}/replay", **form)
    assert "can only read" in refused.text
    assert len(refusing.requests) == before


async def test_another_account_can_neither_see_nor_replay_them(
    world: ConsoleWorld, refusing: RecordingReceiver
) -> None:
    await fail(world, refusing)
    owner, stranger = await world.owner(), await world.stranger()
    _, form = await previewed(owner, "all=yes")
    assert "Nothing failed" in (await stranger.open(PAGE)).text
    before = len(refusing.requests)
    job = (await stranger.send(f"{PAGE}/replay", **form)).leads_to
    assert "Replay of 0 callbacks" in (await stranger.open(job)).text
    theirs = (await owner.send(f"{PAGE}/replay", **form)).leads_to
    assert (await stranger.open(theirs)).status == 404
    assert len(refusing.requests) <= before + 3


async def test_batches_of_event_streams_are_replayed_with_all_else(
    tmp_path: Path, refusing: RecordingReceiver
) -> None:
    async with console_world(tmp_path, flags={"at": "2024-10-20"}) as world:
        _, subscription = await world.stream(refusing.url("/in"), source=Source.TWILIO)
        await world.happen(ENDED)
        assert await world.batch_of(subscription, status="failed")
        world.clock.advance(timedelta(seconds=1))
        owner = await world.owner()
        page = await owner.open(PAGE)
        assert "All 1 that match" in page.text
        text, form = await previewed(owner, f"group={keys_in(page.html)[0]}&as_other=yes")
        assert "Replay 1 callback?" in text
        assert "keep the ids by which it can know them" in text
        assert len(refusing.requests) == 1
        await owner.do(f"{PAGE}/replay", **form)
        await refusing.wait_for(2)
    assert any(line.startswith("Kore-Signature") for line in refusing.requests[1].headers)
