"""One callback: why its source, its attempts and their requests, and what can be done."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from ringback.core.sids import SidKind
from tests.consoles import ConsoleWorld, console_world
from tests.receivers import ReceivedRequest, RecordingReceiver, Reply, status_reply


@pytest.mark.parametrize(
    ("fragment", "at", "source", "decides"),
    [
        ("#cbs=kore", "2024-10-01", "kore", "Fragment"),
        ("", "2024-10-01", "twilio", "Default"),
        ("", "2024-10-20", "kore", "Default"),
        ("#cbs=twilio", "2024-12-01", "kore", "Phase"),
        ("", "", "twilio", "Hold"),
    ],
)
async def test_the_step_that_decided_is_marked(
    tmp_path: Path,
    receiver: RecordingReceiver,
    *,
    fragment: str,
    at: str,
    source: str,
    decides: str,
) -> None:
    async with console_world(tmp_path, flags={"at": at} if at else {}) as world:
        sid = await world.send(receiver.url(f"/a{fragment}"))
        page = await (await world.owner()).open(f"/console/callbacks/{sid}")
    assert f"Why {source}" in page.text
    assert page.html.count('<li class="decides') == 1
    assert (
        f'<li class="decides {source}" aria-current="step"><span class="name">{decides} decides'
    ) in page.html


async def test_the_exact_request_and_the_answer_are_shown(world: ConsoleWorld) -> None:
    async with RecordingReceiver(status_reply(418)) as receiver:
        sid = await world.send(receiver.url("/pot?kind=tea"), note="hello <world> & co")
        assert await world.wait_until_ended(sid) == "failed"
        (request,) = receiver.requests
    page = await (await world.owner()).open(f"/console/callbacks/{sid}")
    assert "<b>POST /<wbr>pot?<wbr>kind=tea</b> HTTP/1.1" in page.html
    for name, value in request.parsed().headers:
        assert f"{name}:</i> {value}" in page.text, name
    assert request.body.decode() in page.text.replace("<wbr>", "")
    assert "418" in page.text
    assert "<code>hello &lt;world&gt; &amp; co</code>" in page.html


async def test_rounds_that_failed_are_before_the_next_one(tmp_path: Path) -> None:
    async with (
        console_world(tmp_path, flags={"schedule": "5m,1h"}) as world,
        RecordingReceiver(answer=lambda _: status_reply(503)) as receiver,
    ):
        sid = await world.send(receiver.url("/hook"))
        await world.wait_for_round(sid)
        page = await (await world.owner()).open(f"/console/callbacks/{sid}")
    rounds = re.findall(r'<li class="(\w*)"><b>Round (\d)</b> ([^<]*)</li>', page.html)
    assert [one[:2] for one in rounds] == [("refused", "1"), ("next", "2"), ("", "3")]
    assert rounds[1][2].startswith("in ")


async def test_a_callback_is_replayed_as_the_other_source_and_discarded(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    sid = await world.send(receiver.url("/hook"))
    await world.wait_until_ended(sid)
    owner = await world.owner()
    page = await owner.do(f"/console/callbacks/{sid}/replay", as_other="yes")
    assert "This new callback from kore repeats the one before" in page.text
    assert f'<a href="/console/callbacks/{sid}">The one before</a>' in page.html
    again = await owner.do(f"/console/callbacks/{sid}/replay")
    assert "It is sent again from twilio, with the same token." in again.text
    later = await owner.open(f"/console/callbacks/{sid}")
    assert "It is sent again" not in later.text
    await receiver.wait_for(3)
    refused = await owner.do(f"/console/callbacks/{sid}/discard", reason="no need")
    assert 'role="alert"' in refused.html


async def test_what_is_under_way_can_be_discarded_with_a_reason(tmp_path: Path) -> None:
    async with (
        console_world(tmp_path, flags={"schedule": "persistent"}) as world,
        RecordingReceiver(status_reply(503)) as receiver,
    ):
        sid = await world.send(receiver.url("/hook"))
        await receiver.wait_for(1)
        owner = await world.owner()
        page = await owner.open(f"/console/callbacks/{sid}")
        assert "Discard it first" in page.text
        page = await owner.do(f"/console/callbacks/{sid}/discard", reason="receiver is gone")
        assert "It is discarded" in page.text
        assert "receiver is gone" in page.text


async def test_who_can_only_read_has_no_buttons_and_can_do_nothing(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    sid = await world.send(receiver.url("/hook"))
    await world.wait_until_ended(sid)
    reader = await world.reader()
    page = await reader.open(f"/console/callbacks/{sid}")
    assert "Send again" not in page.text
    assert "account, read only" in page.text
    refused = await reader.do(f"/console/callbacks/{sid}/replay")
    assert "can only read" in refused.text
    assert len(receiver.requests) == 1


async def test_another_account_is_told_that_it_is_not_there(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    sid = await world.send(receiver.url("/hook"))
    await world.wait_until_ended(sid)
    stranger, missing = await world.stranger(), f"{SidKind.CALLBACK}{'0' * 32}"
    answers = [await stranger.open(f"/console/callbacks/{one}") for one in (sid, missing)]
    assert [answer.status for answer in answers] == [404, 404]
    said = [
        answer.text.replace(one, "SID") for answer, one in zip(answers, (sid, missing), strict=True)
    ]
    assert said[0] == said[1]
    refused = await stranger.do(f"/console/callbacks/{sid}/replay")
    assert 'role="alert"' in refused.html or refused.status == 404
    assert len(receiver.requests) == 1


async def test_a_receiver_that_takes_nothing_from_one_source_is_noticed(
    world: ConsoleWorld,
) -> None:
    def answer(request: ReceivedRequest) -> Reply:
        is_kore = any(line.startswith("Kore-Signature") for line in request.headers)
        return status_reply(403 if is_kore else 200)

    async with RecordingReceiver(answer=answer) as receiver:
        await world.wait_until_ended(await world.send(receiver.url("/hook")))
        sids = [await world.send(receiver.url("/hook#cbs=kore")) for _ in range(3)]
        for sid in sids:
            await world.wait_until_ended(sid)
    world.clock.advance(timedelta(minutes=2))
    page = await (await world.owner()).open(f"/console/callbacks/{sids[0]}")
    assert "This receiver takes nothing from kore." in page.text
    assert "all 3 attempts from kore failed there" in page.text


async def test_only_the_parts_that_changed_are_sent_again(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    sid = await world.send(receiver.url("/hook"))
    await world.wait_until_ended(sid)
    owner, url = await world.owner(), f"/console/callbacks/{sid}"
    etags = {
        name: (await owner.part(url, name)).answer.headers["etag"] for name in ("facts", "attempts")
    }
    same = [await owner.part(url, name, etag=etag) for name, etag in etags.items()]
    assert [answer.status for answer in same] == [304, 304]
    await owner.do(f"{url}/replay")
    await receiver.wait_for(2)
    await world.wait_until_ended(sid)
    changed = await owner.part(url, "attempts", etag=etags["attempts"])
    assert changed.status == 200
    assert "2 sent" in changed.text


async def test_the_request_is_shown_as_a_command_and_its_signature_is_verified(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    sid = await world.send(receiver.url("/hook?a=it's"))
    await world.wait_until_ended(sid)
    owner, url = await world.owner(), f"/console/callbacks/{sid}"
    page = await owner.open(url)
    signature = next(
        line.partition(": ")[2]
        for line in receiver.requests[0].headers
        if line.startswith("X-Twilio-Signature")
    )
    assert f"-H 'X-Twilio-Signature: {signature}'" in page.text
    verified = await owner.do(f"{url}/verify")
    assert "The signature of attempt 1, in X-Twilio-Signature, is right" in verified.text
