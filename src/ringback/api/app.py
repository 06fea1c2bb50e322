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
from ringback.api.kore.routes import kore_routes
from ringback.api.openapi.routes import openapi_routes
from ringback.api.operation import routes_of
from ringback.api.portal.routes import portal_routes
from ringback.api.services import Services
from ringback.api.supersim.routes import supersim_operations
from ringback.api.wireless.routes import wireless_operations
from ringback.core.errors import RequestRefused, StoreUnavailable

# The last one also goes to the server's log, with its traceback.
_ANSWERED: Final = (RequestRefused, HTTPException, Exception)


def create_app(services: Services, *, beside: Sequence[BaseRoute] = ()) -> ASGIApp:
    """Return the application that answers all APIs, and what is `beside` them for the operator."""

    def unavailable(request: Request, failure: Exception) -> Response:
        services.refused()
        return answer(request, failure)

    app = Starlette(
        routes=all_routes(services, beside=beside),
        exception_handlers={**dict.fromkeys(_ANSWERED, answer), StoreUnavailable: unavailable},
    )
    # A path that ends with a slash is another path; a redirect would turn a POST into a GET.
    app.router.redirect_slashes = False
    return Addressing(CrossOrigin(app))


def all_routes(services: Services, *, beside: Sequence[BaseRoute] = ()) -> list[BaseRoute]:
    """Return the route of every path that the application answers."""
    supersim, wireless = supersim_operations(services), wireless_operations(services)
    portal, operations = portal_routes(services), routes_of([*supersim, *wireless])
    kore = kore_routes(services)
    described = openapi_routes(supersim, wireless, beside=[*portal, *beside])
    return [*portal, *kore, *operations, *beside, *described]
