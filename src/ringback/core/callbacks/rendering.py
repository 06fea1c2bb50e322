"""Turns a callback, its account's secrets and the time into the exact bytes of the request.

This request is signed, sent and recorded. Its headers, with their order and values, are defined in
`sources/source_definition`.
"""

from datetime import datetime
from typing import Final

from ringback.core.accounts.account import Account
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.errors import CallbackSourceNotConfigured, SecretNotFound
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.sources.source_definition import (
    BUILT_IN,
    CallbackSourceDefinition,
    SigningInput,
    Sources,
    Values,
)

_JSON: Final = "application/json; charset=utf-8"


def render(
    callback: CallbackRecord, *, account: Account, at: datetime, sources: Sources = BUILT_IN
) -> OutgoingRequest:
    """Return the HTTP request of an attempt at this time, signed with the account's secrets.

    Raises SecretNotFound if the account no longer has the callback's secret, and
    CallbackSourceNotConfigured if the callback's source is no longer in the settings.
    """
    source = sources.get(callback.source)
    if source is None:
        raise CallbackSourceNotConfigured(
            f"there is no source {callback.source!r} in the settings any more"
        )
    url, body = callback.called, callback.sent_body.encode()
    values = _values_of(callback, url, body, account=account, at=at, source=source)
    headers = source.fill(values)
    return OutgoingRequest(
        callback.method, url, headers, body, callback.source, callback.account_sid
    )


def _values_of(
    callback: CallbackRecord,
    url: CallbackUrl,
    body: bytes,
    *,
    account: Account,
    at: datetime,
    source: CallbackSourceDefinition,
) -> Values:
    is_post = callback.method is HttpMethod.POST
    token, scheme = callback.idempotency_token, source.signature
    form = callback.parameters if is_post and scheme.covers_form else ()
    timestamp = int(at.timestamp()) if source.needs_time else 0
    signed = SigningInput(callback.method, url.wire, url.resource, form, body, token, timestamp)
    secret = account.auth_token if scheme.is_by_auth_token else _secret_of(callback, account)
    content_type = _JSON if callback.is_test else source.content_type
    return {
        "host": url.authority,
        "length": str(len(body)) if is_post else None,
        "content_type": content_type if is_post else None,
        "authorization": url.authorization,
        "token": token,
        "signature": scheme.sign(signed, secret),
        "date": f"{at.isoformat()[:19]}Z" if source.needs_date else None,
        "timestamp": str(timestamp) if source.needs_time else None,
        "static_proxy": "true" if account.uses_static_proxy else None,
    }


def _secret_of(callback: CallbackRecord, account: Account) -> str:
    if callback.secret_id is None:
        return account.kore_secret
    found = account.webhook_secrets.find(callback.secret_id)
    if found is None:
        raise SecretNotFound(f"the webhook secret {callback.secret_id} that was to sign it is gone")
    return found[1].value
