"""The pages that show the APIs work without a network, and give access to no other file."""

import re
from hashlib import sha256
from pathlib import Path
from urllib.parse import urljoin

import pytest
from starlette.types import ASGIApp

import ringback
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import refusal

SWAGGER_UI = Path(ringback.__file__).parent / "api" / "openapi" / "swagger_ui"
SUMS = SWAGGER_UI / "SHA256SUMS"


@pytest.fixture
def stranger(app: ASGIApp) -> Caller:
    return Caller(app, credentials=None)


PAGES = pytest.mark.parametrize("page", ["/docs", "/wireless/docs", "/events/docs"])


async def named_in(stranger: Caller, page: str) -> list[str]:
    """Return the paths that a page loads or links to."""
    text = (await stranger.get(page)).body.decode()
    links = re.findall(r'(?:src|href)="([^"]+)"', text)
    return [link for link in links if not link.startswith("data:")]


def kind_of(answer: Answer) -> str:
    return answer.headers["content-type"].partition(";")[0]


@PAGES
async def test_it_needs_no_credentials(stranger: Caller, page: str) -> None:
    answer = await stranger.get(page)
    assert (answer.status, kind_of(answer)) == (200, "text/html")


@PAGES
async def test_all_that_it_loads_or_links_to_is_served(stranger: Caller, page: str) -> None:
    kinds = dict[str, str]()
    for path in await named_in(stranger, page):
        answer = await stranger.get(urljoin(page, path))
        assert answer.status == 200
        assert answer.body
        kinds[path] = kind_of(answer)
    assert kinds == {
        "/docs/swagger-ui.css": "text/css",
        "/docs": "text/html",
        "/wireless/docs": "text/html",
        "/events/docs": "text/html",
        "/docs/swagger-ui-bundle.js": "text/javascript",
        "/docs/start.js": "text/javascript",
    }


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("/docs", "Ringback: Super SIM"),
        ("/wireless/docs", "Ringback: Programmable Wireless"),
        ("/events/docs", "Ringback: Event Streams"),
    ],
)
async def test_it_shows_the_document_beside_it(stranger: Caller, page: str, title: str) -> None:
    start = (await stranger.get("/docs/start.js")).body.decode()
    (url,) = re.findall(r'url: "([^"]+)"', start)
    document = (await stranger.get(urljoin(page, url))).json
    assert document["info"]["title"] == title


async def test_it_makes_no_request_to_another_server(stranger: Caller) -> None:
    start = (await stranger.get("/docs/start.js")).body.decode()
    assert "validatorUrl: null" in start
    assert "http" not in start


@PAGES
async def test_browsers_let_it_load_nothing_from_elsewhere(stranger: Caller, page: str) -> None:
    policy = (await stranger.get(page)).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "http" not in policy


async def test_its_swagger_ui_supports_openapi_3_1(stranger: Caller) -> None:
    bundle = (await stranger.get("/docs/swagger-ui-bundle.js")).body.decode()
    assert "OpenAPI31" in bundle


@pytest.mark.parametrize(
    "name",
    [
        "SHA256SUMS",
        "LICENSE",
        "swagger-ui-bundle.js.map",
        "..",
        "../docs_page.py",
        "..%2f..%2fapp.py",
        "%2e%2e%2fdocs_page.py",
        "..%5c..%5capp.py",
        "%2fetc%2fpasswd",
        "//etc/passwd",
        "swagger-ui.css%00",
        "",
    ],
)
@PAGES
async def test_no_other_file_is_served(stranger: Caller, page: str, name: str) -> None:
    assert refusal(await stranger.get(f"{page}/{name}")) == (404, 20404)


@PAGES
async def test_it_is_read_only(stranger: Caller, page: str) -> None:
    assert refusal(await stranger.post(page, {})) == (405, 20004)


def hashes() -> dict[str, str]:
    """Return the hash that SHA256SUMS gives for each file."""
    lines = SUMS.read_text().splitlines()[1:]
    return {name: digest for digest, name in (line.split() for line in lines)}


@pytest.mark.parametrize("name", hashes())
def test_a_file_of_swagger_ui_is_as_published(name: str) -> None:
    assert sha256((SWAGGER_UI / name).read_bytes()).hexdigest() == hashes()[name]


def test_each_file_of_swagger_ui_has_a_hash_and_the_licences_exist() -> None:
    names = {path.name for path in SWAGGER_UI.iterdir()} - {SUMS.name}
    assert names == set(hashes())
    assert {"LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"} < names


def test_the_list_of_hashes_names_the_included_release() -> None:
    [version] = re.findall(r"^# swagger-ui-dist (\S+),", SUMS.read_text())
    bundle = (SWAGGER_UI / "swagger-ui-bundle.js").read_text()
    assert f'PACKAGE_VERSION:"{version}"' in bundle
