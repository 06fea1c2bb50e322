"""Which API a request is for, by its host or its path's prefix, and the URLs that lead back.

Both SIM products have `/v1/Sims`. So a request names its API by a host name of the vendors or by
one of our path prefixes; a bare `/v1/…` on any other host is Super SIM's.
"""

import re
from typing import Final
from urllib.parse import quote, unquote

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

# The host names of both vendors, regional ones too: supersim.dublin.ie1.twilio.com
_PREFIX_OF_HOST: Final = (
    ("supersim.", "/supersim"),
    ("wireless.", "/wireless"),
    ("programmable-wireless.", "/wireless"),  # KORE's name
    ("webhook.", "/webhook"),
    ("client.", "/client"),
    ("iam.", "/iam"),
)
SIM_HOSTS: Final = (
    "supersim.twilio.com",
    "wireless.twilio.com",
    "supersim.api.korewireless.com",
    "programmable-wireless.api.korewireless.com",
)
"""Where the vendors serve the two SIM APIs."""
KORE_HOSTS: Final = (
    "api.korewireless.com",
    "client.api.korewireless.com",
    "iam.api.korewireless.com",
    "webhook.api.korewireless.com",
)
"""Where KORE serves what goes with them: tokens, API clients, accounts, webhook secrets."""
OTHER_HOSTS: Final = ("accounts.twilio.com", "api.twilio.com")
"""Where Twilio serves the same; Ringback has no API for these."""
LOCAL_HOSTS: Final = ("localhost", *(f"{name}localhost" for name, _ in _PREFIX_OF_HOST))
"""The host names of this machine that need no setting."""
SUPER_SIM: Final = "/supersim"
"""The prefix of our routes for the paths of Super SIM."""
WIRELESS: Final = "/wireless"
"""The same for Programmable Wireless."""
_OF_KORE: Final = re.compile(r"programmable-wireless\..*|.*\.korewireless\.com(:[0-9]+)?")
"""The host names at which an API answers as KORE's does, where that differs from Twilio's."""
KORE_ALONE: Final = ("/webhook/", "/client/", "/iam/", "/api-services/")
"""The prefixes of our routes for the APIs that only KORE has."""
_SLASH: Final = "\udc2f"
"""Stands in paths for a slash that is part of a name; no bytes that a client sends decode to it."""
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


class HostRouting:
    """Translates each request's path into that of our routes, and remembers the original."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its new path."""
        if scope["type"] == "http":
            asked = scope["path"]
            prefix = _prefix_for(_host_of(scope), asked)
            path = prefix + _with_slashes_in_names(scope)
            scope = {**scope, "asked_path": asked, "prefix": prefix, "path": path}
        await self._app(scope, receive, send)


def url_of(request: Request, path: str) -> str:
    """Return the URL at which the asking client reaches this path of our routes."""
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        address, port = request.scope["server"]
        host = f"{address}:{port}"
    asked = path.removeprefix(request.scope["prefix"])
    return f"{request.url.scheme}://{host}{asked}"


def is_at_home(request: Request) -> bool:
    """Whether a bare `/v1/…` is Super SIM's at the host that the asking client used."""
    return _prefix_for(_host_of(request.scope), "/v1/") == SUPER_SIM


def is_at_kore(request: Request) -> bool:
    """Whether the asking client used a host name of KORE's, or an API that KORE alone has."""
    if request.scope["path"].startswith(KORE_ALONE):
        return True
    return _OF_KORE.fullmatch(_host_of(request.scope)) is not None


def own_url(request: Request) -> str:
    """Return the URL of what a request asks for, without its query."""
    parts = request.scope["path"].split(_SLASH)
    return url_of(request, "%2F".join(map(quote, parts)))


def names_in_path(request: Request) -> dict[str, str]:
    """Return the parts of a path that name something, as their owners wrote them."""
    return {part: name.replace(_SLASH, "/") for part, name in request.scope["path_params"].items()}


def _with_slashes_in_names(scope: Scope) -> str:
    """Return the path with its escapes read; an escaped slash parts nothing."""
    raw = scope["raw_path"].decode("latin-1")
    if "%2f" not in raw.lower():
        return scope["path"]
    return _SLASH.join(unquote(part) for part in re.split("%2f", raw, flags=re.IGNORECASE))


def _prefix_for(host: str, path: str) -> str:
    """Return the prefix that leads from the path asked for to the path of our routes."""
    if not path.startswith("/v1/"):
        return ""
    return next((prefix for name, prefix in _PREFIX_OF_HOST if host.startswith(name)), SUPER_SIM)


def _host_of(scope: Scope) -> str:
    hosts = (value for name, value in scope["headers"] if name == b"host")
    return next(hosts, b"").decode("latin-1").lower()
