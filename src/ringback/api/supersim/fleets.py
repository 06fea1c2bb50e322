"""The Super SIM operations at `/v1/Fleets`."""

from typing import Final

from ringback.api.endpoint_group import ApiRequest, Change, EndpointGroup
from ringback.api.operation_definition import (
    UNIQUE_NAME,
    ApiOperation,
    OperationParameter,
    filtered,
    required,
)
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import FLAG, METHOD, REMOVABLE_URL, number, sid_of, text
from ringback.api.serializers import (
    ACCOUNT_SID,
    Serializer,
    configured,
    dated_at,
    field,
    maybe,
    worked_out,
)
from ringback.core.sids import SidKind
from ringback.core.supersim.fleet import DATA_LIMITS, Fleet
from ringback.operations.supersim import fleets

_PATH: Final = "/supersim/v1/Fleets"

FLEET: Final = Serializer[Fleet](
    "fleet",
    "fleets",
    ACCOUNT_SID,
    field("sid", sid_of(SidKind.FLEET)),
    maybe("unique_name"),
    *dated_at(_PATH),
    field("data_enabled", FLAG),
    field("data_limit", number(*DATA_LIMITS)),
    worked_out("data_metering", {"type": "string", "enum": ["payg"]}, lambda _: "payg"),
    field("sms_commands_enabled", FLAG),
    configured("sms_commands_url", "sms_commands.url"),
    field("sms_commands_method", METHOD, "sms_commands.method"),
    field("network_access_profile_sid", sid_of(SidKind.NETWORK_ACCESS_PROFILE)),
    configured("ip_commands_url", "ip_commands.url"),
    field("ip_commands_method", METHOD, "ip_commands.method"),
)

_PROFILE: Final = "The SID or unique name of the fleet's Network Access Profile."
_SETTINGS: Final = (
    UNIQUE_NAME,
    OperationParameter(
        "IpCommandsUrl",
        REMOVABLE_URL,
        "The URL that receives callbacks about datagrams from devices; empty to remove it.",
    ),
    OperationParameter(
        "IpCommandsMethod", METHOD, "The HTTP method of these callbacks (default POST)."
    ),
    OperationParameter(
        "SmsCommandsUrl",
        REMOVABLE_URL,
        "The URL that receives callbacks about SMS from devices; empty to remove it.",
    ),
    OperationParameter(
        "SmsCommandsMethod", METHOD, "The HTTP method of these callbacks (default POST)."
    ),
    OperationParameter(
        "DataLimit",
        number(*DATA_LIMITS),
        "MB that each SIM may use in a Billing Period (default 1000). A change takes effect at each"
        " SIM's next period or change of status.",
    ),
)
_CREATE: Final = (
    required("NetworkAccessProfile", text(shortest=1), _PROFILE),
    OperationParameter("DataEnabled", FLAG, "true if its SIMs can use data (default true)."),
    OperationParameter(
        "SmsCommandsEnabled", FLAG, "true if its SIMs can send and receive SMS (default true)."
    ),
    *_SETTINGS,
)
_UPDATE: Final = (
    *_SETTINGS,
    OperationParameter("NetworkAccessProfile", text(shortest=1), _PROFILE),
)
_OF_PROFILE: Final = filtered(
    "NetworkAccessProfile", "Only fleets with this Network Access Profile: its SID or unique name."
)


class FleetEndpoints(EndpointGroup):
    """The operations on fleets."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on fleets."""
        record, callback = self.on(_PATH, "Fleet", FLEET), "commandFromSim"
        return [
            record.creates("Create a fleet.", self._create, takes=_CREATE, calls_back=callback),
            record.lists("List fleets, newest first.", fleets.list_fleets, _OF_PROFILE),
            record.fetches("Fetch a fleet.", fleets.fetch_fleet),
            record.updates("Update a fleet.", self._update, takes=_UPDATE, calls_back=callback),
        ]

    def _create(self, call: ApiRequest) -> Change[Fleet]:
        call.given.required("NetworkAccessProfile")
        data, sms = call.given.flag("DataEnabled"), call.given.flag("SmsCommandsEnabled")
        settings = self._read_settings(call.given)
        return lambda tx, context: fleets.create_fleet(
            tx,
            call.account_sid,
            settings,
            data_enabled=data is not False,
            sms_commands_enabled=sms is not False,
            context=context,
        )

    def _update(self, call: ApiRequest) -> Change[Fleet]:
        settings = self._read_settings(call.given)
        return lambda tx, context: fleets.update_fleet(
            tx, call.account_sid, call.sid, settings, context
        )

    def _read_settings(self, form: RequestParameters) -> fleets.FleetParameters:
        return fleets.FleetParameters(
            unique_name=form.label("UniqueName"),
            network_access_profile=form.text("NetworkAccessProfile"),
            data_limit=form.number("DataLimit", *DATA_LIMITS, default=None),
            sms_commands=self._target_update(form, "SmsCommands"),
            ip_commands=self._target_update(form, "IpCommands"),
        )
