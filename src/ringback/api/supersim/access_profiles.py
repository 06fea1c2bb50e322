"""The Super SIM operations at `/v1/NetworkAccessProfiles` and `/v1/Networks`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from ringback.api.endpoint_group import ApiRequest, Change, EndpointGroup, Listing
from ringback.api.operation_definition import (
    UNIQUE_NAME,
    ApiOperation,
    OperationParameter,
    filtered,
    required,
)
from ringback.api.paging import cut
from ringback.api.schema_pieces import TEXT, list_of, object_of, sid_of
from ringback.api.serializers import (
    ACCOUNT_SID,
    Serializer,
    dated_at,
    field,
    link,
    links,
    maybe,
    worked_out,
)
from ringback.core.sids import SidKind
from ringback.core.sims.mobile_networks import MobileNetwork
from ringback.core.supersim.fleet import NetworkAccessProfile
from ringback.operations.context import OperationContext
from ringback.operations.supersim.access_profiles import (
    add_network,
    create_access_profile,
    fetch_access_profile,
    fetch_network,
    fetch_network_of,
    list_access_profiles,
    list_networks,
    networks_of,
    remove_network,
    rename_access_profile,
)
from ringback.ports import PageWindow, Transaction

_PATH: Final = "/supersim/v1/NetworkAccessProfiles"
_NETWORKS_PATH: Final = "/supersim/v1/Networks"


@dataclass(frozen=True, slots=True)
class NetworkInProfile:
    """A network in a Network Access Profile, as a record to serialize."""

    network: MobileNetwork
    network_access_profile_sid: str

    @property
    def sid(self) -> str:
        """The SID of the network."""
        return self.network.sid


def _identifiers(network: MobileNetwork) -> list[dict[str, Any]]:
    return [identifier._asdict() for identifier in network.identifiers]


_IDENTIFIERS: Final = list_of(object_of(mcc=TEXT, mnc=TEXT))

ACCESS_PROFILE: Final = Serializer[NetworkAccessProfile](
    "network_access_profile",
    "network_access_profiles",
    field("sid", sid_of(SidKind.NETWORK_ACCESS_PROFILE)),
    maybe("unique_name"),
    ACCOUNT_SID,
    *dated_at(_PATH),
    links(networks=lambda profile: f"{_PATH}/{profile.sid}/Networks"),
)

NETWORK: Final = Serializer[MobileNetwork](
    "network",
    "networks",
    field("sid", sid_of(SidKind.NETWORK)),
    field("friendly_name"),
    link("url", lambda network: f"{_NETWORKS_PATH}/{network.sid}"),
    field("iso_country"),
    worked_out("identifiers", _IDENTIFIERS, _identifiers),
)

# The published samples have the country in lower case here, and in upper case on the network.
NETWORK_IN_PROFILE: Final = Serializer[NetworkInProfile](
    "network_access_profile_network",
    "networks",
    field("sid", sid_of(SidKind.NETWORK)),
    field("network_access_profile_sid", sid_of(SidKind.NETWORK_ACCESS_PROFILE)),
    field("friendly_name", TEXT, "network.friendly_name"),
    worked_out("iso_country", TEXT, lambda one: one.network.iso_country.lower()),
    worked_out("identifiers", _IDENTIFIERS, lambda one: _identifiers(one.network)),
    link("url", lambda one: f"{_PATH}/{one.network_access_profile_sid}/Networks/{one.sid}"),
)

_CREATE: Final = (
    UNIQUE_NAME,
    OperationParameter(
        "Networks",
        list_of(sid_of(SidKind.NETWORK)),
        "A network that SIMs may use; repeat it for several (default: all networks).",
    ),
)
_ADD: Final = (required("Network", sid_of(SidKind.NETWORK), "The SID of a network."),)
_NETWORK_FILTERS: Final = (
    filtered("IsoCountry", "Only networks of this country (ISO 3166-1 alpha-2)."),
    filtered("Mcc", "Only networks with this mobile country code."),
    filtered("Mnc", "Only networks with this mobile network code."),
)


class AccessProfileEndpoints(EndpointGroup):
    """The operations on Network Access Profiles and on the networks in a profile."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on Network Access Profiles and their networks."""
        profiles = self.on(_PATH, "NetworkAccessProfile", ACCESS_PROFILE)
        path, name = f"{_PATH}/{{sid}}/Networks", "NetworkAccessProfileNetwork"
        networks, one = self.on(path, name, NETWORK_IN_PROFILE), f"{path}/{{network_sid}}"
        fetches = "Fetch a network of a Network Access Profile."
        removes = "Remove a network from a Network Access Profile."
        return [
            profiles.creates("Create a Network Access Profile.", _create, takes=_CREATE),
            profiles.lists("List Network Access Profiles, newest first.", list_access_profiles),
            profiles.fetches("Fetch a Network Access Profile.", fetch_access_profile),
            profiles.updates("Rename a Network Access Profile.", _rename, takes=(UNIQUE_NAME,)),
            networks.lists_for("List the networks of a Network Access Profile.", _list_of),
            networks.creates("Add a network to a Network Access Profile.", _add, takes=_ADD),
            self.answers(*(one, f"Fetch{name}", fetches, NETWORK_IN_PROFILE, self._fetch_network)),
            self.answers(
                *(one, f"Delete{name}", removes, None, self._remove_network),
                verb="DELETE",
                statuses=(204,),
            ),
        ]

    async def _fetch_network(self, call: ApiRequest) -> dict[str, Any]:
        sid = call.request.path_params["network_sid"]
        profile = await self.read(
            call.account_sid, lambda tx: fetch_access_profile(tx, call.account_sid, call.sid)
        )
        network = NetworkInProfile(fetch_network_of(profile, sid), profile.sid)
        return NETWORK_IN_PROFILE.at(call.request)(network)

    async def _remove_network(self, call: ApiRequest) -> Response:
        sid = call.request.path_params["network_sid"]
        await self.change(
            call.request,
            lambda tx, context: remove_network(tx, call.account_sid, call.sid, sid, context),
        )
        return Response(status_code=204)


def _create(call: ApiRequest) -> Change[NetworkAccessProfile]:
    name = call.given.label("UniqueName")
    networks = call.given.all("Networks")
    return lambda tx, context: create_access_profile(
        tx, call.account_sid, unique_name=name, networks=networks, context=context
    )


def _rename(call: ApiRequest) -> Change[NetworkAccessProfile]:
    name = call.given.label("UniqueName")
    return lambda tx, context: rename_access_profile(
        tx, call.account_sid, call.sid, unique_name=name, context=context
    )


def _list_of(call: ApiRequest) -> Listing[NetworkInProfile]:
    """Return a listing of the networks in a profile, in the order in which they were added."""
    return lambda tx, account_sid, window: cut(
        _networks_in(fetch_access_profile(tx, account_sid, call.sid)), window
    )


def _networks_in(profile: NetworkAccessProfile) -> list[NetworkInProfile]:
    return [NetworkInProfile(network, profile.sid) for network in networks_of(profile)]


def _add(call: ApiRequest) -> Change[NetworkInProfile]:
    sid = call.given.required("Network")

    def change(tx: Transaction, context: OperationContext) -> NetworkInProfile:
        profile, network = add_network(
            tx, call.account_sid, call.sid, network_sid=sid, context=context
        )
        return NetworkInProfile(network, profile.sid)

    return change


class NetworkEndpoints(EndpointGroup):
    """The operations on mobile networks."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on mobile networks."""
        networks = self.on(_NETWORKS_PATH, "Network", NETWORK)
        return [
            networks.lists("List all networks.", _list_all, *_NETWORK_FILTERS),
            networks.fetches("Fetch a network.", lambda _, __, sid: fetch_network(sid)),
        ]


def _list_all(
    _: Transaction, __: str, window: PageWindow, **which: str | None
) -> Sequence[MobileNetwork]:
    return cut(list_networks(**which), window)
