"""The portal API's table of routes."""

from starlette.routing import BaseRoute

from ringback.api.portal.callbacks import CallbackResource
from ringback.api.portal.devices import DeviceResource
from ringback.api.portal.replays import ReplayResource
from ringback.api.portal.response_storage import ResponseStorageResource
from ringback.api.portal.scenarios import ScenarioResource
from ringback.api.portal.sending import Sending
from ringback.api.portal.shadows import ShadowResource
from ringback.api.portal.test_events import EventTrials
from ringback.api.portal.totals import TotalsResource
from ringback.api.portal.wireless_sims import WirelessSimResource
from ringback.api.routing import resource
from ringback.api.services import Services


def portal_routes(services: Services) -> list[BaseRoute]:
    """Return the routes of the portal API."""
    callbacks, replays = CallbackResource(services), ReplayResource(services)
    devices, scenarios = DeviceResource(services), ScenarioResource(services)
    trials, shadows = EventTrials(services), ShadowResource(services)
    return [
        resource("/portal/v1/callbacks", get=callbacks.list, post=Sending(services).send),
        resource("/portal/v1/undelivered", get=callbacks.undelivered),
        resource("/portal/v1/replays", post=replays.replay_many),
        resource("/portal/v1/callbacks/{sid}", get=callbacks.fetch),
        resource("/portal/v1/callbacks/{sid}/attempts", get=callbacks.attempts),
        resource("/portal/v1/callbacks/{sid}/replay", post=replays.replay),
        resource("/portal/v1/callbacks/{sid}/discard", post=replays.discard),
        resource("/portal/v1/totals", get=TotalsResource(services).list),
        resource("/portal/v1/response_storage", get=ResponseStorageResource(services).fetch),
        resource("/portal/v1/test_events", post=trials.send),
        resource("/portal/v1/rehearsals", post=trials.rehearse),
        resource("/portal/v1/shadows", get=shadows.list),
        resource("/portal/v1/shadows/report", get=shadows.report),
        resource("/portal/v1/devices/{sim}", get=devices.fetch),
        resource("/portal/v1/devices/{sim}/sms", post=devices.send_sms),
        resource("/portal/v1/devices/{sim}/ip", post=devices.send_datagram),
        resource("/portal/v1/devices/{sim}/commands", post=devices.send_command),
        resource("/portal/v1/devices/{sim}/inbox", get=devices.inbox),
        resource("/portal/v1/devices/{sim}/data", post=devices.use_data),
        resource("/portal/v1/wireless_sims", post=WirelessSimResource(services).register),
        resource("/portal/v1/esim_profiles/{sid}/download", post=devices.download_profile),
        resource("/portal/v1/scenarios", get=scenarios.list, post=scenarios.choose),
    ]
