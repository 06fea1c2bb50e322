"""Serves the OpenAPI documents at `/openapi.json`, `/wireless/openapi.json` and `/events/…`."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ringback.api.host_routing import EVENTS, SUPER_SIM, WIRELESS, is_at_home, url_of
from ringback.api.openapi.docs_page import docs_routes
from ringback.api.operation_definition import ApiOperation, resource

Document = dict[str, Any]
Servers = list[dict[str, str]]


class OpenApiDocumentEndpoint:
    """Serves an OpenAPI document, which is built at the first request.

    `servers` returns the document's list of servers for a request.
    """

    def __init__(self, make: Callable[[], Document], servers: Callable[[Request], Servers]) -> None:
        self._make = make
        self._servers = servers
        self._document = Document()

    async def show(self, request: Request) -> Response:
        """Respond with the document; its servers have the host name that the client used."""
        self._document = self._document or self._make()
        document = {**self._document, "servers": self._servers(request)}
        return Response(orjson.dumps(document), media_type="application/json")


def openapi_routes(
    supersim: Sequence[ApiOperation],
    wireless: Sequence[ApiOperation] = (),
    events: Sequence[ApiOperation] = (),
) -> list[BaseRoute]:
    """Return the routes of the documents of all products, and of the pages that show them.

    The document of Super SIM also describes the portal, whose operations are in `supersim`.
    """
    of_supersim = OpenApiDocumentEndpoint(partial(_made, SUPER_SIM, supersim), _servers_of_supersim)
    others = {
        prefix: OpenApiDocumentEndpoint(
            partial(_made, prefix, operations), partial(_servers_at, prefix)
        )
        for prefix, operations in ((WIRELESS, wireless), (EVENTS, events))
    }
    return [
        resource("/openapi.json", get=of_supersim.show),
        *(resource(f"{prefix}/openapi.json", get=one.show) for prefix, one in others.items()),
        *docs_routes(),
    ]


def _made(prefix: str, operations: Sequence[ApiOperation]) -> Document:
    # Imported late: these modules would make the start 10 % slower, and are rarely used.
    from ringback.api.openapi import document, event_streams, supersim_callbacks, wireless_callbacks  # noqa: PLC0415 (see above)

    products = (supersim_callbacks.PRODUCT, wireless_callbacks.PRODUCT, event_streams.PRODUCT)
    (product,) = [each for each in products if each.prefix == prefix]
    return document.document_of(product, operations)


def _servers_of_supersim(request: Request) -> Servers:
    base = url_of(request, "")
    prefixed = {
        "url": f"{base}{SUPER_SIM}",
        "description": "The same server; with this prefix the host's name does not matter.",
    }
    if not is_at_home(request):
        return [prefixed]
    return [{"url": base, "description": "The server that published this document."}, prefixed]


def _servers_at(prefix: str, request: Request) -> Servers:
    base = url_of(request, "")
    return [{"url": f"{base}{prefix}", "description": "The server that published this document."}]
