"""Serves the OpenAPI documents at `/openapi.json` and `/wireless/openapi.json`."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ringback.api.host_routing import SUPER_SIM, WIRELESS, is_at_home, url_of
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
    supersim: Sequence[ApiOperation], wireless: Sequence[ApiOperation] = ()
) -> list[BaseRoute]:
    """Return the routes of the documents of both products, and of the pages that show them.

    The document of Super SIM also describes the portal, whose operations are in `supersim`.
    """
    of_supersim = OpenApiDocumentEndpoint(partial(_made, SUPER_SIM, supersim), _servers_of_supersim)
    of_wireless = OpenApiDocumentEndpoint(partial(_made, WIRELESS, wireless), _servers_of_wireless)
    return [
        resource("/openapi.json", get=of_supersim.show),
        resource(f"{WIRELESS}/openapi.json", get=of_wireless.show),
        *docs_routes(),
    ]


def _made(prefix: str, operations: Sequence[ApiOperation]) -> Document:
    # Imported late: these modules would make the start 10 % slower, and are rarely used.
    from ringback.api.openapi import document, supersim_callbacks, wireless_callbacks  # noqa: PLC0415 (see above)

    product = supersim_callbacks.PRODUCT if prefix == SUPER_SIM else wireless_callbacks.PRODUCT
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


def _servers_of_wireless(request: Request) -> Servers:
    base = url_of(request, "")
    return [{"url": f"{base}{WIRELESS}", "description": "The server that published this document."}]
