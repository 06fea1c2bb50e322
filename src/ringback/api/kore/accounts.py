"""KORE's API for accounts (IaM): `/v1/accounts` and `/v1/platform_account_mappings`.

Source: KORE's OpenAPI file of this API.
"""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.endpoint_group import EndpointGroup
from ringback.api.kore.json_request_body import read_document
from ringback.api.request_parameters import RequestParameters, read_query
from ringback.api.serializers import json_answer, with_unknown
from ringback.core.accounts.account import Account
from ringback.core.errors import PLATFORM, Forbidden
from ringback.operations.accounts import create_account, own_or_subaccount, with_subaccounts
from ringback.ports import Transaction

_FILTER: Final = "account_id"


class KoreAccountEndpoints(EndpointGroup):
    """The endpoints for an account and its subaccounts."""

    async def create(self, request: Request) -> Response:
        """Create a subaccount, and respond 200 like KORE."""
        account = await self._account(request)
        asked = await read_document(request, ("friendly_name", "description"))
        name = asked.required("friendly_name")
        asked.text("description")
        if account.parent_sid is not None:
            raise Forbidden(
                f"{account.kore_id} is a subaccount, which can't have subaccounts; create it"
                " under the parent account"
            )
        made = await self.change(
            request,
            lambda tx, context: create_account(
                tx, name=name, context=context, parent_sid=account.sid
            ),
        )
        return with_unknown(asked.unknown, json_answer(_show(made, {account.sid: account})))

    async def fetch_all(self, request: Request) -> Response:
        """Show the account and its subaccounts, or only the account that the query names."""
        query, found, family = await self._asked_for(request)
        shown = [_show(one, family) for one in found]
        return with_unknown(query.unknown, json_answer({"accounts": shown}))

    async def mappings(self, request: Request) -> Response:
        """Show the Account SID that belongs to each KORE account id."""
        query, found, _ = await self._asked_for(request)
        platforms = [
            {"id": one.kore_id, "legacy_account_id": one.sid, "platform": "twilio"} for one in found
        ]
        return with_unknown(query.unknown, json_answer({"platforms": platforms}))

    async def _asked_for(
        self, request: Request
    ) -> tuple[RequestParameters, list[Account], dict[str, Account]]:
        account = await self._account(request)
        query = read_query(request, [_FILTER], codes=PLATFORM)
        wanted = query.text(_FILTER)

        def work(tx: Transaction) -> tuple[list[Account], list[Account]]:
            family = with_subaccounts(tx, account)
            found = family if wanted is None else [own_or_subaccount(tx, account, wanted)]
            return found, family

        found, family = await self.read(account.sid, work)
        return query, found, {one.sid: one for one in family}


def _show(account: Account, family: dict[str, Account]) -> dict[str, Any]:
    parent = family.get(account.parent_sid or "")
    return {
        "id": account.kore_id,
        # KORE does not document null here.
        "parent_id": "" if parent is None else parent.kore_id,
        "date_created": account.date_created,
        "friendly_name": account.name,
        "status": account.status.upper(),
    }
