"""One route for each path, whatever the verb, so that a wrong verb is told all the right ones."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Handler = Callable[[Request], Awaitable[Response]]


def resource(path: str, *, get: Handler | None = None, post: Handler | None = None) -> Route:
    """Return the route of a path that can be read, or written to, or both."""
    handlers = {"GET": get, "HEAD": get, "POST": post}
    handlers = {verb: handler for verb, handler in handlers.items() if handler is not None}

    async def answer(request: Request) -> Response:
        return await handlers[request.method](request)

    return Route(path, answer, methods=list(handlers))
