"""Turns a callback into the exact bytes of its request, with a signature by the account's secrets.

These bytes are signed, sent and recorded. The headers are defined in `sources/source_definition`.
"""

from collections.abc import Mapping
from datetime import datetime

from ringback.core.accounts.account import Account
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import FORGED, CallbackRecord
from ringback.core.errors import CallbackSourceNotConfigured, SecretDamaged, SecretNotFound
from ringback.core.http.connection_profile import NO_PROFILE, ConnectionProfile
from ringback.core.http.http_exchange import HeadTemplate, OutgoingRequest, timestamp_of
from ringback.core.sources.idempotency_tokens import TOKEN_BYTES
from ringback.core.sources.source_definition import (
    BUILT_IN,
    CallbackSourceDefinition,
    SignatureScheme,
    SigningInput,
    Sources,
)
from ringback.core.streams.kinesis_stream import SCHEME, record_template


def render(
    callback: CallbackRecord,
    *,
    account: Account,
    at: datetime,
    sources: Sources = BUILT_IN,
    profile: ConnectionProfile = NO_PROFILE,
) -> OutgoingRequest:
    """Return the HTTP request of an attempt at this time, signed with the account's secrets.

    The headers of the destination's `profile` follow the source's own.

    Raises SecretNotFound if the account no longer has the callback's secret, SecretDamaged if the
    secret can't be decrypted, and CallbackSourceNotConfigured if the callback's source is no longer
    in the settings.
    """
    source = sources.get(callback.source)
    if source is None:
        raise CallbackSourceNotConfigured(
            f"the settings no longer define the source {callback.source!r}"
        )
    template, url, body, signature = _parts_of(callback, source, account, at, profile)
    head = template.fill(url.target, len(body), callback.idempotency_token, signature, at)
    return OutgoingRequest(
        callback.method,
        url,
        head,
        body,
        callback.source,
        callback.account_sid,
        template,
        signature,
        at,
        profile,
        "" if callback.stream is None else callback.stream.stream_sid,
    )


def render_unsent(
    callback: CallbackRecord, source: CallbackSourceDefinition, *, account: Account, has_token: bool
) -> tuple[OutgoingRequest, Mapping[str, str]]:
    """Return the request that this source would send for a callback, and its open values.

    An open value, such as the time of sending, is known only when the request is sent. The request
    contains a description of it instead. The returned mapping has the name of each open value (such
    as `date`) and its description. The token is an open value unless `has_token` is True: then it
    is the callback's own token.

    Raises SecretNotFound if the account does not have the callback's secret any more.
    """
    template, url, body, signature = _parts_of(callback, source, account, callback.date_created)
    open_values = _open_values(source, has_token=has_token)
    if not signature:
        open_values.pop("signature", None)
    head = template.fill_with(
        url.target,
        str(len(body)),
        open_values.get("token", callback.idempotency_token),
        open_values.get("signature", signature),
        open_values.get("date", ""),
        open_values.get("timestamp", ""),
    )
    return OutgoingRequest(callback.method, url, head, body), open_values


def _open_values(source: CallbackSourceDefinition, *, has_token: bool) -> dict[str, str]:
    """Return a description of each value that is known only when a request is sent, by name."""
    scheme, found = source.signature, dict[str, str]()
    if not has_token:
        length = len(source.token.make(bytes(TOKEN_BYTES)))
        found["token"] = f"{length} characters, made when it is sent"
    if source.needs_date:
        found["date"] = "the time at which it is sent, like 2024-07-03T14:40:58Z"
    if source.needs_time:
        found["timestamp"] = "the time at which it is sent, in seconds since 1970"
    if scheme.covers_time or (scheme.covers_token and not has_token):
        found["signature"] = "made when it is sent"
    return found


def _parts_of(
    callback: CallbackRecord,
    source: CallbackSourceDefinition,
    account: Account,
    at: datetime,
    profile: ConnectionProfile = NO_PROFILE,
) -> tuple[HeadTemplate, CallbackUrl, bytes, str]:
    """Return the template of the request's head, its URL, its body and its signature.

    A record of a Kinesis stream has neither headers nor a signature.
    """
    if callback.url.scheme == SCHEME:
        return record_template(callback.url), callback.called, callback.body.encode(), ""
    method, scheme = callback.method, source.signature
    has_body = method is HttpMethod.POST or callback.stream is not None
    url, body = callback.called, callback.sent_body.encode()
    form = callback.parameters if has_body and scheme.covers_form else ()
    timestamp = timestamp_of(at) if scheme.covers_time else 0
    signed = SigningInput(
        method, url.wire, url.resource, form, body, callback.idempotency_token, timestamp
    )
    secret = account.auth_token if scheme.is_by_auth_token else _secret_of(callback, account)
    if not secret and (damaged := _damaged(scheme, account)):
        raise SecretDamaged(f"the {damaged}, which should sign it, can't be decrypted")
    is_json = callback.has_events or callback.body[:1] == "{"
    static_proxy, extra = account.uses_static_proxy, profile.headers
    if callback.stream is not None:
        template = source.stream_template(callback.url, method, static_proxy, extra)
    elif extra:
        template = source.template_with(callback.url, has_body, is_json, static_proxy, extra)
    else:
        template = source.template_for(callback.url, has_body, is_json, static_proxy)
    return template, url, body, scheme.sign(signed, secret)


def _secret_of(callback: CallbackRecord, account: Account) -> str:
    if callback.secret_id is None:
        return account.kore_secret
    if callback.secret_id == FORGED:
        return f"a secret that no receiver has, {callback.sid}"
    found = account.webhook_secrets.find(callback.secret_id)
    if found is None:
        raise SecretNotFound(
            f"the webhook secret {callback.secret_id}, which should sign it, no longer exists"
        )
    if found[1].id in account.damaged_secrets:
        # A test event is about this secret alone, so it ends, and nothing waits behind it.
        raise SecretNotFound(
            f"the webhook secret {callback.secret_id}, which should sign it, can't be decrypted"
        )
    return found[1].value


def _damaged(scheme: SignatureScheme, account: Account) -> str | None:
    """Return the secret that signs by this scheme, in words, if it is damaged; None otherwise."""
    if scheme.is_by_auth_token:
        return "Auth Token" if "auth_token" in account.damaged_secrets else None
    active = account.webhook_secrets.active
    is_damaged = active is not None and active.id in account.damaged_secrets
    return "active webhook secret" if is_damaged else None
