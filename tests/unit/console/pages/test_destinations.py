"""The list of destinations: its rows, filters and pages, and what is set by patterns."""

import asyncio
import re
from datetime import timedelta
from urllib.parse import urlsplit

from ringback.console.pages.destinations import bars_of, urls_of
from tests.consoles import START, ConsoleWorld, ScriptlessBrowser, ShownPage
from tests.fakes import ACCOUNT_SID
from tests.receivers import RecordingReceiver

LIST = "/console/destinations"


async def test_a_row_says_how_a_destination_is_and_leads_to_its_page(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    await world.wait_until_ended(await world.send(receiver.url("/hook#cbs=kore")))
    world.clock.advance(timedelta(minutes=1))
    page = await (await world.owner()).open(LIST)
    account_sid = world.account.account.sid
    query = f"destination=http%3A//127.0.0.1%3A{receiver.port}&amp;account={account_sid}"
    assert f'<a href="/console/destinations/one?{query}">' in page.html
    assert '<span class="state done">well</span>' in page.html
    assert "1 of 1" in page.text
    assert 'aria-label="Last hour: 1 delivered, 0 not"' in page.html
    assert "ringback destinations list --order trouble" in page.text


async def test_those_in_trouble_come_first_unless_the_order_is_by_name(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    async with RecordingReceiver() as other:
        first, second = sorted((receiver, other), key=lambda one: str(one.port))
        for one in (first, second):
            await world.wait_until_ended(await world.send(one.url("/hook")))
        form = {"Destination": second.url(""), "Reason": "they <b>move</b>"}
        assert (await world.api().post("/portal/v1/destinations/pause", form)).status == 200
        owner = await world.owner()
        by_trouble, by_name = await owner.open(LIST), await owner.open(f"{LIST}?order=name")
    places = [
        [page.html.index(f"%3A{one.port}&amp;") for one in (second, first)]
        for page in (by_trouble, by_name)
    ]
    assert places[0] == sorted(places[0])
    assert places[1] != sorted(places[1])
    assert '<span class="state paused">paused</span>' in by_trouble.html


async def test_the_filters_find_by_state_and_by_a_part_of_the_name(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    await world.wait_until_ended(await world.send(receiver.url("/hook")))
    owner = await world.owner()
    found = await owner.open(f"{LIST}?text={receiver.port}&state=well")
    assert f"127.0.0.1:{receiver.port}" in found.text
    assert f"--state well --text {receiver.port}" in found.text
    for query in ("text=nowhere", "state=paused"):
        nothing = await owner.open(f"{LIST}?{query}")
        assert "No destination matches" in nothing.text
    refused = await owner.open(f"{LIST}?state=odd")
    assert refused.status == 400


async def test_pages_go_by_key_and_keep_the_filters(world: ConsoleWorld) -> None:
    for number in range(26):
        await world.send(f"http://127.0.0.1:{9100 + number}/hook")
    owner = await world.owner()
    first = await owner.open(f"{LIST}?order=name&text=127")
    assert "%3A9124&amp;" in first.html
    assert "%3A9125&amp;" not in first.html
    start = first.html.index('">Next page</a>')
    second = await owner.open(first.html[:start].rpartition('href="')[2].replace("&amp;", "&"))
    assert "%3A9125&amp;" in second.html
    assert "%3A9124&amp;" not in second.html
    assert f'href="{LIST}?order=name&amp;text=127"' in second.html
    form = {"Destination": "http://127.0.0.1:9125"}
    await world.api().post("/portal/v1/destinations/pause", form)
    in_trouble = await owner.open(LIST)
    assert in_trouble.html.index("%3A9125&amp;") < in_trouble.html.index("%3A9100&amp;")


async def test_only_the_rows_are_refreshed_and_only_if_they_have_changed(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    await world.wait_until_ended(await world.send(receiver.url("/hook")))
    owner = await world.owner()
    part = await owner.part(LIST, "rows")
    assert part.html.lstrip().startswith('<div id="rows"')
    again = await owner.part(LIST, "rows", etag=part.answer.headers["etag"])
    assert again.status == 304


async def test_an_operator_sees_the_account_of_each_row(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    await world.wait_until_ended(await world.send(receiver.url("/hook")))
    account_sid = world.account.account.sid
    page = await (await world.operator()).open(LIST)
    assert f'<a href="/console/accounts/{account_sid}">' in page.html
    assert "/console/accounts/" not in (await (await world.owner()).open(LIST)).html


async def test_another_account_sees_none_of_it(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    await world.wait_until_ended(await world.send(receiver.url("/hook")))
    page = await (await world.stranger()).open(LIST)
    assert str(receiver.port) not in page.text
    assert "No destinations yet" in page.text


async def test_what_is_set_by_patterns_is_shown_resumed_and_unset(world: ConsoleWorld) -> None:
    api, pattern = world.api(), "https://*.example:443"
    await api.post("/portal/v1/destinations", {"Destination": pattern, "Rate": "3"})
    form = {"Destination": pattern, "Reason": "<i>soon</i>"}
    await api.post("/portal/v1/destinations/pause", form)
    owner, reader = await world.owner(), await world.reader()
    shown = await owner.open(LIST)
    assert "rate <b>3</b>" in shown.html
    assert "&lt;i&gt;soon&lt;/i&gt;" in shown.html
    only_read = await reader.open(LIST)
    assert "rate <b>3</b>" in only_read.html
    assert 'method="post" action="/console/destinations' not in only_read.html
    back = f"{LIST}?text=a"
    resumed = await owner.send(f"{LIST}/patterns/resume", pattern=pattern, back=back)
    assert (urlsplit(resumed.leads_to).path, urlsplit(resumed.leads_to).query) == (LIST, "text=a")
    assert 'class="state paused"' not in (await owner.open(LIST)).html
    gone = await owner.do(f"{LIST}/patterns/unset", pattern=pattern, back=LIST)
    assert "Nothing is set for https://*.example:443 any more." in gone.text
    assert "rate <b>3</b>" not in gone.html
    refused = await reader.do(f"{LIST}/patterns/unset", pattern=pattern, back=LIST)
    assert "can only read" in refused.text


def test_the_last_hour_is_drawn_by_two_minutes() -> None:
    def minute(ago: int, attempts: int, failed: int) -> dict[str, object]:
        began = (START - timedelta(minutes=ago)).isoformat()
        return {"began": began, "attempts": attempts, "failed": failed}

    bars = bars_of([minute(58, 1, 0), minute(57, 4, 3), minute(1, 2, 2), minute(90, 7, 0)], START)
    assert len(bars) == 30
    assert (bars[0], bars[28], bars[29]) == ((2, 3), (0, 2), (0, 0))
    assert sum(good for good, _ in bars) == 2


def test_urls_belong_to_their_destination_or_to_a_part_of_it() -> None:
    urls = [
        {"account_sid": ACCOUNT_SID, "url": url}
        for url in (
            "https://a.example/app/one?x=1#cbs=kore",
            "https://a.example:443/other",
            "https://b.example/app/",
        )
    ]
    urls.append({"account_sid": "AC" + "f" * 32, "url": "https://a.example/app/theirs"})

    def found(destination: str) -> list[str]:
        return [str(one["url"]) for one in urls_of(urls, ACCOUNT_SID, destination)]

    assert found("https://a.example:443") == [
        "https://a.example/app/one?x=1#cbs=kore",
        "https://a.example:443/other",
    ]
    assert found("https://a.example:443/app/*") == ["https://a.example/app/one?x=1#cbs=kore"]
    assert found("https://a.example:4430") == []


async def test_each_url_has_the_source_that_it_asks_for_and_that_sends_now(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    for path in ("/plain?q=<b>", "/moved#cbs=kore"):
        await world.wait_until_ended(await world.send(receiver.url(path)))
    owner = await world.owner()
    page = await until_counted(world, owner, "moved")
    plain, moved = page.html.index("plain?"), page.html.index("moved</i>")
    assert "plain?<wbr>q=&lt;b&gt;" in page.html
    assert marks_after(page, plain)[:3] == ["nothing", "twilio", "twilio"]
    assert marks_after(page, moved)[:3] == ["kore", "kore", "kore"]
    assert "moved" not in (await (await world.stranger()).open(LIST)).html


def marks_after(page: ShownPage, place: int) -> list[str]:
    """Return the sources whose marks follow a place in a page."""
    found: list[str] = re.findall(
        r'class="mark[^"]*" role="img" aria-label="(\w+)"', page.html[place:]
    )
    return found


async def until_counted(world: ConsoleWorld, browser: ScriptlessBrowser, text: str) -> ShownPage:
    """Return the list once its URLs are counted, which the server does now and then."""
    for _ in range(500):
        page = await browser.open(LIST)
        if text in page.html:
            return page
        world.clock.advance(timedelta(seconds=11))
        await asyncio.sleep(0.01)
    raise AssertionError("the URLs are not counted")
