"""What operations take, in our document: queries and forms."""

from collections.abc import Sequence
from typing import Any, Final

from ringback.api.operation import Parameter
from ringback.api.schemas import Schema

FORM_TYPE: Final = "application/x-www-form-urlencoded"


def asked_of(verb: str, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Return what an operation with this verb takes: a form with a POST, else a query."""
    if not parameters:
        return {}
    if verb != "POST":
        return {"parameters": [_in_query(parameter) for parameter in parameters]}
    is_required = any(parameter.is_required for parameter in parameters)
    content = {FORM_TYPE: {"schema": _form_of(parameters)}}
    return {"requestBody": {"required": is_required, "content": content}}


def _in_query(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.meaning,
        "required": parameter.is_required,
        "schema": parameter.schema,
    }


def _form_of(parameters: Sequence[Parameter]) -> Schema:
    fields = {each.name: {**each.schema, "description": each.meaning} for each in parameters}
    needed = [parameter.name for parameter in parameters if parameter.is_required]
    return {"type": "object", "properties": fields} | ({"required": needed} if needed else {})
