"""Each row of our own tables of the APIs is requested, and compared with the published files.

The requests need no files, so they run everywhere.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import jsonschema_rs
import pytest

from tests.contract.contracts import CONTRACTS, PUBLISHED, Contract, name_of
from tests.contract.published import form_schema, record_schema, successes_of
from tests.contract.tables import Row
from tests.fakes import ACCOUNT_SID, AUTH_TOKEN
from tests.memory_store import MemoryStore
from tests.unit.api.caller import Answer, Caller
from tests.unit.api.plenty import fill_with_plenty
from tests.unit.api.world import app_on

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
KINDS = {"text": (str,), "number": (int,), "amount": (int, float), "flag": (bool,), "list": (list,)}


class Case(NamedTuple):
    """A row of a contract's table, and one of its statuses."""

    contract: Contract
    row: Row
    status: int

    @property
    def name(self) -> str:
        return f"{self.contract.name}: {self.row.asked} {self.status}"


CASES = [
    Case(contract, row, status)
    for contract in CONTRACTS
    for row in contract.table
    for status in row.statuses
]


async def ask(case: Case) -> Answer:
    contract, row, status = case
    caller, target = await contract.caller_for(row.asked), contract.world.target_of(row.path)
    if row.verb == "POST":
        return await caller.post(target, contract.world.forms[row.path, status])
    return await caller.call(row.verb, target)


def is_right(value: Any, kind: str) -> bool:
    """Return True if a value is of a kind of the table."""
    if kind.endswith("?"):
        return value is None or is_right(value, kind[:-1])
    if kind.endswith("~"):
        return value == "" or is_right(value, kind[:-1])
    if "," in kind:
        return list(value) == kind.removesuffix(",").split(",")
    if kind in KINDS:
        return type(value) in KINDS[kind]
    if kind == "url":
        return re.fullmatch(r"https?://\S+", value) is not None
    if kind == "time":
        return re.fullmatch(TIME, value) is not None
    if re.fullmatch("[A-Z]{2}", kind):
        return re.fullmatch(f"{kind}[0-9a-fA-F]{{32}}", value) is not None
    return value in kind.split("|")


def wrong_in(record: dict[str, Any], fields: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields of a record that differ from the table's, and check their order."""
    assert list(record) == list(fields)
    return {name: record[name] for name, kind in fields.items() if not is_right(record[name], kind)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_each_row_is_answered_with_exactly_its_fields(case: Case) -> None:
    row, answer = case.row, await ask(case)
    assert answer.status == case.status, answer.body
    assert "ringback-warning" not in answer.headers
    if case.status == 204:
        assert answer.body == b""
        return
    assert answer.headers["content-type"] == "application/json"
    if row.key is None:
        assert wrong_in(answer.json, row.fields) == {}
        return
    assert list(answer.json) == [row.key, "meta"]
    assert answer.json[row.key]
    for record in answer.json[row.key]:
        assert wrong_in(record, row.fields) == {}
    assert wrong_in(answer.json["meta"], row.meta) == {}
    assert answer.json["meta"]["key"] == row.key


EACH_ROW = pytest.mark.parametrize(
    ("contract", "row"),
    [(contract, row) for contract in CONTRACTS for row in contract.table],
    ids=lambda one: one.name if isinstance(one, Contract) else one.asked,
)


@EACH_ROW
async def test_each_method_that_is_not_in_the_table_is_refused(
    contract: Contract, row: Row
) -> None:
    caller = await contract.caller_for()
    verbs = {one.verb for one in contract.table if one.path == row.path}
    for verb in {"GET", "POST", "PUT", "PATCH", "DELETE"} - verbs:
        answer = await caller.call(verb, contract.world.target_of(row.path))
        assert (answer.status, answer.json["code"]) == (405, 20004)


@pytest.mark.parametrize("contract", CONTRACTS, ids=name_of)
def test_our_operations_are_those_of_the_table(contract: Contract) -> None:
    def without_names(path: str) -> str:
        return re.sub(r"\{\w+\}", "{}", path.removeprefix(contract.prefix))

    ours = {(one.verb, without_names(one.path)): one for one in contract.operations()}
    table = {(row.verb, without_names(row.path)): row for row in contract.table}
    assert set(ours) == set(table)
    for key, row in table.items():
        given = [
            f"{each.name}*" if each.is_required else each.name for each in ours[key].parameters
        ]
        assert sorted(given) == sorted(one.replace("+", "") for one in row.parameters)
        assert set(row.statuses) <= set(ours[key].answers)


# ---- comparison with the published files ---------------------------------------------------------

needs_files = pytest.mark.skipif(
    not PUBLISHED, reason="the published descriptions are not part of this repository"
)
EACH_FILE = pytest.mark.parametrize("contract", PUBLISHED, ids=name_of)

# Statuses in KORE's file besides the one that we answer with.
OTHER_SUCCESSES = {
    ("kore-programmable-wireless-v1.json", "POST /v1/RatePlans"): {202},
    ("kore-programmable-wireless-v1.json", "POST /v1/Commands"): {202},
    ("kore-programmable-wireless-v1.json", "DELETE /v1/Commands/{Sid}"): {202},
    ("twilio_events_v1.json", "POST /v1/Sinks/{Sid}/Test"): {200},
}
# A SIM status that KORE's file has only in answers; no text says when a SIM would have it. Twilio
# has types of sinks that nothing can be sent to from here.
NEVER = {
    "kore-programmable-wireless-v1.json": {"deleted"},
    "twilio_events_v1.json": {"segment", "email"},
}
# The kinds for the types of published schemas. Most objects have no type.
TYPES = {
    "string": {"text", "url", "time"},
    "integer": {"number"},
    # The only number of Super SIM is a text in every sample.
    "number": {"text"},
    "boolean": {"flag"},
    "array": {"list"},
}


def fits(kind: str, schema: dict[str, Any], file: str) -> bool:
    """Return True if a published schema describes values of this kind of the table."""
    if "enum" in schema:
        return set(kind.split("|")) == set(schema["enum"]) - NEVER.get(file, set())
    if "pattern" in schema:
        return re.fullmatch(schema["pattern"], kind + "a" * 32) is not None
    if schema.get("format") == "date-time":
        return kind == "time"
    if schema.get("type") == "string":
        # Only the description says that it is a SID, or one of a few.
        return kind in TYPES["string"] or re.fullmatch("[A-Z]{2}|.+[|].+", kind) is not None
    if schema.get("type") in TYPES:
        return kind in TYPES[schema["type"]]
    return "," in kind


@needs_files
@EACH_FILE
def test_the_file_has_the_contracts_host(contract: Contract) -> None:
    assert contract.published.host == contract.host


@needs_files
@EACH_FILE
def test_the_table_has_the_published_paths_and_verbs(contract: Contract) -> None:
    published = {f"{verb} {path}" for verb, path, _ in contract.published.operations()}
    assert {row.asked for row in contract.table} == published
    assert len(contract.table) == len(published)


@needs_files
@EACH_FILE
def test_the_table_has_the_published_statuses_and_parameters(contract: Contract) -> None:
    rows = {row.asked: row for row in contract.table}
    for verb, path, operation in contract.published.operations():
        row, form = rows[f"{verb} {path}"], form_schema(operation)
        others = OTHER_SUCCESSES.get((contract.file, row.asked), set[int]())
        assert set(successes_of(operation)) - others == set(row.statuses)
        query = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
        needed = form.get("required", ())
        fields = [f"{one}*" if one in needed else one for one in form.get("properties", ())]
        declared = {one for one in row.parameters if not one.endswith("+")}
        assert {*fields, *query} == {one.replace("+*", "") for one in declared}


@needs_files
@EACH_FILE
def test_the_table_has_the_published_fields(contract: Contract) -> None:
    rows = {row.asked: row for row in contract.table}
    seen = 0
    for one in contract.published.answers():
        row, properties = rows[f"{one.verb} {one.path}"], record_schema(one.schema)["properties"]
        assert set(row.fields) == set(properties)
        assert not contract.is_in_order or list(row.fields) == list(properties)
        wrong = [
            name
            for name, kind in row.fields.items()
            if not fits(kind.rstrip("?~"), properties[name], contract.file)
        ]
        assert wrong == []
        seen += 1
    assert seen >= len([row for row in contract.table if row.fields])


@needs_files
@EACH_FILE
def test_the_table_has_the_published_fields_of_meta(contract: Contract) -> None:
    rows = {row.asked: row for row in contract.table}
    for one in contract.published.answers():
        if "meta" in one.schema["properties"]:
            meta = one.schema["properties"]["meta"]
            told = {*meta["properties"], *meta.get("required", ())}
            assert set(rows[f"{one.verb} {one.path}"].meta) == told


# ---- answers, checked with the published schemas themselves --------------------------------------

# By a part of a file's name and a field: replacements for published schemas that no sample follows.
CORRECTIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("supersim", "data_total_billed"): {"type": "string"},
    ("supersim", "smdp_plus_address"): {"type": ["string", "null"]},
    ("twilio_wireless", "reset_status"): {"enum": ["resetting", None]},
}


def json_schema_of(schema: dict[str, Any], right: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Convert an OpenAPI 3.0 schema to JSON Schema, in which objects have exactly their fields.

    Some fields have a correct schema instead of the published one.
    """
    made = {name: schema[name] for name in ("type", "enum", "pattern", "format") if name in schema}
    if schema.get("nullable"):
        made |= {"type": [made["type"], "null"]} if "type" in made else {}
        made |= {"enum": [*made["enum"], None]} if "enum" in made else {}
    if "items" in schema:
        made["items"] = json_schema_of(schema["items"], right)
    if "properties" in schema:
        of = schema["properties"].items()
        fields = {name: right.get(name) or json_schema_of(one, right) for name, one in of}
        made |= {"properties": fields, "required": list(fields), "additionalProperties": False}
    return made


@needs_files
@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.contract in PUBLISHED and case.row.fields],
    ids=lambda case: case.name,
)
async def test_each_record_matches_the_published_schema(case: Case) -> None:
    (schema,) = [
        record_schema(one.schema)
        for one in case.contract.published.answers()
        if (f"{one.verb} {one.path}", one.status) == (case.row.asked, case.status)
    ]
    answered, key = (await ask(case)).json, case.row.key
    right = {name: one for (of, name), one in CORRECTIONS.items() if of in case.contract.file}
    made = json_schema_of(schema, right)
    validator = jsonschema_rs.Draft202012Validator(made, validate_formats=True)
    for record in answered[key] if key else [answered]:
        validator.validate(record)


@needs_files
@EACH_FILE
async def test_whatever_an_account_has_its_lists_match_the_published_schema(
    contract: Contract,
) -> None:
    """Include records without a name, plan or address, and the lists' own metadata."""
    store = MemoryStore()
    await store.transact(fill_with_plenty)
    credentials = (ACCOUNT_SID, AUTH_TOKEN)
    caller = Caller(app_on(store), credentials=credentials, host=contract.host)
    right = {name: one for (of, name), one in CORRECTIONS.items() if of in contract.file}
    seen = 0
    for one in contract.published.answers():
        if one.verb == "GET" and "{" not in one.path:
            meta = one.schema["properties"]["meta"]
            properties = {**{key: {} for key in meta.get("required", ())}, **meta["properties"]}
            of = {**one.schema["properties"], "meta": {**meta, "properties": properties}}
            made = json_schema_of({**one.schema, "properties": of}, right)
            validator = jsonschema_rs.Draft202012Validator(made, validate_formats=True)
            for query in ("", "?PageSize=1"):
                answer = await caller.get(f"{one.path}{query}")
                validator.validate(answer.json)
                seen += 1
    lists = [row for row in contract.table if row.key is not None and "{" not in row.path]
    assert seen >= 2 * len(lists) >= 6


NOBODY = {"authorization": "Basic bm9ib2R5Og=="}


@needs_files
@pytest.mark.parametrize(
    "contract", [contract for contract in PUBLISHED if not contract.has_samples], ids=name_of
)
async def test_each_refusal_has_a_published_status(contract: Contract) -> None:
    caller = await contract.caller_for()
    for verb, path, operation in contract.published.operations():
        target = contract.world.target_of(path)
        refused = [await caller.call(verb, target, headers=NOBODY)]
        if "{Sid}" in path:
            refused.append(await caller.call(verb, path.replace("{Sid}", "nobody")))
        if verb == "GET" and "{Sid}" not in path:
            refused.append(await caller.get(f"{target}?PageSize=0"))
        assert [answer.status for answer in refused] in ([401], [401, 404], [401, 400])
        assert {str(answer.status) for answer in refused} <= set(operation["responses"])
