"""The ASGI application of the console: who may come in, and what every answer has in common.

The pages themselves, and the library for templates, are imported when the first request comes.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from hmac import compare_digest
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ringback.api.dependencies import ApiDependencies
from ringback.api.operation_definition import resource

if TYPE_CHECKING:
    from starlette.applications import Starlette

PATH: Final = "/console"

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
_SAFE: Final = frozenset({"GET", "HEAD"})
_OURS: Final = frozenset({"same-origin", "none"})
"""Values of Sec-Fetch-Site of requests that a page of this server, or the person, makes."""
_PORT: Final = re.compile(r":[0-9]+$")


@dataclass(frozen=True, slots=True, kw_only=True)
class DevAccess:
    """How people get into the console of `ringback dev`: by a link, and at known host names."""

    base_url: str
    operator_key_sid: str
    """The operator's API key with which the link signs in."""
    operator_key_secret: str = field(repr=False)
    account_sid: str
    """The account that `ringback dev` has made."""
    auth_token: str = field(repr=False)
    sim_sid: str
    wireless_sim_sid: str

    @property
    def url(self) -> str:
        """The link that signs in; it stays the same as long as the data folder."""
        return f"{self.base_url}{PATH}/sign-in?key={self._key}"

    @property
    def _key(self) -> str:
        return blake2b(
            self.operator_key_secret.encode(), digest_size=24, person=b"console"
        ).hexdigest()

    def opens_with(self, key: str) -> bool:
        """Return True if this is the key in the link."""
        return compare_digest(key.encode(), self._key.encode())


class Console:
    """The console of a server."""

    def __init__(self, dependencies: ApiDependencies) -> None:
        self.dependencies = dependencies
        self.dev: DevAccess | None = None
        """How to get in under `ringback dev`; None under `ringback serve`."""
        self.apis: ASGIApp | None = None
        """The application that serves the APIs."""
        self._pages: asyncio.Future[Starlette] | None = None

    def now(self) -> datetime:
        """Return the server's time."""
        return self.dependencies.clock.now()

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes of the console, and the one that leads browsers there."""
        return [resource("/", get=_home), Mount(PATH, app=self)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, unless it is forged or for an unknown host."""
        request = Request(scope)
        refusal = self._why_not(request)
        pages = await self._loaded()
        if refusal is not None:
            scope = {**scope, "ringback.refusal": refusal}
        await pages(scope, receive, _with_headers(send))

    def _why_not(self, request: Request) -> str | None:
        """Return why a request is refused before anything else; None if it is not."""
        host = request.headers.get("host", "")
        if self.dev is not None and not is_known_host(host, self.dev.base_url):
            return (
                f"`ringback dev` shows its pages at this machine's own names only, not at {host!r}:"
                " open the link in its banner"
            )
        if request.method not in _SAFE and not is_own(request):
            return (
                "this form was sent by a page of another site, or by a browser that does not say"
                " where from; nothing was changed. Open the console's own page, and try again"
            )
        return None

    async def _loaded(self) -> "Starlette":
        if self._pages is None:
            self._pages = asyncio.ensure_future(asyncio.to_thread(self._load))
        return await asyncio.shield(self._pages)

    def _load(self) -> "Starlette":
        from ringback.console.pages.routes import pages_app  # noqa: PLC0415 (see the module's text)

        return pages_app(self)


def is_own(request: Request) -> bool:
    """Return True if a request that changes something comes from a page of this server.

    Browsers say so in Sec-Fetch-Site; older ones, or those on plain HTTP, in Origin.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in _OURS
    origin = request.headers.get("origin", "")
    return urlsplit(origin).netloc == request.headers.get("host", "") != ""


def is_known_host(host: str, base_url: str) -> bool:
    """Return True if a Host header names this machine, and not a name that others control.

    A page of a stranger can have its own name resolve to this machine (DNS rebinding). Addresses,
    and names that always mean this machine, can't be taken over so.

    >>> is_known_host("localhost:8080", "http://127.0.0.1:8080")
    True
    >>> is_known_host("stranger.example:8080", "http://127.0.0.1:8080")
    False
    """
    name = _PORT.sub("", host).lower()
    if name in ("localhost", urlsplit(base_url).hostname) or name.endswith(".localhost"):
        return True
    try:
        ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


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
