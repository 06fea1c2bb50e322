"""Builds the OpenAPI 3.1 documents from the lists of operations, fields and callbacks."""

import re
from collections.abc import Sequence
from typing import Any, Final

from ringback import __version__
from ringback.api.openapi.callbacks import (
    ProductApiDescription,
    callback_of,
    header_parameters,
    payload_of,
)
from ringback.api.openapi.responses import (
    ERROR,
    answers_of,
    content_of,
    error_answers,
    headers,
    schemas_of,
)
from ringback.api.operation_definition import ApiOperation, OperationParameter
from ringback.api.request_parameters import FORM_TYPE
from ringback.api.schema_pieces import META, Schema, text

Document = dict[str, Any]

_PORTAL: Final = "/portal/"
_VERSIONED: Final = re.compile("/v1/([A-Za-z]+)")
_PLACE: Final = re.compile(r"\{([a-z_]+)\}")

_ABOUT: Final = """\
The {name} API as Ringback implements it, and what Ringback sends{portal}.

* **Sign in** with HTTP Basic: Account SID and Auth Token, or API key SID (`SK…`) and its secret.
* **Requests** have form bodies. Names are case-sensitive. Unknown parameters have no effect, and
  the response's header `Ringback-Warning` names them.
* **Errors** have `code`, `message`, `more_info` and `status`. An unsupported verb is answered 405.
{requests}
"""


def document_of(product: ProductApiDescription, operations: Sequence[ApiOperation]) -> Document:
    """Return the OpenAPI document of a product; the caller fills in its empty list of servers."""
    tags = dict.fromkeys(map(_tag_of, operations))
    beside = ", and Ringback's own portal" if "Portal" in tags else ""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Ringback: {product.name}",
            "version": __version__,
            "description": _ABOUT.format(
                name=product.name, portal=beside, requests=product.about_requests
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [],
        "security": [{"basic": []}],
        "tags": [{"name": tag} for tag in tags],
        "paths": _paths_of(product, operations),
        "components": _components_of(product, operations),
    }


def _paths_of(product: ProductApiDescription, operations: Sequence[ApiOperation]) -> dict[str, Any]:
    paths = dict[str, Any]()
    for operation in operations:
        path = operation.path.removeprefix(product.prefix)
        item = paths.setdefault(path, _path_item(path))
        item[operation.verb.lower()] = _describe(product, operation)
    return paths


def _path_item(path: str) -> dict[str, Any]:
    places = [f"#/components/parameters/{name}" for name in _PLACE.findall(path)]
    item: dict[str, Any] = {"parameters": [{"$ref": place} for place in places]} if places else {}
    if path.startswith(_PORTAL):
        # The portal's paths have no API prefix, whatever the host.
        item["servers"] = [{"url": "/"}]
    return item


def _describe(product: ProductApiDescription, operation: ApiOperation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [_tag_of(operation)],
        "summary": operation.meaning,
        **_asked_of(operation),
        "responses": answers_of(operation),
    }
    if operation.calls_back is not None:
        names = [callback.name for callback in product.callbacks[operation.calls_back]]
        described["callbacks"] = {
            name: {"$ref": f"#/components/callbacks/{name}"} for name in names
        }
    return described


def _asked_of(operation: ApiOperation) -> dict[str, Any]:
    """Return the description of an operation's input: a JSON body, a form or a query."""
    if operation.takes_json is not None:
        return {"requestBody": {"required": True, **content_of(operation.takes_json.name)}}
    parameters = operation.parameters
    if not parameters:
        return {}
    if operation.verb != "POST":
        return {"parameters": [_in_query(parameter) for parameter in parameters]}
    is_required = any(parameter.is_required for parameter in parameters)
    content = {FORM_TYPE: {"schema": _form_of(parameters)}}
    return {"requestBody": {"required": is_required, "content": content}}


def _in_query(parameter: OperationParameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.meaning,
        "required": parameter.is_required,
        "schema": parameter.schema,
    }


def _form_of(parameters: Sequence[OperationParameter]) -> Schema:
    fields = {each.name: {**each.schema, "description": each.meaning} for each in parameters}
    needed = [parameter.name for parameter in parameters if parameter.is_required]
    return {"type": "object", "properties": fields} | ({"required": needed} if needed else {})


def _components_of(
    product: ProductApiDescription, operations: Sequence[ApiOperation]
) -> dict[str, Any]:
    described = product.described
    schemas: dict[str, Schema] = {"error": ERROR, "meta": META}
    for operation in operations:
        schemas |= schemas_of(operation)
    return {
        "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
        "schemas": schemas | {each.name: payload_of(each) for each in described},
        "parameters": _places() | header_parameters(),
        "headers": headers(),
        "responses": error_answers(),
        "callbacks": {each.name: callback_of(each) for each in described},
    }


def _places() -> dict[str, Any]:
    """Return the descriptions of all path parameters."""
    meanings = {
        "plan_id": "The id of the plan.",
        "sid": "The SID of the resource, or its unique name if this kind of resource has one.",
        "network_sid": "The SID of the network.",
        "schema_id": "The id of the schema, such as SuperSim.ConnectionEvent.",
        "schema_version": "The version of the schema.",
        "sim": "The SID or unique name of the SIM.",
        "type": "The type of events.",
    }
    return {
        name: {
            "name": name,
            "in": "path",
            "required": True,
            "description": meaning,
            "schema": text(shortest=1),
        }
        for name, meaning in meanings.items()
    }


def _tag_of(operation: ApiOperation) -> str:
    """Return the tag of an operation, which is the name of the resource in its path."""
    if operation.path.startswith(_PORTAL):
        return "Portal"
    found = _VERSIONED.search(operation.path)
    return operation.path if found is None else found[1]
