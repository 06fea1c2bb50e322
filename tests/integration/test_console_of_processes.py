"""The console of several servers on one PostgreSQL database: one session, the same pages."""

import asyncio
import sys
from pathlib import Path
from typing import Final
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from tests.crash.cluster import a_cluster
from tests.crash.production import Production
from tests.receivers import RecordingReceiver, status_reply
from tests.served import asked_until

ONCE: Final = ("--schedule", "faithful")
PAGES: Final = (
    "callbacks",
    "callbacks?status=failed&text=active",
    "callbacks/{sid}",
    "side-by-side?callback={sid}",
    "undelivered",
    "undelivered/preview?all=yes",
    "destinations",
    "destinations?order=trouble",
    "destinations/one?destination={destination}",
    "move",
    "move/plans?to=kore",
    "secrets",
    "links",
    "audit",
)


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *args: object, **kwargs: object) -> None:
        """Follow nothing: the test looks at the answers themselves."""


_OPENER: Final = build_opener(_NoRedirects)


class SignedIn:
    """A browser that is signed in at any server of the database."""

    def __init__(self) -> None:
        self.token = ""

    async def ask(
        self, server: Production, path: str, form: dict[str, str] | None = None
    ) -> tuple[int, str]:
        """Return the status of an answer, and its text or where it leads."""
        return await asyncio.to_thread(self._ask, server, path, form)

    def _ask(self, server: Production, path: str, form: dict[str, str] | None) -> tuple[int, str]:
        base = server.dev["base_url"]
        cookie = f"ringback_session_{urlsplit(base).port}={self.token}"
        body = None if form is None else urlencode(form).encode()
        headers = {"Cookie": cookie, "Sec-Fetch-Site": "same-origin"}
        try:
            request = Request(f"{base}/console/{path}", body, headers)  # noqa: S310 (our own server)
            with _OPENER.open(request) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as other:
            with other:
                given = other.headers.get("Set-Cookie", "")
                if given.startswith("ringback_session"):
                    self.token = given.partition("=")[2].partition(";")[0].strip('"')
                return other.code, other.headers.get("Location") or other.read().decode()


async def test_one_session_shows_the_same_pages_at_each_server(tmp_path: Path) -> None:
    async with (
        a_cluster(tmp_path) as cluster,
        cluster.running("all", sys.stderr, *ONCE) as first,
        cluster.running("all", sys.stderr, *ONCE) as second,
        RecordingReceiver(answer=lambda _: status_reply(403)) as receiver,
    ):
        sid = await failed(first, receiver.url("/hook"))
        browser = SignedIn()
        account = {"user": first.dev["account_sid"], "password": first.dev["auth_token"]}
        status, _ = await browser.ask(first, "sign-in", account)
        assert (status, bool(browser.token)) == (303, True)
        names = {"sid": sid, "destination": receiver.url("").rstrip("/")}
        for server in (first, second):
            for page in PAGES:
                status, shown = await browser.ask(server, page.format(**names))
                assert status == 200, (page, shown)
                assert "</h1>" in shown

        # What is done at one server is seen at the other.
        before = len(receiver.requests)
        status, where = await browser.ask(second, f"callbacks/{sid}/replay", {})
        assert (status, where) == (303, f"/console/callbacks/{sid}")
        await receiver.wait_for(before + 1)
        await asked_until(
            lambda: browser.ask(first, f"callbacks/{sid}"), lambda shown: "2 sent" in shown[1]
        )

        # Whoever has signed out is signed out everywhere.
        await browser.ask(first, "sign-out", {})
        await asked_until(lambda: browser.ask(second, "callbacks"), lambda answer: answer[0] == 303)


async def failed(server: Production, url: str) -> str:
    """Create a callback, wait until it has failed, and return its SID."""
    made = await server.send({"url": url, "parameters": {"SimStatus": "active"}})
    assert (await server.ended(made.body["sid"]))["status"] == "failed"
    return made.body["sid"]
