"""Where the document is published: `/openapi.json`, for whoever asks."""

from collections.abc import Collection, Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ringback.api.addressing import SUPER_SIM, is_at_home, url_of
from ringback.api.openapi.docs_page import docs_routes
from ringback.api.operation import Operation
from ringback.api.routing import resource


class Publishing:
    """The document of these operations and portal paths, made when it is first asked for."""

    def __init__(self, operations: Sequence[Operation], paths: Collection[str] = ()) -> None:
        self._operations = operations
        self._paths = paths
        self._document = dict[str, Any]()

    async def show(self, request: Request) -> Response:
        """Answer with the document; its servers are those that the asking client reaches."""
        if not self._document:
            self._document = _document(self._operations, self._paths)
        document = {**self._document, "servers": _servers_for(request)}
        return Response(orjson.dumps(document), media_type="application/json")


def openapi_routes(
    operations: Sequence[Operation], *, beside: Collection[BaseRoute] = ()
) -> list[BaseRoute]:
    """Return the routes of the document, and of the page that shows it.

    What of the portal there is `beside` the operations is described as well.
    """
    paths = {route.path for route in beside if isinstance(route, Route)}
    document = Publishing(operations, paths)
    return [resource("/openapi.json", get=document.show), *docs_routes()]


def _document(operations: Sequence[Operation], paths: Collection[str]) -> dict[str, Any]:
    # What describes it is a tenth of what a start would have to import, and few ask for it.
    from ringback.api.openapi.document import document_of  # noqa: PLC0415 (see above)
    from ringback.api.openapi.portal import served  # noqa: PLC0415 (likewise)

    return document_of(operations, served(paths))


def _servers_for(request: Request) -> list[dict[str, str]]:
    base = url_of(request, "")
    prefixed = {
        "url": f"{base}{SUPER_SIM}",
        "description": "The same; the prefix names the API whatever the host is called.",
    }
    if not is_at_home(request):
        return [prefixed]
    return [{"url": base, "description": "The server that this document is from."}, prefixed]
