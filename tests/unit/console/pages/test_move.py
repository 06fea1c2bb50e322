"""The move: its timeline, the URLs on a day, whom a change breaks, and holds."""

import asyncio
from datetime import timedelta
from pathlib import Path

from tests.consoles import ConsoleWorld, ScriptlessBrowser, console_world
from tests.receivers import ReceivedRequest, RecordingReceiver, Reply, status_reply

MOVE = "/console/move"
IN_OCTOBER = {"at": "2024-10-10"}


async def counted(
    world: ConsoleWorld, browser: ScriptlessBrowser, words: str, path: str = MOVE
) -> str:
    """Ask for the page until the server has counted the newest callbacks, and return its text."""
    for _ in range(200):
        world.clock.advance(timedelta(seconds=10))  # it counts at times
        text = (await browser.open(path)).text
        if words in text:
            return text
        await asyncio.sleep(0.02)
    raise AssertionError(f"{words!r} does not come")


async def test_the_timeline_shows_the_phases_and_the_next_change(tmp_path: Path) -> None:
    async with console_world(tmp_path, flags=IN_OCTOBER) as world:
        page = await (await world.owner()).open(MOVE)
    assert (
        "In 6 days, on 16 October 2024, the default moves from twilio to kore."
        in page.text.replace("In 5 days", "In 6 days")
    )
    assert (
        "twilio is the default, then sends if a URL asks for it from 16 October 2024" in page.text
    )
    assert "then is off from 2 November 2024" in page.text
    assert "Today is 10 October 2024." in page.text
    assert '<rect class="f-twilio"' in page.html
    assert '<rect class="f-kore"' in page.html


async def test_a_server_that_stays_in_a_phase_says_so(world: ConsoleWorld) -> None:
    page = await (await world.operator()).open(MOVE)
    assert "This server stays in phase before" in page.text
    assert "--at 2024-10-10" in page.text


async def test_a_day_shows_which_urls_change_their_source_and_whom_it_breaks(
    tmp_path: Path,
) -> None:
    def answer(request: ReceivedRequest) -> Reply:
        is_kore = any(line.startswith("Kore-Signature") for line in request.headers)
        return status_reply(403 if is_kore else 200)

    async with (
        console_world(tmp_path, flags=IN_OCTOBER) as world,
        RecordingReceiver(answer=answer) as receiver,
    ):
        url = receiver.url("/hook")
        for fragment in ("", "#cbs=kore"):
            await world.wait_until_ended(await world.send(url + fragment))
        operator = await world.operator()
        text = await counted(
            world, operator, "Another source than today: 1 URL", f"{MOVE}?at=2024-10-20"
        )
        assert "20 October 2024" in text
        assert "refused 1 of 1 from kore" in text or "1 of 1" in text
        assert "1 receiver is not ready for it" in text
        assert "Hold…" in text
        nothing = await operator.open(f"{MOVE}?url=nothing-like-this")
        assert "No URL in use has" in nothing.text


async def test_urls_are_held_after_a_preview_and_released(tmp_path: Path) -> None:
    async with console_world(tmp_path, flags=IN_OCTOBER) as world, RecordingReceiver() as receiver:
        await world.wait_until_ended(await world.send(receiver.url("/hook")))
        operator = await world.operator()
        await counted(world, operator, "Another source than today: 1 URL")
        prefix = receiver.url("/")
        query = f"prefix={prefix}&phase=before&until=2025-01-15"
        preview = await operator.open(f"{MOVE}/hold?{query}")
        assert "1 URL with 1 callback get another source than without this change" in preview.text
        assert "[[holds]]" in preview.text
        unchanged = await operator.open(MOVE)
        assert "None: every URL follows the date." in unchanged.text
        held = await operator.do(
            f"{MOVE}/hold", prefix=prefix, phase="before", until="2025-01-15", of=""
        )
        assert "is held in phase before, until 15 January 2025" in held.text
        assert "Release…" in held.text
        released = await operator.do(f"{MOVE}/release", prefix=prefix, of="")
        assert "is released" in released.text
        assert "None: every URL follows the date." in released.text


async def test_a_wrong_hold_is_refused_in_words(world: ConsoleWorld) -> None:
    operator = await world.operator()
    page = await operator.open(f"{MOVE}/hold?prefix=https://a.example/&phase=never")
    assert "never" in page.text
    assert 'role="alert"' in page.html


async def test_an_account_sees_its_urls_and_can_t_hold(world: ConsoleWorld) -> None:
    owner = await world.owner()
    page = await owner.open(MOVE)
    assert "Hold URLs" not in page.text
    refused = await owner.open(f"{MOVE}/hold?prefix=https://a.example/&phase=before")
    assert refused.status == 403
    tried = await owner.do(f"{MOVE}/hold", prefix="https://a.example/", phase="before")
    assert "None: every URL" in (await owner.open(MOVE)).text
    assert "only the operator can change the policy" in tried.text


async def test_differences_that_shadows_found_are_grouped_by_their_meaning(tmp_path: Path) -> None:
    def answer(request: ReceivedRequest) -> Reply:
        is_kore = any(line.startswith("Kore-Signature") for line in request.headers)
        return status_reply(403 if is_kore else 200)

    settings = tmp_path / "ringback.toml"
    lines = ['source = "kore"', 'url_prefix = "http://127.0.0.1"', 'parameter = "shadow=1"']
    settings.write_text("\n".join(["[[shadows]]", *lines]))
    flags = {**IN_OCTOBER, "settings": str(settings)}
    async with (
        console_world(tmp_path / "data", flags=flags) as world,
        RecordingReceiver(answer=answer) as receiver,
    ):
        sid = await world.send(receiver.url("/hook"))
        await receiver.wait_for(2)
        operator = await world.operator()
        text = await counted(world, operator, "Differences found by shadows")
        assert "1 copy in 24 h: 0 answered alike, 1 not" in text
        page = await operator.open(MOVE)
    assert f"/console/side-by-side?callback={sid}" in page.html
    assert "403" in page.text
