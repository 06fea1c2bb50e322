"""Calls an ASGI application within this process, without a server and sockets."""

import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode

from starlette.types import ASGIApp, Message, Scope

Fields = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A response of the application."""

    status: int
    headers: dict[str, str]
    body: bytes
    raised: Exception | None = None
    """The exception that the application raised after its response, for the server's log."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """A client of one application that uses the same credentials for every call."""

    def __init__(
        self, app: ASGIApp, *, credentials: tuple[str, str] | None, host: str = "127.0.0.1:8080"
    ) -> None:
        self._app = app
        self._headers = {"host": host}
        if credentials is not None:
            self._headers["authorization"] = basic(*credentials)

    async def get(self, target: str, **headers: str) -> Answer:
        return await self.call("GET", target, headers=headers)

    async def post(self, target: str, form: Fields, **headers: str) -> Answer:
        return await self.call("POST", target, urlencode(form).encode(), headers=headers)

    async def call(
        self,
        method: str,
        target: str,
        *body: bytes,
        headers: Mapping[str, str] | None = None,
        scheme: str = "http",
        breaks_off: bool = False,
    ) -> Answer:
        """Send one request, with its body in these parts, and return the response."""
        given = self._headers | dict(headers or {})
        scope = _scope(method, scheme, target.encode("latin-1"), given)
        return await _exchange(self._app, scope, _incoming(body, breaks_off=breaks_off))


def basic(username: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{username}:{password}'.encode()).decode()}"


async def _exchange(app: ASGIApp, scope: Scope, incoming: AsyncIterator[Message]) -> Answer:
    sent = list[Message]()

    async def receive() -> Message:
        return await anext(incoming)

    async def send(message: Message) -> None:
        sent.append(message)

    raised = None
    try:
        await app(scope, receive, send)
    except Exception as failure:
        if not sent:
            raise
        raised = failure
    start, *parts = sent
    headers = {name.decode("latin-1"): text.decode("latin-1") for name, text in start["headers"]}
    body_sent = b"".join(part.get("body", b"") for part in parts)
    return Answer(start["status"], headers, body_sent, raised)


async def _incoming(body: Sequence[bytes], *, breaks_off: bool) -> AsyncIterator[Message]:
    for part in body:
        yield {"type": "http.request", "body": part, "more_body": True}
    if not breaks_off:
        yield {"type": "http.request", "body": b"", "more_body": False}
    yield {"type": "http.disconnect"}


def _scope(method: str, scheme: str, target: bytes, headers: Mapping[str, str]) -> Scope:
    path, _, query = target.partition(b"?")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        # Like the server: percent escapes are decoded, and invalid UTF-8 is replaced.
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "root_path": "",
        "query_string": query,
        "headers": [
            (name.encode("latin-1"), text.encode("latin-1")) for name, text in headers.items()
        ],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8080),
    }
