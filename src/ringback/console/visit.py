"""One request of a person to a page: who it is, what was asked, and how it is answered."""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import ImmutableMultiDict
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ringback.api.bounded_body import read_body
from ringback.api.request_parameters import MAX_BODY
from ringback.console.access import PATH, DevAccess
from ringback.console.api_caller import ApiCaller, ApiRefusal
from ringback.console.dev_actions import DevActions
from ringback.console.formats import moment
from ringback.console.rendering import parts_of, render_page, render_part
from ringback.core.accounts.client_credentials import Principal
from ringback.runtime.system_clock import SystemClock

THEMES: Final = ("system", "light", "dark")
_THEME: Final = "ringback_theme"
_NOTE: Final = "ringback_note"
_LONGEST_NOTE: Final = 1000
_MACHINE: Final = SystemClock()
_ETAG: Final = "@etag@"
"""Is in a part in place of its own ETag, which is computed from all else."""


SentForm = ImmutableMultiDict[str, str]
"""The fields of a form that was sent; a name can have several values."""


class SaidNote(NamedTuple):
    """What happened because of the last action, shown once on the next page."""

    text: str
    is_bad: bool = False
    link: str = ""
    link_text: str = ""


class ConsolePage(NamedTuple):
    """A page in the side bar."""

    path: str
    name: str
    for_operator: bool = False
    for_dev: bool = False


PAGES: Final = (
    ConsolePage("/callbacks", "Callbacks"),
    ConsolePage("/undelivered", "Undelivered"),
    ConsolePage("/destinations", "Destinations"),
    ConsolePage("/streams", "Streams"),
    ConsolePage("/move", "The move"),
    ConsolePage("/side-by-side", "Side by side"),
    ConsolePage("/secrets", "Secrets"),
    ConsolePage("/links", "Links"),
    ConsolePage("/audit", "History"),
    ConsolePage("/accounts", "Accounts", for_operator=True),
    ConsolePage("/dev", "Dev", for_dev=True),
)


class Visit:
    """A request to a page, by somebody who is signed in."""

    layout: ClassVar = "base.html"
    """The template of what is around the page."""
    is_shared: ClassVar = False
    """True if the page was opened by a link, by somebody who is not signed in."""

    def __init__(
        self,
        request: Request,
        api: ApiCaller,
        *,
        now: datetime,
        dev: DevAccess | None = None,
        dev_actions: DevActions,
    ) -> None:
        self._form: SentForm | None = None
        self.request = request
        self.api = api
        self.now = now
        """The server's time, which is ahead if its clock was advanced."""
        self.dev = dev
        """The account and SIMs of `ringback dev`; None under `ringback serve`."""
        self.dev_actions = dev_actions
        """What was begun on the page of `ringback dev`."""

    @property
    def is_dev(self) -> bool:
        """True under `ringback dev`."""
        return self.dev is not None

    # Who.

    @property
    def caller(self) -> Principal:
        """The client that is signed in."""
        assert self.api.caller is not None  # noqa: S101 (a page without one has no visit)
        return self.api.caller

    @property
    def is_operator(self) -> bool:
        """True if the operator is signed in, who sees all accounts."""
        return self.caller.account is None

    @property
    def may_change(self) -> bool:
        """True if the role of the person allows changes."""
        return not self.caller.is_read_only

    @property
    def role(self) -> str:
        """The role in words."""
        role = "operator" if self.is_operator else "account"
        return f"{role}, read only" if self.caller.is_read_only else role

    @property
    def account_sid(self) -> str | None:
        """The account that the page is about: the own one, or the one that the operator chose."""
        if self.caller.account is not None:
            return self.caller.account.sid
        return self.asked("account") or None

    # What was asked.

    @property
    def path(self) -> str:
        """The path of the page below the console."""
        return self.request.scope["path"].removeprefix(PATH)

    @property
    def here(self) -> str:
        """The path and query of this page, to come back to."""
        query = self.request.url.query
        return f"{PATH}{self.path}" + (f"?{query}" if query else "")

    def asked(self, name: str, default: str = "") -> str:
        """Return a value of the query; empty if it is not there."""
        return self.request.query_params.get(name, default).strip()

    def asked_all(self, name: str) -> list[str]:
        """Return all values of this name in the query."""
        return self.request.query_params.getlist(name)

    def with_query(self, **changes: str | None) -> str:
        """Return the URL of this page with some values of its query changed, or removed."""
        pairs = [
            (name, value)
            for name, value in self.request.query_params.multi_items()
            if name not in changes and value
        ]
        pairs += [(name, value) for name, value in changes.items() if value]
        query = urlencode(pairs)
        return f"{PATH}{self.path}" + (f"?{query}" if query else "")

    async def form(self) -> SentForm:
        """Return the form that was sent."""
        if self._form is None:
            self._form = await sent_form(self.request)
        return self._form

    # How it is answered.

    async def page(self, template: str, *, title: str, **values: Any) -> Response:
        """Return a page, or the part of it that the browser asks to refresh.

        A part that is as the browser has it is answered with 304.
        """
        part = self.request.headers.get("hx-target", "")
        known = {"visit": self, "title": title, "now": self.now, "etag": _ETAG, **values}
        known["layout"] = self.layout
        if part and "hx-request" in self.request.headers and part in parts_of(template):
            return self._part(render_part(template, part, known))
        known |= {"note": None, "theme": self.theme, **await self.around()}
        response = Response(_with_etag(render_page(template, known)), media_type="text/html")
        if known["note"] is not None:
            response.delete_cookie(_NOTE, path=PATH)
        return response

    async def around(self) -> dict[str, Any]:
        """Return the values that the layout needs."""
        policy = await self.api.get("policy", account_sid=self.account_sid)
        return {
            "pages": self._pages(),
            "policy": policy,
            "ahead": (moment(policy["date"]) or self.now).timestamp() - _MACHINE.now().timestamp(),
            "note": self._note(),
        }

    def _part(self, text: str) -> Response:
        etag = _etag_of(text)
        headers = {"ETag": etag, "Ringback-Now": self.now.isoformat(timespec="seconds")}
        if self.request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers=headers)
        return Response(
            text.replace(_ETAG, etag.strip('"')), headers=headers, media_type="text/html"
        )

    def back(
        self,
        path: str,
        said: str = "",
        *,
        is_bad: bool = False,
        link: str = "",
        link_text: str = "",
    ) -> Response:
        """Return a redirect to a page, which then says what happened."""
        response = RedirectResponse(local_path(path), status_code=303)
        if said:
            note = SaidNote(said[:_LONGEST_NOTE], is_bad, link, link_text)
            value = urlsafe_b64encode(json.dumps(note).encode()).decode()
            response.set_cookie(
                _NOTE,
                value,
                max_age=60,
                path=PATH,
                httponly=True,
                samesite="lax",
                secure=self.request.url.scheme == "https",
            )
        return response

    def refused(self, refusal: ApiRefusal, path: str) -> Response:
        """Return a redirect to a page, which then says why an action was refused."""
        return self.back(path, refusal.message, is_bad=True)

    def _note(self) -> SaidNote | None:
        value = self.request.cookies.get(_NOTE)
        if not value:
            return None
        try:
            text, is_bad, link, link_text = json.loads(urlsafe_b64decode(value))
            # A page can show anything but half a character, which has no bytes in UTF-8.
            f"{text}{link}{link_text}".encode()
        except (ValueError, TypeError, RecursionError):
            return None
        return SaidNote(
            str(text), bool(is_bad), local_path(str(link)) if link else "", str(link_text)
        )

    @property
    def theme(self) -> str:
        """The theme that was chosen: `system`, `light` or `dark`."""
        return theme_of(self.request)

    def _pages(self) -> Sequence[Mapping[str, Any]]:
        return [
            {
                "path": f"{PATH}{page.path}",
                "name": page.name,
                "is_current": self.path == page.path or self.path.startswith(f"{page.path}/"),
            }
            for page in PAGES
            if (self.is_operator or not page.for_operator) and (self.is_dev or not page.for_dev)
        ]


PageHandler = Callable[[Visit], Awaitable[Response]]
"""Answers a request to a page."""
PageHandlers = Mapping[str, Mapping[str, PageHandler]]
"""The handlers of pages, by path below the console and by method."""


async def sent_form(request: Request) -> SentForm:
    """Return the form in a request's body; raises InvalidParameter if it is too long."""
    body = await read_body(request, most=MAX_BODY)
    return ImmutableMultiDict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def theme_of(request: Request) -> str:
    """Return the theme in a cookie: `system`, `light` or `dark`."""
    theme = request.cookies.get(_THEME, "")
    return theme if theme in THEMES else THEMES[0]


def choose_theme(request: Request) -> Response:
    """Keep the theme that was asked for, and go back to the page."""
    theme = request.query_params.get("theme", "")
    back = local_path(request.query_params.get("back", ""))
    response = RedirectResponse(back, status_code=303)
    if theme in THEMES:
        response.set_cookie(
            _THEME, theme, max_age=365 * 86400, path=PATH, httponly=True, samesite="lax"
        )
    return response


def local_path(path: str) -> str:
    """Return a path of the console; anything else becomes its first page.

    >>> local_path("/console/move?at=2026-12-08"), local_path("https://evil.example/console/")
    ('/console/move?at=2026-12-08', '/console/callbacks')
    """
    try:
        parts = urlsplit(path)
    except ValueError:
        return f"{PATH}{PAGES[0].path}"
    is_ours = parts.path.startswith(f"{PATH}/") and not parts.scheme and not parts.netloc
    is_plain = not any(ord(one) < 0x21 or one == "\\" for one in path)
    return path if is_ours and is_plain else f"{PATH}{PAGES[0].path}"


def _etag_of(text: str) -> str:
    return f'"{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"'


def _with_etag(text: str) -> str:
    """Return a page whose refreshed parts ask again at their first refresh."""
    return text.replace(_ETAG, "none")
