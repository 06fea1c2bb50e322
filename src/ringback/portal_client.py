"""A client of the APIs of a running Ringback.

Its errors are complete sentences, so commands print them as they are.
"""

import base64
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Self, TypeVar

from ringback.core.errors import RingbackError

T = TypeVar("T")

# A replay of thousands works on them as long as it is waited for.
_TIMEOUT_SECONDS: Final = 60
MOST_PAGES: Final = 1000
"""When to give up a search; the server looks at 10,000 records for each page."""
_PAUSE_SECONDS: Final = 0.05
_LONGEST_ROUND_SECONDS: Final = 20
"""A round takes 15 s at the most, as long as there is no outage of ours."""

JsonObject = dict[str, Any]
RequestParameters = Mapping[str, str | Sequence[str] | None]
"""None leaves a parameter out, and one that repeats has many values."""
_NOTHING: Final[RequestParameters] = {}


class PortalClientError(RingbackError):
    """The server refused a request, in its own words; or no Ringback answers at the base URL."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Treats a redirect as an error, so that credentials go to no other server."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Follow none."""


_OPENER: Final = urllib.request.build_opener(_NoRedirects)


@dataclass(frozen=True, slots=True)
class PortalClient:
    """One server's portal API, or another of its APIs, signed in to one account.

    Each call raises PortalClientError where the server refuses, or none answers.
    """

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

    def for_api(self, root: str) -> Self:
        """Return a client of another API of the same server, such as `supersim/v1`."""
        return replace(self, root=root)

    def get(self, *path: str, query: RequestParameters = _NOTHING) -> JsonObject:
        """Return the answer to a GET of this path."""
        return self._ask(path, query=_encode(query))

    def pages(self, *path: str, query: RequestParameters = _NOTHING) -> Iterator[JsonObject]:
        """Yield the pages of a list one by one."""
        asked: RequestParameters | None = query
        while asked is not None:
            page = self.get(*path, query=asked)
            yield page
            asked = _next_of(page)

    def newest(self, name: str, *, query: RequestParameters, limit: int) -> JsonObject:
        """Return this many records of a list on one page, from as many pages as that takes.

        Where few records match the filters, the server answers bit by bit. After MOST_PAGES there
        are fewer records on the page than asked for, and yet a next one.
        """
        found = list[JsonObject]()
        asked: RequestParameters | None = query
        page = JsonObject()
        for _ in range(MOST_PAGES):
            page = self.get(name, query={**asked, "PageSize": str(limit - len(found))})
            key = page["meta"]["key"]
            found += page[key]
            page[key] = found
            asked = _next_of(page)
            if asked is None or len(found) >= limit:
                break
        return page

    def post(self, *path: str, form: RequestParameters = _NOTHING) -> JsonObject:
        """Return the answer to a form that is posted."""
        encoded = _encode(form).encode()
        return self._ask(path, body=encoded, kind="application/x-www-form-urlencoded")

    def send_json(self, method: str, *path: str, body: Mapping[str, Any] | bytes) -> JsonObject:
        """Return the answer to a JSON body, sent by this method; it may be encoded already."""
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._ask(path, body=encoded, kind="application/json", method=method)

    def now(self) -> datetime:
        """Return the server's time, which is the machine's unless its clock was advanced."""
        return datetime.fromisoformat(self.get("clock")["now"])

    def attempts_when_ended(self, sids: Sequence[str]) -> Iterator[list[JsonObject]]:
        """Yield each callback's attempts, once it has ended or all have had a round's time."""
        until = time.monotonic() + _LONGEST_ROUND_SECONDS
        # One deadline for all, since their rounds run side by side.
        for sid in sids:
            poll(
                lambda sid=sid: self.get("callbacks", sid),
                lambda callback: callback["status"] != "scheduled",
                until=until,
            )
            yield self.get("callbacks", sid, "attempts")["attempts"]

    def _ask(
        self,
        path: tuple[str, ...],
        *,
        query: str = "",
        body: bytes | None = None,
        kind: str = "",
        method: str | None = None,
    ) -> JsonObject:
        steps = "/".join(urllib.parse.quote(step, safe="") for step in path)
        headers = self._authorization() | ({"Content-Type": kind} if kind else {})
        request = urllib.request.Request(
            f"{self.base_url}/{self.root}/{steps}?{query}", body, headers=headers, method=method
        )
        try:
            with _OPENER.open(request, timeout=self.timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            raise PortalClientError(_message_of(refusal)) from None
        # What answers something else than JSON is no Ringback, so a ValueError means the same.
        except (OSError, ValueError) as failure:
            reason = getattr(failure, "reason", failure)
            raise PortalClientError(
                f"no Ringback answers at {self.base_url} ({reason}); is it running?"
            ) from None

    def _authorization(self) -> dict[str, str]:
        plain = f"{self.account_sid}:{self.auth_token}".encode()
        return {"Authorization": f"Basic {base64.b64encode(plain).decode()}"}


def poll(ask: Callable[[], T], is_done: Callable[[T], bool], *, until: float) -> T:
    """Ask again and again; return the first answer that is done, or the last one in time.

    `until` is a reading of `time.monotonic`.
    """
    while not is_done(answer := ask()) and time.monotonic() < until:
        time.sleep(_PAUSE_SECONDS)
    return answer


def _next_of(page: Mapping[str, Any]) -> RequestParameters | None:
    """Return the query of the page that follows this one, or None."""
    further: str | None = page["meta"]["next_page_url"]
    if further is None:
        return None
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(further).query))


def _encode(parameters: RequestParameters) -> str:
    given = {name: value for name, value in parameters.items() if value is not None}
    return urllib.parse.urlencode(given, doseq=True)


def _message_of(refusal: urllib.error.HTTPError) -> str:
    try:
        return json.load(refusal)["message"]
    except (ValueError, KeyError, TypeError):
        return f"the server answered {refusal.code} {refusal.reason}"
