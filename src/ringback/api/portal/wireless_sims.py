"""Registering Programmable Wireless SIMs, which their API has no operation for."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.changes import change
from ringback.api.forms import read_form
from ringback.api.representation import json_answer, with_unknown
from ringback.api.services import Services
from ringback.api.sign_in import account_of
from ringback.api.wireless.sims import SIM
from ringback.core.wireless.sim import make_iccid
from ringback.operations.wireless.sims import Card, register_sim

LONGEST: Final = 64
PARAMETERS: Final = ("Iccid", "RegistrationCode", "EId", "Narrowband")


class WirelessSimResource:
    """The cards that are registered to an account."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def register(self, request: Request) -> Response:
        """Register a card, or one that is made up: 201."""
        account = await account_of(request, self._services.sign_ins)
        form = await read_form(request, PARAMETERS)
        chance = self._services.moment().chance
        card = Card(
            iccid=form.text("Iccid") or make_iccid(chance.bytes(8)),
            registration_code=form.label("RegistrationCode", longest=LONGEST) or None,
            eid=form.label("EId", longest=LONGEST) or None,
            is_narrowband=form.flag("Narrowband") or False,
        )
        sim = await change(
            self._services, lambda tx, moment: register_sim(tx, account.sid, card, moment)
        )
        return with_unknown(form, json_answer(SIM.at(request)(sim), 201))
