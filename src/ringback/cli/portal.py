"""Asking a running Ringback over its own API."""

import base64
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, Final, Self

import click

from ringback.cli.dev_file import DevFile
from ringback.cli.options import data_option
from ringback.core.errors import Unusable
from ringback.engine.system import SystemClock

# A replay of thousands works on them as long as it is waited for.
_TIMEOUT_SECONDS: Final = 60
_MOST_PAGES: Final = 1000
"""How many pages are asked for in vain; the server looks at 10,000 records for each."""
Given = Mapping[str, str | Sequence[str] | None]
"""Parameters; None leaves one out, and one that repeats has many values."""
_NOTHING: Final[Given] = {}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Takes a redirect for the refusal that it is: credentials go to nobody but the server."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow none."""


_OPENER: Final = urllib.request.build_opener(_NoRedirects)


@dataclass(frozen=True, slots=True)
class Portal:
    """The portal API of one server, signed in to one account."""

    base_url: str
    account_sid: str
    auth_token: str
    timeout: float = _TIMEOUT_SECONDS
    """How long an answer is waited for, in seconds."""
    root: str = "portal/v1"
    """Which of the server's APIs it is."""
    sim_sid: str | None = None
    """The SIM that is meant where none is named."""
    wireless_sim_sid: str | None = None
    """The same of Programmable Wireless."""

    @classmethod
    def of(cls, dev: DevFile) -> Self:
        """Return the portal of a running `ringback dev`."""
        return cls(
            dev.base_url,
            dev.account_sid,
            dev.auth_token,
            sim_sid=dev.sim_sid,
            wireless_sim_sid=dev.wireless_sim_sid,
        )

    def get(self, *path: str, query: Given = _NOTHING) -> dict[str, Any]:
        """Return what the portal answers to a GET of this path; None leaves a parameter out.

        Raises Unusable where the server can't be reached, or refuses.
        """
        return self._ask(path, query=_encode(query))

    def pages(self, *path: str, query: Given = _NOTHING) -> Iterator[dict[str, Any]]:
        """Yield the pages of a list one by one; else as `get`."""
        asked: Given | None = query
        while asked is not None:
            page = self.get(*path, query=asked)
            yield page
            asked = _next_of(page)

    def newest(self, name: str, *, query: Given, limit: int) -> dict[str, Any]:
        """Return a page of a list with this many records, from as many pages as that takes.

        Where few records match the filters, the server answers bit by bit. A note says where this
        gave up. Raises what `get` does.
        """
        found = list[dict[str, Any]]()
        asked, page = query, dict[str, Any]()
        for _ in range(_MOST_PAGES):
            page = self.get(name, query={**asked, "PageSize": str(limit - len(found))})
            key = page["meta"]["key"]
            found += page[key]
            further, page = _next_of(page), {**page, key: found}
            if further is None or len(found) >= limit:
                return page
            asked = further
        click.echo(f"gave up after {_MOST_PAGES} pages; older ones may match as well", err=True)
        return page

    def post(self, *path: str, form: Given = _NOTHING) -> dict[str, Any]:
        """Return what the portal answers to a form that is posted; else as `get`."""
        encoded = _encode(form).encode()
        return self._ask(path, body=encoded, kind="application/x-www-form-urlencoded")

    def post_json(self, *path: str, body: bytes) -> dict[str, Any]:
        """Return what the portal answers to a JSON body that is posted; else as `get`."""
        return self._ask(path, body=body, kind="application/json")

    def patch_json(self, *path: str, body: bytes) -> dict[str, Any]:
        """Return what the portal answers to a change that is asked for in JSON; else as `get`."""
        return self._ask(path, body=body, kind="application/json", method="PATCH")

    def now(self) -> datetime:
        """Return what time it is for the server: the machine's, where its clock says no other."""
        try:
            return datetime.fromisoformat(self.get("clock")["now"])
        except Unusable:
            return SystemClock().now()

    def _ask(
        self,
        path: tuple[str, ...],
        *,
        query: str = "",
        body: bytes | None = None,
        kind: str = "",
        method: str | None = None,
    ) -> dict[str, Any]:
        steps = "/".join(urllib.parse.quote(step, safe="") for step in path)
        headers = self._authorization() | ({"Content-Type": kind} if kind else {})
        request = urllib.request.Request(
            f"{self.base_url}/{self.root}/{steps}?{query}", body, headers=headers, method=method
        )
        try:
            with _OPENER.open(request, timeout=self.timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            raise Unusable(_message_of(refusal)) from None
        except (OSError, ValueError) as failure:
            reason = getattr(failure, "reason", failure)
            raise Unusable(
                f"no Ringback answers at {self.base_url} ({reason}); is it running?"
            ) from None

    def _authorization(self) -> dict[str, str]:
        plain = f"{self.account_sid}:{self.auth_token}".encode()
        return {"Authorization": f"Basic {base64.b64encode(plain).decode()}"}


def with_portal(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which server to ask, and hand it the `portal`."""

    @wraps(command)
    def run(
        *,
        data: Path,
        server: str | None,
        account_sid: str | None,
        auth_token: str | None,
        **options: Any,
    ) -> None:
        portal = portal_of(data, server, account_sid, auth_token)
        command(portal=portal, **options)

    for option in reversed((data_option, *server_options)):
        run = option(run)
    return run


server_options: Final = (
    click.option(
        "--server",
        envvar="RINGBACK_SERVER",
        metavar="URL",
        help="The server to ask instead, like https://ringback.example:8080.",
    ),
    click.option(
        "--account-sid",
        envvar="RINGBACK_ACCOUNT_SID",
        metavar="SID",
        help="Who asks it: an Account SID, or an API key's SID.",
    ),
    click.option(
        "--auth-token",
        envvar="RINGBACK_AUTH_TOKEN",
        metavar="TOKEN",
        help="The Auth Token, or the API key's secret. Better in RINGBACK_AUTH_TOKEN: whoever can"
        " list processes sees what is given here.",
    ),
)


def portal_of(
    data: Path, server: str | None, account_sid: str | None, auth_token: str | None
) -> Portal:
    """Return the portal of the server that is named, or of the `ringback dev` on this machine."""
    if server and account_sid and auth_token:
        base_url = server.rstrip("/")
        if not base_url.lower().startswith(("http://", "https://")):
            raise Unusable(f"{server!r} is no server; --server is like https://host:8080")
        return Portal(base_url, account_sid, auth_token)
    given = {
        "--server": server,
        "--account-sid": account_sid,
        "--auth-token (RINGBACK_AUTH_TOKEN)": auth_token,
    }
    missing = " and ".join(name for name, value in given.items() if not value)
    if any(given.values()):
        raise Unusable(f"to ask another server than `ringback dev`, give {missing} as well")
    return Portal.of(DevFile.read(data))


def _next_of(page: Mapping[str, Any]) -> Given | None:
    """Return the query of the page that follows this one, or None."""
    further: str | None = page["meta"]["next_page_url"]
    if further is None:
        return None
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(further).query))


def _encode(parameters: Given) -> str:
    given = {name: value for name, value in parameters.items() if value is not None}
    return urllib.parse.urlencode(given, doseq=True)


def _message_of(refusal: urllib.error.HTTPError) -> str:
    try:
        return json.load(refusal)["message"]
    except (ValueError, KeyError, TypeError):
        return f"the server answered {refusal.code} {refusal.reason}"
