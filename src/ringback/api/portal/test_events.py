"""Trying URLs over HTTP: with the webhook secret that is active, or the one that is pending."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.forms import read_form
from ringback.api.portal.records import show_callback
from ringback.api.representation import json_answer, with_unknown
from ringback.api.services import Services
from ringback.api.sign_in import account_of, charge_more
from ringback.core.callback_url import CallbackUrl
from ringback.core.errors import Conflict, Invalid
from ringback.core.method import Method
from ringback.operations.accounts import fetch_account
from ringback.operations.destinations import MOST, Destination, destinations_of, named
from ringback.operations.kore_test_events import pending_of, rehearse, send_test_event
from ringback.ports import Transaction

_NOWHERE: Final = 20409


class EventTrials:
    """The operations that send test events."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.store

    async def send(self, request: Request) -> Response:
        """Send a test event to one URL: 201."""
        signed_in = await account_of(request, self._services.sign_ins)
        form = await read_form(request, ("Url", "Method"))
        url = self._services.read_url(form.required("Url"))
        method = form.choice("Method", Method) or Method.POST
        self._services.intake.make_room(signed_in.sid, 1)
        moment = self._services.moment()

        def send(tx: Transaction) -> Response:
            account = fetch_account(tx, signed_in.sid)
            event = send_test_event(tx, account, url, method, moment=moment)
            return json_answer(show_callback(event), 201)

        return with_unknown(form, await self._store.transact(send))

    async def rehearse(self, request: Request) -> Response:
        """Send test events that the pending secret signs to all destinations, or some: 201."""
        account = await account_of(request, self._services.sign_ins)
        form = await read_form(request, ("Url",), lists=("Url",))
        urls = self._read(form.all("Url"))
        destinations = await self._store.read(
            lambda tx: _asked(tx, account.sid, urls), asked_by=account.sid
        )
        self._services.intake.make_room(account.sid, len(destinations))
        charge_more(request, self._services.sign_ins, max(0, len(destinations) - 1))
        moment = self._services.moment()
        pending, events = await self._store.transact(
            lambda tx: rehearse(tx, account.sid, destinations, moment)
        )
        answer = {"secret_id": pending.id, "callbacks": list(map(show_callback, events))}
        return with_unknown(form, json_answer(answer, 201))

    def _read(self, urls: tuple[str, ...]) -> list[CallbackUrl]:
        if len(urls) > MOST:
            raise Invalid(
                f"Url is given {len(urls)} times; at most {MOST} can be named", code=83600
            )
        return list(map(self._services.read_url, urls))


def _asked(tx: Transaction, account_sid: str, urls: list[CallbackUrl]) -> list[Destination]:
    """Return what a rehearsal goes to; raises Conflict where that, or a secret, is missing."""
    pending_of(fetch_account(tx, account_sid))
    known = destinations_of(tx, account_sid)
    if not urls and not known:
        raise Conflict(
            "this account has configured no URL and was sent no callback yet; name some with Url",
            code=_NOWHERE,
        )
    return named(urls, known) if urls else known
