"""The portal's operations on API keys: list, create and end them."""

from typing import Any, Final

from starlette.responses import Response

from ringback.api.endpoint_group import ApiRequest, EndpointGroup, Listing
from ringback.api.operation_definition import ApiOperation, OperationParameter, required
from ringback.api.paging import cut
from ringback.api.schema_pieces import INSTANT, one_of, sid_of, text
from ringback.api.serializers import (
    SerializedField,
    Serializer,
    field,
    json_answer,
    maybe,
    shown_once,
)
from ringback.core.accounts.account import EVERY, ApiKey, ApiKeyRole
from ringback.core.errors import NotFound
from ringback.core.sids import SidKind
from ringback.operations.api_keys import CreatedApiKey, create_key, end_key
from ringback.operations.context import OperationContext
from ringback.ports import Transaction

_PATH: Final = "/portal/v1/keys"


def _fields_of(place: str = "") -> tuple[SerializedField[Any], ...]:
    """Return the fields of a key, which is the attribute `place` of the record."""
    return (
        field("sid", sid_of(SidKind.API_KEY), f"{place}sid"),
        maybe("account_sid", sid_of(SidKind.ACCOUNT), f"{place}account_sid"),
        field("name", attribute=f"{place}name"),
        field("role", one_of(ApiKeyRole), f"{place}role"),
        field("date_created", INSTANT, f"{place}date_created"),
        maybe("date_last_used", INSTANT, f"{place}date_last_used"),
        maybe("date_ended", INSTANT, f"{place}date_ended"),
    )


KEY: Final = Serializer[ApiKey]("key", "keys", *_fields_of())
NEW_KEY: Final = Serializer[CreatedApiKey]("new_key", "", *_fields_of("key."), field("secret"))

_NEW: Final = (
    required("Name", text(shortest=1, longest=64), "A name for the API key."),
    OperationParameter(
        "Role",
        one_of(ApiKeyRole),
        "`full` for all that its owner may do (the default), `read_only` to change nothing.",
    ),
)


class ApiKeyEndpoints(EndpointGroup):
    """The operations on the API keys of an account, or, for the operator, on all of them."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on API keys."""
        keys = self.on(_PATH, "Key", KEY)
        return [
            keys.lists_for(
                "List API keys, oldest first, also those that have ended; with an operator's key,"
                " those of all accounts and of the operator.",
                _listing,
            ),
            self.answers(
                *(_PATH, "CreateKey"),
                "Create an API key; its secret is shown only once. With an operator's key, the new"
                " key is the operator's, too, unless the request names an account.",
                *(NEW_KEY, self._create),
                verb="POST",
                statuses=(201,),
                takes=_NEW,
                for_all=True,
            ),
            self.answers(
                *(f"{_PATH}/{{sid}}", "EndKey"),
                "End an API key: it can no longer sign in. It stays in the list.",
                *(None, self._end),
                verb="DELETE",
                statuses=(204,),
                for_all=True,
            ),
        ]

    async def _create(self, call: ApiRequest) -> Response:
        name = call.given.required("Name")
        role = call.given.choice("Role", ApiKeyRole) or ApiKeyRole.FULL
        made = await self.change(
            call.request, lambda tx, context: create_key(tx, call.owner, name, context, role=role)
        )
        return shown_once(json_answer(NEW_KEY.at(call.request)(made), 201))

    async def _end(self, call: ApiRequest) -> Response:
        def end(tx: Transaction, context: OperationContext) -> None:
            key = tx.accounts.keys.get(call.sid)
            if key is None or call.account_sid not in (EVERY, key.account_sid):
                raise NotFound(f"there is no API key {call.sid!r}")
            end_key(tx, key.sid, context)

        await self.change(call.request, end)
        return Response(status_code=204)


def _listing(_: ApiRequest) -> Listing[ApiKey]:
    return lambda tx, account_sid, window: cut(tx.accounts.keys.of(account_sid), window)
