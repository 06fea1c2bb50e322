"""Who may come in: from which pages and host names, and by the link of `ringback dev`."""

import re
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from hmac import compare_digest
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp

from ringback.api.dependencies import ApiDependencies

PATH: Final = "/console"
"""The path of the console on the server."""
SAFE: Final = frozenset({"GET", "HEAD"})
"""The HTTP methods of requests that change nothing."""

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
    sim_sid: str
    """The Super SIM that `ringback dev` has made."""
    wireless_sim_sid: str
    """The SIM of Programmable Wireless that `ringback dev` has made."""

    @property
    def url(self) -> str:
        """The link that signs in; it stays the same as long as the data folder."""
        return f"{self.base_url}{PATH}/sign-in?key={self._key}"

    @property
    def _key(self) -> str:
        secret = self.operator_key_secret.encode()
        return blake2b(secret, digest_size=24, person=b"console").hexdigest()

    def opens_with(self, key: str) -> bool:
        """Return True if this is the key in the link."""
        return compare_digest(key.encode(), self._key.encode())


@dataclass(slots=True)
class ConsoleParts:
    """What the pages use of the server."""

    dependencies: ApiDependencies
    dev: DevAccess | None = None
    """How to get in under `ringback dev`; None under `ringback serve`."""
    apis: ASGIApp | None = None
    """The application that serves the APIs."""

    def now(self) -> datetime:
        """Return the server's time, which is ahead if its clock was advanced."""
        return self.dependencies.clock.now()

    def why_not(self, request: Request) -> str | None:
        """Return why a request is refused before anything else; None if it is not."""
        host = request.headers.get("host", "")
        if self.dev is not None and not is_known_host(host, self.dev.base_url):
            return (
                f"`ringback dev` shows its pages at this machine's own names only, not at {host!r}:"
                " open the link in its banner"
            )
        if request.method not in SAFE and not is_own(request):
            return (
                "this form was sent by a page of another site, or by a browser that does not say"
                " where from; nothing was changed. Open the console's own page, and try again"
            )
        return None


def is_own(request: Request) -> bool:
    """Return True if a request that changes something comes from a page of this server.

    Browsers say so in Sec-Fetch-Site; older ones, or those on plain HTTP, in Origin.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in _OURS
    try:
        origin = urlsplit(request.headers.get("origin", ""))
    except ValueError:
        return False
    return origin.netloc == request.headers.get("host", "") != ""


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
