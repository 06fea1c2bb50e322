"""The Programmable Wireless operations at `/v1/RatePlans`."""

from typing import Any, Final

from starlette.responses import Response

from ringback.api.endpoint_group import ApiRequest, Change, WirelessEndpointGroup
from ringback.api.host_routing import is_at_kore
from ringback.api.operation_definition import (
    FRIENDLY_NAME,
    UNIQUE_NAME,
    ApiOperation,
    OperationParameter,
)
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import (
    FLAG,
    METHOD,
    REMOVABLE_URL,
    URL_OR_EMPTY,
    list_of,
    number,
    one_of,
    sid_of,
)
from ringback.api.serializers import (
    ACCOUNT_SID,
    ExclusiveFieldVendor,
    Serializer,
    dated_at,
    field,
    json_answer,
    maybe,
    of_vendor,
    worked_out,
)
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.form_encoding import as_field
from ringback.core.sids import SidKind
from ringback.core.wireless.rate_plan import (
    DATA_LIMITS,
    DataLimitStrategy,
    RatePlan,
    RatePlanDataMetering,
    RoamingService,
)
from ringback.operations.wireless.rate_plans import (
    RatePlanUpdateRequest,
    create_rate_plan,
    delete_rate_plan,
    fetch_rate_plan,
    list_rate_plans,
    rename_rate_plan,
)

_PATH: Final = "/wireless/v1/RatePlans"
_LIMIT: Final = number(*DATA_LIMITS)

_FLAGS: Final = ("DataEnabled", "MessagingEnabled", "VoiceEnabled", "NationalRoamingEnabled")
_LIMITS: Final = ("DataLimit", "NationalRoamingDataLimit", "InternationalRoamingDataLimit")

RATE_PLAN: Final = Serializer[RatePlan](
    "rate_plan",
    "rate_plans",
    *(field("sid", sid_of(SidKind.RATE_PLAN)), maybe("unique_name"), ACCOUNT_SID),
    *(maybe("friendly_name"), field("data_enabled", FLAG)),
    *(field("data_metering", one_of(RatePlanDataMetering)), field("data_limit", _LIMIT)),
    *(field("messaging_enabled", FLAG), field("voice_enabled", FLAG)),
    field("national_roaming_enabled", FLAG),
    field("national_roaming_data_limit", _LIMIT),
    worked_out(
        "international_roaming",
        list_of(one_of(RoamingService)),
        lambda plan: list(plan.international_roaming),
    ),
    field("international_roaming_data_limit", _LIMIT),
    *dated_at(_PATH),
    of_vendor(
        ExclusiveFieldVendor.KORE,
        worked_out(
            "usage_notification_url", URL_OR_EMPTY, lambda plan: plan.usage_notification_url or ""
        ),
    ),
    of_vendor(ExclusiveFieldVendor.KORE, field("usage_notification_method", METHOD)),
    of_vendor(ExclusiveFieldVendor.KORE, field("data_limit_strategy", one_of(DataLimitStrategy))),
)

_NAMES: Final = (UNIQUE_NAME, FRIENDLY_NAME)
# These are in a sample and in KORE's responses; no documentation says what would be sent.
_NOTIFICATION: Final = (
    OperationParameter(
        "UsageNotificationUrl", REMOVABLE_URL, "This URL is stored, but never called."
    ),
    OperationParameter("UsageNotificationMethod", METHOD, "This method is stored, but never used."),
)
_RENAME: Final = (*_NAMES, *_NOTIFICATION)
_CREATE: Final = (
    *_NAMES,
    OperationParameter("DataEnabled", FLAG, "true if its SIMs can use data (default true)."),
    OperationParameter("DataLimit", _LIMIT, "MB per month in the home network (default 1000)."),
    OperationParameter(
        "DataMetering", one_of(RatePlanDataMetering), "The way data is metered (default payg)."
    ),
    OperationParameter(
        "MessagingEnabled", FLAG, "true if its SIMs can use Commands (default true)."
    ),
    OperationParameter("VoiceEnabled", FLAG, "Deprecated: stored, but not used (default false)."),
    OperationParameter(
        "NationalRoamingEnabled",
        FLAG,
        "true if its SIMs can use other networks than the home network in the USA (default false).",
    ),
    OperationParameter(
        "InternationalRoaming",
        list_of(one_of(RoamingService)),
        "A service that its SIMs can use abroad; repeat it for several (default: none).",
    ),
    OperationParameter(
        "NationalRoamingDataLimit",
        _LIMIT,
        "MB per month in other networks in the USA (default 1000).",
    ),
    OperationParameter(
        "InternationalRoamingDataLimit", _LIMIT, "MB per month abroad (default 1000)."
    ),
    OperationParameter(
        "DataLimitStrategy",
        one_of(DataLimitStrategy),
        "The action of the home network if a SIM reaches its limit: block (the default) or"
        " throttle.",
    ),
    *_NOTIFICATION,
)


class RatePlanEndpoints(WirelessEndpointGroup):
    """The operations on rate plans."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on rate plans."""
        plans = self.on(_PATH, "RatePlan", RATE_PLAN)
        return [
            self.answers(
                *(_PATH, "CreateRatePlan"),
                "Create a rate plan. With KORE's host names the status is 200.",
                *(RATE_PLAN, self._create),
                verb="POST",
                statuses=(200, 201),
                takes=_CREATE,
            ),
            plans.lists("List rate plans, newest first.", list_rate_plans),
            plans.fetches("Fetch a rate plan.", fetch_rate_plan),
            plans.updates("Rename a rate plan.", self._rename, takes=_RENAME),
            plans.deletes("Delete a rate plan that no SIM uses.", delete_rate_plan),
        ]

    async def _create(self, call: ApiRequest) -> Response:
        names, allowed = self._names(call.given), _allowed(call.given)
        plan = await self.change(
            call.request,
            lambda tx, context: create_rate_plan(tx, call.account_sid, names, allowed, context),
        )
        status = 200 if is_at_kore(call.request) else 201
        return json_answer(RATE_PLAN.at(call.request)(plan), status)

    def _rename(self, call: ApiRequest) -> Change[RatePlan]:
        names = self._names(call.given)
        return lambda tx, context: rename_rate_plan(tx, call.account_sid, call.sid, names, context)

    def _names(self, form: RequestParameters) -> RatePlanUpdateRequest:
        return RatePlanUpdateRequest(
            unique_name=form.label("UniqueName"),
            friendly_name=form.label("FriendlyName"),
            usage_notification_url=self._address(form, "UsageNotificationUrl"),
            usage_notification_method=form.choice("UsageNotificationMethod", HttpMethod),
        )


def _allowed(form: RequestParameters) -> dict[str, Any]:
    """Return the settings that a request gives for a rate plan, by the record's field names."""
    services = form.all("InternationalRoaming")
    unknown = next((each for each in services if each not in list(RoamingService)), None)
    if unknown is not None:
        raise form.wrong(
            f"InternationalRoaming={unknown!r}: it must be one of {', '.join(RoamingService)}"
        )
    given = {
        **{as_field(name): form.flag(name) for name in _FLAGS},
        **{as_field(name): form.number(name, *DATA_LIMITS, default=None) for name in _LIMITS},
        "data_metering": form.choice("DataMetering", RatePlanDataMetering),
        "data_limit_strategy": form.choice("DataLimitStrategy", DataLimitStrategy),
        "international_roaming": tuple(sorted(set(services))),
    }
    return {name: value for name, value in given.items() if value is not None}
