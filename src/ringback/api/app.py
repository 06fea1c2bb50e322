"""Builds the ASGI application that serves all APIs."""

from collections.abc import Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

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
from ringback.api.portal.devices import DeviceEndpoints
from ringback.api.portal.kore_test_events import TestEventEndpoints
from ringback.api.portal.network_scenarios import ScenarioEndpoints
from ringback.api.portal.replays import ReplayEndpoints
from ringback.api.portal.shadows import ShadowEndpoints
from ringback.api.portal.totals import TotalsEndpoints
from ringback.api.supersim.access_profiles import AccessProfileEndpoints, NetworkEndpoints
from ringback.api.supersim.commands import IpCommandEndpoints, SmsCommandEndpoints
from ringback.api.supersim.esim_profiles import EsimProfileEndpoints
from ringback.api.supersim.fleets import FleetEndpoints
from ringback.api.supersim.read_only import ReadOnlyEndpoints
from ringback.api.supersim.sims import SuperSimEndpoints
from ringback.api.wireless.commands import WirelessCommandEndpoints
from ringback.api.wireless.data_sessions import DataSessionEndpoints
from ringback.api.wireless.rate_plans import RatePlanEndpoints
from ringback.api.wireless.sims import WirelessSimEndpoints
from ringback.api.wireless.usage import WirelessUsageEndpoints
from ringback.core.errors import ApiError, StoreUnavailable

# `Exception` is also logged by the server, with its traceback.
_ANSWERED: Final = (ApiError, HTTPException, Exception)

_SUPER_SIM: Final = (
    SuperSimEndpoints,
    SmsCommandEndpoints,
    IpCommandEndpoints,
    EsimProfileEndpoints,
    FleetEndpoints,
    AccessProfileEndpoints,
    NetworkEndpoints,
    ReadOnlyEndpoints,
)
_WIRELESS: Final = (
    WirelessSimEndpoints,
    WirelessCommandEndpoints,
    RatePlanEndpoints,
    WirelessUsageEndpoints,
    DataSessionEndpoints,
)
_PORTAL: Final = (
    CallbackEndpoints,
    ComparisonEndpoints,
    CreateCallbacksEndpoints,
    ReplayEndpoints,
    TotalsEndpoints,
    TestEventEndpoints,
    ShadowEndpoints,
    DeviceEndpoints,
    ScenarioEndpoints,
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
        routes=all_routes(dependencies, portal=portal, beside=beside),
        exception_handlers={**dict.fromkeys(_ANSWERED, answer), StoreUnavailable: unavailable},
    )
    # A path that ends with a slash is a different path; a redirect would turn a POST into a GET.
    app.router.redirect_slashes = False
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
    supersim, wireless = supersim_operations(dependencies), wireless_operations(dependencies)
    portal = [*portal_operations(dependencies), *portal]
    return [
        *routes_of([*portal, *supersim, *wireless]),
        *kore_routes(dependencies),
        *beside,
        *openapi_routes([*supersim, *portal], wireless),
    ]


def supersim_operations(dependencies: ApiDependencies) -> list[ApiOperation]:
    """Return the operations of the Super SIM API."""
    return [each for kind in _SUPER_SIM for each in kind(dependencies).operations()]


def wireless_operations(dependencies: ApiDependencies) -> list[ApiOperation]:
    """Return the operations of the Programmable Wireless API."""
    return [each for kind in _WIRELESS for each in kind(dependencies).operations()]


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
