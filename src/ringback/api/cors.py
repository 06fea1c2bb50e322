"""Lets pages of any origin call the two SIM APIs, as both vendors do.

Only those: all that makes or shows secrets (webhook secrets, API clients, tokens, accounts), the
portal, health and metrics stay closed to pages of other origins. The header lines never change with
who asks, so no origin is let in with what its visitor's browser remembers.
"""

from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ringback.api.host_routing import SUPER_SIM, WIRELESS

OPEN: Final = (f"{SUPER_SIM}/", f"{WIRELESS}/v1/")
"""The prefixes of the paths that pages of any origin may call."""

CROSS_ORIGIN: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, If-Match,"
    " If-Modified-Since, If-None-Match, If-Unmodified-Since, Idempotency-Key",
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Expose-Headers": "ETag, Retry-After, Ringback-Warning",
}
"""The headers of every answer of these APIs: the vendors' own, with ours exposed."""

_LINES: Final = tuple(
    (name.lower().encode(), value.encode()) for name, value in CROSS_ORIGIN.items()
)


class CorsHeadersMiddleware:
    """Adds the headers, and answers what browsers ask beforehand (OPTIONS)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on, or answer it: 204."""
        if scope["type"] != "http" or not scope["path"].startswith(OPEN):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_LINES]}
            await send(message)

        app = Response(status_code=204) if scope["method"] == "OPTIONS" else self._app
        await app(scope, receive, send_with_headers)
