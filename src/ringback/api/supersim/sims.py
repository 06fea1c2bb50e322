"""SIMs over HTTP: `/v1/Sims`."""

from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ringback.api.addressing import url_of
from ringback.api.forms import Parameters, read_form, read_query
from ringback.api.paging import PAGING, page_of, read_paging
from ringback.api.representation import shown_date, with_unknown
from ringback.api.services import Services
from ringback.api.sign_in import account_of
from ringback.core.account import Account
from ringback.core.callback import Method
from ringback.core.callback_url import CallbackUrl
from ringback.core.errors import Invalid
from ringback.core.sim import REQUESTABLE, Sim, SimStatus
from ringback.operations.sims import (
    Updated,
    UpdateRequest,
    fetch_sim,
    list_sims,
    register_sim,
    update_sim,
)
from ringback.ports import Transaction

_LONGEST_NAME: Final = 64
_FILTERS: Final = ("Status", "Fleet", "Iccid")
_REGISTRATION: Final = ("Iccid", "RegistrationCode")
_UPDATE: Final = (
    "UniqueName",
    "Status",
    "Fleet",
    "CallbackUrl",
    "CallbackMethod",
    "AccountSid",
)


class SimResource:
    """The operations on SIMs."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.store

    async def register(self, request: Request) -> Response:
        """Register a SIM: 201."""
        account = await account_of(request, self._services.sign_ins)
        form = await read_form(request, _REGISTRATION)
        iccid = form.required("Iccid", code=83001)
        code = form.required("RegistrationCode", code=83001)
        now = self._services.clock.now()
        sim = await self._store.transact(
            lambda tx: register_sim(
                tx,
                account.sid,
                iccid=iccid,
                registration_code=code,
                now=now,
                chance=self._services.chance,
            )
        )
        return with_unknown(form, JSONResponse(_show(request, sim), 201))

    async def list(self, request: Request) -> Response:
        """List SIMs, newest first: 200."""
        account = await account_of(request, self._services.sign_ins)
        query = read_query(request, (*_FILTERS, *PAGING))
        status = query.choice("Status", SimStatus)
        paging = read_paging(query)
        sims = await self._store.transact(
            lambda tx: list_sims(
                tx,
                account.sid,
                paging.window,
                status=status,
                fleet=query.text("Fleet"),
                iccid=query.text("Iccid"),
            )
        )
        page = page_of("sims", sims, partial(_show, request), paging=paging, request=request)
        return with_unknown(query, JSONResponse(page))

    async def fetch(self, request: Request) -> Response:
        """Fetch a SIM by its SID or unique name: 200."""
        account = await account_of(request, self._services.sign_ins)
        sid = request.path_params["sid"]
        sim = await self._store.transact(lambda tx: fetch_sim(tx, account.sid, sid))
        return JSONResponse(_show(request, sim))

    async def update(self, request: Request) -> Response:
        """Update a SIM: 202 where the network has to carry a change out, else 200."""
        account = await account_of(request, self._services.sign_ins)
        form = await read_form(request, _UPDATE)
        asked = self._read_update(form, account)
        sid = request.path_params["sid"]
        if asked.callback_url is not None:
            self._services.intake.make_room(account.sid, 1)
        updated = await self._store.transact(lambda tx: self._update(tx, account, sid, asked))
        self._services.progress.wake()
        status = 202 if updated.is_underway else 200
        return with_unknown(form, JSONResponse(_show(request, updated.sim), status))

    def _update(self, tx: Transaction, account: Account, sid: str, asked: UpdateRequest) -> Updated:
        return update_sim(
            tx,
            account.sid,
            sid,
            asked,
            takes=self._services.carrier.update_takes,
            transition=self._services.transition,
            now=self._services.clock.now(),
            chance=self._services.chance,
            intake=self._services.intake,
        )

    def _read_update(self, form: Parameters, account: Account) -> UpdateRequest:
        _check_account(form.text("AccountSid"), account)
        return UpdateRequest(
            unique_name=form.label("UniqueName", longest=_LONGEST_NAME),
            status=form.choice("Status", REQUESTABLE),
            fleet=form.text("Fleet"),
            callback_url=self._read_callback_url(form),
            callback_method=form.choice("CallbackMethod", Method) or Method.POST,
        )

    def _read_callback_url(self, form: Parameters) -> CallbackUrl | None:
        text = form.text("CallbackUrl")
        if not text:
            return None
        # An unescaped & ends the value, so the rest of the URL arrives as parameters of the call.
        warnings = (
            f"the request also had the parameter {name!r}, which has no effect; if it belongs to"
            " CallbackUrl, write the & before it as %26"
            for name in form.unknown
        )
        return self._services.read_url(text).with_warnings(*warnings)


def _check_account(sid: str | None, account: Account) -> None:
    if sid is not None and sid != account.sid:
        raise Invalid(
            f"AccountSid={sid!r}: a SIM can be moved only to {account.sid} or one of its"
            " subaccounts",
            code=20409,
        )


def _show(request: Request, sim: Sim) -> dict[str, Any]:
    url = url_of(request, f"/supersim/v1/Sims/{sim.sid}")
    return {
        "sid": sim.sid,
        "unique_name": sim.unique_name,
        "account_sid": sim.account_sid,
        "iccid": sim.iccid,
        "status": sim.status,
        "fleet_sid": sim.fleet_sid,
        "date_created": shown_date(sim.date_created),
        "date_updated": shown_date(sim.date_updated),
        "url": url,
        "links": {
            "billing_periods": f"{url}/BillingPeriods",
            "sim_ip_addresses": f"{url}/IpAddresses",
        },
    }
