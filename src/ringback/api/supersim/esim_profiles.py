"""The Super SIM operations at `/v1/ESimProfiles`."""

from typing import Final

from ringback.api.endpoint_group import ApiRequest, Change, EndpointGroup
from ringback.api.operation_definition import (
    CALLED_BACK,
    ApiOperation,
    OperationParameter,
    filtered,
)
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import FLAG, one_of, sid_of, text
from ringback.api.serializers import ACCOUNT_SID, Serializer, dated_at, field, maybe
from ringback.core.sids import SidKind
from ringback.core.supersim.esim_profile import EsimProfile, EsimStatus, is_eid
from ringback.operations.supersim.esim_profiles import (
    EsimProfileOrder,
    fetch_esim_profile,
    list_esim_profiles,
    order_esim_profile,
)

_PATH: Final = "/supersim/v1/ESimProfiles"

ESIM_PROFILE: Final = Serializer[EsimProfile](
    "esim_profile",
    "esim_profiles",
    field("sid", sid_of(SidKind.ESIM_PROFILE)),
    ACCOUNT_SID,
    maybe("iccid"),
    maybe("sim_sid", sid_of(SidKind.SIM)),
    field("status", one_of(EsimStatus)),
    maybe("eid"),
    maybe("smdp_plus_address"),
    maybe("matching_id"),
    maybe("activation_code"),
    maybe("error_code"),
    maybe("error_message"),
    *dated_at(_PATH),
)

_ORDER: Final = (
    OperationParameter(
        "Eid", text(pattern="^[0-9a-fA-F]{32}$"), "The EID of the chip that may download it."
    ),
    OperationParameter(
        "GenerateMatchingId",
        FLAG,
        "true if any device with the activation code may download it; Eid is then optional.",
    ),
    *CALLED_BACK,
)
_FILTERS: Final = (
    filtered("Eid", "Only profiles for the chip with this EID."),
    filtered("SimSid", "Only the profile of the SIM with this SID."),
    filtered("Status", "Only profiles with this status.", EsimStatus),
)


class EsimProfileEndpoints(EndpointGroup):
    """The operations on eSIM Profiles."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on eSIM Profiles."""
        profiles, callback = self.on(_PATH, "EsimProfile", ESIM_PROFILE), "esimProfileChanged"
        return [
            profiles.creates(
                "Order an eSIM Profile.", self._order, takes=_ORDER, calls_back=callback
            ),
            profiles.lists("List eSIM Profiles, newest first.", list_esim_profiles, *_FILTERS),
            profiles.fetches("Fetch an eSIM Profile.", fetch_esim_profile),
        ]

    def _order(self, call: ApiRequest) -> Change[EsimProfile]:
        order = EsimProfileOrder(
            _read_eid(call.given),
            call.given.flag("GenerateMatchingId") or False,
            self._called_back(call),
        )
        return lambda tx, context: order_esim_profile(tx, call.account_sid, order, context)


def _read_eid(form: RequestParameters) -> str | None:
    eid = form.text("Eid") or None
    if eid is not None and not is_eid(eid):
        raise form.wrong(f"Eid={eid!r}: an EID has 32 digits")
    return eid
