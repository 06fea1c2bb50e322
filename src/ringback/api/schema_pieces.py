"""JSON Schemas (2020-12, as in OpenAPI 3.1) that many parameters and fields share."""

from collections.abc import Collection
from enum import StrEnum
from typing import Any, Final

from ringback.core.policy.source_policy import Source
from ringback.core.sids import SidKind

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
FLAG: Final[Schema] = {"type": "boolean"}
INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}
URL: Final[Schema] = {"type": "string", "format": "uri"}
URL_OR_EMPTY: Final[Schema] = {"type": "string", "anyOf": [{"format": "uri"}, {"maxLength": 0}]}
"""The schema of a URL or an empty string, for fields in which KORE does not document null."""
REMOVABLE_URL: Final[Schema] = {"type": "string", "maxLength": 4096}
"""The schema of a parameter that sets a URL; empty to remove the stored URL."""
METHOD: Final[Schema] = {"type": "string", "enum": ["POST", "GET"]}
YES_OR_NO: Final[Schema] = {"type": "string", "enum": ["yes", "no"]}
SIM_SID: Final[Schema] = {"type": "string", "pattern": "^(HS|DE)[0-9a-fA-F]{32}$"}
"""The schema of the SID of a SIM of either product."""
STREAM_SID: Final[Schema] = {"type": "string", "pattern": "^(DF|DG)[0-9a-fA-F]{32}$"}
"""The schema of the SID of a stream: of its subscription or, for a test event, of its sink."""
COUNTS: Final[Schema] = {
    "type": "object",
    "additionalProperties": {"type": "integer", "minimum": 0},
}
"""The schema of an object that maps names to counts."""
SECONDS: Final[Schema] = {"type": "number", "minimum": 0}
SOURCE: Final[Schema] = {"type": "string", "examples": [source.value for source in Source]}


def sid_of(kind: SidKind) -> Schema:
    """Return the schema of a SID of this kind."""
    return {"type": "string", "pattern": f"^{kind}[0-9a-fA-F]{{32}}$"}


def one_of(options: Collection[StrEnum]) -> Schema:
    """Return the schema of a string that is one of these options."""
    return {"type": "string", "enum": [option.value for option in options]}


def number(low: int | None = None, high: int | None = None) -> Schema:
    """Return the schema of a whole number from `low` to `high`; None means no limit."""
    return {"type": "integer", **_given(minimum=low, maximum=high)}


def text(*, longest: int | None = None, shortest: int = 0, pattern: str | None = None) -> Schema:
    """Return the schema of a string: its shortest and longest length, and a pattern if given."""
    return TEXT | _given(maxLength=longest, minLength=shortest or None, pattern=pattern)


def _given(**limits: int | str | None) -> Schema:
    return {name: limit for name, limit in limits.items() if limit is not None}


def list_of(items: Schema) -> Schema:
    """Return the schema of a list whose items have this schema."""
    return {"type": "array", "items": items}


def object_of(**fields: Schema) -> Schema:
    """Return the schema of an object that has exactly these fields, all of them required."""
    return {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }


def refer(name: str) -> Schema:
    """Return a reference to a schema, by the schema's name in the OpenAPI document."""
    return {"$ref": f"#/components/schemas/{name}"}


def or_null(schema: Schema) -> Schema:
    """Return a schema that permits the values of `schema`, and null."""
    if "enum" in schema:
        return {**schema, "type": [schema["type"], "null"], "enum": [*schema["enum"], None]}
    return {**schema, "type": [schema["type"], "null"]}


META: Final[Schema] = object_of(
    first_page_url=URL,
    key={**TEXT, "description": "The name of the array with the records."},
    next_page_url=or_null(URL),
    page=number(0),
    page_size=number(0),
    previous_page_url=or_null(URL),
    url=URL,
)
"""The schema of the `meta` object of every list."""
