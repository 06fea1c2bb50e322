"""The portal API's table of routes."""

from starlette.routing import BaseRoute

from ringback.api.portal.callbacks import CallbackResource
from ringback.api.routing import resource
from ringback.api.services import Services


def portal_routes(services: Services) -> list[BaseRoute]:
    """Return the routes of the portal API."""
    callbacks = CallbackResource(services)
    return [
        resource("/portal/v1/callbacks", get=callbacks.list),
        resource("/portal/v1/callbacks/{sid}", get=callbacks.fetch),
        resource("/portal/v1/callbacks/{sid}/attempts", get=callbacks.attempts),
    ]
