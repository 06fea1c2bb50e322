"""All APIs as one ASGI application."""

from collections.abc import Sequence
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from ringback.api.addressing import Addressing
from ringback.api.cross_origin import CrossOrigin
from ringback.api.errors import answer
from ringback.api.kore.accounts import AccountEndpoints
from ringback.api.kore.clients import ClientEndpoints
from ringback.api.kore.secrets import SecretEndpoints
from ringback.api.kore.token import TokenEndpoints
from ringback.api.openapi.routes import openapi_routes
from ringback.api.operation import Operation, resource, routes_of
from ringback.api.portal.callbacks import CallbackEndpoints
from ringback.api.portal.devices import DeviceEndpoints
from ringback.api.portal.event_trials import EventTrials
from ringback.api.portal.replays import ReplayEndpoints
from ringback.api.portal.scenarios import ScenarioEndpoints
from ringback.api.portal.sending import Sending
from ringback.api.portal.shadows import ShadowEndpoints
from ringback.api.portal.totals import TotalsEndpoints
from ringback.api.services import Services
from ringback.api.supersim.access_profiles import AccessProfileEndpoints, NetworkEndpoints
from ringback.api.supersim.commands import IpCommandEndpoints, SmsCommandEndpoints
from ringback.api.supersim.esim_profiles import EsimProfileEndpoints
from ringback.api.supersim.fleets import FleetEndpoints
from ringback.api.supersim.histories import HistoryEndpoints
from ringback.api.supersim.sims import SimEndpoints
from ringback.api.wireless import sims as wireless_sims
from ringback.api.wireless.commands import CommandEndpoints
from ringback.api.wireless.data_sessions import DataSessionEndpoints
from ringback.api.wireless.rate_plans import RatePlanEndpoints
from ringback.api.wireless.usage import UsageEndpoints
from ringback.core.errors import RequestRefused, StoreUnavailable

# The last one also goes to the server's log, with its traceback.
_ANSWERED: Final = (RequestRefused, HTTPException, Exception)


_SUPER_SIM: Final = (
    *(SimEndpoints, SmsCommandEndpoints, IpCommandEndpoints, EsimProfileEndpoints, FleetEndpoints),
    *(AccessProfileEndpoints, NetworkEndpoints, HistoryEndpoints),
)
_WIRELESS: Final = (
    *(wireless_sims.SimEndpoints, CommandEndpoints, RatePlanEndpoints, UsageEndpoints),
    DataSessionEndpoints,
)
_PORTAL: Final = (
    *(CallbackEndpoints, Sending, ReplayEndpoints, TotalsEndpoints, EventTrials, ShadowEndpoints),
    *(DeviceEndpoints, ScenarioEndpoints),
)


def create_app(
    services: Services,
    *,
    portal: Sequence[Operation] = (),
    beside: Sequence[BaseRoute] = (),
) -> ASGIApp:
    """Return the application that answers all APIs, and what is `beside` them for the operator.

    The portal has these operations beside those that it always has.
    """

    def unavailable(request: Request, failure: Exception) -> Response:
        services.refused()
        return answer(request, failure)

    app = Starlette(
        routes=all_routes(services, portal=portal, beside=beside),
        exception_handlers={**dict.fromkeys(_ANSWERED, answer), StoreUnavailable: unavailable},
    )
    # A path that ends with a slash is another path; a redirect would turn a POST into a GET.
    app.router.redirect_slashes = False
    return Addressing(CrossOrigin(app))


def all_routes(
    services: Services,
    *,
    portal: Sequence[Operation] = (),
    beside: Sequence[BaseRoute] = (),
) -> list[BaseRoute]:
    """Return the route of every path that the application answers."""
    supersim, wireless = supersim_operations(services), wireless_operations(services)
    portal = [*portal_operations(services), *portal]
    return [
        *routes_of([*portal, *supersim, *wireless]),
        *kore_routes(services),
        *beside,
        *openapi_routes([*supersim, *portal], wireless),
    ]


def supersim_operations(services: Services) -> list[Operation]:
    """Return the operations of the Super SIM API."""
    return [each for kind in _SUPER_SIM for each in kind(services).operations()]


def wireless_operations(services: Services) -> list[Operation]:
    """Return the operations of the Programmable Wireless API."""
    return [each for kind in _WIRELESS for each in kind(services).operations()]


def portal_operations(services: Services) -> list[Operation]:
    """Return the operations that the portal always has."""
    return [each for kind in _PORTAL for each in kind(services).operations()]


def kore_routes(services: Services) -> list[BaseRoute]:
    """Return the routes of KORE's own APIs: tokens, API clients, accounts and webhook secrets."""
    secrets, clients = SecretEndpoints(services), ClientEndpoints(services)
    accounts, tokens = AccountEndpoints(services), TokenEndpoints(services)
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
