"""The list of callbacks: its rows, filters, pages, and what is new."""

from datetime import timedelta

from ringback.console.formats import event_words
from ringback.core.sids import SidKind
from tests.consoles import START, ConsoleWorld
from tests.receivers import RecordingReceiver
from tests.streams import ENDED, STARTED

LIST = "/console/callbacks"


async def test_a_row_says_what_went_where_from_which_source_and_how_it_ended(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    sid = await world.send(receiver.url("/hook?site=7#cbs=kore"))
    await world.wait_until_ended(sid)
    page = await (await world.owner()).open(LIST)
    assert f'<a href="/console/callbacks/{sid}">SIM update <span>active</span></a>' in page.html
    assert '<span class="mark kore" aria-hidden="true">K</span>kore' in page.html
    assert '<span class="state delivered">delivered</span>' in page.html
    assert "<i>/<wbr>hook?<wbr>site=7</i>" in page.html
    assert "cbs=kore" not in page.html


async def test_before_the_first_callback_the_page_says_how_to_get_one(world: ConsoleWorld) -> None:
    page = await (await world.operator()).open(LIST)
    assert "No callbacks yet" in page.text
    assert "ringback trigger sms.received" in page.text


async def test_filters_are_in_the_url_and_each_can_be_removed(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    await world.wait_until_ended(await world.send(receiver.url("/a")))
    owner = await world.owner()
    found = await owner.open(f"{LIST}?status=delivered&source=twilio")
    assert "SIM update" in found.text
    nothing = await owner.open(f"{LIST}?status=failed&source=twilio")
    assert "No callback matches" in nothing.text
    assert "No callback is failed and comes from twilio ." in nothing.text.replace(
        "<b>", ""
    ).replace("</b>", " ").replace("  ", " ")
    assert f'href="{LIST}?source=twilio"' in nothing.html
    assert '<option value="failed" selected>' in nothing.html
    assert "ringback callbacks list --status failed --source twilio" in nothing.text


async def test_a_sid_in_the_search_leads_to_its_callback(world: ConsoleWorld) -> None:
    sid = f"{SidKind.CALLBACK}{'0' * 32}"
    answer = await (await world.owner()).open(f"{LIST}?text={sid}")
    assert answer.leads_to == f"/console/callbacks/{sid}"


async def test_bad_filters_are_refused_in_words(world: ConsoleWorld) -> None:
    owner = await world.owner()
    for query, said in (
        ("status=lost", "Status"),
        ("since=between&from=yesterday", "is not a time"),
        ("page=nonsense", "is not a page token"),
    ):
        answer = await owner.open(f"{LIST}?{query}")
        assert answer.status == 400, query
        assert said in answer.text


async def test_pages_go_by_key_and_keep_the_filters(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    sids = [await world.send(receiver.url(f"/{number}")) for number in range(51)]
    owner = await world.owner()
    first = await owner.open(f"{LIST}?source=twilio")
    assert sids[0] not in first.html
    assert sids[50] in first.html
    start = first.html.index('">Older</a>')
    older = first.html[:start].rpartition('href="')[2].replace("&amp;", "&")
    assert "source=twilio" in older
    await world.send(receiver.url("/new"))
    second = await owner.open(older)
    assert f"callbacks/{sids[0]}" in second.html
    assert f"callbacks/{sids[1]}" not in second.html
    assert "Newer" in second.text


async def test_new_callbacks_are_announced_and_move_no_row(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    shown = await world.send(receiver.url("/shown"))
    await world.wait_until_ended(shown)
    owner = await world.owner()
    url = f"{LIST}?top={shown}"
    before = await owner.part(url, "rows")
    again = await owner.part(url, "rows", etag=before.answer.headers["etag"])
    assert (again.status, again.answer.body) == (304, b"")
    later = [await world.send(receiver.url("/later")) for _ in range(2)]
    part = await owner.part(url, "rows", etag=before.answer.headers["etag"])
    assert part.status == 200
    assert "2 new callbacks" in part.text
    assert "<html" not in part.html
    assert shown in part.html
    assert not any(sid in part.html for sid in later)


async def test_the_list_can_be_paused(world: ConsoleWorld) -> None:
    owner = await world.owner()
    assert 'data-every="3"' in (await owner.open(LIST)).html
    paused = await owner.open(f"{LIST}?pause=yes")
    assert "data-every" not in paused.html
    assert "paused" in paused.text


async def test_markup_in_stored_texts_is_shown_as_text(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    await world.send(receiver.url("/?q=<script>alert(1)</script>"), **{"<b>x</b>": "<img src=x>"})
    page = await (await world.owner()).open(LIST)
    assert "<script>alert" not in page.html
    assert "<img" not in page.html
    assert "&lt;b&gt;x" in page.html


async def test_another_account_sees_none_of_it(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    sid = await world.send(receiver.url("/hook"))
    page = await (await world.stranger()).open(LIST)
    assert sid not in page.html
    assert "No callbacks yet" in page.text


async def test_what_is_long_ago_begins_a_group(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    await world.send(receiver.url("/old"))
    world.clock.advance(timedelta(minutes=36))
    await world.send(receiver.url("/new"))
    page = await (await world.owner()).open(LIST)
    assert ">36 min earlier<" in page.html


async def test_each_day_begins_a_group_with_its_date(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    await world.send(receiver.url("/old"))
    world.clock.advance(timedelta(days=1, minutes=2))
    await world.send(receiver.url("/new"))
    page = await (await world.owner()).open(LIST)
    assert f"{START:%Y-%m-%d}, 1 day earlier" in page.text


async def test_the_account_that_an_operator_looks_at_is_kept(world: ConsoleWorld) -> None:
    operator, sid = await world.operator(), world.account.account.sid
    for path in ("callbacks", "undelivered", "destinations"):
        page = await operator.open(f"/console/{path}?account={sid}&source=kore")
        assert f'href="/console/move?account={sid}"' in page.html, path
        filters = page.html.partition('class="fields"')[2].partition("</form>")[0]
        assert f'<input type="hidden" name="account" value="{sid}">' in filters, path
    assert "account=" not in (await operator.open("/console/undelivered")).html


async def test_a_batch_says_how_many_events_it_has_and_leads_to_its_stream(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    _, rule = await world.stream(receiver.url("/in"))
    _, other = await world.stream(receiver.url("/other"), STARTED)
    await world.happen(ENDED, ENDED, STARTED)
    sids = [await world.batch_of(sid) for sid in (rule, other)]
    owner = await world.owner()
    page = await owner.open("/console/callbacks")
    assert "2 events <span>data-session.ended</span></a>" in page.html
    assert "Event <span>data-session.started</span></a>" in page.html
    assert f'<a class="small" href="/console/streams?stream={rule}">stream</a>' in page.html
    only = await owner.open(f"/console/callbacks?stream={other}")
    assert sids[1] in only.html
    assert sids[0] not in only.html
    assert f'<input name="stream" value="{other}"' in only.html
    assert f"ringback callbacks list --stream {other}" in only.text
    found = await owner.open("/console/callbacks?event=connection")
    assert sids[1] in found.html
    text = await owner.open("/console/callbacks?text=nowhere")
    assert '<a href="/console/streams/events">Events</a> lists those' in text.html
    nothing = await owner.open(f"/console/callbacks?stream=DF{'0' * 32}")
    assert f"is of the stream <b>DF{'0' * 32}</b>" in nothing.html


def test_several_types_are_counted() -> None:
    types = [{"type": f"com.twilio.iot.supersim.connection.{name}"} for name in ("a", "b", "b")]
    batch = {"is_test": False, "stream_sid": "DF1", "events": types}
    assert event_words(batch) == ("3 events", "of 2 types")
