"""Callbacks in routes of Starlette and FastAPI.

async def receive(request: Request) -> Response:
    answer = await callbacks.handle_async(await request_of(request), work)
    return PlainTextResponse(answer.text, answer.status, answer.headers)
"""

from collections.abc import Mapping
from typing import Any, Protocol

from ringback.receiver import asgi
from ringback.receiver.verification import ReceivedRequest


class StarletteRequestLike(Protocol):
    """What is needed of `starlette.requests.Request`, which is FastAPI's too."""

    @property
    def scope(self) -> Mapping[str, Any]:
        """What the server tells of the request."""
        ...

    async def body(self) -> bytes:
        """Return the body as it came."""
        ...


async def request_of(request: StarletteRequestLike) -> ReceivedRequest:
    """Return the request as it came.

    A route must not have read its form before: a stream is there once, and Starlette raises
    RuntimeError. So a route of FastAPI has no parameters of `Form`.
    """
    return asgi.request_of(request.scope, await request.body())
