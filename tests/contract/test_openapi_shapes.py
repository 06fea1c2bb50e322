"""What the four operations on SIMs answer, held against the published description of them."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ringback.stores.memory import MemoryStore
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN, SIM_SID
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.world import app_on, fill

PUBLISHED = Path(__file__).parents[3] / "shared" / "openapi" / "twilio_supersim_v1.json"


def matching(pattern: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def or_null(is_right: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or is_right(value)


DATE = matching(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
URL = r"http://127\.0\.0\.1:8080/v1/Sims/HS[0-9a-f]{32}"

# Every field of a SIM, in the order of the published description, and what it may be.
FIELDS: dict[str, Callable[[object], bool]] = {
    "sid": matching(r"HS[0-9a-fA-F]{32}"),
    "unique_name": or_null(matching(r".*")),
    "account_sid": matching(r"AC[0-9a-fA-F]{32}"),
    "iccid": matching(r"89\d{16,20}"),
    "status": matching(r"new|ready|active|inactive|scheduled"),
    "fleet_sid": or_null(matching(r"HF[0-9a-fA-F]{32}")),
    "date_created": DATE,
    "date_updated": DATE,
    "url": matching(URL),
    "links": lambda value: isinstance(value, dict) and set(value) == set(LINKS),
}
LINKS = {
    "billing_periods": matching(URL + "/BillingPeriods"),
    "sim_ip_addresses": matching(URL + "/IpAddresses"),
}
META: dict[str, Callable[[object], bool]] = {
    "first_page_url": matching(r"http://.*"),
    "key": matching(r"sims"),
    "next_page_url": or_null(matching(r"http://.*")),
    "page": lambda value: type(value) is int,
    "page_size": lambda value: type(value) is int,
    "previous_page_url": or_null(matching(r"http://.*")),
    "url": matching(r"http://.*"),
}
CARD = {"Iccid": "89883070000123456789", "RegistrationCode": "H3LL0W0RLD"}


async def register(caller: Caller) -> Answer:
    return await caller.post("/v1/Sims", CARD)


async def fetch(caller: Caller) -> Answer:
    return await caller.get(f"/v1/Sims/{SIM_SID}")


async def rename(caller: Caller) -> Answer:
    return await caller.post(f"/v1/Sims/{SIM_SID}", {"UniqueName": "renamed"})


async def deactivate(caller: Caller) -> Answer:
    return await caller.post(f"/v1/Sims/{SIM_SID}", {"Status": "inactive"})


ANSWERS = {"register": (register, 201), "fetch": (fetch, 200), "rename": (rename, 200)}
ANSWERS["deactivate"] = (deactivate, 202)


@pytest.fixture
async def caller() -> Caller:
    store = MemoryStore()
    await store.transact(fill)
    return Caller(app_on(store), credentials=(ACCOUNT_SID, AUTH_TOKEN))


def check(record: dict[str, Any], table: dict[str, Callable[[object], bool]]) -> None:
    assert list(record) == list(table)
    wrong = {name: record[name] for name, is_right in table.items() if not is_right(record[name])}
    assert wrong == {}


@pytest.mark.parametrize("operation", ANSWERS)
async def test_a_sim_is_answered_with_exactly_its_fields(caller: Caller, operation: str) -> None:
    ask, status = ANSWERS[operation]
    answer = await ask(caller)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    check(answer.json, FIELDS)
    check(answer.json["links"], LINKS)


async def test_a_list_is_answered_with_exactly_its_fields(caller: Caller) -> None:
    await register(caller)
    page = (await caller.get("/v1/Sims?PageSize=1")).json
    assert list(page) == ["sims", "meta"]
    check(page["sims"][0], FIELDS)
    check(page["meta"], META)


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    if not PUBLISHED.exists():
        pytest.skip("the published description is not part of this repository, nor beside it")
    return json.loads(PUBLISHED.read_text("utf-8"))


def test_our_fields_are_those_that_are_published(published: dict[str, Any]) -> None:
    sim = published["components"]["schemas"]["supersim.v1.sim"]
    assert list(FIELDS) == list(sim["properties"])


def test_our_statuses_are_those_that_are_published(published: dict[str, Any]) -> None:
    statuses = published["components"]["schemas"]["sim_enum_status"]["enum"]
    assert set(statuses) == {"new", "ready", "active", "inactive", "scheduled"}


@pytest.mark.parametrize(
    ("path", "method", "statuses"),
    [
        ("/v1/Sims", "get", {"200"}),
        ("/v1/Sims", "post", {"201"}),
        ("/v1/Sims/{Sid}", "get", {"200"}),
        ("/v1/Sims/{Sid}", "post", {"200", "202"}),
    ],
)
def test_our_statuses_of_answers_are_those_that_are_published(
    published: dict[str, Any], path: str, method: str, statuses: set[str]
) -> None:
    assert set(published["paths"][path][method]["responses"]) <= statuses


def test_the_fields_of_meta_are_those_that_are_published(published: dict[str, Any]) -> None:
    listed = published["paths"]["/v1/Sims"]["get"]["responses"]["200"]
    page = listed["content"]["application/json"]["schema"]["properties"]
    assert set(page["meta"]["properties"]) == set(META)
