"""KORE's API for webhook secrets: `/v1/secrets`.

Source: KORE's OpenAPI file of this API. The API can neither fetch a single secret nor delete one.
"""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.endpoint_group import EndpointGroup
from ringback.api.kore.json_request_body import JsonRequestBody, missing, read_document, wrong
from ringback.api.kore.numbered_pages import PAGING, read_page
from ringback.api.request_parameters import read_query
from ringback.api.serializers import json_answer, shown_once, with_unknown
from ringback.core.accounts.webhook_secret import WebhookSecretStatus
from ringback.core.errors import PLATFORM
from ringback.operations.accounts import fetch_account
from ringback.operations.webhook_secrets import SecretAndStatus, change_secret, create_secret

_KNOWN: Final = ("Name", "Status")


class WebhookSecretEndpoints(EndpointGroup):
    """The endpoints for the webhook secrets of an account."""

    async def create(self, request: Request) -> Response:
        """Create a webhook secret, and respond 201 with its value, shown only this once."""
        account = await self._account(request)
        asked = await read_document(request, _KNOWN[:1])
        name = asked.required("Name")
        held = await self.change(
            request,
            lambda tx, context: create_secret(tx, fetch_account(tx, account.sid), name, context),
        )
        shown = _show(held) | {"secret": held[1].value}
        return shown_once(with_unknown(asked.unknown, json_answer(shown, 201)))

    async def list(self, request: Request) -> Response:
        """List the webhook secrets of the account, the active one first."""
        account = await self._account(request)
        query = read_query(request, ("status", *PAGING), codes=PLATFORM)
        status = query.choice("status", WebhookSecretStatus)
        current = await self.read(account.sid, lambda tx: fetch_account(tx, account.sid))
        found = [held for held in current.webhook_secrets.all if status in (None, held[0])]
        page = read_page(found, query, request)
        shown = {"data": list(map(_show, page.records)), "meta_data": page.meta}
        return with_unknown(query.unknown, json_answer(shown))

    async def update(self, request: Request) -> Response:
        """Rename or activate a webhook secret, and respond 200."""
        account = await self._account(request)
        asked = await read_document(request, _KNOWN)
        name, status = asked.text("Name"), _status_in(asked)
        if name is None and status is None:
            raise missing("Name or Status")
        secret_id = request.path_params["id"]
        held = await self.change(
            request,
            lambda tx, context: change_secret(
                tx,
                fetch_account(tx, account.sid),
                secret_id,
                name=name,
                status=status,
                context=context,
            ),
        )
        return with_unknown(asked.unknown, json_answer(_show(held)))


def _status_in(asked: JsonRequestBody) -> WebhookSecretStatus | None:
    given = asked.text("Status")
    if given is None:
        return None
    if given not in list(WebhookSecretStatus):
        raise wrong(
            f"Status={given[:80]!r}: Status must be one of {', '.join(WebhookSecretStatus)}"
        )
    return WebhookSecretStatus(given)


def _show(held: SecretAndStatus) -> dict[str, Any]:
    status, secret = held
    return {
        "id": secret.id,
        "name": secret.name,
        "status": status,
        "last_modified": secret.last_modified,
    }
