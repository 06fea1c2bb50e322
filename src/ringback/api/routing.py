"""One route for each path, whatever the verb, so that a wrong verb is told all the right ones."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ringback.api.addressing import names_in_path

Handler = Callable[[Request], Awaitable[Response]]


def resource(
    path: str,
    *,
    get: Handler | None = None,
    post: Handler | None = None,
    patch: Handler | None = None,
    delete: Handler | None = None,
) -> Route:
    """Return the route of a path that can be read, written to or deleted."""
    handlers = {"GET": get, "HEAD": get, "POST": post, "PATCH": patch, "DELETE": delete}
    handlers = {verb: handler for verb, handler in handlers.items() if handler is not None}

    async def answer(request: Request) -> Response:
        request.scope["path_params"] = names_in_path(request)
        return await handlers[request.method](request)

    return Route(path, answer, methods=list(handlers))
