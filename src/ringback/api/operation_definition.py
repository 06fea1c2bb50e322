"""Defines API operations: verb, path, parameters, responses and handler.

Both the routes and the OpenAPI documents are built from lists of operations.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ringback.api.host_routing import names_in_path
from ringback.api.request_parameters import LONGEST_NAME
from ringback.api.schema_pieces import METHOD, TEXT, Schema, list_of, object_of, one_of, refer, text
from ringback.api.serializers import CustomJsonSerializer, Serializer

Handler = Callable[[Request], Awaitable[Response]]


class OperationParameter(NamedTuple):
    """A parameter of a form or a query."""

    name: str
    schema: Schema = TEXT
    meaning: str = ""
    is_required: bool = False
    options: Collection[StrEnum] | None = None
    """The values that a filter accepts; None for any text."""


def filtered(
    name: str, meaning: str, options: Collection[StrEnum] | None = None
) -> OperationParameter:
    """Return a parameter that filters a list; it accepts any text if `options` is None."""
    schema = TEXT if options is None else one_of(options)
    return OperationParameter(name, schema, meaning, options=options)


def required(name: str, schema: Schema, meaning: str) -> OperationParameter:
    """Return a parameter that a request must have."""
    return OperationParameter(name, schema, meaning, is_required=True)


class PageResponseSchema(NamedTuple):
    """A response that is a page of a list of records."""

    shown: Serializer[Any]
    meta: Schema | None = None
    """The schema of the list's `meta` object; None for the schema that most lists use."""

    @property
    def name(self) -> str:
        """The name of the page's schema in the OpenAPI document."""
        return f"{self.shown.name}_page"

    @property
    def schemas(self) -> dict[str, Schema]:
        """The page's schema and the schemas that it refers to, by name."""
        records = list_of(refer(self.shown.name))
        schema = object_of(**{self.shown.plural: records, "meta": self.meta or refer("meta")})
        return self.shown.schemas | {self.name: schema}


Body = Serializer[Any] | PageResponseSchema | None
"""Describes the body of a response: the serializer of a record, or a page; None for no body."""


class ApiOperation(NamedTuple):
    """An API operation: one HTTP verb on one path."""

    verb: str
    path: str
    """The path, including the prefix that Ringback puts before the paths of this API."""
    name: str
    """The `operationId` in OpenAPI: the vendors' own, if they have this operation."""
    meaning: str
    handler: Handler
    answers: Mapping[int, Body]
    parameters: Sequence[OperationParameter] = ()
    calls_back: str | None = None
    """The name of the OpenAPI callback that the operation causes; None if it causes none."""
    conflicts: bool = False
    """True if the operation responds 409 while another change of the same resource is pending."""
    takes_json: CustomJsonSerializer | None = None
    """The schema of the operation's JSON body; None if its input is a form or a query."""


CALLED_BACK: Final = (
    OperationParameter(
        "CallbackUrl",
        {"type": "string", "maxLength": 4096, "anyOf": [{"format": "uri"}, {"maxLength": 0}]},
        "The URL that receives callbacks about this; no callback is sent if it is empty. A fragment"
        " chooses the source (`#cbs=kore`) and the retries.",
    ),
    OperationParameter("CallbackMethod", METHOD, "The HTTP method of the callback (default POST)."),
)


UNIQUE_NAME: Final = OperationParameter(
    "UniqueName",
    text(longest=LONGEST_NAME),
    "A unique name that can be used instead of the SID; empty to remove it.",
)
FRIENDLY_NAME: Final = OperationParameter(
    "FriendlyName", text(longest=LONGEST_NAME), "A descriptive name; it need not be unique."
)


def routes_of(operations: Sequence[ApiOperation]) -> list[BaseRoute]:
    """Return one route for each path of these operations."""
    by_path = dict[str, dict[str, Handler]]()
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.verb.lower()] = operation.handler
    return [resource(path, **by_verb) for path, by_verb in by_path.items()]


def resource(path: str, **by_verb: Handler) -> Route:
    """Return the route of a path; `by_verb` maps each verb in lower case to its handler.

    All verbs share one route, so that the response to a wrong verb can list the right ones.
    """
    handlers = {verb.upper(): handler for verb, handler in by_verb.items()}
    if "get" in by_verb:
        # RFC 9110, 9.3.2: HEAD is like GET; the server leaves the body out.
        handlers["HEAD"] = by_verb["get"]

    async def answer(request: Request) -> Response:
        request.scope["path_params"] = names_in_path(request)
        return await handlers[request.method](request)

    return Route(path, answer, methods=list(handlers))
