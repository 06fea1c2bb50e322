"""One callback: why its source, its attempts and their requests, and what can be done."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from ringback.core.policy.source_policy import Source
from ringback.core.sids import SidKind
from tests.consoles import ConsoleWorld, console_world
from tests.receivers import ReceivedRequest, RecordingReceiver, Reply, status_reply
from tests.streams import ENDED, sim_sid


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


# ---- batches of event streams --------------------------------------------------------------------


async def test_a_batch_shows_its_events_and_its_stream(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    _, rule = await world.stream(receiver.url("/in"))
    events = await world.happen(ENDED, ENDED, sim=7)
    sid = await world.batch_of(rule)
    page = await (await world.owner()).open(f"/console/callbacks/{sid}")
    assert "<h1>2 events data-session.ended" in page.html
    assert "<dt>Stream</dt>" in page.html
    assert f'<a href="/console/streams?stream={rule}"><code>{rule}</code></a>' in page.html
    for event in events:
        link = f'<a href="/console/streams/events/{event}"><code>{event}</code></a>'
        assert page.html.count(link) == 1
    assert page.html.count(f"<code>{sim_sid(7)}</code>") == 2
    assert ">Parameters<" not in page.html
    assert f'<span class="name">Stream decides</span> {rule} is a stream of kore' in page.html
    assert "in each round up to 3 more attempts, after about 2 s, 10 s and 50 s" in page.text
    assert receiver.requests[0].body.decode() in page.text.replace("<wbr>", "")


async def test_a_batch_that_is_refused_has_the_codes_of_event_streams(tmp_path: Path) -> None:
    async with (
        console_world(tmp_path, flags={"at": "2024-10-20"}) as world,
        RecordingReceiver(answer=lambda _: status_reply(410)) as receiver,
    ):
        _, subscription = await world.stream(receiver.url("/in"), source=Source.TWILIO)
        await world.happen(ENDED)
        sid = await world.batch_of(subscription)
        owner = await world.owner()
        page = await owner.open(f"/console/callbacks/{sid}")
        assert "Why twilio" in page.text
        assert "error <code>91305</code>" in page.html
        assert "410" in page.text
        assert "It has the same events, with the same ids" in page.text
        replayed = await owner.do(f"/console/callbacks/{sid}/replay", as_other="yes")
        assert "This new callback from kore repeats the one before" in replayed.text
        assert "Event data-session.ended" in replayed.text
        verified = await owner.do(f"/console/callbacks/{sid}/verify")
        assert "The signature of attempt 1, in X-Twilio-Signature, is right" in verified.text


async def test_a_test_event_of_a_stream_shows_what_it_is(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    sink, _ = await world.stream(receiver.url("/in"))
    owner = await world.owner()
    await owner.do(f"/console/streams/destinations/{sink}/test")
    answer = await world.api().get(f"/portal/v1/callbacks?Stream={sink}")
    page = await owner.open(f"/console/callbacks/{answer.json['callbacks'][0]['sid']}")
    assert "<h1>Test event <span" in page.html
    assert '<th scope="row">com.kore.eventstreams.test.event</th>' in page.html
    assert "/console/streams/events/" not in page.html.partition("<main")[2]
    assert "A test event comes from kore alone." in page.text
    assert f'<a href="/console/streams?stream={sink}">' in page.html


async def test_the_operator_is_led_to_the_stream_and_the_event_of_the_account(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    _, rule = await world.stream(receiver.url("/in"))
    (event,) = await world.happen(ENDED)
    sid = await world.batch_of(rule)
    page = await (await world.operator()).open(f"/console/callbacks/{sid}")
    account = world.account.account.sid
    assert f'href="/console/streams/events/{event}?account={account}"' in page.html
    assert f'href="/console/streams?stream={rule}&amp;account={account}"' in page.html
