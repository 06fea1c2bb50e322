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
from ringback.api.schemas import METHOD, TEXT, Schema, number, one_of, text
from ringback.api.serializers import JsonObject, Serializer

Handler = Callable[[Request], Awaitable[Response]]


class OperationParameter(NamedTuple):
    """A parameter of a form or a query."""

    name: str
    schema: Schema = TEXT
    meaning: str = ""
    is_required: bool = False
    options: Collection[StrEnum] | None = None
    """What a filter can be; None for any text."""


def filtered(
    name: str, meaning: str, options: Collection[StrEnum] | None = None
) -> OperationParameter:
    """Return a parameter of a list that leaves only some records, by a text or one of these."""
    schema = TEXT if options is None else one_of(options)
    return OperationParameter(name, schema, meaning, options=options)


def required(name: str, schema: Schema, meaning: str) -> OperationParameter:
    """Return a parameter that has to be given."""
    return OperationParameter(name, schema, meaning, is_required=True)


class PageOf(NamedTuple):
    """An answer that is a page of these."""

    shown: Serializer[Any]
    meta: Schema | None = None
    """What the list says of itself, where that is not what every list says."""


class NoContent(NamedTuple):
    """An answer without a body."""


Body = Serializer[Any] | PageOf | NoContent


class ApiOperation(NamedTuple):
    """One verb on one path."""

    verb: str
    path: str
    """Of our routes, with its prefix."""
    name: str
    """Which operation it is in the document: those of the vendors where they have one."""
    meaning: str
    handler: Handler
    answers: Mapping[int, Body]
    parameters: Sequence[OperationParameter] = ()
    calls_back: str | None = None
    """The name of the callback that it leads to."""
    conflicts: bool = False
    """Whether it can be refused because something else is being done to the same resource."""
    takes_json: JsonObject | None = None
    """What it takes as its body, instead of a form."""


PAGES: Final = (
    OperationParameter("PageSize", number(1, 1000), "How many records a page has; 50 without it."),
    OperationParameter(
        "Page", number(0, 10**9 - 1), "What the client counts; beyond 0 only with a PageToken."
    ),
    OperationParameter(
        "PageToken", TEXT, "Where a page begins; stands in the page URLs of `meta`."
    ),
)
"""The parameters that every list takes."""

CALLED_BACK: Final = (
    OperationParameter(
        "CallbackUrl",
        {"type": "string", "maxLength": 4096, "anyOf": [{"format": "uri"}, {"maxLength": 0}]},
        "Who is told of it; nobody where it is empty. A fragment chooses the source (`#cbs=kore`)"
        " and how it is retried.",
    ),
    OperationParameter("CallbackMethod", METHOD, "How they are told; POST without it."),
)


LONGEST_NAME: Final = 64
UNIQUE_NAME: Final = OperationParameter(
    "UniqueName",
    text(longest=LONGEST_NAME),
    "A name that can be used instead of the SID; empty to take it away.",
)


def as_field(name: str) -> str:
    """Return what stands for a parameter in records and code.

    >>> as_field("SmsFallbackUrl")
    'sms_fallback_url'
    """
    return "".join(f"_{each}" if each.isupper() else each for each in name).lower()[1:]


def names_of(parameters: Sequence[OperationParameter]) -> tuple[str, ...]:
    """Return the names of parameters."""
    return tuple(parameter.name for parameter in parameters)


def lists_among(parameters: Sequence[OperationParameter]) -> tuple[str, ...]:
    """Return the names of those parameters that may be given more than once."""
    return tuple(one.name for one in parameters if one.schema.get("type") == "array")


def routes_of(operations: Sequence[ApiOperation]) -> list[BaseRoute]:
    """Return one route for each path of these operations."""
    by_path = dict[str, dict[str, Handler]]()
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.verb.lower()] = operation.handler
    return [resource(path, **by_verb) for path, by_verb in by_path.items()]


def resource(path: str, **by_verb: Handler) -> Route:
    """Return the route of a path, with a handler for each of its verbs in lower case.

    There is one for each path, so that a wrong verb is told all the right ones.
    """
    handlers = {verb.upper(): handler for verb, handler in by_verb.items()}
    if "get" in by_verb:
        handlers["HEAD"] = by_verb["get"]

    async def answer(request: Request) -> Response:
        request.scope["path_params"] = names_in_path(request)
        return await handlers[request.method](request)

    return Route(path, answer, methods=list(handlers))
