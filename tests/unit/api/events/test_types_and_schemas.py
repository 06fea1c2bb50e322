"""Types and schemas of events: their status, and where the schemas are served."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from starlette.types import ASGIApp

from ringback.api.app import create_app
from ringback.core.policy.source_policy import NOTICE, PhaseHold
from ringback.core.streams.event_schema import schema_of
from ringback.core.streams.event_types import DESCRIPTIONS, SCHEMA_ID
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, a_context
from tests.memory_store import MemoryStore
from tests.streams import STARTED
from tests.unit.api.caller import Caller
from tests.unit.api.world import THEIRS, dependencies_on, refusal

TYPES = "/v1/Types"
SCHEMA = f"/event-schemas/{SCHEMA_ID}/2"


async def test_each_type_says_what_it_tells(caller: Caller) -> None:
    shown = (await caller.get(TYPES)).json["types"]
    assert {one["type"]: one["description"] for one in shown} == DESCRIPTIONS
    assert {one["date_updated"] for one in shown} == {"2022-06-15T00:00:00Z"}


@pytest.mark.parametrize(
    ("phase", "status", "since"),
    [
        ("before", "available", "2022-06-15T00:00:00Z"),
        ("between", "deprecated", "2022-06-15T00:00:00Z"),
        ("after", "discontinued", "2022-06-15T00:00:00Z"),
    ],
)
async def test_a_hold_of_an_account_decides_for_this_account(
    store: MemoryStore, phase: str, status: str, since: str
) -> None:
    policy = NOTICE.with_hold(PhaseHold(phase, ACCOUNT_SID))
    dependencies = replace(dependencies_on(store), context=lambda: a_context(policy=policy))
    app = create_app(dependencies)
    shown = {
        sid: (await Caller(app, credentials=(sid, AUTH_TOKEN)).get(f"{TYPES}/{STARTED}")).json
        for sid in (ACCOUNT_SID, THEIRS)
    }
    assert (shown[ACCOUNT_SID]["status"], shown[ACCOUNT_SID]["date_updated"]) == (status, since)
    assert shown[THEIRS]["status"] == "available"


@pytest.mark.parametrize(
    ("host", "path"),
    [
        ("127.0.0.1:8080", SCHEMA),
        ("events.twilio.com", SCHEMA),
        ("events-schemas.twilio.com", f"/{SCHEMA_ID}/2"),
        ("events-schemas.korewireless.com:443", f"/{SCHEMA_ID}/2"),
        ("events-schemas.twilio.com", SCHEMA),
    ],
)
async def test_a_schema_needs_no_sign_in(app: ASGIApp, host: str, path: str) -> None:
    answer = await Caller(app, credentials=None, host=host).get(path)
    assert (answer.status, answer.json) == (200, schema_of(2))
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", [f"/{SCHEMA_ID}/3", "/Odd/1", f"/{SCHEMA_ID}", "/v1/Sims"])
async def test_another_schema_is_not_found(at_host: Callable[[str], Caller], path: str) -> None:
    answer = await at_host("events-schemas.twilio.com").get(path)
    assert refusal(answer) == (404, 20404)


async def test_the_url_of_a_schema_is_at_the_host_that_the_client_used(
    at_host: Callable[[str], Caller],
) -> None:
    caller = at_host("events.localhost:8080")
    version = (await caller.get(f"/v1/Schemas/{SCHEMA_ID}/Versions/2")).json
    assert version["raw"] == f"http://events.localhost:8080{SCHEMA}"
    assert version["url"] == f"http://events.localhost:8080/v1/Schemas/{SCHEMA_ID}/Versions/2"
    assert (await caller.get(SCHEMA)).json == schema_of(2)


@pytest.mark.parametrize(
    "path", [f"{TYPES}/odd", "/v1/Schemas/odd", "/v1/Schemas/odd/Versions", "/v1/Schemas"]
)
async def test_what_is_not_there_is_not_found(caller: Caller, path: str) -> None:
    assert refusal(await caller.get(path)) == (404, 20404)
