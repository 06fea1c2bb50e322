"""Serves Swagger UI, a page to browse and try the APIs; it loads no files from other servers."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ringback.api.host_routing import EVENTS, WIRELESS
from ringback.api.operation_definition import resource

# `make swagger-ui` replaces these files. See docs/decisions/0019-swagger-ui.md.
_FOLDER: Final = Path(__file__).with_name("swagger_ui")

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Ringback: the APIs</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<nav class="swagger-ui"><div class="wrapper">
<a href="/docs">Super SIM and the portal</a> | <a href="/wireless/docs">Programmable Wireless</a> |
<a href="/events/docs">Event Streams</a>
</div></nav>
<div id="api"><noscript>This page needs JavaScript; read openapi.json instead.</noscript></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

# No validator: it would run on another server.
_START: Final = """\
SwaggerUIBundle({
  dom_id: "#api",
  url: "openapi.json",
  validatorUrl: null,
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
});
"""

# Swagger UI uses inline styles, and icons in data URLs.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'"
    " 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


_MEDIA_TYPES: Final[Mapping[str, str]] = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
}


async def show_page(request: Request) -> Response:
    """Respond with the HTML page."""
    return Response(_PAGE, media_type="text/html", headers=_HEADERS)


async def show_start(request: Request) -> Response:
    """Respond with the script that starts Swagger UI."""
    return Response(_START, media_type="text/javascript", headers=_HEADERS)


async def show_file(request: Request) -> Response:
    """Answer with one of the two files of Swagger UI; no other file can be reached."""
    name = request.path_params["name"]
    media_type = _MEDIA_TYPES.get(name)
    if media_type is None:
        raise HTTPException(404)
    content = await asyncio.to_thread((_FOLDER / name).read_bytes)
    return Response(content, media_type=media_type, headers=_HEADERS)


def docs_routes() -> list[BaseRoute]:
    """Return the routes of Swagger UI: a page for each OpenAPI document, and the pages' files."""
    return [
        resource("/docs", get=show_page),
        resource(f"{WIRELESS}/docs", get=show_page),
        resource(f"{EVENTS}/docs", get=show_page),
        resource("/docs/start.js", get=show_start),
        resource("/docs/{name}", get=show_file),
    ]
