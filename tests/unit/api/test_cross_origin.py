"""Pages of any origin may call the Super SIM API, and nothing else of ours."""

import pytest
from starlette.types import ASGIApp

from ringback.api.cross_origin import CROSS_ORIGIN
from ringback.api.health import Health, health_routes
from ringback.stores.memory import MemoryStore
from tests.fakes import SIM_SID
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import app_on


def cross_origin_of(answer: Answer) -> dict[str, str]:
    return {name: text for name, text in answer.headers.items() if name.startswith("access-")}


OPEN = {name.lower(): text for name, text in CROSS_ORIGIN.items()}


@pytest.mark.parametrize("path", ["/v1/Sims", f"/supersim/v1/Sims/{SIM_SID}"])
async def test_each_answer_may_be_read_by_any_origin(caller: Caller, path: str) -> None:
    answer = await caller.get(path, origin="https://app.example")
    assert answer.status == 200
    assert cross_origin_of(answer) == OPEN
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_refusal_may_be_read_too(app: ASGIApp) -> None:
    answer = await Caller(app, credentials=None).get("/v1/Sims")
    assert answer.status == 401
    assert cross_origin_of(answer) == OPEN


async def test_a_browser_that_asks_beforehand_is_told_without_credentials(app: ASGIApp) -> None:
    headers = {"origin": "https://app.example", "access-control-request-method": "POST"}
    answer = await Caller(app, credentials=None).call("OPTIONS", "/v1/Sims", headers=headers)
    assert (answer.status, answer.body) == (204, b"")
    assert cross_origin_of(answer) == OPEN


async def test_what_a_browser_remembers_of_its_visitor_lets_no_origin_in(caller: Caller) -> None:
    answer = await caller.get("/v1/Sims", origin="https://evil.example", cookie="a=b")
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "path", ["/portal/v1/callbacks", "/healthz", "/openapi.json", "/docs", "/nowhere"]
)
async def test_nothing_else_is_open_to_other_origins(path: str) -> None:
    health = Health(commit=_committed, is_running=lambda: True)
    caller = Caller(app_on(MemoryStore(), beside=health_routes(health)), credentials=None)
    for verb in ("GET", "OPTIONS"):
        answer = await caller.call(verb, path, headers={"origin": "https://app.example"})
        assert cross_origin_of(answer) == {}
        assert verb == "GET" or answer.status in (404, 405)


async def _committed() -> None:
    pass
