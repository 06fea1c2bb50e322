"""No request makes the console fail, whatever is in its headers, cookies and parameters."""

import asyncio
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from random import Random
from typing import Final
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.routing import Route

import ringback.console
from ringback.console.pages.routes import pages_app
from tests.consoles import ConsoleWorld, ScriptlessBrowser, console_world
from tests.unit.api.caller import Caller

HOST: Final = "127.0.0.1:8080"
SESSION: Final = "ringback_session_8080"


def _note(value: object) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).decode()


def _as_bytes(text: str) -> str:
    """Return the bytes of a text in UTF-8, each as a character."""
    return text.encode("utf-8", "surrogatepass").decode("latin-1")


DEEP: Final = "[" * 30_000
MALFORMED: Final = [
    "http://[",
    "//[",
    "/console/[//[",
    "http://a:99999999/",
    "http://\u2100.example/".encode().decode("latin-1"),
    "\x00",
    "\x7f\x80\x9f\xff",
    "%",
    "%00%ff%ed%a0%80",
    "5",
    "-1",
    "9" * 5000,
    "1e999",
    "NaN",
    "null",
    "{}",
    DEEP,
    "x" * 20_000,
    "\r\nSet-Cookie: a=b",
    "2026-02-30T99:99:99Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    ';=,"\\',
    "99999999d",
    "1" + "0" * 300 + "h",
    "../../../etc/passwd",
    _note(5),
    _note(None),
    _note([1, 2, 3, 4]),
    _note([None, {}, "http://[", []]),
    _note(["\ud800", False, "", ""]),
    _note({"a": 1, "b": 2, "c": 3, "d": 4}),
    urlsafe_b64encode(DEEP.encode()).decode(),
    urlsafe_b64encode(b"\xff\xfe").decode(),
    "=",
]
"""Values as a client could send them; each character stands for a byte."""
HEADERS: Final = (
    "origin",
    "referer",
    "hx-target",
    "hx-request",
    "if-none-match",
    "accept",
    "sec-fetch-site",
    "content-type",
    "host",
)
EVERYWHERE: Final[tuple[str, ...]] = ("referer", "if-none-match", "hx-target", "accept")
BYTES: Final = st.text(st.characters(max_codepoint=0xFF), max_size=40)
PIECES: Final = st.sampled_from(
    [
        *"[]{}/:?#@%&=;,+-.0",
        "//",
        "http:",
        "%00",
        "%ff",
        "\r\n",
        "\ud83d\ude00",
        "2026-11-27",
        "T04",
        "Z",
    ]
)
JSON: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
VALUES: Final = st.one_of(
    BYTES,
    st.lists(PIECES | BYTES, max_size=8).map(lambda parts: _as_bytes("".join(parts))),
    JSON.map(_note),
    st.sampled_from(MALFORMED),
)
"""Values as a client could send them, most of which nobody has thought of."""
COOKIES: Final = (SESSION, "ringback_note", "ringback_theme")
OPEN: Final = tuple(
    f"/console/{name}" for name in ("sign-in", "theme", "links/", "static", "callbacks")
)
"""The pages that anybody may ask for, and one more."""
SOURCES: Final = Path(ringback.console.__file__).parent
FIELDS: Final = sorted(
    {
        name
        for path in SOURCES.rglob("*.py")
        for name in re.findall(r"(?:asked|asked_all|get|getlist)\(\"([\w.-]+)\"", path.read_text())
    }
    | {"user", "password", "next", "back"}
)
"""The names of all parameters that a page reads, and some more."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[ConsoleWorld]:
    async with console_world(tmp_path, is_dev=False) as world:
        yield world


def requests(world: ConsoleWorld, value: str) -> Iterator[tuple[str, str]]:
    """Yield each method and path of a page, with this value in place of what varies in it."""
    for route in pages_app(world.application.api.console.parts).routes:
        assert isinstance(route, Route)
        sent = quote(value[:2000].encode("latin-1"), safe="")
        path = re.sub(r"\{[^}]*\}", lambda _, sent=sent: sent, route.path)
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield method, f"/console{path}"


async def refuse_to_fail(
    app: ScriptlessBrowser, method: str, path: str, fields: dict[str, str], headers: dict[str, str]
) -> None:
    """Send the fields in the query, and in a form, and check that no answer is an error of ours."""
    query = urlencode({name: value.encode("latin-1") for name, value in fields.items()})
    body = query.encode() if method == "POST" else b""
    given = {"content-length": str(len(body)), **headers} if body else headers
    answer = await app.caller.call(method, f"{path}?{query}", body, headers=given)
    shown = {name: value[:60] for name, value in (fields | headers).items()}
    assert answer.raised is None, (method, path, shown)
    assert answer.status < 500, (method, path, shown)
    lines = [text for name, text in answer.headers.items() if name != "content-type"]
    assert not any(ord(one) < 0x20 for text in lines for one in text), (method, path, shown)


def cookies(given: dict[str, str]) -> str:
    return "; ".join(f"{name}={value}" for name, value in given.items())


def browser(world: ConsoleWorld) -> ScriptlessBrowser:
    return ScriptlessBrowser(Caller(world.application.api.app, credentials=None, host=HOST))


@pytest.mark.parametrize("path", ["sign-in", "sign-out", "theme", "callbacks", ""])
async def test_one_malformed_value_before_signing_in(world: ConsoleWorld, path: str) -> None:
    nobody, kept = browser(world), {"sec-fetch-site": "same-origin"}
    places = [("header", name) for name in HEADERS] + [("cookie", name) for name in COOKIES]
    places += [("field", name) for name in ("user", "password", "next", "back", "theme", "key")]
    for value in MALFORMED:
        for kind, name in places:
            headers, fields = dict(kept), {"user": "x", "password": "y"}
            if kind == "header":
                # Older browsers have no Sec-Fetch-Site, so that Origin counts.
                headers = {name: value}
            elif kind == "cookie":
                headers["cookie"] = cookies({name: value})
            else:
                fields[name] = value
            for method in ("GET", "POST"):
                await refuse_to_fail(nobody, method, f"/console/{path}", fields, headers)


async def test_one_malformed_value_after_signing_in(world: ConsoleWorld) -> None:
    owner = await world.owner()
    for value in MALFORMED:
        for name in COOKIES[1:]:
            headers = {"cookie": cookies({**owner.cookies, name: value})}
            await refuse_to_fail(owner, "GET", "/console/callbacks", {}, headers)
        for name in EVERYWHERE:
            headers = {"cookie": cookies(owner.cookies), name: value}
            await refuse_to_fail(owner, "GET", "/console/callbacks", {}, headers)


@pytest.mark.parametrize("until", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_time_that_no_clock_can_show(world: ConsoleWorld, until: str) -> None:
    owner = await world.owner()
    form = {"destination": "https://a.example", "reason": "x", "until": until}
    assert (await owner.send("/console/destinations/one/pause", **form)).status == 303
    listed = await owner.open(f"/console/callbacks?{urlencode({'since': until, 'until': until})}")
    assert listed.status < 500


@pytest.mark.parametrize("path", ["links/a%2Fb", "callbacks/a%2Fb", "static/a%2Fb"])
async def test_an_escaped_slash_in_a_path(world: ConsoleWorld, path: str) -> None:
    for asking in (browser(world), await world.owner()):
        answer = await asking.open(f"/console/{path}")
        assert answer.status in (303, 404)
    nobody = await browser(world).open("/console/callbacks/a%2Fb?x=1")
    assert nobody.leads_to == "/console/sign-in?next=%2Fconsole%2Fcallbacks%2Fa%252Fb%3Fx%3D1"


@pytest.mark.parametrize(
    ("who", "share"),
    [
        ("owner", 0.15),
        ("operator", 0.1),
        pytest.param("owner", 1, marks=pytest.mark.long),
        pytest.param("operator", 1, marks=pytest.mark.long),
    ],
)
async def test_malformed_values_everywhere_after_signing_in(
    world: ConsoleWorld, who: str, share: float
) -> None:
    """Check each value at this share of the pages."""
    signed_in = await (world.owner() if who == "owner" else world.operator())
    session, chance, sent = dict(signed_in.cookies), Random(who), 0
    for value in MALFORMED:
        for method, path in requests(world, value):
            if path == "/console/sign-out" or chance.random() > share:
                continue
            # Most fields are empty or another's, so that not always the first one is refused.
            fields = {
                name: value if chance.random() < 0.5 else chance.choice(MALFORMED)[:200]
                for name in FIELDS
                if chance.random() < 0.3
            }
            headers: dict[str, str] = dict.fromkeys(EVERYWHERE, value)
            if chance.random() < 0.3:
                headers["hx-request"] = "true"
            headers["sec-fetch-site"] = "same-origin"
            headers["cookie"] = cookies(
                {**session, "ringback_note": value, "ringback_theme": value}
            )
            await refuse_to_fail(signed_in, method, path, fields, headers)
            sent += 1
    assert sent > 1000 * share


@pytest.mark.parametrize("is_signed_in", [True, False])
def test_generated_values_anywhere(tmp_path: Path, is_signed_in: bool) -> None:
    with asyncio.Runner() as runner:
        opened = console_world(tmp_path, is_dev=False)
        world = runner.run(opened.__aenter__())
        asking = runner.run(world.owner()) if is_signed_in else browser(world)
        session = dict(asking.cookies)
        all_pages = [one for one in requests(world, "\x01") if one[1] != "/console/sign-out"]
        # Without a session, all other pages do the same: they lead to that for signing in.
        pages = [one for one in all_pages if is_signed_in or one[1].startswith(OPEN)]
        assert len(pages) >= 6

        @settings(max_examples=300, deadline=None, database=None)
        @given(
            page=st.sampled_from(pages),
            part=VALUES,
            fields=st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=6)
            | st.fixed_dictionaries({}, optional={"next": VALUES, "back": VALUES, "theme": VALUES}),
            headers=st.dictionaries(st.sampled_from(HEADERS), VALUES, max_size=3),
            sent=st.dictionaries(st.sampled_from(COOKIES), VALUES, max_size=3),
        )
        def check(
            page: tuple[str, str],
            part: str,
            fields: dict[str, str],
            headers: dict[str, str],
            sent: dict[str, str],
        ) -> None:
            method, path = page
            whole = path.replace("%01", quote(part[:2000].encode("latin-1"), safe=""))
            headers = {"sec-fetch-site": "same-origin", **headers}
            headers["cookie"] = cookies(sent | session)
            runner.run(refuse_to_fail(asking, method, whole, fields, headers))

        check()
        runner.run(opened.__aexit__(None, None, None))
