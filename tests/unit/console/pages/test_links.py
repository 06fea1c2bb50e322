"""Links: made, shown once, listed and ended; and what somebody without a session sees by one."""

import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from ringback.core.accounts.account import AccountStatus
from ringback.operations.accounts import set_status
from tests.consoles import ConsoleWorld, ScriptlessBrowser, ShownPage
from tests.receivers import RecordingReceiver
from tests.streams import ENDED

LINKS = "/console/links"


def path_in(page: ShownPage) -> str:
    """Return the path of the new link that a page shows."""
    found = re.search(r"http://127\.0\.0\.1:8080(/console/links/[^<\s]+)</pre>", page.html)
    assert found is not None, page.text
    return found[1]


async def make(browser: ScriptlessBrowser, **form: str) -> str:
    made = await browser.send(LINKS, **form)
    assert made.status == 200, made.text
    return path_in(made)


def links_in(page: ShownPage) -> set[str]:
    """Return the paths to which a page leads, other than those of its style and scripts."""
    found = re.findall(r'(?:href|action|hx-get)="([^"]*)"', page.html)
    return {path for path in found if not path.startswith("/console/static/")}


async def test_a_link_is_shown_once_and_then_only_listed(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    sid = await world.send(receiver.url("/hook"))
    owner = await world.owner()
    form = await owner.open(f"{LINKS}?callback={sid}")
    assert f'name="callback" required value="{sid}"' in form.html
    made = await owner.send(LINKS, callback=sid, days="3", note="for <b>Ada</b>")
    path = path_in(made)
    assert "shown only this once" in made.text
    listed = await owner.open(LINKS)
    assert path not in listed.html
    assert "for &lt;b&gt;Ada&lt;/b&gt;" in listed.html
    assert "until <time" in listed.html
    assert "30 November 2026" in listed.text
    await world.browser().open(path)
    again = await owner.open(LINKS)
    assert '<td class="num" data-name="visits">1</td>' in again.html


async def test_wrong_wishes_are_refused_in_words(world: ConsoleWorld) -> None:
    owner = await world.owner()
    nowhere = await owner.do(LINKS, callback="CB" + "0" * 32, days="7")
    assert "CB" + "0" * 32 in nowhere.text
    assert 'role="alert"' in nowhere.html
    nothing = await owner.do(LINKS)
    assert "either Callback or Destination" in nothing.text


async def test_it_shows_exactly_this_callback_to_somebody_without_a_session(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    sid, other = [await world.send(receiver.url(f"/{name}")) for name in ("this", "other")]
    await world.wait_until_ended(sid)
    path = await make(await world.owner(), callback=sid)
    browser = world.browser()
    shown = await browser.open(path)
    assert shown.status == 200
    assert sid in shown.text
    assert "SIM update" in shown.text
    assert "POST <" in shown.html.replace("<b>POST", "POST <")
    assert f"{world.account.account.name} shares this callback with you until" in shown.text
    assert "only to read" in shown.text
    assert other not in shown.html
    assert links_in(shown) == {"#main", path}
    assert "<form" not in shown.html
    assert not browser.cookies


async def test_a_link_to_a_batch_shows_its_events_and_leads_nowhere(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    _, rule = await world.stream(receiver.url("/in"))
    (event,) = await world.happen(ENDED)
    path = await make(await world.owner(), callback=await world.batch_of(rule))
    shown = await world.browser().open(path)
    assert shown.status == 200
    assert f"<code>{event}</code>" in shown.html
    assert f"<code>{rule}</code>" in shown.html
    assert links_in(shown) == {"#main", path}


async def test_its_parts_are_refreshed_like_those_of_the_page(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    sid = await world.send(receiver.url("/this"))
    await world.wait_until_ended(sid)
    path, browser = await make(await world.owner(), callback=sid), world.browser()
    part = await browser.part(path, "facts")
    assert part.html.lstrip().startswith('<div id="facts"')
    again = await browser.part(path, "facts", etag=part.answer.headers["etag"])
    assert again.status == 304


async def test_it_shows_exactly_this_destination(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    async with RecordingReceiver() as other:
        for one in (receiver, other):
            await world.wait_until_ended(await world.send(one.url("/hook")))
        given = {"Destination": receiver.url(""), "Rate": "20", "Header": "X-A: hunter2"}
        await world.api().post("/portal/v1/destinations", given)
        account_sid = world.account.account.sid
        operator = await world.operator()
        path = await make(operator, destination=receiver.url(""), account=account_sid)
        shown = await world.browser().open(path)
        assert shown.status == 200
        assert receiver.url("") in shown.text.replace("<i>", "").replace("</i>", "")
        assert "20 a second" in shown.text
        for secret in (str(other.port), "hunter2", account_sid, "Change…", "History"):
            assert secret not in shown.html, secret
        assert links_in(shown) == {"#main", path}


async def test_a_link_opens_nothing_else(world: ConsoleWorld, receiver: RecordingReceiver) -> None:
    sid, other = [await world.send(receiver.url(f"/{name}")) for name in ("this", "other")]
    await world.wait_until_ended(sid)
    path, browser = await make(await world.owner(), callback=sid), world.browser()
    plain = await browser.open(path)
    token = path.rpartition("/")[2]
    for query in (f"?callback={other}", f"?sid={other}&destination={receiver.url('')}&account=x"):
        asked = await browser.open(path + query)
        assert asked.status == 200
        assert other not in asked.html.replace(f"{path}{query}".replace("&", "&amp;"), "")
        assert "SIM update" in asked.text
    for beyond in (f"{path}/replay", f"{path}/../../callbacks/{other}", f"{path}%2f..%2f{other}"):
        assert (await browser.open(beyond)).status == 404, beyond
    for closed in (f"/console/callbacks/{sid}", LINKS, f"/console/callbacks/{sid}?token={token}"):
        assert (await browser.open(closed)).leads_to.startswith("/console/sign-in"), closed
    for verb in ("replay", "discard"):
        sent = await browser.send(f"/console/callbacks/{sid}/{verb}", reason="x")
        assert sent.leads_to.startswith("/console/sign-in")
    assert (await browser.send(path, reason="x")).status == 405
    api = await browser.open(f"/portal/v1/callbacks/{sid}", authorization=f"Bearer {token}")
    assert api.status == 401
    assert plain.answer.headers["cache-control"] == "no-store"
    assert "referrer-policy" in plain.answer.headers


@pytest.mark.parametrize("ends_by", ["time", "owner"])
async def test_a_link_that_has_ended_says_so(
    world: ConsoleWorld, receiver: RecordingReceiver, ends_by: str
) -> None:
    sid = await world.send(receiver.url("/this"))
    owner = await world.owner()
    path = await make(owner, callback=sid, days="1")
    if ends_by == "time":
        world.clock.advance(timedelta(days=1))
    else:
        listed = await owner.open(LINKS)
        end = listed.html.partition(f'action="{LINKS}/')[2].partition('"')[0]
        done = await owner.do(f"{LINKS}/{end}", back=LINKS)
        assert "nobody can open it any more" in done.text
        assert f'action="{LINKS}/{end}"' not in done.html
    gone = await world.browser().open(path)
    assert gone.status == 410
    assert "This link has ended" in gone.text
    assert "Ask who sent it to you for a new one." in gone.text
    assert sid not in gone.html
    assert path not in gone.html
    assert links_in(gone) == {"#main"}


async def test_an_unknown_link_and_one_of_a_suspended_account_say_so(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    sid, browser = await world.send(receiver.url("/this")), world.browser()
    path = await make(await world.owner(), callback=sid)
    unknown = await browser.open(f"{LINKS}/guess")
    assert unknown.status == 404
    assert "There is no such link." in unknown.text
    account_sid = world.account.account.sid
    await world.change(
        lambda tx: set_status(tx, account_sid, AccountStatus.SUSPENDED, world.context())
    )
    suspended = await browser.open(path)
    assert suspended.status == 403
    assert sid not in suspended.html


async def test_only_its_account_sees_and_ends_a_link(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    sid = await world.send(receiver.url("/this"))
    owner, reader, stranger = (await world.owner(), await world.reader(), await world.stranger())
    path = await make(owner, callback=sid)
    listed = await owner.open(LINKS)
    end = listed.html.partition(f'action="{LINKS}/')[2].partition('"')[0]
    assert sid not in (await stranger.open(LINKS)).html
    refused = await stranger.do(f"{LINKS}/{end}", back=LINKS)
    assert "there is no link" in refused.text
    elsewhere = await stranger.do(LINKS, callback=sid)
    assert 'role="alert"' in elsewhere.html
    seen = await reader.open(LINKS)
    assert sid in seen.html
    assert f'action="{LINKS}' not in seen.html
    assert "can only read" in (await reader.do(f"{LINKS}/{end}", back=LINKS)).text
    assert "can only read" in (await reader.do(LINKS, callback=sid)).text
    operators = await (await world.operator()).open(LINKS)
    assert world.account.account.sid in operators.text
    assert (await world.browser().open(path)).status == 200


async def test_the_address_is_that_of_the_browser(
    world: ConsoleWorld, receiver: RecordingReceiver
) -> None:
    sid = await world.send(receiver.url("/this"))
    owner = await world.owner()
    answer = await owner.send(LINKS, callback=sid)
    address = answer.html.partition("http://127.0.0.1:8080/console/links/")
    assert address[1]
    assert urlsplit(address[1]).netloc == "127.0.0.1:8080"
