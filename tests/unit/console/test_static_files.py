"""The files that pages load: as they were published, and with their licences."""

from hashlib import sha256
from pathlib import Path

import pytest

import ringback.console
from tests.consoles import ConsoleWorld

STATIC = Path(ringback.console.__file__).parent / "static"
LINES = [line.split() for line in (STATIC / "SHA256SUMS").read_text().splitlines()[1:]]
PUBLISHED = {name: digest for digest, name in LINES}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_file_of_htmx_is_as_published(name: str) -> None:
    assert sha256((STATIC / name).read_bytes()).hexdigest() == PUBLISHED[name]


def test_htmx_has_its_licence_and_the_release_that_the_list_names() -> None:
    assert set(PUBLISHED) == {"htmx.min.js", "LICENSE-htmx"}
    release = (STATIC / "SHA256SUMS").read_text().split()[2].rstrip(",")
    assert f'version:"{release}"' in (STATIC / "htmx.min.js").read_text()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("console.css", "text/css"),
        ("console.js", "text/javascript"),
        ("htmx.min.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ],
)
async def test_everybody_gets_the_files_of_a_page(
    world: ConsoleWorld, name: str, kind: str
) -> None:
    answer = (await world.browser().open(f"/console/static/{name}")).answer
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(kind)
    assert answer.body == (STATIC / name).read_bytes()


def test_the_style_sheet_loads_nothing() -> None:
    assert "url(" not in (STATIC / "console.css").read_text()
    assert "@import" not in (STATIC / "console.css").read_text()


async def test_a_file_that_a_browser_has_is_not_sent_again(world: ConsoleWorld) -> None:
    browser = world.browser()
    first = await browser.open("/console/static/console.css")
    again = await browser.open(
        "/console/static/console.css", **{"if-none-match": first.answer.headers["etag"]}
    )
    assert (again.status, again.answer.body) == (304, b"")
