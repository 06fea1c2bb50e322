"""Chooses the API by a request's host name or path prefix, and builds URLs of resources.

Both SIM products have `/v1/Sims`, so the path alone does not identify the API. The vendor's host
name or a prefix such as `/wireless` identifies it. A request that has neither is for Super SIM,
unless its path is one that only Twilio's Events API has, such as `/v1/Sinks`.
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
    ("events.", "/events"),
)
SIM_HOSTS: Final = (
    "supersim.twilio.com",
    "wireless.twilio.com",
    "supersim.api.korewireless.com",
    "programmable-wireless.api.korewireless.com",
)
"""The host names at which the vendors serve the two SIM APIs."""
KORE_HOSTS: Final = (
    "api.korewireless.com",
    "client.api.korewireless.com",
    "iam.api.korewireless.com",
    "webhook.api.korewireless.com",
)
"""The host names of KORE's other APIs: tokens, API clients, accounts, webhook secrets."""
EVENT_HOSTS: Final = (
    "events.twilio.com",
    "events-schemas.twilio.com",
    "events-schemas.korewireless.com",
)
"""The host names of Twilio's Events API, and those at which the vendors publish its schemas."""
OTHER_HOSTS: Final = ("accounts.twilio.com", "api.twilio.com")
"""The host names of Twilio's account and key APIs; Ringback doesn't serve these APIs."""
LOCAL_HOSTS: Final = ("localhost", *(f"{name}localhost" for name, _ in _PREFIX_OF_HOST))
"""Host names that reach this machine without any setup: `localhost` and its subdomains."""
SUPER_SIM: Final = "/supersim"
"""The prefix that Ringback puts before the paths of the Super SIM API."""
WIRELESS: Final = "/wireless"
"""The prefix that Ringback puts before the paths of the Programmable Wireless API."""
EVENTS: Final = "/events"
"""The prefix that Ringback puts before the paths of Twilio's Events API."""
EVENT_SCHEMAS: Final = "/event-schemas"
"""The prefix that Ringback puts before the paths at the vendors' hosts for schemas of events."""
_SCHEMA_HOST: Final = "events-schemas."
_ONLY_EVENTS: Final = re.compile("/v1/(Sinks|Subscriptions|Types|Schemas)(/.*)?", re.DOTALL)
"""Matches the paths that no API but Twilio's Events API has."""
_OF_KORE: Final = re.compile(r"programmable-wireless\..*|.*\.korewireless\.com(:[0-9]+)?")
"""Matches KORE's host names; at these, responses have the form that KORE documents."""
KORE_ALONE: Final = ("/webhook/", "/client/", "/iam/", "/api-services/")
"""The prefixes of the paths in Ringback that belong to APIs that only KORE has."""
_SLASH: Final = "\udc2f"
"""Represents an escaped slash while a path is split; no client can send this character."""
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")


class HostRouting:
    """Middleware that adds an API's prefix to a request's path, chosen by the Host header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its new path; the scope keeps the old one as `asked_path`."""
        if scope["type"] == "http":
            asked = scope["path"]
            prefix = _prefix_for(_host_of(scope), asked)
            path = prefix + _with_slashes_in_names(scope)
            scope = {**scope, "asked_path": asked, "prefix": prefix, "path": path}
        await self._app(scope, receive, send)


def url_of(request: Request, path: str) -> str:
    """Return the full URL of a path, at the host name that the client used."""
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        address, port = request.scope["server"]
        host = f"{address}:{port}"
    asked = path.removeprefix(request.scope["prefix"])
    return f"{request.url.scheme}://{host}{asked}"


def is_at_home(request: Request) -> bool:
    """Return True if, at the host of this request, paths like `/v1/Sims` belong to Super SIM."""
    return _prefix_for(_host_of(request.scope), "/v1/") == SUPER_SIM


def is_at_kore(request: Request) -> bool:
    """Return True if the request is for a host name of KORE, or an API that only KORE has."""
    if request.scope["path"].startswith(KORE_ALONE):
        return True
    return _OF_KORE.fullmatch(_host_of(request.scope)) is not None


def own_url(request: Request) -> str:
    """Return the full URL of the resource that a request is for, without the query."""
    parts = request.scope["path"].split(_SLASH)
    return url_of(request, "%2F".join(map(quote, parts)))


def names_in_path(request: Request) -> dict[str, str]:
    """Return the path parameters of a request, such as the SID, by name and unescaped."""
    return {part: name.replace(_SLASH, "/") for part, name in request.scope["path_params"].items()}


def restore_slashes(request: Request) -> None:
    """Put escaped slashes back into the path of a request that has found its route.

    The path then has `%2F` for them, and its parameters have plain slashes.
    """
    scope = request.scope
    scope["path_params"] = names_in_path(request)
    scope["path"] = scope["path"].replace(_SLASH, "%2F")


def _with_slashes_in_names(scope: Scope) -> str:
    """Return the unescaped path, with `_SLASH` in place of each escaped slash."""
    raw = scope["raw_path"].decode("latin-1")
    if "%2f" not in raw.lower():
        return scope["path"]
    return _SLASH.join(unquote(part) for part in re.split("%2f", raw, flags=re.IGNORECASE))


def _prefix_for(host: str, path: str) -> str:
    """Return the API prefix to add to a request's path; empty if the path has one already."""
    if host.startswith(_SCHEMA_HOST):
        return "" if path.startswith(f"{EVENT_SCHEMAS}/") else EVENT_SCHEMAS
    if not path.startswith("/v1/"):
        return ""
    usual = EVENTS if _ONLY_EVENTS.fullmatch(path) else SUPER_SIM
    return next((prefix for name, prefix in _PREFIX_OF_HOST if host.startswith(name)), usual)


def _host_of(scope: Scope) -> str:
    hosts = (value for name, value in scope["headers"] if name == b"host")
    return next(hosts, b"").decode("latin-1").lower()
