"""The OpenAPI 3.1 document, made from the tables of operations, fields and callbacks."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from ringback import __version__
from ringback.api.openapi.answers import (
    ERROR,
    answers_of,
    error_answers,
    headers,
    schemas_of,
)
from ringback.api.openapi.asked import asked_of
from ringback.api.openapi.callbacks import callback_of, header_parameters, payload_of
from ringback.api.openapi.portal import PortalOperation, describe_portal
from ringback.api.openapi.portal_schemas import PORTAL_SCHEMAS
from ringback.api.openapi.product import Product
from ringback.api.operation import Operation
from ringback.api.schemas import META, Schema, text

Document = dict[str, Any]

_VERSIONED: Final = re.compile("/v1/([A-Za-z]+)")
_PLACE: Final = re.compile(r"\{([a-z_]+)\}")

_ABOUT: Final = """\
The {name} API, as Ringback answers it, and the callbacks that it sends{portal}.

* **Sign in** with HTTP Basic: Account SID and Auth Token, or API key SID (`SK…`) and its secret.
* **Requests** have form bodies. Names are case-sensitive. What an operation doesn't know has no
  effect, and is named in the header `Ringback-Warning`.
* **Errors** have `code`, `message`, `more_info` and `status`. Another verb on a path is 405.
* **Callbacks** come from one of two sources, `twilio` and `kore`, by the phase of the transition or
  the fragment of their URL (`#cbs=kore`). Both tell the same, with headers of their own.
"""


def document_of(
    product: Product,
    operations: Sequence[Operation],
    portal: Sequence[PortalOperation] = (),
    *,
    servers: Sequence[Mapping[str, str]] = (),
) -> Document:
    """Return the document of a product's operations, as reached at these servers."""
    tags = list(dict.fromkeys(map(_tag_of, operations))) + (["Portal"] if portal else [])
    beside = ", and Ringback's own portal" if portal else ""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": f"Ringback: {product.name}",
            "version": __version__,
            "description": _ABOUT.format(name=product.name, portal=beside),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": list(servers),
        "security": [{"basic": []}],
        "tags": [{"name": tag} for tag in tags],
        "paths": _paths_of(product, operations) | _portal_paths_of(portal),
        "components": _components_of(product, operations, PORTAL_SCHEMAS if portal else {}),
    }


def _paths_of(product: Product, operations: Sequence[Operation]) -> dict[str, Any]:
    paths = dict[str, Any]()
    for operation in operations:
        path = operation.path.removeprefix(product.prefix)
        item = paths.setdefault(path, _path_item(path))
        item[operation.verb.lower()] = _describe(product, operation)
    return paths


def _portal_paths_of(operations: Sequence[PortalOperation]) -> dict[str, Any]:
    paths = dict[str, Any]()
    for operation in operations:
        # Its paths have no other prefix, whatever the host: they hang at the document's server.
        item = {**_path_item(operation.path), "servers": [{"url": "/"}]}
        paths.setdefault(operation.path, item)[operation.verb.lower()] = describe_portal(operation)
    return paths


def _path_item(path: str) -> dict[str, Any]:
    places = [f"#/components/parameters/{name}" for name in _PLACE.findall(path)]
    return {"parameters": [{"$ref": place} for place in places]} if places else {}


def _describe(product: Product, operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [_tag_of(operation)],
        "summary": operation.meaning,
        **asked_of(operation.verb, operation.parameters),
        "responses": answers_of(operation),
    }
    if operation.calls_back is not None:
        names = [callback.name for callback in product.callbacks[operation.calls_back]]
        described["callbacks"] = {
            name: {"$ref": f"#/components/callbacks/{name}"} for name in names
        }
    return described


def _components_of(
    product: Product, operations: Sequence[Operation], portal: Mapping[str, Schema]
) -> dict[str, Any]:
    described = product.described
    schemas: dict[str, Schema] = {"error": ERROR, "meta": META}
    for operation in operations:
        schemas |= schemas_of(operation)
    return {
        "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
        "schemas": {**schemas, **portal} | {each.name: payload_of(each) for each in described},
        "parameters": _places() | header_parameters(),
        "headers": headers(),
        "responses": error_answers(),
        "callbacks": {each.name: callback_of(each) for each in described},
    }


def _places() -> dict[str, Any]:
    """Return the parameters that stand in paths."""
    meanings = {
        "sid": "Which one: its SID, or its unique name where it can have one.",
        "network_sid": "Which network: its SID.",
        "sim": "Which SIM: its SID or unique name.",
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


def _tag_of(operation: Operation) -> str:
    """Return the heading under which an operation stands: what its path begins with."""
    found = _VERSIONED.search(operation.path)
    return operation.path if found is None else found[1]
