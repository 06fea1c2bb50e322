"""Calls the APIs of this server without a connection, as the person who is signed in.

So the console can do what the APIs can do, and nothing else: accounts, roles, audit entries and the
words of errors are theirs.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson
from starlette.types import ASGIApp, Message, Scope

from ringback.api.authentication import ACT_FOR, SIGNED_IN
from ringback.core.accounts.client_credentials import Principal

JsonObject = dict[str, Any]
ApiParameters = Mapping[str, str | Sequence[str] | None]
"""Parameters by name. None leaves a parameter out; a sequence repeats the parameter."""

PORTAL: Final = "portal/v1"
SUPER_SIM: Final = "supersim/v1"
WIRELESS: Final = "wireless/v1"
SECRETS: Final = "webhook/v1"
CLIENTS: Final = "client/v1"

_NOTHING: Final[ApiParameters] = {}
_FORM: Final = "application/x-www-form-urlencoded"
_JSON: Final = "application/json"


class ApiRefusal(Exception):
    """An API refused a request; the message says why."""

    def __init__(self, status: int, code: int | None, message: str) -> None:
        super().__init__(message)
        self.status = status
        """The HTTP status of the answer."""
        self.code = code
        """The error code of the answer; None if it had none."""
        self.message = message


class ApiCaller:
    """Calls the APIs for one signed-in client, or for none.

    Each call returns the JSON of the answer, and raises ApiRefusal if the status is not 2xx.
    """

    def __init__(self, app: ASGIApp, scope: Scope, caller: Principal | None) -> None:
        """`scope` is that of the browser's request: its address and host name are passed on."""
        self._app = app
        self._scope = scope
        self.caller = caller

    async def get(
        self,
        *path: str,
        query: ApiParameters = _NOTHING,
        account_sid: str | None = None,
        root: str = PORTAL,
    ) -> JsonObject:
        """Send a GET request; `account_sid` is the account for which an operator asks."""
        return await self._ask("GET", root, path, query=_encode(query), account_sid=account_sid)

    async def post(
        self,
        *path: str,
        form: ApiParameters = _NOTHING,
        account_sid: str | None = None,
        root: str = PORTAL,
    ) -> JsonObject:
        """Send a POST request with a form."""
        body = _encode(form).encode()
        return await self._ask("POST", root, path, body=body, kind=_FORM, account_sid=account_sid)

    async def send_json(
        self,
        method: str,
        *path: str,
        body: Mapping[str, Any],
        account_sid: str | None = None,
        root: str = PORTAL,
    ) -> JsonObject:
        """Send a JSON body by this method."""
        encoded = orjson.dumps(body)
        return await self._ask(
            method, root, path, body=encoded, kind=_JSON, account_sid=account_sid
        )

    async def delete(
        self, *path: str, account_sid: str | None = None, root: str = PORTAL
    ) -> JsonObject:
        """Send a DELETE request; its answer has no JSON, so the result is empty."""
        return await self._ask("DELETE", root, path, account_sid=account_sid)

    async def _ask(
        self,
        method: str,
        root: str,
        path: Sequence[str],
        *,
        query: str = "",
        body: bytes = b"",
        kind: str = "",
        account_sid: str | None = None,
    ) -> JsonObject:
        asked = "/".join(["", root, *(quote(step, safe="") for step in path)])
        headers = [(name, value) for name, value in self._scope["headers"] if name == b"host"]
        if kind:
            headers += [
                (b"content-type", kind.encode()),
                (b"content-length", str(len(body)).encode()),
            ]
        if account_sid is not None and (self.caller is None or self.caller.account is None):
            headers.append((ACT_FOR.lower().encode(), account_sid.encode("latin-1", "replace")))
        scope: Scope = {
            **{key: self._scope[key] for key in ("asgi", "http_version", "server", "scheme")},
            "type": "http",
            "method": method,
            "path": "/".join(["", root, *path]),
            "raw_path": asked.encode(),
            "root_path": "",
            "query_string": query.encode(),
            "headers": headers,
            "client": self._scope.get("client"),
            "state": {},
            SIGNED_IN: self.caller,
        }
        exchange = _Exchange(body)
        await self._app(scope, exchange.receive, exchange.send)
        return exchange.answer()


class _Exchange:
    """A request body to read, and the response that was sent."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._status = 500
        self._sent = bytearray()

    async def receive(self) -> Message:
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
        else:
            self._sent += message.get("body", b"")

    def answer(self) -> JsonObject:
        found: JsonObject = orjson.loads(bytes(self._sent)) if self._sent else {}
        if not 200 <= self._status < 300:
            raise ApiRefusal(
                self._status, found.get("code"), found.get("message", f"status {self._status}")
            )
        return found


def _encode(parameters: ApiParameters) -> str:
    given = {name: value for name, value in parameters.items() if value is not None}
    return urlencode(given, doseq=True)
