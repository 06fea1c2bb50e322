"""Rules for all pages, by their routes: whose things they show, and what becomes of markup."""

import re
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

import pytest
from starlette.routing import Route

from ringback.console.pages.routes import pages_app
from tests.consoles import ConsoleWorld, ScriptlessBrowser, console_world
from tests.receivers import RecordingReceiver
from tests.streams import ENDED

HURT: Final = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'><b>"
"""A text that would do something if a page took it for HTML."""
NOT_OURS: Final = {"/", "/sign-in", "/sign-out", "/theme", "/static/{name}", "/links/{token}"}
"""The routes that show nothing of an account, or not by a session."""
SAFE_ELEMENTS: Final = frozenset(
    """a b body br button caption code datalist dd del details div dl dt em fieldset figcaption
    figure footer form h1 h2 h3 head header html i input ins label legend li link main mark
    meta nav ol option p pre script section select small span strong summary svg table tbody td
    textarea th thead time title tr ul wbr rect line circle text g path""".split()  # noqa: SIM905 (shorter)
)
"""The elements that pages have."""


@dataclass
class Filled:
    """A server in which the notice's account has one of everything, named by `mark`."""

    world: ConsoleWorld
    receiver: RecordingReceiver
    mark: str
    ids: dict[str, str]

    @property
    def sent(self) -> int:
        """The number of requests for the account's own callbacks."""
        ours = (quote(self.mark), "/discarded", "/events")
        return sum(any(one in request.line for one in ours) for request in self.receiver.requests)

    def paths(self) -> Iterator[tuple[str, str]]:
        """Yield each method and path of a page, with the ids of the account's own things."""
        for route in pages_app(self.world.application.api.console.parts).routes:
            assert isinstance(route, Route)
            if route.path in NOT_OURS:
                continue
            for path in self._with_ids(route.path):
                for method in sorted((route.methods or set()) - {"HEAD"}):
                    yield method, f"/console{path}"

    def _with_ids(self, path: str) -> Iterator[str]:
        if "{sid}" not in path:
            yield path
            return
        for sid in self.ids.values():
            for move in ("pause", "cancel") if "{move}" in path else ("",):
                yield path.replace("{sid}", quote(sid, safe="")).replace("{move}", move)

    def queries(self) -> Iterator[str]:
        """Yield queries that name the account and its things."""
        destination = self.receiver.url("/")
        yield ""
        yield "?" + urlencode({"account": self.world.account.account.sid})
        yield "?" + urlencode({"callback": self.ids["callback"], "destination": destination})
        yield "?" + urlencode(
            {"account": self.world.account.account.sid, "destination": destination, "all": "yes"}
        )


async def fill(world: ConsoleWorld, receiver: RecordingReceiver, mark: str) -> Filled:
    """Make one of everything that an account can have, each with `mark` in its texts."""
    sid = await world.send(receiver.url(f"/{quote(mark)}"), **{"note": mark, mark: "x"})
    await world.wait_until_ended(sid)
    other = await world.send(receiver.url("/discarded"), note=mark)
    await world.wait_until_ended(other)
    api, ids = world.api(), {"callback": sid}
    made = [
        ("key", "/portal/v1/keys", {"Name": mark}),
        ("link", "/portal/v1/links", {"Callback": sid, "Note": mark}),
        ("job", "/portal/v1/jobs", {"Kind": "replay", "Since": "2020-01-01T00:00:00Z"}),
    ]
    for name, path, form in made:
        answer = await api.post(path, form)
        assert answer.status == 201, (name, answer.body)
        ids[name] = answer.json["sid"]
    paused = await api.post(
        "/portal/v1/destinations/pause", {"Destination": "https://other.example", "Reason": mark}
    )
    assert paused.status == 200, paused.body
    ids["sink"], ids["rule"] = await world.stream(receiver.url("/events"), ENDED, name=mark[:50])
    network = {"friendly_name": mark, mark: mark}
    (ids["event"],) = await world.happen(ENDED, sim_unique_name=mark, network=network)
    ids["batch"] = await world.batch_of(ids["rule"])
    ids["account"] = world.account.account.sid
    return Filled(world, receiver, mark, ids)


@pytest.fixture
async def ours(tmp_path: Path) -> AsyncGenerator[Filled]:
    async with console_world(tmp_path) as world, RecordingReceiver() as receiver:
        yield await fill(world, receiver, "ours-alone")


@pytest.fixture
async def hostile(tmp_path: Path) -> AsyncGenerator[Filled]:
    async with console_world(tmp_path) as world, RecordingReceiver() as receiver:
        yield await fill(world, receiver, HURT)


async def test_another_account_sees_nothing_of_ours_on_any_page(ours: Filled) -> None:
    stranger = await ours.world.stranger()
    seen = 0
    for method, path in ours.paths():
        if method != "GET":
            continue
        for query in ours.queries():
            page = await stranger.open(path + query)
            assert page.status < 500, (path, page.text)
            assert ours.mark not in page.html, (path, query)
            seen += 1
    assert seen > 100


async def test_another_account_changes_nothing_of_ours_by_any_form(ours: Filled) -> None:
    stranger = await ours.world.stranger()
    before, requests = await state_of(ours), ours.sent
    sent = 0
    for method, path in ours.paths():
        if method != "POST" or "/dev/clock" in path:
            continue
        answer = await stranger.send(path, **every_field(ours))
        assert answer.status < 500, (path, answer.text)
        assert ours.mark not in answer.html, path
        sent += 1
    assert sent > 30
    assert await state_of(ours) == before
    assert ours.sent == requests


async def test_who_can_only_read_changes_nothing_by_any_form(ours: Filled) -> None:
    reader = await ours.world.reader()
    before, requests = await state_of(ours), ours.sent
    for method, path in ours.paths():
        if method == "POST":
            answer = await reader.send(path, **every_field(ours))
            assert answer.status < 500, (path, answer.text)
    assert await state_of(ours) == before
    assert ours.sent == requests


async def test_no_page_is_shown_without_a_session(ours: Filled) -> None:
    nobody = ours.world.browser()
    for method, path in ours.paths():
        answer = await (nobody.open(path) if method == "GET" else nobody.send(path))
        assert answer.status == 303, (method, path)
        assert answer.leads_to.startswith("/console/sign-in"), (method, path)


async def test_no_form_from_another_site_is_accepted(ours: Filled) -> None:
    owner, before = await ours.world.owner(), await state_of(ours)
    for method, path in ours.paths():
        if method == "POST":
            answer = await owner.send_from(
                path, every_field(ours), **{"sec-fetch-site": "cross-site"}
            )
            assert answer.status == 403, path
    assert await state_of(ours) == before


async def test_each_live_part_of_each_page_can_be_asked_for_alone(ours: Filled) -> None:
    operator, parts = await ours.world.operator(), set[str]()
    for method, path in ours.paths():
        page = await operator.open(path) if method == "GET" else None
        if page is None or page.status != 200:
            continue
        for name, url in re.findall(
            r'id="([\w-]+)"[^>]* data-every="\d+" hx-get="([^"]*)"', page.html
        ):
            part = await operator.part(unescape(url), name)
            assert part.status == 200, (path, name, part.text)
            assert f'id="{name}"' in part.html
            assert "<html" not in part.html
            again = await operator.part(unescape(url), name, etag=part.answer.headers["etag"])
            assert again.status == 304, (path, name)
            parts.add(f"{path} {name}")
    assert len(parts) >= 10


async def test_stored_texts_never_become_markup(hostile: Filled) -> None:
    for browser in (await hostile.world.operator(), await hostile.world.owner()):
        seen = 0
        for method, path in hostile.paths():
            if method != "GET":
                continue
            for query in (*hostile.queries(), f"?{urlencode({'text': HURT, 'url': HURT})}"):
                seen += await shown_safely(browser, path + query)
        assert seen > 30, "the texts are not on the pages"


async def shown_safely(browser: ScriptlessBrowser, path: str) -> bool:
    """Check that a page has no element or attribute of a stored text; return if it shows one."""
    page = await browser.open(path)
    assert page.status < 500, (path, page.text)
    found = _Elements()
    found.feed(page.html)
    assert found.strange == [], path
    assert "alert(2)" not in found.in_scripts, path
    return "onerror=alert(1)" in page.text


class _Elements(HTMLParser):
    """Collects the elements and attributes that no page of the console has by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.strange = list[str]()
        self.in_scripts = ""
        self._is_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        self._is_script = tag == "script"
        odd = [name for name in names if name.startswith("on") or name == "style"]
        if tag not in SAFE_ELEMENTS or odd or (tag == "script" and "src" not in names):
            self.strange.append(f"<{tag} {names}>")

    def handle_endtag(self, tag: str) -> None:
        self._is_script = False

    def handle_data(self, data: str) -> None:
        if self._is_script:
            self.in_scripts += data


def every_field(filled: Filled) -> dict[str, str]:
    """Return a form with all fields that some page reads, filled in with the account's things."""
    return {
        "account": filled.world.account.account.sid,
        "account_sid": filled.world.account.account.sid,
        "destination": filled.receiver.url("/"),
        "callback": filled.ids["callback"],
        "reason": "because",
        "name": "stranger",
        "role": "full",
        "days": "7",
        "to": filled.receiver.url("/triggered"),
        "event": "sms.received",
        "method": "POST",
        "sim": filled.world.account.sim_sid,
        "payload": "x",
        "as": f"{filled.world.account.sim_sid}/sms",
        "scenario": "normal",
        "prefix": "https://a.example/",
        "phase": "before",
        "kind": "webhook",
        "url": filled.receiver.url("/elsewhere"),
        "sink": filled.ids["sink"],
        "type.data-session.started": "1",
        "Kind": "replay",
        "Since": "2020-01-01T00:00:00Z",
    }


async def state_of(filled: Filled) -> list[object]:
    """Return what the account has, without what only says when something was used."""
    api = filled.world.api()
    found = list[object]()
    paths = ("callbacks", "keys", "links", "jobs", "destinations", "streams", "audit", "policy")
    for path in paths:
        answer = (await api.get(f"/portal/v1/{path}")).body.decode()
        changing = (
            r'"(date_last_used|seconds_left|date|counted|date_updated)":("[^"]*"|[0-9.]+|null)'
        )
        found.append(re.sub(changing, "", answer))
    return found
