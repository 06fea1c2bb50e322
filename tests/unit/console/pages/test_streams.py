"""The event streams of both sources: what the page says of each, and what can be changed."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from ringback.core.policy.source_policy import Source
from ringback.core.streams.event_types import StreamEventType
from tests.consoles import ConsoleWorld, ScriptlessBrowser, ShownPage, console_world
from tests.receivers import RecordingReceiver, status_reply
from tests.streams import ARN, ENDED, STARTED, UPDATED

LIST = "/console/streams"
ROLE = "arn:aws:iam::111111111111:role/writer"
NOBODY = "http://127.0.0.1:9/in"


async def streams(world: ConsoleWorld) -> list[dict[str, Any]]:
    return (await world.api().get("/portal/v1/streams")).json["streams"]


async def only(world: ConsoleWorld) -> dict[str, Any]:
    (found,) = await streams(world)
    return found


async def add(browser: ScriptlessBrowser, url: str, **more: str) -> ShownPage:
    return await browser.do(f"{LIST}/destinations", kind="webhook", name="ours", url=url, **more)


def row_of(page: ShownPage, sid: str) -> str:
    """Return the row of a sink or a subscription; its buttons have a row of their own."""
    row = page.html.partition(f'id="{sid}"')[2].partition("</tr>")[0]
    assert row, page.text
    return re.sub(r'<span class="keep">([^<]*)</span>', r"\1", " ".join(row.split()))


async def test_both_sources_streams_say_what_they_get_and_how_the_last_batch_went(
    tmp_path: Path,
) -> None:
    async with (
        console_world(tmp_path, flags={"at": "2024-10-20"}) as world,
        RecordingReceiver(answer=lambda _: status_reply(410)) as receiver,
    ):
        sink, subscription = await world.stream(
            receiver.url("/twilio"), ENDED, source=Source.TWILIO, name="at twilio"
        )
        destination, rule = await world.stream(receiver.url("/kore"), ENDED, STARTED)
        await world.happen(ENDED)
        batches = [await world.batch_of(sid) for sid in (subscription, rule)]
        await world.happen(STARTED)
        page = await (await world.owner()).open(LIST)
    assert '<span class="mark twilio" aria-hidden="true">T</span>twilio' in row_of(page, sink)
    assert '<span class="mark kore" aria-hidden="true">K</span>kore' in row_of(page, destination)
    assert "at twilio" in row_of(page, sink)
    assert f"webhook, destination <code>{destination}</code>" in row_of(page, destination)
    assert "data-session.started, data-session.ended" not in row_of(page, subscription)
    ours = row_of(page, rule)
    assert 'data-session.ended, data-session.started <span class="muted">version 2</span>' in ours
    assert '<td class="num" data-name="waiting">1</td>' in ours
    assert '<span class="state done">gets events</span>' in ours
    for sid, batch in zip((subscription, rule), batches, strict=True):
        assert f'<a href="/console/callbacks/{batch}">' in row_of(page, sid)
        assert '<span class="state failed">failed</span>' in row_of(page, sid)
        assert f'<a class="small" href="/console/callbacks?stream={sid}">all' in row_of(page, sid)
    assert "ringback streams list" in page.text


async def test_it_says_why_a_stream_gets_nothing(world: ConsoleWorld, tmp_path: Path) -> None:
    destination, rule = await world.stream(NOBODY)
    owner = await world.owner()
    disabled = await owner.do(f"{LIST}/rules/{rule}/disable")
    assert "The rule is disabled. Events that wait for it are still sent." in disabled.text
    assert 'gets nothing</span>: <span class="muted">it is disabled</span>' in row_of(
        disabled, rule
    )
    assert f'action="{LIST}/rules/{rule}/disable"' not in disabled.html
    enabled = await owner.do(f"{LIST}/rules/{rule}/enable")
    assert "gets events" in row_of(enabled, rule)
    await owner.do(f"{LIST}/rules/{rule}/delete")
    alone = await owner.open(LIST)
    assert "it has no rule" in row_of(alone, destination)
    async with console_world(tmp_path / "other", flags={"at": "2024-11-01"}) as other:
        types = (StreamEventType.ATTACHMENT_ACCEPTED,)
        _, subscription = await other.stream(NOBODY, *types, source=Source.TWILIO)
        browser = await other.owner()
        row = row_of(await browser.open(LIST), subscription)
        assert '<span class="state done">gets events</span>' in row
        assert ">2 November 2024</time>, when its types are discontinued" in row
        advanced = await other.api().post("/portal/v1/clock", {"Advance": "1d"})
        assert advanced.status == 200, advanced.body
        assert "its types are discontinued at twilio since 2024-11-02" in row_of(
            await browser.open(LIST), subscription
        )


async def test_a_webhook_at_kore_is_added_with_a_rule_and_tested(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    owner = await world.owner()
    assert "No streams yet" in (await owner.open(LIST)).text
    page = await add(owner, f"{receiver.url('/in')}#rc=2")
    assert "gets nothing yet: add a rule" in page.text
    assert "its fragment has no effect" in page.text
    sink = (await only(world))["sid"]
    form = {"type.data-session.ended": "1", "type.data-session.started": "2", "sink": sink}
    page = await owner.do(f"{LIST}/rules", name="sessions", **form)
    assert "From now on, the events of the rule are sent." in page.text
    rule = (await only(world))["subscriptions"][0]
    assert rule["name"] == "sessions"
    assert {
        one["type"].partition(".connection.")[2]: one["schema_version"]
        for one in rule["event_types"]
    } == {"data-session.started": 2, "data-session.ended": 1}
    assert (
        'data-session.started <span class="muted">version 2</span>; data-session.ended'
        ' <span class="muted">version 1</span>'
    ) in row_of(page, rule["sid"])
    tested = await owner.do(f"{LIST}/destinations/{sink}/test")
    assert f"A test event goes to {receiver.url('/in')}" in tested.text
    await receiver.wait_for(1)
    assert b"com.kore.eventstreams.test.event" in receiver.requests[0].body
    sid = tested.html.partition('role="status"')[2].partition('href="/console/callbacks/')[2][:34]
    await world.wait_until_ended(sid)
    assert '<span class="muted">test</span>' in row_of(await owner.open(LIST), sink)


async def test_a_destination_is_renamed_and_sends_elsewhere(world: ConsoleWorld) -> None:
    owner = await world.owner()
    await add(owner, "http://user:hunter2@127.0.0.1:9/in")
    stream = await only(world)
    here = f"{LIST}/destinations/{stream['sid']}"
    page = await owner.do(here, name="new name", url="", back=f"{LIST}?source=kore")
    assert "The destination is renamed." in page.text
    assert "ringback streams list --source kore" in page.text
    assert "hunter2" not in page.html
    assert ((await only(world))["name"], (await only(world))["to"]) == ("new name", stream["to"])
    moved = await owner.do(here, name="new name", url="http://127.0.0.1:9/new")
    assert "Batches that were made before still go to the old place." in moved.text
    assert (await only(world))["to"] == "http://127.0.0.1:9/new"


async def test_a_kinesis_stream_is_added(world: ConsoleWorld) -> None:
    form = {"kind": "kinesis", "name": "lake", "arn": ARN, "role_arn": ROLE, "external_id": "us"}
    page = await (await world.owner()).do(f"{LIST}/destinations", **form)
    stream = await only(world)
    assert (stream["type"], stream["to"]) == ("kinesis", ARN)
    assert "kinesis, destination" in row_of(page, stream["sid"])
    assert 'name="role_arn" placeholder="as it is"' in page.html


async def test_a_rule_is_changed_and_deleted_and_then_its_destination(world: ConsoleWorld) -> None:
    sink, rule = await world.stream(NOBODY, ENDED)
    owner = await world.owner()
    changed = await owner.do(
        f"{LIST}/rules/{rule}", name="usage", **{"type.data-session.updated": "2"}
    )
    assert "data-session.updated" in row_of(changed, rule)
    assert "data-session.ended" not in row_of(changed, rule)
    nothing = await owner.do(f"{LIST}/rules/{rule}", name="usage")
    assert "Choose at least one type of events" in nothing.text
    assert "data-session.updated" in row_of(nothing, rule)
    assert "Delete its 1 rule first." in nothing.text
    refused = await owner.do(f"{LIST}/destinations/{sink}/delete")
    assert 'role="alert"' in refused.html
    await world.happen(UPDATED)
    waiting = await owner.open(LIST)
    assert "undone. 1 event that waits for it is never sent to it." in waiting.text
    deleted = await owner.do(f"{LIST}/rules/{rule}/delete")
    assert "The rule is deleted, with the events that waited for it." in deleted.text
    gone = await owner.do(f"{LIST}/destinations/{sink}/delete")
    assert "The destination is deleted." in gone.text
    assert "No streams yet" in gone.text


async def test_what_is_wrong_is_refused_in_words(world: ConsoleWorld) -> None:
    owner = await world.owner()
    nowhere = await owner.do(f"{LIST}/destinations", kind="webhook", name="ours", url="")
    assert "Url" in nowhere.text
    assert 'role="alert"' in nowhere.html
    elsewhere = await add(owner, NOBODY, back="https://evil.example/")
    assert "Streams" not in elsewhere.text.partition("<h1>")[2][:20]
    odd = await owner.open(f"{LIST}?source=odd")
    assert odd.status == 400


async def test_filters_find_by_source_and_by_sid(tmp_path: Path) -> None:
    async with console_world(tmp_path, flags={"at": "2024-10-20"}) as world:
        sink, subscription = await world.stream(NOBODY, source=Source.TWILIO)
        destination, rule = await world.stream(NOBODY)
        owner = await world.owner()
        found = {
            query: {
                sid
                for sid in (sink, destination)
                if f'<tr id="{sid}"' in (await owner.open(f"{LIST}?{query}")).html
            }
            for query in (
                *("source=twilio", "source=kore", f"stream={subscription}", f"stream={rule}"),
                *(f"stream={destination}", f"source=kore&stream={sink}"),
            )
        }
        nothing = await owner.open(f"{LIST}?stream=DF{'0' * 32}")
    assert list(found.values()) == [
        *({sink}, {destination}, {sink}, {destination}, {destination}, set())
    ]
    assert "No stream matches" in nothing.text


async def test_twilios_streams_have_no_buttons_but_the_way_to_make_them(tmp_path: Path) -> None:
    async with console_world(tmp_path, flags={"at": "2024-10-20"}) as world:
        sink, subscription = await world.stream(NOBODY, source=Source.TWILIO)
        page = await (await world.owner()).open(LIST)
        account_sid = world.account.account.sid
    for sid in (sink, subscription):
        assert f"/{sid}" not in "".join(re.findall(r'action="([^"]*)"', page.html))
    assert f'twilio.rest.Client("{account_sid}", "the Auth Token")' in page.text
    assert 'client.events.base_url = "http://127.0.0.1:8080/events"' in page.text


async def test_who_can_only_read_has_no_buttons(world: ConsoleWorld) -> None:
    _, rule = await world.stream(NOBODY)
    reader = await world.reader()
    page = await reader.open(LIST)
    assert "gets events" in row_of(page, rule)
    assert f'action="{LIST}' not in page.html
    refused = await reader.do(f"{LIST}/rules/{rule}/disable")
    assert "can only read" in refused.text
    assert "gets events" in row_of(await reader.open(LIST), rule)


async def test_the_operator_sees_all_accounts_and_acts_for_the_one_in_the_form(
    world: ConsoleWorld,
) -> None:
    sink, rule = await world.stream(NOBODY)
    await world.happen(ENDED)
    await world.batch_of(rule, status="scheduled")
    operator, account = await world.operator(), world.account.account.sid
    page = await operator.open(LIST)
    assert f'of <a href="/console/accounts/{account}">' in row_of(page, sink)
    assert 'name="account" required' in page.html
    disabled = await operator.do(f"{LIST}/rules/{rule}/disable", account=account)
    assert "it is disabled" in row_of(disabled, rule)
    assert f"?stream={rule}&amp;account={account}" in disabled.html
    nobodys = await operator.do(f"{LIST}/rules/{rule}/enable")
    assert 'role="alert"' in nobodys.html
    made = await add(operator, NOBODY, account=account)
    assert "The destination is there" in made.text
    of_one = await operator.open(f"{LIST}?account={account}")
    assert 'name="account" required' not in of_one.html


@pytest.mark.parametrize("verb", ["", "/test", "/delete"])
async def test_another_accounts_destination_is_not_there(world: ConsoleWorld, verb: str) -> None:
    sink, _ = await world.stream(NOBODY)
    stranger, missing = await world.stranger(), f"DG{'0' * 32}"
    answers = await asyncio.gather(
        *(stranger.do(f"{LIST}/destinations/{sid}{verb}", name="x") for sid in (sink, missing))
    )
    said = [
        answer.text.partition('role="alert"')[2][:120].replace(sid, "SID")
        for answer, sid in zip(answers, (sink, missing), strict=True)
    ]
    assert said[0] == said[1] != ""


async def test_the_list_refreshes_itself_only_when_something_has_changed(
    world: ConsoleWorld,
) -> None:
    _, rule = await world.stream(NOBODY)
    owner = await world.owner()
    part = await owner.part(LIST, "rows")
    etag = part.answer.headers["etag"]
    assert "<html" not in part.html
    assert (await owner.part(LIST, "rows", etag=etag)).status == 304
    await owner.do(f"{LIST}/rules/{rule}/disable")
    assert "it is disabled" in (await owner.part(LIST, "rows", etag=etag)).text
