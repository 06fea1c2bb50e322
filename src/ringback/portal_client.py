"""An HTTP client for the APIs of a running Ringback.

Its error messages are complete sentences, so commands print them unchanged.
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

# Long, because the server answers a replay of thousands of callbacks only when it is done.
_TIMEOUT_SECONDS: Final = 60
_NO_CONTENT: Final = 204
_LARGEST_PAGE: Final = "1000"
MOST_PAGES: Final = 1000
"""The maximum number of pages that a search reads; the server checks 10,000 records for each."""
_PAUSE_SECONDS: Final = 0.05
_LONGEST_ROUND_SECONDS: Final = 20
"""How long to wait for a delivery round, which normally takes at most 15 s."""

JsonObject = dict[str, Any]
RequestParameters = Mapping[str, str | Sequence[str] | None]
"""Parameters by name. None leaves a parameter out; a sequence repeats the parameter."""
_NOTHING: Final[RequestParameters] = {}


class PortalClientError(RingbackError):
    """The server refused a request, or did not answer; the message says why."""


class RouteNotFound(PortalClientError):
    """The server has no such route or record, perhaps because it has an earlier version."""


class NoServerAnswers(PortalClientError):
    """No Ringback answers at the base URL."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Treats a redirect as an error, so that credentials aren't sent to another server."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Return None, so that no redirect is followed."""


_OPENER: Final = urllib.request.build_opener(_NoRedirects)


@dataclass(frozen=True, slots=True)
class PortalClient:
    """A client for one server's portal API or another API, with an account's credentials.

    Each call raises PortalClientError if the server refuses the request, or doesn't answer.
    """

    base_url: str
    account_sid: str
    """The account that signs in; if it is empty, no credentials are sent."""
    auth_token: str
    timeout: float = _TIMEOUT_SECONDS
    """The time-out for an answer, in seconds."""
    root: str = "portal/v1"
    """The path of the API on the server."""
    sim_sid: str | None = None
    """The Super SIM that commands use by default."""
    wireless_sim_sid: str | None = None
    """The Programmable Wireless SIM that commands use by default."""

    def for_api(self, root: str) -> Self:
        """Return a client for another API of the same server, such as `supersim/v1`."""
        return replace(self, root=root)

    def get(self, *path: str, query: RequestParameters = _NOTHING) -> JsonObject:
        """Send a GET request to this path of the API, and return the JSON answer."""
        return self._ask(path, query=_encode(query))

    def pages(self, *path: str, query: RequestParameters = _NOTHING) -> Iterator[JsonObject]:
        """Yield all pages of a list, from the first to the last."""
        asked: RequestParameters | None = query
        while asked is not None:
            page = self.get(*path, query=asked)
            yield page
            asked = _next_of(page)

    def newest(self, name: str, *, query: RequestParameters, limit: int) -> JsonObject:
        """Return the newest records of the list `name`, at most `limit`, as a single page.

        The server returns short pages if few records match the filters. This method combines up to
        MOST_PAGES of them. If there are more, the result has a next page.
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

    def newer(
        self, name: str, *, than: str | None, query: RequestParameters = _NOTHING
    ) -> Iterator[JsonObject]:
        """Yield the records of a list that are newer than the one with this SID, oldest first.

        Without a SID, yield all records.
        """
        large: RequestParameters = {**query, "PageSize": _LARGEST_PAGE}
        if than is None:
            for page in reversed(list(self.pages(name, query=large))):
                yield from reversed(_records(page))
            return
        # This token stands for the page that ends just before the record.
        asked: RequestParameters | None = {**large, "PageToken": f"PB{than}"}
        while asked is not None:
            page = self.get(name, query=asked)
            yield from reversed(_records(page))
            asked = _query_of(page["meta"]["previous_page_url"])

    def post(self, *path: str, form: RequestParameters = _NOTHING) -> JsonObject:
        """Send a POST request with these form parameters, and return the JSON answer."""
        encoded = _encode(form).encode()
        return self._ask(path, body=encoded, kind="application/x-www-form-urlencoded")

    def send_json(self, method: str, *path: str, body: Mapping[str, Any] | bytes) -> JsonObject:
        """Send a JSON body by this method, and return the answer; bytes are sent unchanged."""
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._ask(path, body=encoded, kind="application/json", method=method)

    def delete(self, *path: str) -> None:
        """Send a DELETE request to this path of the API."""
        self._ask(path, method="DELETE")

    def now(self) -> datetime:
        """Return the server's time, which is ahead of real time if its clock was advanced."""
        return datetime.fromisoformat(self.get("clock")["now"])

    def refuse_if_paused(self) -> None:
        """Raise PortalClientError if the server is paused: it would send no callback."""
        why = self.for_api("readyz").get().get("paused")
        if why is not None:
            raise PortalClientError(
                f"the server is paused ({why}), so it sends nothing until `ringback resume`"
            )

    def attempts_when_ended(self, sids: Sequence[str]) -> Iterator[list[JsonObject]]:
        """Yield each callback's attempts once it has ended, or once 20 s have passed in total."""
        until = time.monotonic() + _LONGEST_ROUND_SECONDS
        # One deadline for all callbacks, because the server delivers them at the same time.
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
        steps = "/".join([self.root, *(urllib.parse.quote(step, safe="") for step in path)])
        headers = self._authorization() | ({"Content-Type": kind} if kind else {})
        request = urllib.request.Request(
            f"{self.base_url}/{steps}?{query}", body, headers=headers, method=method
        )
        try:
            with _OPENER.open(request, timeout=self.timeout) as answer:
                return {} if answer.status == _NO_CONTENT else json.load(answer)
        except urllib.error.HTTPError as refusal:
            error = RouteNotFound if refusal.code == 404 else PortalClientError
            raise error(_message_of(refusal)) from None
        # A ValueError means an answer that isn't JSON, so the server isn't a Ringback.
        except (OSError, ValueError) as failure:
            reason = getattr(failure, "reason", failure)
            raise NoServerAnswers(
                f"no Ringback answers at {self.base_url} ({reason}); is it running?"
            ) from None

    def _authorization(self) -> dict[str, str]:
        if not self.account_sid:
            return {}
        plain = f"{self.account_sid}:{self.auth_token}".encode()
        return {"Authorization": f"Basic {base64.b64encode(plain).decode()}"}


def poll(ask: Callable[[], T], is_done: Callable[[T], bool], *, until: float) -> T:
    """Call `ask` repeatedly until `is_done` accepts the result, and return that result.

    After the time `until` (of `time.monotonic`), returns the last result.
    """
    while not is_done(answer := ask()) and time.monotonic() < until:
        time.sleep(_PAUSE_SECONDS)
    return answer


def _next_of(page: Mapping[str, Any]) -> RequestParameters | None:
    """Return the query parameters of the next page, or None after the last page."""
    return _query_of(page["meta"]["next_page_url"])


def _query_of(url: str | None) -> RequestParameters | None:
    return None if url is None else dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


def _records(page: Mapping[str, Any]) -> list[JsonObject]:
    return page[page["meta"]["key"]]


def _encode(parameters: RequestParameters) -> str:
    given = {name: value for name, value in parameters.items() if value is not None}
    return urllib.parse.urlencode(given, doseq=True)


def _message_of(refusal: urllib.error.HTTPError) -> str:
    try:
        message: str = json.load(refusal)["message"]
    except (ValueError, KeyError, TypeError):
        return f"the server answered {refusal.code} {refusal.reason}"
    # The command line has an option for what a request has a parameter or a header for.
    return message.replace("give AccountSid, or the header Ringback-Account:", "give --account:")
