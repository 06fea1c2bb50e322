"""Every published example is sent unchanged, and answered with its status and its shape.

The examples of both vendors are checked if their files are beside the checkout; test_tables.py has
the checks that need no files.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from tests.contract.contracts import PUBLISHED, Contract, name_of
from tests.contract.published import Sample
from tests.unit.api.caller import Answer, Caller

# Samples that are answered otherwise: by operation and name, the file and the item in
# docs/reference/differences.md.
NOT_AS_PUBLISHED = {
    ("CreateSink", "createSegment"): ("twilio_events_v1.json", "segment"),
    ("CreateSinkTest", "create200"): ("twilio_events_v1.json", "POST /v1/Sinks/{Sid}/Test"),
}
SAMPLES = [
    (contract, one)
    for contract in PUBLISHED
    for one in contract.published.samples()
    if (one.operation, one.name) not in NOT_AS_PUBLISHED
]
LISTS = [(contract, one) for contract, one in SAMPLES if "meta" in one.answer]

pytestmark = pytest.mark.skipif(
    not PUBLISHED, reason="the published descriptions are not part of this repository"
)


def label(one: Contract | Sample) -> str:
    return one.name if isinstance(one, Contract) else f"{one.operation} {one.name}"


# ---- sending an example unchanged ----------------------------------------------------------------


def target_of(contract: Contract, one: Sample) -> str:
    """Return path and query; a list's own URL in its `meta` shows the query that it answers."""
    path = contract.world.target_of(one.path)
    if "meta" not in one.answer:
        return path
    return f"{path}?{contract.world.query_of(urlsplit(one.answer['meta']['url']).query)}"


async def ask(contract: Contract, one: Sample) -> Answer:
    caller = await contract.caller_for(one.asked, one.name)
    if one.verb == "POST":
        return await caller.post(target_of(contract, one), contract.world.pairs_of(one.form))
    return await caller.get(target_of(contract, one))


# ---- comparing shapes ----------------------------------------------------------------------------


def differences(value: Any, example: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
    """Yield each difference between a value's shape and an example's."""
    if isinstance(example, dict) and isinstance(value, dict):
        # An object that is empty in a sample says nothing about its fields.
        if example and set(value) != set(example):
            yield f"{at} has {sorted(value)}, not {sorted(example)}"
            return
        for name in example:
            inner = schema.get("properties", {}).get(name, {})
            yield from differences(value[name], example[name], inner, f"{at}.{name}")
    elif isinstance(example, list) and isinstance(value, list):
        if example and not value:
            yield f"{at} is empty"
        # Some lists have a second example that is empty; the first one is complete.
        for index, one in enumerate(value if example else ()):
            yield from differences(one, example[0], schema.get("items", {}), f"{at}[{index}]")
    elif (why := wrong(value, example, schema, at)) is not None:
        yield f"{at} is {value!r}: {why}"


def wrong(value: Any, example: Any, schema: dict[str, Any], at: str) -> str | None:
    """Return why a value can't replace this example, by its type and its schema."""
    if value is None:
        is_allowed = example is None or schema.get("nullable", False)
        return None if is_allowed else "it can't be null"
    if example is not None and type(value) not in like(example, at):
        return f"it must be like {example!r}"
    if example is None and not is_of(schema.get("type"), value):
        return f"it must be of type {schema['type']}"
    if "enum" in schema and value not in schema["enum"]:
        return f"it must be one of {schema['enum']}"
    pattern = schema.get("pattern") or PATTERNS.get(schema.get("format", ""))
    if pattern is None or not (example is None or re.fullmatch(pattern, str(example))):
        return None
    return None if re.fullmatch(pattern, str(value)) else f"it must match {pattern}"


def like(example: Any, at: str) -> set[type]:
    """Return the types of values that can replace an example."""
    is_amount = at.endswith(".billed") and not isinstance(example, str)
    return {int, float} if is_amount else {type(example)}


PATTERNS = {
    "date-time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "uri": r"https?://.+",
    "iso-country-code": "[A-Za-z]{2}",
}
TYPES = {"string": str, "integer": int, "boolean": bool, "object": dict, "array": list}


def is_of(name: str | None, value: Any) -> bool:
    return name is None or isinstance(value, TYPES[name])


# ---- the checks ----------------------------------------------------------------------------------


def test_each_file_that_should_have_samples_has_some() -> None:
    with_samples = {contract.file for contract, _ in SAMPLES}
    assert with_samples == {contract.file for contract in PUBLISHED if contract.has_samples}


@pytest.mark.parametrize(("contract", "one"), SAMPLES, ids=label)
async def test_each_example_is_answered_with_its_status_and_its_shape(
    contract: Contract, one: Sample
) -> None:
    answer = await ask(contract, one)
    assert answer.status == one.status, answer.body
    assert list(differences(answer.json, one.answer, one.schema, one.operation)) == []
    assert "ringback-warning" not in answer.headers


@pytest.mark.parametrize(("contract", "one"), LISTS, ids=label)
async def test_the_urls_of_each_list_echo_the_filters_as_published(
    contract: Contract, one: Sample
) -> None:
    told, expected = (await ask(contract, one)).json["meta"], one.answer["meta"]
    assert told["key"] == expected["key"]
    for name in ("url", "first_page_url"):
        url, alike = urlsplit(told[name]), urlsplit(contract.world.ours(expected[name]))
        query = contract.world.query_of(alike.query)
        assert url.path == alike.path
        # A list of usage adds its period.
        assert set(parse_qsl(query)) <= set(parse_qsl(url.query))
        assert one.operation == "ListUsageRecord" or url.query == query


@pytest.mark.parametrize("contract", PUBLISHED, ids=name_of)
async def test_a_deletion_is_answered_with_204_and_no_body(contract: Contract) -> None:
    deletes = [path for verb, path, _ in contract.published.operations() if verb == "DELETE"]
    assert deletes
    for path in deletes:
        caller = await contract.caller_for(f"DELETE {path}")
        answer = await caller.call("DELETE", contract.world.target_of(path))
        assert (answer.status, answer.body) == (204, b"")


FILTERS = [
    (contract, path, parameter)
    for contract in PUBLISHED
    for verb, path, operation in contract.published.operations()
    if verb == "GET"
    for parameter in operation.get("parameters", ())
    if parameter["in"] == "query"
]


@pytest.mark.parametrize(
    ("contract", "path", "parameter"),
    FILTERS,
    ids=lambda one: one["name"] if isinstance(one, dict) else getattr(one, "name", one),
)
async def test_each_parameter_of_each_list_is_accepted(
    contract: Contract, path: str, parameter: dict[str, Any]
) -> None:
    caller, name = await contract.caller_for(), parameter["name"]
    target = contract.world.target_of(path)
    usual = contract.world.values.get(name, "")
    if name == "PageToken":
        usual = await a_token(caller, target)
    for value in contract.published.resolved(parameter["schema"]).get("enum", [usual]):
        answer = await caller.get(f"{target}?{urlencode({name: value})}")
        assert answer.status == 200, answer.body
        assert "ringback-warning" not in answer.headers


async def a_token(caller: Caller, target: str) -> str:
    """Return the page token of a list's second page; empty if it has only one page."""
    url = (await caller.get(f"{target}?PageSize=1")).json["meta"]["next_page_url"]
    return dict(parse_qsl(urlsplit(url or "").query)).get("PageToken", "")


@pytest.mark.parametrize(
    "contract", [contract for contract in PUBLISHED if contract.has_samples], ids=name_of
)
def test_each_operation_has_its_published_name(contract: Contract) -> None:
    published = [one["operationId"] for _, _, one in contract.published.operations()]
    assert sorted(one.name for one in contract.operations()) == sorted(published)
