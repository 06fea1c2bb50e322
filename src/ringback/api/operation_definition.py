"""An operation of an API: its verb and path, what it takes and answers, and who carries it out.

Routes and documents are both made from lists of these.
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
    """Return a parameter of a list that leaves only some records, by a text or one of these."""
    schema = TEXT if options is None else one_of(options)
    return OperationParameter(name, schema, meaning, options=options)


def required(name: str, schema: Schema, meaning: str) -> OperationParameter:
    """Return a parameter that has to be given."""
    return OperationParameter(name, schema, meaning, is_required=True)


class PageResponseSchema(NamedTuple):
    """An answer that is a page of these."""

    shown: Serializer[Any]
    meta: Schema | None = None
    """The schema of the list's `meta`, where it differs from that of other lists."""

    @property
    def name(self) -> str:
        """Of its schema in documents."""
        return f"{self.shown.name}_page"

    @property
    def schemas(self) -> dict[str, Schema]:
        """Its schema and those that it refers to, by their names in documents."""
        records = list_of(refer(self.shown.name))
        schema = object_of(**{self.shown.plural: records, "meta": self.meta or refer("meta")})
        return self.shown.schemas | {self.name: schema}


Body = Serializer[Any] | PageResponseSchema | None
"""What an answer holds; None for nothing."""


class ApiOperation(NamedTuple):
    """One verb on one path."""

    verb: str
    path: str
    """Of our routes, with its prefix."""
    name: str
    """Its `operationId`: the vendors' own where they have this operation."""
    meaning: str
    handler: Handler
    answers: Mapping[int, Body]
    parameters: Sequence[OperationParameter] = ()
    calls_back: str | None = None
    """The name of the callback that it leads to."""
    conflicts: bool = False
    """Whether it can be refused because something else is being done to the same resource."""
    takes_json: CustomJsonSerializer | None = None
    """The JSON body that it takes instead of a form."""


CALLED_BACK: Final = (
    OperationParameter(
        "CallbackUrl",
        {"type": "string", "maxLength": 4096, "anyOf": [{"format": "uri"}, {"maxLength": 0}]},
        "Who is told of it; nobody where it is empty. A fragment chooses the source (`#cbs=kore`)"
        " and how it is retried.",
    ),
    OperationParameter("CallbackMethod", METHOD, "How they are told; POST without it."),
)


UNIQUE_NAME: Final = OperationParameter(
    "UniqueName",
    text(longest=LONGEST_NAME),
    "A name that can be used instead of the SID; empty to take it away.",
)
FRIENDLY_NAME: Final = OperationParameter(
    "FriendlyName", text(longest=LONGEST_NAME), "Any name; it need not be unique."
)


def routes_of(operations: Sequence[ApiOperation]) -> list[BaseRoute]:
    """Return one route for each path of these operations."""
    by_path = dict[str, dict[str, Handler]]()
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.verb.lower()] = operation.handler
    return [resource(path, **by_verb) for path, by_verb in by_path.items()]


def resource(path: str, **by_verb: Handler) -> Route:
    """Return the route of a path, with a handler for each of its verbs in lower case.

    All verbs share one route, so that the answer to a wrong verb can name the right ones.
    """
    handlers = {verb.upper(): handler for verb, handler in by_verb.items()}
    if "get" in by_verb:
        # RFC 9110, 9.3.2; the server leaves the body out.
        handlers["HEAD"] = by_verb["get"]

    async def answer(request: Request) -> Response:
        request.scope["path_params"] = names_in_path(request)
        return await handlers[request.method](request)

    return Route(path, answer, methods=list(handlers))
