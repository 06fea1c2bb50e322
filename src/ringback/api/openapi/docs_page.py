"""Serves Swagger UI, a page to browse and try the APIs, without files from other servers."""

import asyncio
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ringback.api.host_routing import WIRELESS
from ringback.api.operation_definition import resource

# An MkDocs plugin, but also the most recent package that contains Swagger UI without a framework.
# Only its files are used, so it is never imported. See docs/decisions/0010-openapi.md.
_PACKAGE: Final = "mkdocs_swagger_ui_tag"

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
<a href="/docs">Super SIM and the portal</a> | <a href="/wireless/docs">Programmable Wireless</a>
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


# The path of each file in the package, and its media type.
_FILES: Final[Mapping[str, tuple[str, str]]] = {
    "swagger-ui.css": ("swagger-ui/stylesheets/swagger-ui.css", "text/css"),
    "swagger-ui-bundle.js": ("swagger-ui/javascripts/swagger-ui-bundle.js", "text/javascript"),
}


async def show_page(request: Request) -> Response:
    """Respond with the HTML page."""
    return Response(_PAGE, media_type="text/html", headers=_HEADERS)


async def show_start(request: Request) -> Response:
    """Respond with the script that starts Swagger UI."""
    return Response(_START, media_type="text/javascript", headers=_HEADERS)


async def show_file(request: Request) -> Response:
    """Respond with one of the two files of Swagger UI; any other name is 404."""
    file = _FILES.get(request.path_params["name"])
    if file is None:
        raise HTTPException(404)
    path, media_type = file
    content = await asyncio.to_thread((_folder() / path).read_bytes)
    return Response(content, media_type=media_type, headers=_HEADERS)


def docs_routes() -> list[BaseRoute]:
    """Return the routes of the pages; each shows the `openapi.json` with the same path prefix."""
    return [
        resource("/docs", get=show_page),
        resource(f"{WIRELESS}/docs", get=show_page),
        resource("/docs/start.js", get=show_start),
        resource("/docs/{name}", get=show_file),
    ]


def _folder() -> Path:
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise HTTPException(404)
    return Path(found.origin).parent
