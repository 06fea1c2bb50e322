"""Receive callbacks in a Starlette or FastAPI route.

async def receive(request: Request) -> Response:
    answer = await callbacks.handle_async(await request_of(request), work)
    return PlainTextResponse(answer.text, answer.status, answer.headers)
"""

from collections.abc import Mapping
from typing import Any, Protocol

from ringback.receiver import asgi
from ringback.receiver.verification import ReceivedRequest


class StarletteRequestLike(Protocol):
    """The attributes of a Starlette or FastAPI request that `request_of` reads."""

    @property
    def scope(self) -> Mapping[str, Any]:
        """The ASGI scope of the request."""
        ...

    async def body(self) -> bytes:
        """Return the body exactly as received."""
        ...


async def request_of(request: StarletteRequestLike) -> ReceivedRequest:
    """Return the Starlette request as a ReceivedRequest, to pass to `Receiver.handle_async`.

    Starlette raises RuntimeError if the route has read the form before, since the body can be read
    only once. So a FastAPI route must not have `Form` parameters.
    """
    return asgi.request_of(request.scope, await request.body())
