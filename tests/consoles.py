"""A server in this process, and browsers without scripts that look at its console."""

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from http.cookies import SimpleCookie
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from ringback.application import ServerProcess
from ringback.cli.dev.server import DevSeed, console_access, details_of, seed_account
from ringback.core.accounts.account import Account, ApiKeyRole
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.policy.source_policy import Source
from ringback.core.streams.event_types import StreamEventType
from ringback.core.streams.sink import SinkType
from ringback.operations.accounts import create_account
from ringback.operations.api_keys import create_key
from ringback.operations.context import OperationContext
from ringback.operations.seed_data import SeededAccount
from ringback.operations.streams.publish import listening, publish
from ringback.operations.streams.sinks import SinkParameters, create_sink
from ringback.operations.streams.subscriptions import create_subscription
from ringback.ports import Transaction
from ringback.runtime.virtual_clock import VirtualClock
from ringback.settings.load import load
from ringback.settings.setting_definitions import ServerCommand
from tests.served import asked_until, is_settled
from tests.streams import an_event_of
from tests.unit.api.caller import Answer, Caller

T = TypeVar("T")

START: Final = datetime(2026, 11, 27, 4, tzinfo=UTC)
_HOST: Final = "127.0.0.1:8080"


@dataclass(slots=True)
class ShownPage:
    """An answer of the console."""

    answer: Answer

    @property
    def status(self) -> int:
        return self.answer.status

    @property
    def html(self) -> str:
        return self.answer.body.decode()

    @property
    def text(self) -> str:
        """The HTML with its entities resolved, and without line breaks."""
        return " ".join(unescape(self.html).split())

    @property
    def leads_to(self) -> str:
        """Where a redirect leads; empty if this is none."""
        return self.answer.headers.get("location", "")


@dataclass(slots=True)
class ScriptlessBrowser:
    """A browser without scripts: it keeps cookies, and follows a redirect after a form."""

    caller: Caller
    cookies: dict[str, str] = field(default_factory=dict[str, str])

    async def open(self, path: str, **headers: str) -> ShownPage:
        """Ask for a page; `headers` have `_` for `-`."""
        return await self._ask("GET", path, b"", headers)

    async def part(self, path: str, name: str, *, etag: str = "") -> ShownPage:
        """Ask for one part of a page, as the script does."""
        headers = {"hx-request": "true", "hx-target": name}
        return await self.open(path, **headers, **({"if-none-match": etag} if etag else {}))

    async def send(self, path: str, **form: str) -> ShownPage:
        """Send a form from a page of the console; returns the answer itself."""
        return await self.send_from(path, form, **{"sec-fetch-site": "same-origin"})

    async def send_from(self, path: str, form: dict[str, str], **headers: str) -> ShownPage:
        """Send a form with these headers, as another page would."""
        sent = {"content-type": "application/x-www-form-urlencoded", **headers}
        return await self._ask("POST", path, urlencode(form).encode(), sent)

    async def do(self, path: str, **form: str) -> ShownPage:
        """Send a form, and return the page to which its answer leads."""
        answer = await self.send(path, **form)
        assert answer.status == 303, (answer.status, answer.text)
        return await self.open(answer.leads_to)

    async def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> ShownPage:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.cookies:
            given["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body:
            given["content-length"] = str(len(body))
        answer = await self.caller.call(method, path, body, headers=given)
        self._keep(answer)
        return ShownPage(answer)

    def _keep(self, answer: Answer) -> None:
        cookies = SimpleCookie(answer.headers.get("set-cookie", ""))
        for name, cookie in cookies.items():
            if cookie.value and cookie["max-age"] != "0":
                self.cookies[name] = cookie.value
            else:
                self.cookies.pop(name, None)


@dataclass(slots=True)
class ConsoleWorld:
    """A running server with the notice's account, and people who look at its console."""

    application: ServerProcess
    clock: VirtualClock
    seed: DevSeed
    _events: int = 0
    """How many events have happened."""

    @property
    def account(self) -> SeededAccount:
        return self.seed.of_account

    def browser(self, *, host: str = _HOST) -> ScriptlessBrowser:
        """Return a browser in which nobody is signed in."""
        return ScriptlessBrowser(Caller(self.application.api.app, credentials=None, host=host))

    async def sign_in(self, username: str, password: str) -> ScriptlessBrowser:
        browser = self.browser()
        answer = await browser.send("/console/sign-in", user=username, password=password)
        assert answer.status == 303, answer.text
        return browser

    async def operator(self) -> ScriptlessBrowser:
        key = self.seed.operators_key
        return await self.sign_in(key.key.sid, key.secret)

    async def owner(self) -> ScriptlessBrowser:
        """Return a browser in which the notice's account is signed in."""
        account = self.account.account
        return await self.sign_in(account.sid, account.auth_token)

    async def reader(self) -> ScriptlessBrowser:
        """Return a browser with a key of the notice's account that can only read."""
        sid = self.account.account.sid
        made = await self.change(
            lambda tx: create_key(tx, sid, "reader", self.context(), role=ApiKeyRole.READ_ONLY)
        )
        return await self.sign_in(made.key.sid, made.secret)

    async def stranger(self) -> ScriptlessBrowser:
        """Return a browser in which another account is signed in."""
        account: Account = await self.change(
            lambda tx: create_account(tx, name="Other Ltd", context=self.context())
        )
        return await self.sign_in(account.sid, account.auth_token)

    def api(self) -> Caller:
        """Return a client of the APIs for the notice's account."""
        account = self.account.account
        return Caller(self.application.api.app, credentials=(account.sid, account.auth_token))

    async def send(self, url: str, **parameters: str) -> str:
        """Create a callback with these parameters, or an ordinary one, and return its SID."""
        given = parameters or {
            "ApiVersion": "v1",
            "SimSid": self.account.sim_sid,
            "SimStatus": "active",
            "AccountSid": self.account.account.sid,
        }
        body = json.dumps({"url": url, "parameters": given}).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        answer = await self.api().call("POST", "/portal/v1/callbacks", body, headers=headers)
        assert answer.status == 201, answer.body
        return answer.json["sid"]

    async def wait_until_ended(self, sid: str) -> str:
        """Wait until a callback has ended, and return its status."""
        return (await self._until(sid, is_settled))["status"]

    async def wait_for_round(self, sid: str) -> None:
        """Wait until the first round of a callback's attempts has failed."""
        await self._until(sid, itemgetter("round"))

    async def _until(self, sid: str, is_right: Callable[[Any], object]) -> Any:
        async def ask() -> Any:
            return (await self.api().get(f"/portal/v1/callbacks/{sid}")).json

        return await asked_until(ask, is_right)

    async def stream(
        self, url: str, *types: StreamEventType, source: Source = Source.KORE, name: str = "ours"
    ) -> tuple[str, str]:
        """Make a stream of these types; returns the SIDs of its sink and of its subscription."""
        account_sid, context = self.account.account.sid, self.context()

        def make(tx: Transaction) -> tuple[str, str]:
            given = SinkParameters(name, SinkType.WEBHOOK, CallbackUrl.parse(url))
            sink = create_sink(tx, account_sid, source, given, context)
            subscription = create_subscription(
                *(tx, account_sid, source, context),
                description=f"{name}, which",
                sink_sid=sink.sid,
                types=[(one, None) for one in types or StreamEventType],
            )
            return sink.sid, subscription.sid

        return await self.change(make)

    async def happen(self, *types: StreamEventType, sim: int = 1, **more: Any) -> list[str]:
        """Publish events of these types, with more data; returns their SIDs, in this order."""
        account_sid, context, made = self.account.account.sid, self.context(), list[str]()
        for type_ in types:
            self._events += 1
            event = an_event_of(
                *(self._events, sim, type_), account_sid=account_sid, at=self.clock.now(), **more
            )
            made.append(event.sid)
            await self.change(
                lambda tx, event=event: publish(
                    tx, event, listening(tx, account_sid, context), context
                )
            )
        return made

    async def batch_of(self, subscription_sid: str, *, status: str = "") -> str:
        """Wait until a stream's newest batch has this status, or has ended; returns its SID.

        The clock advances until there is one, since a batch from kore waits for more events.
        """

        async def ask() -> Any:
            query = f"Stream={subscription_sid}"
            answer = await self.api().get(f"/portal/v1/callbacks?{query}")
            found = answer.json["callbacks"]
            if not found:
                self.clock.advance(timedelta(seconds=1))
            return found[0] if found else None

        def is_right(found: Any) -> bool:
            return found is not None and (
                found["status"] == status if status else is_settled(found)
            )

        return (await asked_until(ask, is_right))["sid"]

    def context(self) -> OperationContext:
        return self.application.api.dependencies.context()

    async def change(self, work: Callable[[Transaction], T]) -> T:
        return await self.application.storage.store.transact(work)


@asynccontextmanager
async def console_world(
    data: Path,
    *,
    is_dev: bool = True,
    clock: VirtualClock | None = None,
    flags: Mapping[str, str] = MappingProxyType({}),
) -> AsyncGenerator[ConsoleWorld]:
    """Run a server on a new data file; its clock stands still at START until it is advanced."""
    given = {
        "data": str(data),
        "gateway": "none",
        "update_takes": "0s",
        "schedule": "faithful",
        **flags,
    }
    on = clock or VirtualClock.stopped(START)
    settings = load(given, {}, command=ServerCommand.DEV)
    application = await ServerProcess.start(settings, clock=on)
    try:
        seed = await seed_account(settings, application)
        if is_dev:
            details = details_of(settings, application, seed, f"http://{_HOST}")
            application.api.console.parts.dev = console_access(details)
        yield ConsoleWorld(application, on, seed)
    finally:
        await application.stop()
