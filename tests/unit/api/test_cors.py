"""Web pages of any origin may call the SIM APIs and the Events API, and no other API of ours."""

from collections.abc import Callable

import pytest
from starlette.types import ASGIApp

from ringback.api.cors import CROSS_ORIGIN
from ringback.api.health import HealthChecks, health_routes
from tests.fakes import SIM_SID
from tests.memory_store import MemoryStore
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import app_on


def cross_origin_of(answer: Answer) -> dict[str, str]:
    return {name: text for name, text in answer.headers.items() if name.startswith("access-")}


OPEN = {name.lower(): text for name, text in CROSS_ORIGIN.items()}


APIS = pytest.mark.parametrize("path", ["/v1/Sims", "/wireless/v1/Sims", "/v1/Sinks"])


@pytest.mark.parametrize(
    "path", ["/v1/Sims", f"/supersim/v1/Sims/{SIM_SID}", "/wireless/v1/Sims/meter_1", "/v1/Types"]
)
async def test_any_origin_may_read_each_answer(caller: Caller, path: str) -> None:
    answer = await caller.get(path, origin="https://app.example")
    assert answer.status == 200
    assert cross_origin_of(answer) == OPEN
    assert answer.headers["access-control-allow-origin"] == "*"


@APIS
async def test_any_origin_may_read_a_refusal_too(app: ASGIApp, path: str) -> None:
    answer = await Caller(app, credentials=None).get(path)
    assert answer.status == 401
    assert cross_origin_of(answer) == OPEN


@pytest.mark.parametrize(
    "host", ["wireless.twilio.com", "programmable-wireless.api.korewireless.com"]
)
async def test_a_bare_path_at_a_vendors_host_is_as_open(
    at_host: Callable[[str], Caller], host: str
) -> None:
    answer = await at_host(host).get("/v1/RatePlans", origin="https://app.example")
    assert (answer.status, cross_origin_of(answer)) == (200, OPEN)


async def test_any_origin_may_read_the_answer_to_a_deletion_too(caller: Caller) -> None:
    answer = await caller.call("DELETE", "/wireless/v1/Commands/nobody")
    assert (answer.status, cross_origin_of(answer)) == (404, OPEN)


@APIS
async def test_a_preflight_request_is_answered_without_credentials(app: ASGIApp, path: str) -> None:
    headers = {"origin": "https://app.example", "access-control-request-method": "POST"}
    answer = await Caller(app, credentials=None).call("OPTIONS", path, headers=headers)
    assert (answer.status, answer.body) == (204, b"")
    assert cross_origin_of(answer) == OPEN


async def test_a_browsers_stored_credentials_let_no_origin_in(caller: Caller) -> None:
    answer = await caller.get("/v1/Sims", origin="https://evil.example", cookie="a=b")
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "path",
    [
        "/portal/v1/callbacks",
        "/portal/v1/wireless_sims",
        "/webhook/v1/secrets",
        "/client/v1/clients",
        "/client/v1/ping",
        "/iam/v1/accounts",
        "/api-services/v1/auth/token",
        "/healthz",
        "/openapi.json",
        "/wireless/openapi.json",
        "/docs",
        "/wireless/docs",
        "/events/openapi.json",
        "/events/docs",
        "/nowhere",
    ],
)
async def test_nothing_else_is_open_to_other_origins(path: str) -> None:
    health = HealthChecks(commit=_committed, is_running=lambda: True)
    caller = Caller(app_on(MemoryStore(), beside=health_routes(health)), credentials=None)
    for verb in ("GET", "OPTIONS"):
        answer = await caller.call(verb, path, headers={"origin": "https://app.example"})
        assert cross_origin_of(answer) == {}
        assert verb == "GET" or answer.status in (404, 405)


@pytest.mark.parametrize("host", ["webhook.api.korewireless.com", "iam.api.korewireless.com"])
async def test_at_kores_own_hosts_a_bare_path_is_as_closed(
    at_host: Callable[[str], Caller], host: str
) -> None:
    answer = await at_host(host).get("/v1/secrets", origin="https://app.example")
    assert cross_origin_of(answer) == {}


async def _committed() -> None:
    pass
