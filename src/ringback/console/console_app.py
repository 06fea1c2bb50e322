"""The ASGI application of the console: what every answer has in common, and how it is mounted.

The pages themselves, and the library for templates, are imported when the first request comes.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ringback.api.dependencies import ApiDependencies
from ringback.api.operation_definition import resource
from ringback.console.access import PATH, ConsoleParts

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self';"
    " img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
"""The headers of each answer; pages have no inline script or style, and load nothing elsewhere."""
_NOT_KEPT: Final = {"Cache-Control": "no-store", "Vary": "Cookie"}


class Console:
    """The console of a server."""

    def __init__(self, dependencies: ApiDependencies) -> None:
        self.parts = ConsoleParts(dependencies)
        self._pages: asyncio.Future[ASGIApp] | None = None

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes of the console, and the one that leads browsers there."""
        return [resource("/", get=_home), Mount(PATH, app=self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request by a page."""
        if self._pages is None:
            self._pages = asyncio.ensure_future(asyncio.to_thread(self._load))
        pages = await asyncio.shield(self._pages)
        await pages(scope, receive, _with_headers(send))

    def _load(self) -> ASGIApp:
        from ringback.console.pages.routes import pages_app  # noqa: PLC0415 (see the module's text)

        return pages_app(self.parts)


async def _home(request: Request) -> Response:
    """Lead browsers to the console; for all others, there is nothing here."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(f"{PATH}/callbacks", status_code=303)
    raise HTTPException(404)


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name.lower() for name, _ in message["headers"]}
            added = HEADERS if b"cache-control" in given else {**HEADERS, **_NOT_KEPT}
            lines = [(name.lower().encode(), value.encode()) for name, value in added.items()]
            message = {**message, "headers": [*message["headers"], *lines]}
        await send(message)

    return sending
