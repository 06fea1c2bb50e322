"""Every published example is sent as it stands, and answered with its status and its shape.

Those of both vendors are walked where their files lie beside the checkout; what holds without them
is in test_tables.py.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from tests.contract.contracts import PUBLISHED, Contract, name_of
from tests.contract.published import Sample
from tests.unit.api.caller import Answer, Caller

SAMPLES = [(contract, one) for contract in PUBLISHED for one in contract.published.samples()]
LISTS = [(contract, one) for contract, one in SAMPLES if "meta" in one.answer]

pytestmark = pytest.mark.skipif(
    not PUBLISHED, reason="the published descriptions are not part of this repository"
)


def label(one: Contract | Sample) -> str:
    return one.name if isinstance(one, Contract) else f"{one.operation} {one.name}"


# ---- sending a sample as it stands ---------------------------------------------------------------


def target_of(contract: Contract, one: Sample) -> str:
    """Return path and query; a list's own URL in its `meta` says which query it answers."""
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
    """Say where a value has another shape than an example of it."""
    if isinstance(example, dict) and isinstance(value, dict):
        # An object that a sample leaves empty says nothing of what one has.
        if example and set(value) != set(example):
            yield f"{at} has {sorted(value)}, not {sorted(example)}"
            return
        for name in example:
            inner = schema.get("properties", {}).get(name, {})
            yield from differences(value[name], example[name], inner, f"{at}.{name}")
    elif isinstance(example, list) and isinstance(value, list):
        if example and not value:
            yield f"{at} is empty"
        # Some lists have a second example of nothing at all; the first one is whole.
        for index, one in enumerate(value if example else ()):
            yield from differences(one, example[0], schema.get("items", {}), f"{at}[{index}]")
    elif (why := wrong(value, example, schema, at)) is not None:
        yield f"{at} is {value!r}: {why}"


def wrong(value: Any, example: Any, schema: dict[str, Any], at: str) -> str | None:
    """Say why a value can't stand where this example does, by its type and its schema."""
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
    """Return the types of what can stand where an example does."""
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


# ---- the walk ------------------------------------------------------------------------------------


def test_each_file_has_samples_that_is_said_to_have_them() -> None:
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
        # A list of usage adds the period that it is about.
        assert set(parse_qsl(query)) <= set(parse_qsl(url.query))
        assert one.operation == "ListUsageRecord" or url.query == query


@pytest.mark.parametrize("contract", PUBLISHED, ids=name_of)
async def test_what_is_deleted_is_answered_with_204_and_nothing(contract: Contract) -> None:
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
async def test_each_parameter_of_each_list_is_taken(
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
    """Return where the second page of a list begins; empty where it has one page."""
    url = (await caller.get(f"{target}?PageSize=1")).json["meta"]["next_page_url"]
    return dict(parse_qsl(urlsplit(url or "").query)).get("PageToken", "")


@pytest.mark.parametrize(
    "contract", [contract for contract in PUBLISHED if contract.has_samples], ids=name_of
)
def test_each_operation_has_its_published_name(contract: Contract) -> None:
    published = [one["operationId"] for _, _, one in contract.published.operations()]
    assert sorted(one.name for one in contract.operations()) == sorted(published)
