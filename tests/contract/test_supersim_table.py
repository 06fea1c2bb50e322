"""Each row of our own table of the Super SIM API is asked for; it is held against published files.

The walk needs no file of anybody's, so it runs everywhere.
"""

import re
from typing import Any

import pytest

from tests.contract.published import Description, descriptions, form_schema, record_schema
from tests.contract.supersim_table import META, TABLE, Row
from tests.contract.supersim_world import PROFILE, SIM, caller_for, ours, sample

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
KINDS = {"text": str, "number": int, "flag": bool, "list": list}

# What is sent to each path that takes a form: once for each status that it can be answered with.
FORMS: dict[tuple[str, int], dict[str, str]] = {
    ("/v1/Sims", 201): {"Iccid": "89883070000000000777", "RegistrationCode": "H3LL0W0RLD"},
    ("/v1/Sims/{Sid}", 200): {"UniqueName": "renamed"},
    ("/v1/Sims/{Sid}", 202): {"Status": "ready"},
    ("/v1/SmsCommands", 201): {"Sim": "sim", "Payload": "ping"},
    ("/v1/IpCommands", 201): {"Sim": "sim", "Payload": "ping", "DevicePort": "100"},
    ("/v1/ESimProfiles", 201): {"GenerateMatchingId": "true"},
    ("/v1/Fleets", 201): {"NetworkAccessProfile": PROFILE},
    ("/v1/Fleets/{Sid}", 200): {"DataLimit": "5"},
    ("/v1/NetworkAccessProfiles", 201): {},
    ("/v1/NetworkAccessProfiles/{Sid}", 200): {"UniqueName": "renamed"},
    ("/v1/NetworkAccessProfiles/{NetworkAccessProfileSid}/Networks", 201): {
        "Network": ours(sample("HW"))
    },
}
SIDS = {
    "/v1/Sims/{Sid}": SIM,
    "/v1/SmsCommands/{Sid}": sample("HC"),
    "/v1/IpCommands/{Sid}": sample("HG"),
    "/v1/ESimProfiles/{Sid}": sample("HP"),
    "/v1/Fleets/{Sid}": sample("HF"),
    "/v1/NetworkAccessProfiles/{Sid}": PROFILE,
}


def target_of(path: str) -> str:
    path = path.replace("{SimSid}", SIM).replace("{NetworkAccessProfileSid}", PROFILE)
    return path.replace("{Sid}", SIDS.get(path, ours(sample("HW"))))


def is_right(value: Any, kind: str) -> bool:
    """Whether a value is of a kind of the table."""
    if kind.endswith("?"):
        return value is None or is_right(value, kind[:-1])
    if "," in kind or kind == "networks":
        return list(value) == kind.split(",")
    if kind in KINDS:
        return type(value) is KINDS[kind]
    if kind == "url":
        return re.fullmatch(r"https?://\S+", value) is not None
    if kind == "time":
        return re.fullmatch(TIME, value) is not None
    if re.fullmatch("[A-Z]{2}", kind):
        return re.fullmatch(f"{kind}[0-9a-fA-F]{{32}}", value) is not None
    return value in kind.split("|")


def wrong_in(record: dict[str, Any], fields: dict[str, str]) -> dict[str, Any]:
    """Return the fields of a record that are not as the table has them, which is in their order."""
    assert list(record) == list(fields)
    return {name: record[name] for name, kind in fields.items() if not is_right(record[name], kind)}


CASES = [(row, status) for row in TABLE for status in row.statuses]


@pytest.mark.parametrize(
    ("row", "status"), CASES, ids=[f"{row.verb} {row.path} {status}" for row, status in CASES]
)
async def test_each_row_is_answered_with_exactly_its_fields(row: Row, status: int) -> None:
    caller, target = await caller_for(""), target_of(row.path)
    if row.verb == "POST":
        answer = await caller.post(target, FORMS[row.path, status])
    else:
        answer = await caller.call(row.verb, target)
    assert answer.status == status, answer.body
    if status == 204:
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
    assert wrong_in(answer.json["meta"], META) == {}
    assert answer.json["meta"]["key"] == row.key


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.verb} {row.path}")
async def test_each_verb_that_is_not_in_the_table_is_refused(row: Row) -> None:
    caller = await caller_for("")
    verbs = {one.verb for one in TABLE if one.path == row.path}
    for verb in {"GET", "POST", "PUT", "PATCH", "DELETE"} - verbs:
        answer = await caller.call(verb, target_of(row.path))
        assert (answer.status, answer.json["code"]) == (405, 20004)


# ---- held against what is published --------------------------------------------------------------

PUBLISHED = descriptions()
needs_files = pytest.mark.skipif(
    not PUBLISHED, reason="the published descriptions are not part of this repository"
)


def fits(kind: str, schema: dict[str, Any]) -> bool:
    """Whether a published schema describes what is of this kind of the table."""
    if "enum" in schema:
        return kind.split("|") == schema["enum"]
    if "pattern" in schema:
        return re.fullmatch(schema["pattern"], kind + "a" * 32) is not None
    if schema.get("format") == "date-time":
        return kind == "time"
    if schema.get("type") in TYPES:
        return kind in TYPES[schema["type"]]
    # What has no type is an object with these names, in all samples.
    return "," in kind or kind == "networks"


# The one number is a text in every sample.
TYPES = {
    "string": {"text", "url"},
    "integer": {"number"},
    "number": {"text"},
    "boolean": {"flag"},
    "array": {"list"},
    "object": {"networks", "billing_periods,sim_ip_addresses"},
}


@needs_files
@pytest.mark.parametrize("description", PUBLISHED, ids=lambda one: one.vendor)
def test_the_table_has_the_published_paths_and_verbs(description: Description) -> None:
    published = {(verb, path) for verb, path, _ in description.operations()}
    assert {(row.verb, row.path) for row in TABLE} == published
    assert len(TABLE) == len(published)


@needs_files
@pytest.mark.parametrize("description", PUBLISHED, ids=lambda one: one.vendor)
def test_the_table_has_the_published_statuses_and_parameters(description: Description) -> None:
    rows = {(row.verb, row.path): row for row in TABLE}
    for verb, path, operation in description.operations():
        row, form = rows[verb, path], form_schema(operation)
        assert set(map(int, operation["responses"])) == set(row.statuses)
        query = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
        needed = form.get("required", ())
        fields = [f"{one}*" if one in needed else one for one in form.get("properties", ())]
        assert {*fields, *query} == set(row.parameters)


@needs_files
@pytest.mark.parametrize("description", PUBLISHED, ids=lambda one: one.vendor)
def test_the_table_has_the_published_fields_in_their_order(description: Description) -> None:
    rows = {(row.verb, row.path): row for row in TABLE}
    for one in description.samples():
        row, properties = rows[one.verb, one.path], record_schema(one.schema)["properties"]
        assert list(row.fields) == list(properties)
        wrong = [
            name
            for name, kind in row.fields.items()
            if not fits(kind.removesuffix("?"), properties[name])
        ]
        assert wrong == []


@needs_files
@pytest.mark.parametrize("description", PUBLISHED, ids=lambda one: one.vendor)
def test_the_table_has_the_published_fields_of_meta(description: Description) -> None:
    for one in description.samples():
        if "meta" in one.answer:
            assert set(META) == set(one.answer["meta"])
