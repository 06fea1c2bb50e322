"""Where the documents are published: `/openapi.json` and `/wireless/openapi.json`."""

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
    """A document, made when it is first asked for, and the servers at which its API is reached."""

    def __init__(self, make: Callable[[], Document], servers: Callable[[Request], Servers]) -> None:
        self._make = make
        self._servers = servers
        self._document = Document()

    async def show(self, request: Request) -> Response:
        """Answer with the document; its servers are those that the asking client reaches."""
        self._document = self._document or self._make()
        document = {**self._document, "servers": self._servers(request)}
        return Response(orjson.dumps(document), media_type="application/json")


def openapi_routes(
    supersim: Sequence[ApiOperation], wireless: Sequence[ApiOperation] = ()
) -> list[BaseRoute]:
    """Return the routes of the documents of both products, and of the pages that show them.

    The operations of the portal are described in that of Super SIM.
    """
    of_supersim = OpenApiDocumentEndpoint(partial(_made, SUPER_SIM, supersim), _servers_of_supersim)
    of_wireless = OpenApiDocumentEndpoint(partial(_made, WIRELESS, wireless), _servers_of_wireless)
    return [
        resource("/openapi.json", get=of_supersim.show),
        resource(f"{WIRELESS}/openapi.json", get=of_wireless.show),
        *docs_routes(),
    ]


def _made(prefix: str, operations: Sequence[ApiOperation]) -> Document:
    # What describes an API is a tenth of what a start would have to import, and few ask for it.
    from ringback.api.openapi import document, supersim_callbacks, wireless_callbacks  # noqa: PLC0415 (see above)

    product = supersim_callbacks.PRODUCT if prefix == SUPER_SIM else wireless_callbacks.PRODUCT
    return document.document_of(product, operations)


def _servers_of_supersim(request: Request) -> Servers:
    base = url_of(request, "")
    prefixed = {
        "url": f"{base}{SUPER_SIM}",
        "description": "The same; the prefix names the API whatever the host is called.",
    }
    if not is_at_home(request):
        return [prefixed]
    return [{"url": base, "description": "The server that this document is from."}, prefixed]


def _servers_of_wireless(request: Request) -> Servers:
    base = url_of(request, "")
    return [{"url": f"{base}{WIRELESS}", "description": "The server that this document is from."}]
