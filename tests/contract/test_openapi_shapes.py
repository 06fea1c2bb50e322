"""Every published example is sent as it stands, and answered with its status and its shape.

Those of both vendors are walked where their files lie beside the checkout; what holds without them
is in test_supersim_table.py.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from ringback.api.supersim.routes import supersim_operations
from ringback.stores.memory import MemoryStore
from tests.contract.published import Sample, descriptions, form_schema
from tests.contract.supersim_world import caller_for, ours, sample
from tests.unit.api.caller import Caller
from tests.unit.api.world import services_on

DESCRIPTIONS = descriptions()
SAMPLES = [one for description in DESCRIPTIONS for one in description.samples()]

pytestmark = pytest.mark.skipif(
    not DESCRIPTIONS, reason="the published descriptions are not part of this repository"
)


# ---- sending a sample as it stands ---------------------------------------------------------------


def path_of(path: str) -> str:
    """Fill a path in with the SIDs that samples use."""
    resource = path.split("/")[2]
    prefixes = {
        "SimSid": "HS",
        "NetworkAccessProfileSid": "HA",
        "Sid": {
            "Sims": "HS",
            "SmsCommands": "HC",
            "IpCommands": "HG",
            "ESimProfiles": "HP",
            "Fleets": "HF",
            "Networks": "HW",
            "NetworkAccessProfiles": "HW" if "/Networks/" in path else "HA",
        }.get(resource, ""),
    }
    for name, prefix in prefixes.items():
        path = path.replace(f"{{{name}}}", sample(prefix))
    return ours(path)


def form_of(fields: dict[str, Any]) -> list[tuple[str, str]]:
    """Return a form as the clients write it: flags in lower case, one pair for each of a list."""
    pairs = list[tuple[str, str]]()
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            pairs.append((name, str(one).lower() if isinstance(one, bool) else str(one)))
    return [(name, ours(value)) for name, value in pairs]


def target_of(one: Sample) -> str:
    """Return path and query; a list's own URL in its `meta` says which query it answers."""
    if "meta" not in one.answer:
        return path_of(one.path)
    query = urlsplit(ours(one.answer["meta"]["url"])).query
    return f"{path_of(one.path)}?{query}"


async def ask(one: Sample) -> Any:
    caller = await caller_for(one.operation)
    if one.verb == "POST":
        return await caller.post(target_of(one), form_of(one.form))
    return await caller.get(target_of(one))


# ---- comparing shapes ----------------------------------------------------------------------------


def differences(value: Any, example: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
    """Say where a value has another shape than an example of it."""
    if isinstance(example, dict) and isinstance(value, dict):
        if set(value) != set(example):
            yield f"{at} has {sorted(value)}, not {sorted(example)}"
            return
        for name in example:
            inner = schema.get("properties", {}).get(name, {})
            yield from differences(value[name], example[name], inner, f"{at}.{name}")
    elif isinstance(example, list) and isinstance(value, list):
        if example and not value:
            yield f"{at} is empty"
        for index, one in enumerate(value if example else ()):
            yield from differences(one, example[0], schema.get("items", {}), f"{at}[{index}]")
    elif (why := wrong(value, example, schema)) is not None:
        yield f"{at} is {value!r}: {why}"


def wrong(value: Any, example: Any, schema: dict[str, Any]) -> str | None:
    """Say why a value can't stand where this example does, by its type and its schema."""
    if value is None:
        is_allowed = example is None or schema.get("nullable", False)
        return None if is_allowed else "it can't be null"
    if example is not None and type(value) is not type(example):
        return f"it must be like {example!r}"
    if example is None and not is_of(schema.get("type"), value):
        return f"it must be of type {schema['type']}"
    if "enum" in schema and value not in schema["enum"]:
        return f"it must be one of {schema['enum']}"
    pattern = schema.get("pattern") or PATTERNS.get(schema.get("format", ""))
    if pattern is None or not (example is None or re.fullmatch(pattern, str(example))):
        return None
    return None if re.fullmatch(pattern, str(value)) else f"it must match {pattern}"


PATTERNS = {
    "date-time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "uri": r"https?://.+",
    "iso-country-code": "[A-Za-z]{2}",
}
TYPES = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}


def is_of(name: str | None, value: Any) -> bool:
    return name is None or isinstance(value, TYPES[name])


# ---- the walk ------------------------------------------------------------------------------------


@pytest.mark.parametrize("one", SAMPLES, ids=lambda one: one.label)
async def test_each_example_is_answered_with_its_status_and_its_shape(one: Sample) -> None:
    answer = await ask(one)
    assert answer.status == one.status, answer.body
    assert list(differences(answer.json, one.answer, one.schema, one.operation)) == []
    assert "ringback-warning" not in answer.headers


@pytest.mark.parametrize(
    "one", [one for one in SAMPLES if "meta" in one.answer], ids=lambda one: one.label
)
async def test_the_urls_of_each_list_echo_the_filters_as_published(one: Sample) -> None:
    told, expected = (await ask(one)).json["meta"], one.answer["meta"]
    assert told["key"] == expected["key"]
    for name in ("url", "first_page_url"):
        url, like = urlsplit(told[name]), urlsplit(ours(expected[name]))
        assert url.path == like.path
        # A list of usage adds the period that it is about.
        assert set(parse_qsl(like.query)) <= set(parse_qsl(url.query))
        assert one.operation == "ListUsageRecord" or url.query == like.query


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=lambda one: one.vendor)
async def test_what_is_deleted_is_answered_with_204_and_nothing(description: Any) -> None:
    deletes = [path for verb, path, _ in description.operations() if verb == "DELETE"]
    assert deletes
    for path in deletes:
        answer = await (await caller_for("")).call("DELETE", path_of(path))
        assert (answer.status, answer.body) == (204, b"")


VALUES = {
    "Fleet": "MyFleet",
    "Sim": "sim",
    "NetworkAccessProfile": "my_profile",
    "Network": ours(sample("HW")),
    "IsoCountry": "US",
    "Mcc": "310",
    "Mnc": "410",
    "StartTime": "2024-07-01T00:00:00Z",
    "EndTime": "2024-07-02T00:00:00Z",
    "PageSize": "10",
    "Page": "0",
}
FILTERS = [
    (description, path, parameter)
    for description in DESCRIPTIONS
    for verb, path, operation in description.operations()
    if verb == "GET"
    for parameter in operation["parameters"]
    if parameter["in"] == "query"
]


@pytest.mark.parametrize(
    ("description", "path", "parameter"),
    FILTERS,
    ids=lambda one: getattr(one, "vendor", None) or (one["name"] if isinstance(one, dict) else one),
)
async def test_each_parameter_of_each_list_is_taken(
    description: Any, path: str, parameter: dict[str, Any]
) -> None:
    caller, name = await caller_for(""), parameter["name"]
    usual = await a_token(caller, path) if name == "PageToken" else VALUES.get(name, "")
    for value in description.resolved(parameter["schema"]).get("enum", [usual]):
        answer = await caller.get(f"{path_of(path)}?{urlencode({name: value})}")
        assert answer.status == 200, answer.body
        assert "ringback-warning" not in answer.headers


async def a_token(caller: Caller, path: str) -> str:
    """Return where the second page of a list begins; empty where it has one page."""
    url = (await caller.get(f"{path_of(path)}?PageSize=1")).json["meta"]["next_page_url"]
    return dict(parse_qsl(urlsplit(url or "").query)).get("PageToken", "")


@pytest.mark.parametrize("description", DESCRIPTIONS, ids=lambda one: one.vendor)
def test_each_operation_has_its_published_name_and_parameters(description: Any) -> None:
    ours_by_name = {
        one.name: ({each.name: each.is_required for each in one.parameters}, set(one.answers))
        for one in supersim_operations(services_on(MemoryStore()))
    }
    published = {
        operation["operationId"]: (parameters_of(operation), statuses_of(operation))
        for _, _, operation in description.operations()
    }
    assert {name: parameters for name, (parameters, _) in ours_by_name.items()} == {
        name: parameters for name, (parameters, _) in published.items()
    }
    for name, (_, statuses) in published.items():
        assert statuses <= ours_by_name[name][1]


def parameters_of(operation: dict[str, Any]) -> dict[str, bool]:
    """Return the names of what an operation takes, and whether it has to be given."""
    form = form_schema(operation)
    needed = form.get("required", ())
    query = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
    return {name: name in needed for name in (*form.get("properties", ()), *query)}


def statuses_of(operation: dict[str, Any]) -> set[int]:
    return {int(status) for status in operation["responses"]}
