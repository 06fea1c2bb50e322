"""Callbacks under ASGI.

application = AsgiCallbackApp(callbacks, work)
"""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from ringback.core.deprecated_names import renamed
from ringback.receiver.callback import Callback
from ringback.receiver.http import MAX_BODY, TOO_LONG, headers_of, quoted, refusal_of, target_of
from ringback.receiver.receiver import Receiver, Work, read_request
from ringback.receiver.results import Answer
from ringback.receiver.verification import ReceivedRequest

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class AsgiCallbackApp:
    """An ASGI application that receives callbacks, at whatever path it is put."""

    def __init__(
        self,
        callbacks: Receiver,
        work: Work | Callable[[Callback], Awaitable[object]],
        *,
        max_body: int = MAX_BODY,
    ) -> None:
        """Call `work` for each callback, and refuse bodies longer than `max_body`.

        Work that is not a coroutine runs in a thread. Its errors are raised, and the server answers
        500.
        """
        self._callbacks = callbacks
        self._work = work
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or the server's word that it starts and stops."""
        match scope["type"]:
            case "http":
                await self._serve(scope, receive, send)
            case "lifespan":
                await _live(receive, send)
            case other:
                raise ValueError(f"{other!r}: callbacks come by HTTP")

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (refused := refusal_of(scope["method"])) is not None:
            await _send(refused, send)
            return
        match await _read_body(receive, self._max_body):
            case None:
                return  # the client has gone, and nobody is left to be answered
            case Answer() as refusal:
                await _send(refusal, send)
            case body:
                request = request_of(scope, body)
                await _send(await self._callbacks.handle_async(request, self._work), send)


def request_of(scope: Mapping[str, Any], body: bytes) -> ReceivedRequest:
    """Return the request of a scope and a body.

    Where the server doesn't hand over the raw path, it is quoted again.
    """
    query = scope.get("query_string", b"").decode("latin-1")
    target = target_of(_path(scope), query)
    return read_request(scope["method"], scope["headers"], body, target=target)


def _path(scope: Mapping[str, Any]) -> str:
    if raw := scope.get("raw_path"):
        return raw.decode("latin-1")
    # A path has the root in front, but for servers that are older than this rule.
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
