"""The Programmable Wireless operations at `/v1/Sims`."""

from functools import partial
from typing import Any, Final

from ringback.api.endpoint_group import ApiRequest, Change, WirelessEndpointGroup
from ringback.api.operation_definition import (
    CALLED_BACK,
    FRIENDLY_NAME,
    UNIQUE_NAME,
    ApiOperation,
    OperationParameter,
    filtered,
)
from ringback.api.schema_pieces import (
    METHOD,
    REMOVABLE_URL,
    TEXT,
    URL,
    URL_OR_EMPTY,
    object_of,
    one_of,
    or_null,
    sid_of,
)
from ringback.api.serializers import (
    ACCOUNT_SID,
    ExclusiveFieldVendor,
    SerializedField,
    Serializer,
    UrlOf,
    configured,
    dated_at,
    field,
    maybe,
    of_vendor,
    worked_out,
)
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.form_encoding import as_field
from ringback.core.sids import SidKind
from ringback.core.wireless.sim import WirelessSim, WirelessStatus
from ringback.operations.wireless import sims

_PATH: Final = "/wireless/v1/Sims"
_RESETTING: Final = {"type": "string", "enum": ["resetting"]}

# Deprecated handlers of calls, and of SMS other than Commands: stored, but not used.
_HANDLERS: Final = ("Sms", "SmsFallback", "Voice", "VoiceFallback")


def _handler_fields() -> list[SerializedField[Any]]:
    shown = list[SerializedField[Any]]()
    for name in _HANDLERS:
        url, method = as_field(f"{name}Url"), as_field(f"{name}Method")
        shown.append(worked_out(url, or_null(URL), partial(_handler, url, None)))
        shown.append(worked_out(method, METHOD, partial(_handler, method, HttpMethod.POST)))
    return shown


def _handler(name: str, default: str | None, sim: WirelessSim) -> str | None:
    return sim.handlers.get(name, default)


def _links(sim: WirelessSim, url: UrlOf) -> dict[str, str | None]:
    own, plan = f"{_PATH}/{sim.sid}", sim.rate_plan_sid
    return {
        "data_sessions": url(f"{own}/DataSessions"),
        "rate_plan": plan and url(f"/wireless/v1/RatePlans/{plan}"),
        "usage_records": url(f"{own}/UsageRecords"),
    }


def _kores_links(sim: WirelessSim, url: UrlOf) -> dict[str, str]:
    """Return a SIM's links in KORE's form, which has empty strings instead of null."""
    return {name: link or "" for name, link in _links(sim, url).items()}


_EID: Final = maybe("e_id", TEXT, "eid")
_LINKS_SCHEMA: Final = object_of(
    data_sessions=URL, rate_plan=or_null(URL_OR_EMPTY), usage_records=URL
)

SIM: Final = Serializer[WirelessSim](
    "wireless_sim",
    "sims",
    *(field("sid", sid_of(SidKind.WIRELESS_SIM)), maybe("unique_name"), ACCOUNT_SID),
    *(maybe("rate_plan_sid", sid_of(SidKind.RATE_PLAN)), maybe("friendly_name"), field("iccid")),
    *(
        of_vendor(ExclusiveFieldVendor.TWILIO, _EID),
        of_vendor(ExclusiveFieldVendor.KORE, maybe("eid")),
    ),
    field("status", one_of(WirelessStatus)),
    worked_out(
        "reset_status", or_null(_RESETTING), lambda sim: "resetting" if sim.is_resetting else None
    ),
    configured("commands_callback_url", "commands_to.url"),
    field("commands_callback_method", METHOD, "commands_to.method"),
    *_handler_fields(),
    *dated_at(_PATH),
    SerializedField("links", _LINKS_SCHEMA, _links, ExclusiveFieldVendor.TWILIO),
    SerializedField("links", _LINKS_SCHEMA, _kores_links, ExclusiveFieldVendor.KORE),
    # Deprecated in the documentation, which does not say what address it would be.
    worked_out("ip_address", {"type": "null"}, lambda _: None),
)

_FILTERS: Final = (
    filtered("Status", "Only SIMs with this status.", WirelessStatus),
    filtered("Iccid", "Only the SIM with this ICCID."),
    filtered("RatePlan", "Only SIMs with this rate plan: its SID or unique name."),
    filtered("EId", "Deprecated: only SIMs with this eUICC identifier."),
    filtered("SimRegistrationCode", "Only the SIM with this registration code."),
)
_UPDATE: Final = (
    UNIQUE_NAME,
    *CALLED_BACK,
    FRIENDLY_NAME,
    OperationParameter(
        "RatePlan", TEXT, "The SID or unique name of its rate plan; empty to remove it."
    ),
    OperationParameter("Status", one_of(WirelessStatus), "The new status of the SIM."),
    OperationParameter(
        "CommandsCallbackMethod",
        METHOD,
        "The HTTP method of callbacks to CommandsCallbackUrl (default POST).",
    ),
    OperationParameter(
        "CommandsCallbackUrl",
        REMOVABLE_URL,
        "The URL that receives callbacks about Commands from its device; empty to remove it.",
    ),
    *(
        each
        for name in _HANDLERS
        for each in (
            OperationParameter(
                f"{name}Url", REMOVABLE_URL, "Deprecated: this URL is stored, but never called."
            ),
            OperationParameter(
                f"{name}Method", METHOD, "Deprecated: this method is stored, but never used."
            ),
        )
    ),
    OperationParameter(
        "ResetStatus", _RESETTING, "`resetting` makes the network reset the SIM's connectivity."
    ),
    OperationParameter(
        "AccountSid",
        sid_of(SidKind.ACCOUNT),
        "The subaccount to move the SIM to; only if its status is `new`.",
    ),
)


class WirelessSimEndpoints(WirelessEndpointGroup):
    """The operations on Programmable Wireless SIMs."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on Programmable Wireless SIMs."""
        record = self.on(_PATH, "Sim", SIM)
        updates = "Update a SIM. Its status is `scheduled` or `updating` until the change is done."
        return [
            record.lists("List SIMs, newest first.", sims.list_sims, *_FILTERS),
            record.fetches("Fetch a SIM.", sims.fetch_sim),
            record.updates(
                updates, self._update, takes=_UPDATE, calls_back="simUpdated", conflicts=True
            ),
            record.deletes("Delete a SIM.", sims.delete_sim, conflicts=True),
        ]

    def _update(self, call: ApiRequest) -> Change[WirelessSim]:
        form = call.given
        asked = sims.WirelessUpdateRequest(
            unique_name=form.label("UniqueName"),
            friendly_name=form.label("FriendlyName"),
            status=form.choice("Status", WirelessStatus),
            rate_plan=form.text("RatePlan"),
            resets=form.meaning("ResetStatus", {"resetting": True}) or False,
            account_sid=form.text("AccountSid"),
            commands_to=self._target_update(form, "CommandsCallback"),
            handlers=self._handlers(call),
            told=self._called_back(call),
        )
        return lambda tx, context: sims.update_sim(tx, call.account_sid, call.sid, asked, context)

    def _handlers(self, call: ApiRequest) -> dict[str, str]:
        given = dict[str, str | None]()
        for name in _HANDLERS:
            given[as_field(f"{name}Url")] = self._address(call.given, f"{name}Url")
            given[as_field(f"{name}Method")] = call.given.choice(f"{name}Method", HttpMethod)
        return {name: value for name, value in given.items() if value is not None}
