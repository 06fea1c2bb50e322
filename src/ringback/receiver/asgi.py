"""Receive callbacks in an ASGI application.

application = AsgiCallbackApp(callbacks, work)
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from ringback.core.deprecated_names import renamed
from ringback.receiver.callback import Callback
from ringback.receiver.http import MAX_BODY, TOO_LONG, headers_of, quoted, refusal_of, target_of
from ringback.receiver.receiver import Receiver, Work
from ringback.receiver.results import Answer
from ringback.receiver.verification import ReceivedRequest, read_request

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class AsgiCallbackApp:
    """An ASGI application that receives callbacks; it can be mounted at any path."""

    def __init__(
        self,
        callbacks: Receiver,
        work: Work | Callable[[Callback], Awaitable[object]],
        *,
        max_body: int = MAX_BODY,
    ) -> None:
        """Configure the app to call `work` for each new callback.

        `work` runs in a thread if it isn't async. If it raises, the exception is passed on and the
        server answers 500. Bodies longer than `max_body` bytes are refused with 413.
        """
        self._callbacks = callbacks
        self._work = work
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request, or the server's startup and shutdown (`lifespan`) messages.

        Raises ValueError for any other type of scope, such as a WebSocket.
        """
        match scope["type"]:
            case "http":
                await self._serve(scope, receive, send)
            case "lifespan":
                await _live(receive, send)
            case other:
                raise ValueError(
                    f"got an ASGI connection of type {other!r}; only http is supported"
                )

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (refused := refusal_of(scope["method"])) is not None:
            await _send(refused, send)
            return
        match await _read_body(receive, self._max_body):
            case None:
                return  # the client has disconnected, so no answer can be sent
            case Answer() as refusal:
                await _send(refusal, send)
            case body:
                request = request_of(scope, body)
                await _send(await self._callbacks.handle_async(request, self._work), send)


def request_of(scope: Mapping[str, Any], body: bytes) -> ReceivedRequest:
    """Return the ReceivedRequest of an ASGI scope and its body.

    If the server doesn't pass the raw path, the decoded path is percent-encoded again.
    """
    query = scope.get("query_string", b"").decode("latin-1")
    target = target_of(_path(scope), query)
    return read_request(scope["method"], scope["headers"], body, target=target)


def _path(scope: Mapping[str, Any]) -> str:
    if raw := scope.get("raw_path"):
        return raw.decode("latin-1")
    # The path begins with the root path, except on servers older than this rule of ASGI.
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    return quoted(path if f"{path}/".startswith(f"{root}/") else root + path)


async def _read_body(receive: Receive, max_body: int) -> bytes | Answer | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > max_body:
            return TOO_LONG
        if not message.get("more_body", False):
            return bytes(body)


async def _send(answer: Answer, send: Send) -> None:
    body = answer.text.encode()
    headers = headers_of(answer) | {"Content-Length": str(len(body))}
    pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    while True:
        phase = (await receive())["type"]
        await send({"type": f"{phase}.complete"})
        if phase == "lifespan.shutdown":
            return


__getattr__ = renamed(__name__, {"CallbackApp": "AsgiCallbackApp"})
