"""The page that shows the API: whole without a network, and no way to any other file."""

import re
import subprocess
import sys

import pytest
from starlette.types import ASGIApp

from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import refusal

STARTING = """
import sys
import ringback.wiring
late = ("mkdocs_swagger_ui_tag", "bs4")
assert not any(name in sys.modules for name in late)
"""


@pytest.fixture
def stranger(app: ASGIApp) -> Caller:
    return Caller(app, credentials=None)


async def named_in(stranger: Caller) -> list[str]:
    """Return the paths of what the page loads, each of them relative to it."""
    page = (await stranger.get("/docs")).body.decode()
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    return [link for link in links if not link.startswith("data:")]


def kind_of(answer: Answer) -> str:
    return answer.headers["content-type"].partition(";")[0]


async def test_it_wants_no_credentials(stranger: Caller) -> None:
    answer = await stranger.get("/docs")
    assert (answer.status, kind_of(answer)) == (200, "text/html")


async def test_all_that_it_loads_is_served_beside_it(stranger: Caller) -> None:
    kinds = dict[str, str]()
    for name in await named_in(stranger):
        answer = await stranger.get(f"/{name}")
        assert answer.status == 200
        assert answer.body
        kinds[name] = kind_of(answer)
    assert kinds == {
        "docs/swagger-ui.css": "text/css",
        "docs/swagger-ui-bundle.js": "text/javascript",
        "docs/start.js": "text/javascript",
    }


async def test_it_shows_our_document_and_asks_no_other_server(stranger: Caller) -> None:
    start = (await stranger.get("/docs/start.js")).body.decode()
    assert 'url: "openapi.json"' in start
    assert "validatorUrl: null" in start
    assert "http" not in start


async def test_browsers_let_it_load_nothing_from_elsewhere(stranger: Caller) -> None:
    policy = (await stranger.get("/docs")).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "http" not in policy


async def test_its_swagger_ui_knows_openapi_3_1(stranger: Caller) -> None:
    bundle = (await stranger.get("/docs/swagger-ui-bundle.js")).body.decode()
    assert "OpenAPI31" in bundle


@pytest.mark.parametrize(
    "name",
    [
        "plugin.py",
        "swagger-ui-bundle.js.map",
        "..",
        "../plugin.py",
        "..%2f..%2fplugin.py",
        "%2e%2e%2fplugin.py",
        "..%5c..%5cplugin.py",
        "%2fetc%2fpasswd",
        "//etc/passwd",
        "swagger-ui.css%00",
        "",
    ],
)
async def test_nothing_else_is_served(stranger: Caller, name: str) -> None:
    assert refusal(await stranger.get(f"/docs/{name}")) == (404, 20404)


async def test_it_can_only_be_read(stranger: Caller) -> None:
    assert refusal(await stranger.post("/docs", {})) == (405, 20004)


def test_it_costs_nothing_before_somebody_asks_for_it() -> None:
    done = subprocess.run((sys.executable, "-c", STARTING), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
