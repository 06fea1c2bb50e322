"""Builds the ASGI application that serves all APIs."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
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
from ringback.api.kore.accounts import KoreAccountEndpoints
from ringback.api.kore.api_clients import ApiClientEndpoints
from ringback.api.kore.token_endpoint import TokenEndpoints
from ringback.api.kore.webhook_secrets import WebhookSecretEndpoints
from ringback.api.openapi.publishing import openapi_routes
from ringback.api.operation_definition import ApiOperation, resource, routes_of
from ringback.api.portal.callbacks import CALLBACKS, CallbackEndpoints
from ringback.api.portal.comparison import ComparisonEndpoints
from ringback.api.portal.create_callbacks import CreateCallbacksEndpoints
from ringback.api.portal.kore_test_events import TestEventEndpoints
from ringback.api.portal.replays import ReplayEndpoints
from ringback.api.portal.shadows import ShadowEndpoints
from ringback.api.portal.totals import TotalsEndpoints
from ringback.core.errors import ApiError, StoreUnavailable

# `Exception` is also logged by the server, with its traceback.
_ANSWERED: Final = (ApiError, HTTPException, Exception)

_PORTAL: Final = (
    CallbackEndpoints,
    ComparisonEndpoints,
    CreateCallbacksEndpoints,
    ReplayEndpoints,
    TotalsEndpoints,
    TestEventEndpoints,
    ShadowEndpoints,
)


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

    app = Starlette(
        routes=[*_first_routes(dependencies, portal), *beside],
        exception_handlers={**dict.fromkeys(_ANSWERED, answer), StoreUnavailable: unavailable},
    )
    # A path that ends with a slash is a different path; a redirect would turn a POST into a GET.
    app.router.redirect_slashes = False
    app.router.default = OnDemandRouter(partial(_sim_routes, dependencies))
    return HostRouting(CorsHeadersMiddleware(app))


def direct_handlers(dependencies: ApiDependencies) -> dict[tuple[str, bytes], DirectHandler]:
    """Return the handlers by which the server answers requests without the ASGI application."""
    return {("POST", CALLBACKS.encode()): CreateCallbacksEndpoints(dependencies).send_directly}


def all_routes(
    dependencies: ApiDependencies,
    *,
    portal: Sequence[ApiOperation] = (),
    beside: Sequence[BaseRoute] = (),
) -> list[BaseRoute]:
    """Return the routes of all APIs, the OpenAPI documents, and those in `beside`."""
    return [*_first_routes(dependencies, portal), *beside, *_sim_routes(dependencies)]


def _first_routes(dependencies: ApiDependencies, portal: Sequence[ApiOperation]) -> list[BaseRoute]:
    """Return the routes that the server has from its start."""
    shared = portal_operations(dependencies)

    def documented() -> tuple[Sequence[ApiOperation], Sequence[ApiOperation]]:
        from ringback.api import sim_apis  # noqa: PLC0415 (see `OnDemandRouter`)

        of_devices = sim_apis.device_operations(dependencies)
        supersim = sim_apis.supersim_operations(dependencies)
        return (
            [*supersim, *shared, *of_devices, *portal],
            sim_apis.wireless_operations(dependencies),
        )

    return [*routes_of([*shared, *portal]), *kore_routes(dependencies), *openapi_routes(documented)]


def _sim_routes(dependencies: ApiDependencies) -> list[BaseRoute]:
    from ringback.api import sim_apis  # noqa: PLC0415 (see `OnDemandRouter`)

    return routes_of(
        [
            *sim_apis.device_operations(dependencies),
            *sim_apis.supersim_operations(dependencies),
            *sim_apis.wireless_operations(dependencies),
        ]
    )


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


def portal_operations(dependencies: ApiDependencies) -> list[ApiOperation]:
    """Return the operations of Ringback's own API (the portal) that `dev` and `serve` share."""
    return [each for kind in _PORTAL for each in kind(dependencies).operations()]


def kore_routes(dependencies: ApiDependencies) -> list[BaseRoute]:
    """Return the routes of KORE's own APIs: tokens, API clients, accounts and webhook secrets."""
    secrets, clients = WebhookSecretEndpoints(dependencies), ApiClientEndpoints(dependencies)
    accounts, tokens = KoreAccountEndpoints(dependencies), TokenEndpoints(dependencies)
    return [
        resource("/api-services/v1/auth/token", post=tokens.exchange),
        resource("/webhook/v1/secrets", get=secrets.list, post=secrets.create),
        resource("/webhook/v1/secrets/{id}", patch=secrets.update),
        resource("/client/v1/clients", get=clients.list, post=clients.create),
        resource("/client/v1/clients/{client_id}", get=clients.fetch),
        resource("/client/v1/ping", get=clients.ping),
        resource("/iam/v1/accounts", get=accounts.fetch_all, post=accounts.create),
        resource("/iam/v1/platform_account_mappings", get=accounts.mappings),
    ]
