"""The portal's operations on accounts: show, suspend and resume them, and replace Auth Tokens."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from ringback.api.authentication import signed_in
from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation
from ringback.api.paging import cut
from ringback.api.schema_pieces import (
    FLAG,
    INSTANT,
    list_of,
    number,
    object_of,
    one_of,
    or_null,
    sid_of,
)
from ringback.api.serializers import (
    SerializedField,
    Serializer,
    field,
    json_answer,
    maybe,
    shown_once,
    worked_out,
)
from ringback.core.accounts.account import EVERY, Account, AccountStatus, ApiKeyRole
from ringback.core.accounts.webhook_secret import WebhookSecretStatus
from ringback.core.calendar import iso
from ringback.core.errors import Forbidden
from ringback.core.sids import SidKind
from ringback.operations.account_details import AccountDetails, account_details
from ringback.operations.accounts import (
    fetch_account,
    list_accounts,
    set_status,
    visible_account,
    with_subaccounts,
)
from ringback.operations.auth_tokens import create_secondary, delete_secondary, promote_secondary
from ringback.operations.context import OperationContext
from ringback.ports import PageWindow, Transaction

_PATH: Final = "/portal/v1/accounts"
_ONE: Final = f"{_PATH}/{{sid}}"
_SECRET: Final = object_of(
    id={"type": "string"},
    name={"type": "string"},
    status=one_of(WebhookSecretStatus),
    last_modified=INSTANT,
)
_BY_ROLE: Final = object_of(**{role.value: number(0) for role in ApiKeyRole})


@dataclass(frozen=True, slots=True)
class AccountNow:
    """An account with its credentials, and how much it has to do in this process."""

    details: AccountDetails
    unfinished: int
    """The account's callbacks that this process has yet to deliver or to give up."""
    rate_limit: int | None
    """The most requests per second; None without a limit."""

    @property
    def account(self) -> Account:
        """The account."""
        return self.details.account


def _fields_of(place: str = "") -> tuple[SerializedField[Any], ...]:
    """Return the fields of an account, which is the attribute `place` of the record."""
    return (
        field("sid", sid_of(SidKind.ACCOUNT), f"{place}sid"),
        field("kore_id", attribute=f"{place}kore_id"),
        field("name", attribute=f"{place}name"),
        field("status", one_of(AccountStatus), f"{place}status"),
        maybe("parent_sid", sid_of(SidKind.ACCOUNT), f"{place}parent_sid"),
        field("date_created", INSTANT, f"{place}date_created"),
        field("damaged_secrets", list_of({"type": "string"}), f"{place}damaged_secrets"),
    )


def _secrets(now: AccountNow) -> list[dict[str, str]]:
    return [
        {
            "id": secret.id,
            "name": secret.name,
            "status": status.value,
            "last_modified": iso(secret.last_modified),
        }
        for status, secret in now.account.webhook_secrets.all
    ]


def _key_counts(now: AccountNow) -> dict[str, int]:
    roles = [key.role for key in now.details.keys]
    return {role.value: roles.count(role) for role in ApiKeyRole}


ACCOUNT: Final = Serializer[Account]("account", "accounts", *_fields_of())
ACCOUNT_NOW: Final = Serializer[AccountNow](
    "account_details",
    "",
    *_fields_of("account."),
    worked_out(
        "schedule",
        or_null({"type": "string"}),
        lambda now: now.account.schedule and now.account.schedule.in_words,
    ),
    worked_out("api_keys", _BY_ROLE, _key_counts),
    worked_out("api_clients", number(0), lambda now: len(now.details.clients)),
    worked_out("webhook_secrets", list_of(_SECRET), _secrets),
    maybe("date_auth_token", INSTANT, "details.token_since"),
    worked_out(
        "has_secondary_auth_token", FLAG, lambda now: now.account.secondary_auth_token is not None
    ),
    maybe("date_secondary_auth_token", INSTANT, "details.secondary_since"),
    field("unfinished_callbacks", number(0), "unfinished"),
    maybe("rate_limit", number(1)),
)
NEW_TOKEN: Final = Serializer[Account](
    "new_auth_token",
    "",
    field("account_sid", sid_of(SidKind.ACCOUNT), "sid"),
    field("secondary_auth_token"),
)


class AccountEndpoints(EndpointGroup):
    """The operations on an account and its subaccounts, or, for the operator, on all accounts."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on accounts."""
        return [
            self.on(_PATH, "Account", ACCOUNT).lists_for(
                "List the account and its subaccounts, oldest first; with an operator's key, all"
                " accounts.",
                lambda _: _listed,
            ),
            self.answers(
                *(_ONE, "FetchAccount"),
                "Show an account with its credentials, without secrets, and what it has to do."
                " `unfinished_callbacks` counts those of the process that answers.",
                *(ACCOUNT_NOW, self._fetch),
                for_all=True,
            ),
            self._sets_status(
                "suspend",
                AccountStatus.SUSPENDED,
                "Suspend an account: nobody can sign in to it or to its subaccounts. Its callbacks"
                " are still sent. Only for an operator's key.",
            ),
            self._sets_status(
                "resume",
                AccountStatus.ACTIVE,
                "Resume a suspended account: it can sign in again. Only for an operator's key.",
            ),
            self.answers(
                *(f"{_ONE}/auth_token/secondary", "CreateSecondaryToken"),
                "Create a secondary Auth Token, which is shown only once. It can sign in at once,"
                " but signs no callbacks until it is promoted. It replaces an earlier one.",
                *(NEW_TOKEN, self._create_secondary),
                verb="POST",
                statuses=(201,),
                for_all=True,
            ),
            self.answers(
                *(f"{_ONE}/auth_token/secondary", "DeleteSecondaryToken"),
                "Delete the secondary Auth Token: it can no longer sign in.",
                *(None, self._delete_secondary),
                verb="DELETE",
                statuses=(204,),
                for_all=True,
            ),
            self.answers(
                *(f"{_ONE}/auth_token/promote", "PromoteSecondaryToken"),
                "Make the secondary Auth Token the primary one, which signs callbacks. The old"
                " primary token is no longer valid, and this can't be undone.",
                *(ACCOUNT_NOW, self._promote),
                verb="POST",
                for_all=True,
            ),
        ]

    def _sets_status(self, verb: str, status: AccountStatus, meaning: str) -> ApiOperation:
        async def work(call: ApiRequest) -> dict[str, Any]:
            if signed_in(call.request).account is not None:
                raise Forbidden(
                    f"only the operator can {verb} an account: sign in with an operator's key,"
                    " which `ringback accounts keys create --operator` makes"
                )
            return await self._changed(
                call, lambda tx, sid, context: set_status(tx, sid, status, context)
            )

        return self.answers(
            *(f"{_ONE}/{verb}", f"{verb.capitalize()}Account", meaning, ACCOUNT_NOW, work),
            verb="POST",
            for_all=True,
        )

    async def _fetch(self, call: ApiRequest) -> dict[str, Any]:
        def look(tx: Transaction) -> AccountNow:
            return self._now(tx, visible_account(tx, call.account_sid, call.sid))

        return ACCOUNT_NOW.at(call.request)(await self.read(call.account_sid, look))

    async def _create_secondary(self, call: ApiRequest) -> Response:
        made = await self.change(
            call.request, lambda tx, context: create_secondary(tx, _asked(tx, call), context)
        )
        return shown_once(json_answer(NEW_TOKEN.at(call.request)(made), 201))

    async def _delete_secondary(self, call: ApiRequest) -> Response:
        await self.change(
            call.request, lambda tx, context: delete_secondary(tx, _asked(tx, call), context)
        )
        return Response(status_code=204)

    async def _promote(self, call: ApiRequest) -> dict[str, Any]:
        return await self._changed(call, promote_secondary)

    async def _changed(
        self, call: ApiRequest, change: Callable[[Transaction, str, OperationContext], Account]
    ) -> dict[str, Any]:
        """Change the account that a request is about, and show it."""

        def work(tx: Transaction, context: OperationContext) -> AccountNow:
            return self._now(tx, change(tx, _asked(tx, call), context))

        return ACCOUNT_NOW.at(call.request)(await self.change(call.request, work))

    def _now(self, tx: Transaction, account: Account) -> AccountNow:
        parts = self._dependencies
        return AccountNow(
            account_details(tx, account, parts.clock.now()),
            unfinished=parts.unfinished_of(account.sid),
            rate_limit=parts.rate_limit.per_second,
        )


def _asked(tx: Transaction, call: ApiRequest) -> str:
    """Return the SID of the account in a request's path; raises NotFound if it is hidden."""
    return visible_account(tx, call.account_sid, call.sid).sid


def _listed(tx: Transaction, account_sid: str, window: PageWindow) -> Any:
    if account_sid == EVERY:
        return cut(list_accounts(tx), window)
    return cut(with_subaccounts(tx, fetch_account(tx, account_sid)), window)
