"""Lets web pages of any origin call the SIM APIs and the Events API (CORS), as the vendors do.

Pages of other origins can't use any other API, such as the portal or the APIs that show secrets.
These APIs allow every origin with `*`: browsers then don't let a page use credentials that the
browser has stored.
"""

from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ringback.api.host_routing import EVENT_SCHEMAS, EVENTS, SUPER_SIM, WIRELESS

OPEN: Final = (f"{SUPER_SIM}/", f"{WIRELESS}/v1/", f"{EVENTS}/v1/", f"{EVENT_SCHEMAS}/")
"""The path prefixes of the APIs that web pages of any origin may call."""

CROSS_ORIGIN: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, If-Match,"
    " If-Modified-Since, If-None-Match, If-Unmodified-Since, Idempotency-Key",
    "Access-Control-Allow-Credentials": "true",
    "Access-Control-Expose-Headers": "ETag, Retry-After, Ringback-Warning",
}
"""The CORS headers of both vendors, extended so that pages can read Ringback's own headers."""

_LINES: Final = tuple(
    (name.lower().encode(), value.encode()) for name, value in CROSS_ORIGIN.items()
)


class CorsHeadersMiddleware:
    """Adds the CORS headers to responses, and answers preflight requests (OPTIONS)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and add CORS headers to its response; answer OPTIONS with 204."""
        if scope["type"] != "http" or not scope["path"].startswith(OPEN):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_LINES]}
            await send(message)

        app = Response(status_code=204) if scope["method"] == "OPTIONS" else self._app
        await app(scope, receive, send_with_headers)
