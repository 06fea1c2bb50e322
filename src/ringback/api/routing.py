"""One route for each path, whatever the verb, so that a wrong verb is told all the right ones."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

Handler = Callable[[Request], Awaitable[Response]]


def resource(path: str, *, get: Handler, post: Handler | None = None) -> Route:
    """Return the route of a path that can be read, and written to where it says so."""
    handlers = {"GET": get, "HEAD": get} | ({"POST": post} if post else {})

    async def answer(request: Request) -> Response:
        return await handlers[request.method](request)

    return Route(path, answer, methods=list(handlers))
