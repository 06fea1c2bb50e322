"""A client for threads of this process that works as the person who is signed in."""

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from ringback.console.api_caller import ApiCaller, ApiRefusal, JsonObject
from ringback.portal_client import (
    NoServerAnswers,
    PortalClient,
    PortalClientError,
    RequestParameters,
    RouteNotFound,
)

_NOTHING: Final[RequestParameters] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class InProcessClient(PortalClient):
    """A `PortalClient` that calls the APIs without a connection, through an `ApiCaller`.

    Its methods wait for the event loop, so only other threads may call them.
    """

    caller: ApiCaller
    loop: asyncio.AbstractEventLoop
    """The event loop of the server."""

    def get(self, *path: str, query: RequestParameters = _NOTHING) -> JsonObject:
        """Send a GET request to this path of the API, and return the JSON answer."""
        account = self.account_sid
        return self._wait_for(
            self.caller.get(*path, query=query, account_sid=account, root=self.root)
        )

    def post(self, *path: str, form: RequestParameters = _NOTHING) -> JsonObject:
        """Send a POST request with these form parameters, and return the JSON answer."""
        account = self.account_sid
        return self._wait_for(
            self.caller.post(*path, form=form, account_sid=account, root=self.root)
        )

    def send_json(self, method: str, *path: str, body: Mapping[str, Any] | bytes) -> JsonObject:
        """Send a JSON body by this method, and return the answer."""
        given = orjson.loads(body) if isinstance(body, bytes) else body
        account = self.account_sid
        return self._wait_for(
            self.caller.send_json(method, *path, body=given, account_sid=account, root=self.root)
        )

    def _wait_for(self, call: Coroutine[Any, Any, JsonObject]) -> JsonObject:
        try:
            asked = asyncio.run_coroutine_threadsafe(call, self.loop)
        except RuntimeError:
            call.close()
            raise NoServerAnswers("Ringback has stopped") from None
        try:
            return asked.result(self.timeout)
        except TimeoutError:
            asked.cancel()
            raise NoServerAnswers(f"no answer within {self.timeout:g} s") from None
        except ApiRefusal as refusal:
            error = RouteNotFound if refusal.status == 404 else PortalClientError
            raise error(refusal.message) from None
