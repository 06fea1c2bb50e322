"""The Super SIM API's table of routes."""

from starlette.routing import BaseRoute

from ringback.api.routing import resource
from ringback.api.services import Services
from ringback.api.supersim.sims import SimResource


def supersim_routes(services: Services) -> list[BaseRoute]:
    """Return the routes of the Super SIM API."""
    sims = SimResource(services)
    return [
        resource("/supersim/v1/Sims", get=sims.list, post=sims.register),
        resource("/supersim/v1/Sims/{sid}", get=sims.fetch, post=sims.update),
    ]
