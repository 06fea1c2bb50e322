"""KORE's token endpoint: exchanges the credentials of an API client for a bearer token.

There are no refresh tokens: clients repeat the exchange.

Source: docs.korewireless.com/en-us/developers/api-management/auth, and KORE's OpenAPI file.
"""

from datetime import timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.authentication import address_of
from ringback.api.endpoint_group import EndpointGroup
from ringback.api.login_rate_limiter import LoginAttempt
from ringback.api.request_parameters import read_form
from ringback.api.serializers import json_answer, shown_once, with_unknown
from ringback.core.accounts.client_credentials import Principal
from ringback.core.errors import PLATFORM, InvalidParameter, Unauthorized
from ringback.operations.api_clients import sign_in_client

_GRANT: Final = "client_credentials"
_KNOWN: Final = ("grant_type", "client_id", "client_secret")


class TokenEndpoints(EndpointGroup):
    """The endpoint that exchanges credentials for tokens."""

    async def exchange(self, request: Request) -> Response:
        """Issue a bearer token with status 200, or respond 401 in OAuth's format."""
        dependencies = self._dependencies
        form = await read_form(request, _KNOWN, codes=PLATFORM)
        if form.required("grant_type") != _GRANT:
            raise InvalidParameter(f"grant_type must be {_GRANT}", code=PLATFORM.invalid)
        client_id, secret = form.required("client_id"), form.required("client_secret")
        address, now = address_of(request), dependencies.clock.now()
        try:
            client, account = await dependencies.authenticator.of_clients.look(
                LoginAttempt.of(client_id, secret, address),
                now,
                lambda: dependencies.store.read(lambda tx: sign_in_client(tx, client_id, secret)),
            )
        except Unauthorized as refused:
            body = {"error": "unauthorized_client", "error_description": refused.message}
            return json_answer(body, 401)
        await dependencies.authenticator.let_in(Principal(account, client.actor))
        token = await dependencies.authenticator.tokens.make(
            client, account, dependencies.context().random_source
        )
        answer = {
            "access_token": token,
            "expires_in": client.lifetime // timedelta(seconds=1),
            "token_type": "Bearer",
            "scope": " ".join(sorted(client.areas)),
        }
        return shown_once(with_unknown(form.unknown, json_answer(answer)))
