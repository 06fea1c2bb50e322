"""Which API a request is for, by its host or its path's prefix, and the URLs that lead back.

Both SIM products have `/v1/Sims`. So a request names its API by a host name of the vendors or by
one of our path prefixes; a bare `/v1/…` on any other host is Super SIM's.
"""

import re
from typing import Final

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

# The host names of both vendors, regional ones too: supersim.dublin.ie1.twilio.com
_PREFIX_OF_HOST: Final = (
    ("supersim.", "/supersim"),
    ("wireless.", "/wireless"),
    ("programmable-wireless.", "/wireless"),
    ("webhook.", "/webhook"),
    ("client.", "/client"),
    ("iam.", "/iam"),
)
_SUPER_SIM: Final = "/supersim"
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


class Addressing:
    """Gives each request the path that the routes know, and remembers the one asked for."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on."""
        if scope["type"] == "http":
            asked = scope["path"]
            prefix = _prefix_for(_host_of(scope), asked)
            scope = {**scope, "asked_path": asked, "prefix": prefix, "path": prefix + asked}
        await self._app(scope, receive, send)


def url_of(request: Request, path: str) -> str:
    """Return the URL at which the asking client reaches this path of our routes."""
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        address, port = request.scope["server"]
        host = f"{address}:{port}"
    asked = path.removeprefix(request.scope["prefix"])
    return f"{request.url.scheme}://{host}{asked}"


def _prefix_for(host: str, path: str) -> str:
    """Return what the routes' path has in front of the one that was asked for."""
    if not path.startswith("/v1/"):
        return ""
    return next((prefix for name, prefix in _PREFIX_OF_HOST if host.startswith(name)), _SUPER_SIM)


def _host_of(scope: Scope) -> str:
    hosts = (value for name, value in scope["headers"] if name == b"host")
    return next(hosts, b"").decode("latin-1").lower()
