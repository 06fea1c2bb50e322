"""Events of event streams: the list with its filters, and one event as both sources write it."""

import html
import re
from datetime import timedelta

from ringback.console.pages.stream_events import compare_events
from tests.consoles import ConsoleWorld, ShownPage
from tests.receivers import RecordingReceiver
from tests.streams import ENDED, STARTED, UPDATED, sim_sid

LIST = "/console/streams/events"


def listed(page: ShownPage) -> list[str]:
    """Return the SIDs of the events that a page lists."""
    return re.findall(r'href="/console/streams/events/(EZ\w{32})', page.html)


async def test_the_newest_event_is_the_first_and_leads_to_its_page(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    owner = await world.owner()
    assert "No events yet" in (await owner.open(LIST)).text
    await world.stream(receiver.url("/in"))
    first, second = await world.happen(STARTED, ENDED)
    page = await owner.open(LIST)
    assert listed(page) == [second, first]
    assert f'<a href="/console/streams/events/{first}">data-session.started</a>' in page.html
    assert "ringback streams events" in page.text


async def test_filters_find_by_sim_type_and_time(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    await world.stream(receiver.url("/in"))
    (old,) = await world.happen(ENDED)
    world.clock.advance(timedelta(hours=3))
    (started,) = await world.happen(STARTED)
    (other,) = await world.happen(ENDED, sim=2)
    owner = await world.owner()
    found = {
        query: listed(await owner.open(f"{LIST}?{query}"))
        for query in (
            f"sim={sim_sid(2)}",
            "type=data-session.ended",
            "since=hour",
            "since=between&to=2026-11-27T05:00",
            "since=between&from=2026-11-27T05:00&type=data-session.started",
        )
    }
    assert list(found.values()) == [*([other], [other, old], [other, started], [old], [started])]
    nothing = await owner.open(f"{LIST}?type=attachment.failed")
    assert "No event matches" in nothing.text
    wrong = await owner.open(f"{LIST}?sim=meter+7")
    assert wrong.status == 200
    assert "SimSid must be the SID of a Super SIM" in wrong.text
    assert 'value="meter 7"' in wrong.html
    command = await owner.open(f"{LIST}?sim={sim_sid(2)}&type=data-session.ended&since=hour")
    flags = f"--sim {sim_sid(2)} --type data-session.ended --since 2026-11-27T06"
    assert f"ringback streams events {flags}" in command.text


async def test_pages_go_by_key_and_keep_the_filters(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    await world.stream(receiver.url("/in"))
    sids = await world.happen(*[ENDED] * 51)
    owner = await world.owner()
    first = await owner.open(f"{LIST}?type=data-session.ended")
    assert listed(first) == sids[:0:-1]
    older = html.unescape(re.findall(r'href="([^"]*)">Older</a>', first.html)[0])
    assert "type=data-session.ended" in older
    second = await owner.open(older)
    assert listed(second) == sids[:1]
    assert ">Newer</a>" in second.html


async def test_an_event_is_shown_as_both_sources_write_it_with_its_batches(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    _, rule = await world.stream(receiver.url("/in"))
    data = {"location": {"lat": 52.500, "lon": 13.0}, "data_total": 12345678901234567890}
    (sid,) = await world.happen(ENDED, sim_unique_name="<i>Zähler</i>", imei=None, **data)
    owner = await world.owner()
    waits = await owner.open(f"{LIST}/{sid}")
    assert "None: it waits to be put into one" in waits.text
    batch = await world.batch_of(rule)
    again = await owner.do(f"/console/callbacks/{batch}/replay", as_other="yes")
    assert "This new callback from twilio repeats the one before" in again.text
    page = await owner.open(f"{LIST}/{sid}")
    assert "<dt>sim_unique_name</dt><dd><code>&lt;i&gt;Zähler&lt;/i&gt;</code></dd>" in page.html
    assert "<dt>location.lon</dt><dd><code>13.0</code></dd>" in page.html
    assert "<dt>data_total</dt><dd><code>12345678901234567890</code></dd>" in page.html
    assert "<dt>imei</dt><dd><code>null</code></dd>" in page.html
    rows = re.findall(r'<tr class="(\w+)"><th scope="row">(\w+)', page.html)
    looks = {name: look for look, name in rows}
    assert {name for name, look in looks.items() if look == "differs"} == {
        *("Order", "source", "dataschema", "time")
    }
    assert looks["id"] == looks["data"] == "same"
    assert f'"source":"/v1/SuperSim/ConnectionEvents/{sid}"' in page.text
    assert '"source":"kore-events"' in page.text
    assert f'<a href="/console/callbacks/{batch}">Event data-session.ended</a>' in page.html
    assert page.html.count(f'href="/console/streams?stream={rule}"') == 2
    assert f"ringback streams event {sid}" in page.text


async def test_another_account_is_told_that_it_is_not_there(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    await world.stream(receiver.url("/in"))
    (sid,) = await world.happen(ENDED)
    stranger, missing = await world.stranger(), f"EZ{'f' * 32}"
    answers = [await stranger.open(f"{LIST}/{one}") for one in (sid, missing)]
    assert [answer.status for answer in answers] == [404, 404]
    said = [one.text.replace(id_, "SID") for one, id_ in zip(answers, (sid, missing), strict=True)]
    assert said[0] == said[1]


async def test_the_operator_sees_the_events_of_all_accounts_and_of_one(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    await world.stream(receiver.url("/in"))
    (sid,) = await world.happen(ENDED)
    account, operator = world.account.account.sid, await world.operator()
    page = await operator.open(LIST)
    assert f'href="/console/streams/events/{sid}?account={account}"' in page.html
    assert "data-session.ended" in (await operator.open(f"{LIST}/{sid}?account={account}")).text
    assert "data-session.ended" in (await operator.open(f"{LIST}/{sid}")).text, "the only account"
    await world.stranger()
    assert "This page is about one account. Whose?" in (await operator.open(f"{LIST}/{sid}")).text


def test_what_only_one_source_writes_is_marked() -> None:
    rows = list(compare_events({"id": "EZ", "extra": None}, {"id": "EZ"}))
    assert [(row.name, row.look) for row in rows] == [
        *(("Order of the names", "differs"), ("id", "same"), ("extra", "only"))
    ]
    assert rows[-1].twilio == "null"


async def test_only_types_with_the_right_names_are_in_the_filter(world: ConsoleWorld) -> None:
    page = await (await world.owner()).open(f"{LIST}?type=odd")
    assert "Type" in page.text.partition('role="alert"')[2][:200]
    assert f'<option value="{UPDATED.short}">' in page.html
