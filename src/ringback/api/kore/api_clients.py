"""KORE's API for API clients: `/v1/clients` and `/v1/ping`.

Source: KORE's OpenAPI file of this API, and
docs.korewireless.com/en-us/api/global-resources/api-clients/clients.
"""

from email.utils import format_datetime
from typing import Any, Final, cast

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.endpoint_group import EndpointGroup
from ringback.api.kore.json_request_body import JsonRequestBody, missing, read_document, wrong
from ringback.api.kore.numbered_pages import PAGING, read_page
from ringback.api.request_parameters import read_query
from ringback.api.serializers import json_answer, shown_once, with_unknown
from ringback.api.strict_json import Json
from ringback.core.accounts.account import Account
from ringback.core.accounts.client_credentials import (
    PRODUCTS,
    ApiClientType,
    ApiScope,
    ClientCredentials,
)
from ringback.core.errors import PLATFORM
from ringback.operations.accounts import own_or_subaccount, with_subaccounts
from ringback.operations.api_clients import CreatedApiClient, create_client, fetch_client
from ringback.operations.context import OperationContext
from ringback.ports import Transaction

_KNOWN: Final = ("account_id", "name", "locked", "scopes")


class ApiClientEndpoints(EndpointGroup):
    """The endpoints for the API clients of an account."""

    async def create(self, request: Request) -> Response:
        """Create an API client, and respond 201 with its secret, which is shown only this once."""
        account = await self._account(request)
        asked = await read_document(request, _KNOWN)
        if asked.unknown:
            known = ", ".join(_KNOWN)
            raise wrong(
                f"{asked.unknown[0][:80]!a} is not a property of an API client; the properties"
                f" are {known}"
            )
        name, products = asked.required("name"), _products_in(asked)
        locked, account_id = _locked_in(asked), asked.text("account_id")

        def work(tx: Transaction, context: OperationContext) -> tuple[CreatedApiClient, Account]:
            owner = account if account_id is None else own_or_subaccount(tx, account, account_id)
            made = create_client(
                tx,
                owner.sid,
                name,
                type=ApiClientType.STANDARD,
                products=products,
                context=context,
                locked=locked,
            )
            return made, owner

        made, owner = await self.change(request, work)
        return shown_once(json_answer(_show_new(made, owner), 201))

    async def list(self, request: Request) -> Response:
        """List the API clients of the account, oldest first."""
        account = await self._account(request)
        query = read_query(request, ("client_type", *PAGING), codes=PLATFORM)
        for name in PAGING:
            query.required(name)
        wanted = query.choice("client_type", ApiClientType)
        clients = await self.read(account.sid, lambda tx: tx.api_clients.of(account.sid))
        found = [client for client in clients if wanted in (None, client.type)]
        page = read_page(found, query, request)
        shown = [_show(client, account) for client in page.records]
        return with_unknown(query.unknown, json_answer({"meta": page.meta, "clients": shown}))

    async def fetch(self, request: Request) -> Response:
        """Show an API client of the account or of one of its subaccounts."""
        account = await self._account(request)
        sid = request.path_params["client_id"]

        def work(tx: Transaction) -> tuple[ClientCredentials, Account]:
            owners = {one.sid: one for one in with_subaccounts(tx, account)}
            client = fetch_client(tx, sid, owners)
            return client, owners[client.account_sid]

        client, owner = await self.read(account.sid, work)
        return json_answer({"client": _show(client, owner)})

    async def ping(self, request: Request) -> Response:
        """Respond that the API works; this needs no credentials."""
        return json_answer({"status": "OK"})


def _products_in(asked: JsonRequestBody) -> list[ApiScope]:
    scopes = asked.values.get("scopes")
    if scopes is None:
        raise missing("scopes")
    products: Json = scopes.get("products") if isinstance(scopes, dict) else None
    known = ", ".join(PRODUCTS)
    if not isinstance(products, list) or not products:
        raise wrong(f"scopes must be like {{'products': […]}}, with one or more of {known}")
    for product in products:
        if product not in PRODUCTS:
            raise wrong(
                f"scopes.products: {str(product)[:80]!r} is not a product; the products are {known}"
            )
    return [ApiScope(cast("str", product)) for product in products]


def _locked_in(asked: JsonRequestBody) -> bool | None:
    if "locked" not in asked.values:
        raise missing("locked")
    locked = asked.values["locked"]
    if locked is None or isinstance(locked, bool):
        return locked
    raise wrong("locked must be true, false or null")


def _show(client: ClientCredentials, owner: Account) -> dict[str, Any]:
    return {
        "client_id": client.sid,
        "account_id": owner.kore_id,
        "name": client.name,
        # KORE shows an e-mail address; Ringback's accounts have none, so this is their name.
        "client_owner": owner.name,
        "client_type": client.type,
        "locked": bool(client.locked),
        "date_created": format_datetime(client.date_created, usegmt=True),
    }


def _show_new(made: CreatedApiClient, owner: Account) -> dict[str, Any]:
    return {
        **_show(made.client, owner),
        "message": "Client created successfully",
        "client_secret": made.secret,
        "date_created": made.client.date_created,
    }
