"""The Super SIM operations at `/v1/Sims`."""

from typing import Final

from starlette.responses import Response

from ringback.api.endpoint_group import ApiRequest, Change, EndpointGroup
from ringback.api.operation_definition import (
    CALLED_BACK,
    UNIQUE_NAME,
    ApiOperation,
    OperationParameter,
    filtered,
    required,
)
from ringback.api.schema_pieces import one_of, sid_of, text
from ringback.api.serializers import (
    ACCOUNT_SID,
    Serializer,
    dated_at,
    field,
    json_answer,
    links,
    maybe,
)
from ringback.core.sids import SidKind
from ringback.core.supersim.sim import REQUESTABLE, SimStatus, SuperSim
from ringback.operations.supersim import sims

_PATH: Final = "/supersim/v1/Sims"

SIM: Final = Serializer[SuperSim](
    "sim",
    "sims",
    field("sid", sid_of(SidKind.SIM)),
    maybe("unique_name"),
    ACCOUNT_SID,
    field("iccid"),
    field("status", one_of(SimStatus)),
    maybe("fleet_sid", sid_of(SidKind.FLEET)),
    *dated_at(_PATH),
    links(
        billing_periods=lambda sim: f"{_PATH}/{sim.sid}/BillingPeriods",
        sim_ip_addresses=lambda sim: f"{_PATH}/{sim.sid}/IpAddresses",
    ),
)

_REGISTER: Final = (
    required("Iccid", text(pattern="^89[0-9]{16,20}$"), "The card's number."),
    required(
        "RegistrationCode",
        text(pattern="^[A-Za-z0-9]{10}$"),
        "The code that is printed with the card.",
    ),
)
_FILTERS: Final = (
    filtered("Status", "Only SIMs with this status.", SimStatus),
    filtered("Fleet", "Only SIMs in the fleet with this SID or unique name."),
    filtered("Iccid", "Only the SIM with this ICCID."),
)
_UPDATE: Final = (
    UNIQUE_NAME,
    OperationParameter("Status", one_of(REQUESTABLE), "The new status of the SIM."),
    OperationParameter(
        "Fleet", text(shortest=1), "The SID or unique name of the fleet to move the SIM to."
    ),
    *CALLED_BACK,
    OperationParameter(
        "AccountSid",
        sid_of(SidKind.ACCOUNT),
        "The subaccount to move the SIM to; only if its status is `new`.",
    ),
)


class SuperSimEndpoints(EndpointGroup):
    """The operations on Super SIMs."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on Super SIMs."""
        record = self.on(_PATH, "Sim", SIM)
        return [
            record.creates("Register a SIM to the account.", _register, takes=_REGISTER),
            record.lists("List SIMs, newest first.", sims.list_sims, *_FILTERS),
            record.fetches("Fetch a SIM.", sims.fetch_sim),
            self.answers(
                *(f"{_PATH}/{{sid}}", "UpdateSim"),
                "Update a SIM. 202 means that the network is still carrying out the change.",
                *(SIM, self._update),
                verb="POST",
                statuses=(200, 202),
                takes=_UPDATE,
                calls_back="simUpdated",
                conflicts=True,
            ),
        ]

    async def _update(self, call: ApiRequest) -> Response:
        asked = self._read_update(call)
        updated = await self.change(
            call.request,
            lambda tx, context: sims.update_sim(tx, call.account_sid, call.sid, asked, context),
        )
        status = 202 if updated.is_underway else 200
        return json_answer(SIM.at(call.request)(updated.sim), status)

    def _read_update(self, call: ApiRequest) -> sims.SuperSimUpdateRequest:
        form = call.given
        return sims.SuperSimUpdateRequest(
            unique_name=form.label("UniqueName"),
            status=form.choice("Status", REQUESTABLE),
            fleet=form.text("Fleet"),
            account_sid=form.text("AccountSid"),
            callback=self._called_back(call),
        )


def _register(call: ApiRequest) -> Change[SuperSim]:
    iccid = call.given.required("Iccid", code=83001)
    code = call.given.required("RegistrationCode", code=83001)
    return lambda tx, context: sims.register_sim(
        tx, call.account_sid, iccid=iccid, registration_code=code, context=context
    )
