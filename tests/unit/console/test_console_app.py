"""What every answer of the console has, and which requests are refused before any page."""

from pathlib import Path

import pytest

from tests.consoles import ConsoleWorld, console_world

LIST = "/console/callbacks"
PLACES = [LIST, "/console/sign-in", "/console/static/console.css", "/console/nothing"]


@pytest.mark.parametrize("path", PLACES)
async def test_every_answer_forbids_all_that_is_not_from_here(
    world: ConsoleWorld, path: str
) -> None:
    owner = await world.owner()
    answer = (await owner.open(path)).answer
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_pages_are_not_kept_by_browsers_and_have_no_inline_script(
    world: ConsoleWorld,
) -> None:
    page = await (await world.owner()).open(LIST)
    assert page.answer.headers["cache-control"] == "no-store"
    for forbidden in ("<script>", "onclick=", " style=", "javascript:"):
        assert forbidden not in page.html


FORGED = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": "http://stranger.example"},
    {"origin": "null"},
    {},
]


@pytest.mark.parametrize("headers", FORGED, ids=str)
async def test_a_form_from_elsewhere_changes_nothing(
    world: ConsoleWorld, headers: dict[str, str]
) -> None:
    owner = await world.owner()
    answer = await owner.send_from("/console/sign-out", {}, **headers)
    assert answer.status == 403
    assert "nothing was changed" in answer.text
    assert (await owner.open(LIST)).status == 200


async def test_a_browser_that_only_says_the_origin_may_send_forms(world: ConsoleWorld) -> None:
    owner = await world.owner()
    answer = await owner.send_from("/console/sign-out", {}, origin="http://127.0.0.1:8080")
    assert answer.status == 303


@pytest.mark.parametrize(
    ("host", "is_known"),
    [
        ("127.0.0.1:8080", True),
        ("localhost:8080", True),
        ("supersim.localhost:8080", True),
        ("[::1]:8080", True),
        ("stranger.example:8080", False),
        ("localhost.stranger.example", False),
        ("", False),
    ],
)
async def test_dev_shows_pages_only_at_names_that_nobody_else_controls(
    world: ConsoleWorld, host: str, is_known: bool
) -> None:
    answer = await world.browser(host=host).open("/console/sign-in")
    assert answer.status == (200 if is_known else 403)
    assert ("own names only" in answer.text) is not is_known


async def test_serve_shows_pages_at_any_name(tmp_path: Path) -> None:
    async with console_world(tmp_path, is_dev=False) as world:
        answer = await world.browser(host="ringback.example").open("/console/sign-in")
        assert answer.status == 200


async def test_browsers_are_led_from_the_root_and_programs_are_not(world: ConsoleWorld) -> None:
    browser = world.browser()
    led = await browser.open("/", accept="text/html,application/xhtml+xml")
    assert (led.status, led.leads_to) == (303, LIST)
    program = await browser.open("/", accept="*/*")
    assert program.status == 404
    assert program.answer.json["code"] == 20404


async def test_an_unknown_page_and_file_say_so(world: ConsoleWorld) -> None:
    owner = await world.owner()
    for path in ("/console/nothing", "/console/static/..%2fvisit.py", "/console/static/x.js"):
        answer = await owner.open(path)
        assert answer.status == 404, path
        assert "This is not here" in answer.text


async def test_the_theme_is_kept_and_leads_back(world: ConsoleWorld) -> None:
    owner = await world.owner()
    chosen = await owner.open("/console/theme?theme=dark&back=/console/move")
    assert chosen.leads_to == "/console/move"
    assert '<html lang="en" data-theme="dark">' in (await owner.open(LIST)).html
    elsewhere = await owner.open("/console/theme?theme=light&back=https://stranger.example/")
    assert elsewhere.leads_to == LIST
