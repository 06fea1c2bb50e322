"""Builds the ASGI application that serves all APIs.

At its start, it only has the routes for callbacks and for the operator. The modules of the other
APIs are a third of the server's code, so they are imported when the first request for them comes.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from ringback.api.cors import CorsHeadersMiddleware
from ringback.api.dependencies import ApiDependencies
from ringback.api.errors import answer
from ringback.api.host_routing import HostRouting
from ringback.api.http.asgi_runner import DirectHandler
from ringback.api.operation_definition import ApiOperation, routes_of
from ringback.api.portal.callbacks import CALLBACKS, CallbackEndpoints
from ringback.api.portal.create_callbacks import CreateCallbacksEndpoints
from ringback.core.errors import ApiError, StoreUnavailable

# `Exception` is also logged by the server, with its traceback.
_ANSWERED: Final = (ApiError, HTTPException, Exception)

_FIRST: Final = (CallbackEndpoints, CreateCallbacksEndpoints)


def create_app(
    dependencies: ApiDependencies,
    *,
    portal: Sequence[ApiOperation] = (),
    beside: Sequence[BaseRoute] = (),
) -> ASGIApp:
    """Return the ASGI application that serves all APIs.

    `portal` adds operations to the portal API, and `beside` adds routes for the operator, such as
    metrics.
    """

    def unavailable(request: Request, failure: Exception) -> Response:
        dependencies.refused()
        return answer(request, failure)

    def other_routes() -> Sequence[BaseRoute]:
        from ringback.api.all_routes import all_routes  # noqa: PLC0415 (see `OnDemandRouter`)

        return all_routes(dependencies, portal)

    first = [each for kind in _FIRST for each in kind(dependencies).operations()]
    app = Starlette(
        routes=[*routes_of(first), *beside],
        exception_handlers={**dict.fromkeys(_ANSWERED, answer), StoreUnavailable: unavailable},
    )
    # A path that ends with a slash is a different path; a redirect would turn a POST into a GET.
    app.router.redirect_slashes = False
    app.router.default = OnDemandRouter(other_routes)
    return HostRouting(CorsHeadersMiddleware(app))


def direct_handlers(dependencies: ApiDependencies) -> dict[tuple[str, bytes], DirectHandler]:
    """Return the handlers by which the server answers requests without the ASGI application."""
    return {("POST", CALLBACKS.encode()): CreateCallbacksEndpoints(dependencies).send_directly}


class OnDemandRouter:
    """Routes that are made, and their modules imported, when the first request for them comes.

    A thread does that, so that other requests need not wait for it.
    """

    def __init__(self, make: Callable[[], Sequence[BaseRoute]]) -> None:
        self._make = make
        self._making: asyncio.Future[Router] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request by the route that matches it, or with 404."""
        if self._making is None:
            self._making = asyncio.ensure_future(asyncio.to_thread(self._made))
        router = await asyncio.shield(self._making)
        await router(scope, receive, send)

    def _made(self) -> Router:
        return Router(self._make(), redirect_slashes=False)
