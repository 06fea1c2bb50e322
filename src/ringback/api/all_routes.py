"""The endpoints and routes of all APIs.

The server imports this module when the first request for one of them comes; see `app`.
"""

from collections.abc import Sequence
from typing import Final

from starlette.routing import BaseRoute

from ringback.api.dependencies import ApiDependencies
from ringback.api.events.sinks import SinkEndpoints
from ringback.api.events.subscriptions import SubscribedEventEndpoints, SubscriptionEndpoints
from ringback.api.events.types_and_schemas import EventTypeEndpoints, schema_routes
from ringback.api.fingerprint import fingerprint_route
from ringback.api.kore.accounts import KoreAccountEndpoints
from ringback.api.kore.api_clients import ApiClientEndpoints
from ringback.api.kore.token_endpoint import TokenEndpoints
from ringback.api.kore.webhook_secrets import WebhookSecretEndpoints
from ringback.api.openapi.publishing import openapi_routes
from ringback.api.operation_definition import ApiOperation, resource, routes_of
from ringback.api.portal.accounts import AccountEndpoints
from ringback.api.portal.api_keys import ApiKeyEndpoints
from ringback.api.portal.audit import AuditEndpoints
from ringback.api.portal.callbacks import CallbackEndpoints
from ringback.api.portal.comparison import ComparisonEndpoints
from ringback.api.portal.counters import CounterEndpoints
from ringback.api.portal.create_callbacks import CreateCallbacksEndpoints
from ringback.api.portal.destinations import DestinationEndpoints
from ringback.api.portal.devices import DeviceEndpoints
from ringback.api.portal.explanation import ExplanationEndpoints
from ringback.api.portal.jobs import JobEndpoints
from ringback.api.portal.kore_test_events import TestEventEndpoints
from ringback.api.portal.network_scenarios import ScenarioEndpoints
from ringback.api.portal.plans import PlanEndpoints
from ringback.api.portal.replays import ReplayEndpoints
from ringback.api.portal.retention import RetentionEndpoints
from ringback.api.portal.shadows import ShadowEndpoints
from ringback.api.portal.shared_links import SharedLinkEndpoints
from ringback.api.portal.stream_rules import StreamRuleEndpoints
from ringback.api.portal.streams import StreamEndpoints
from ringback.api.portal.totals import TotalsEndpoints
from ringback.api.portal.undelivered_groups import UndeliveredGroupEndpoints
from ringback.api.portal.verification import VerificationEndpoints
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
_EVENT_STREAMS: Final = (
    SinkEndpoints,
    SubscriptionEndpoints,
    SubscribedEventEndpoints,
    EventTypeEndpoints,
)
_PORTAL: Final = (
    CallbackEndpoints,
    ExplanationEndpoints,
    ComparisonEndpoints,
    CreateCallbacksEndpoints,
    UndeliveredGroupEndpoints,
    VerificationEndpoints,
    ReplayEndpoints,
    JobEndpoints,
    PlanEndpoints,
    TotalsEndpoints,
    CounterEndpoints,
    TestEventEndpoints,
    ShadowEndpoints,
    DeviceEndpoints,
    ScenarioEndpoints,
    RetentionEndpoints,
    DestinationEndpoints,
    StreamEndpoints,
    StreamRuleEndpoints,
    AccountEndpoints,
    ApiKeyEndpoints,
    SharedLinkEndpoints,
    AuditEndpoints,
)


def all_routes(
    dependencies: ApiDependencies, portal: Sequence[ApiOperation] = ()
) -> list[BaseRoute]:
    """Return the routes of all APIs and of the OpenAPI documents.

    `portal` adds operations to the portal API.
    """
    supersim, wireless = supersim_operations(dependencies), wireless_operations(dependencies)
    events = event_stream_operations(dependencies)
    portal = [*portal_operations(dependencies), *portal]
    return [
        *routes_of([*portal, *supersim, *wireless, *events]),
        *schema_routes(),
        *kore_routes(dependencies),
        fingerprint_route(dependencies.store),
        *openapi_routes([*supersim, *portal], wireless, events),
    ]


def supersim_operations(dependencies: ApiDependencies) -> list[ApiOperation]:
    """Return the operations of the Super SIM API."""
    return [each for kind in _SUPER_SIM for each in kind(dependencies).operations()]


def wireless_operations(dependencies: ApiDependencies) -> list[ApiOperation]:
    """Return the operations of the Programmable Wireless API."""
    return [each for kind in _WIRELESS for each in kind(dependencies).operations()]


def event_stream_operations(dependencies: ApiDependencies) -> list[ApiOperation]:
    """Return the operations of Twilio's Events API."""
    return [each for kind in _EVENT_STREAMS for each in kind(dependencies).operations()]


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
