"""Get an account's secrets and callback records from the sender, a running `ringback dev`."""

import json
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlencode

from ringback.core.callback_urls.callback_url import CallbackUrl, basic_authorization
from ringback.core.callback_urls.connection_overrides import Timeouts
from ringback.core.callbacks.callback import url_of_batch
from ringback.core.errors import InvalidCallbackUrl
from ringback.core.http.http_exchange import OutgoingRequest
from ringback.core.policy.source_policy import SourceName
from ringback.ports import Transport
from ringback.receiver.verification import ReceiverSecrets, SenderCallbackRecord

# Short, because the sender is on this machine, and is itself waiting for the listener's answer.
_LIMITS: Final = Timeouts(connect=1, read=1, total=1)


@dataclass(frozen=True, slots=True)
class ListenAccount:
    """The account whose callbacks are expected, with its secrets and the sender's base URL."""

    base_url: CallbackUrl
    sid: str
    auth_token: str = field(repr=False)
    kore_secret: str = field(repr=False)
    api_key_secret: str = field(repr=False)


def secrets_of(account: ListenAccount | None, *, given: ReceiverSecrets) -> ReceiverSecrets:
    """Return the secrets to verify signatures with: those given, else the account's.

    The result also lists all secrets of the account, to explain a wrong signature: people often use
    another secret, such as the API key's, by mistake.
    """
    if account is None:
        return given
    return ReceiverSecrets(
        given.twilio_auth_tokens or (account.auth_token,),
        given.kore_secrets or (account.kore_secret,),
        not_accepted=(
            ("the account's Auth Token", account.auth_token),
            ("the account's webhook secret", account.kore_secret),
            ("the API key's secret", account.api_key_secret),
        ),
    )


async def look_up(
    token: str, *, of: ListenAccount, transport: Transport
) -> SenderCallbackRecord | None:
    """Return the sender's record of the callback with this token; None if it can't be found."""
    path, query = "/portal/v1/callbacks", urlencode({"IdempotencyToken": token})
    basic = basic_authorization(f"{of.sid}:{of.auth_token}")
    headers = (("Host", of.base_url.authority), ("Authorization", basic))
    url = replace(of.base_url, path=path, query=query)
    asked = OutgoingRequest.with_headers("GET", url, headers, b"")
    exchange = await transport.send(asked, limits=_LIMITS)
    try:
        return sent_of(json.loads(exchange.response.body)) if exchange.response else None
    except ValueError:
        return None


def sent_of(listed: object) -> SenderCallbackRecord | None:
    """Return the callback's record from the portal's response to a search by token.

    None if the response doesn't list exactly one callback. The attempts aren't needed, because all
    have the URL and payload of the callback.
    """
    match listed:
        case {
            "callbacks": [
                {
                    "stream_sid": str(),
                    "source": str(source),
                    "url": str(url),
                    "method": str(method),
                    "body": str(body),
                }
            ]
        }:
            return _sent_batch(method, url, source, body)
        case {"callbacks": [{"is_test": True, "method": "GET", "url": str(url)}]}:
            return _sent(url, "GET", "")
        case {"callbacks": [{"url": str(url), "method": str(method), "body": str(body)}]}:
            return _sent(url, method, body)
        case _:
            return None


def _sent_batch(
    method: str, url: str, source: SourceName, body: str
) -> SenderCallbackRecord | None:
    """Return the record of a batch of an event stream, whose body is sent with a GET, too."""
    try:
        called = url_of_batch(CallbackUrl.parse(url), source, body)
    except InvalidCallbackUrl:
        return None
    return SenderCallbackRecord(method, called.wire, body.encode("utf-8", "replace"))


def _sent(url: str, method: str, parameters: str) -> SenderCallbackRecord | None:
    try:
        called = CallbackUrl.parse(url)
    except InvalidCallbackUrl:
        return None
    if method == "GET":
        return SenderCallbackRecord(
            method, (called.with_parameters(parameters) if parameters else called).wire
        )
    return SenderCallbackRecord(method, called.wire, parameters.encode("utf-8", "replace"))
