"""Callback + secrets + time -> the exact request, down to its bytes.

What comes out of here is what is signed, what is sent, what is recorded and what tests capture.
Header names, their letter case and their order are those of KORE's notice; both senders put Host,
User-Agent and Content-Length first and sort the rest, Twilio's ends with Accept-Encoding.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, assert_never

from ringback.core.account import Account
from ringback.core.callback import Callback, RecordedRequest
from ringback.core.callback_url import CallbackUrl
from ringback.core.errors import SecretGone
from ringback.core.method import Method
from ringback.core.signature import sign_as_kore, sign_as_twilio
from ringback.core.source import Source

Headers = tuple[tuple[str, str], ...]

_TWILIO_FORM: Final = (("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"),)
_KORE_FORM: Final = (("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),)
_KORE_JSON: Final = (("Content-Type", "application/json; charset=utf-8"),)
_STATIC_PROXY: Final = (("X-Use-Static-Proxy", "true"),)
_AUTHORIZATION: Final = re.compile(r"^(Authorization: )[^\r\n]*", re.MULTILINE)


@dataclass(slots=True)  # not frozen, since that takes longer to make than signing does
class OutgoingRequest:
    """A finished request; order and letter case are part of it."""

    method: str
    url: CallbackUrl
    headers: Headers
    body: bytes
    source: Source | None = None
    """The infrastructure that it comes from; None where it is none of ours."""
    head: str = field(init=False, repr=False, compare=False)
    """The request line and the headers, as they go on the wire."""

    def __post_init__(self) -> None:
        """Put the head together, once for the wire and the record."""
        lines = [f"{self.method} {self.url.target} HTTP/1.1", *map(": ".join, self.headers)]
        self.head = "\r\n".join(lines)

    def to_bytes(self) -> bytes:
        """Return the request as it goes on the wire."""
        return b"%b\r\n\r\n%b" % (self.head.encode("latin-1"), self.body)

    def recorded(self) -> RecordedRequest:
        """Return the request for its attempt row; credentials are hidden."""
        head = self.head
        if self.url.credentials is not None:
            head = _AUTHORIZATION.sub(r"\1(hidden)", head)
        return RecordedRequest(self.method, self.url.wire, head, self.body.decode(errors="replace"))


def render(callback: Callback, *, account: Account, at: datetime) -> OutgoingRequest:
    """Return the request of an attempt that leaves at this time, signed with today's secrets.

    Raises SecretGone where the secret that it names is none of the account's any more.
    """
    url, body = callback.called, callback.sent_body.encode()
    match callback.source:
        case Source.TWILIO:
            headers = _twilio_headers(callback, url, body, account)
        case Source.KORE:
            headers = _kore_headers(callback, url, body, account, at)
        case _:
            assert_never(callback.source)
    return OutgoingRequest(callback.method, url, headers, body, callback.source)


def _twilio_headers(callback: Callback, url: CallbackUrl, body: bytes, account: Account) -> Headers:
    form = callback.parameters if callback.method is Method.POST else ()
    signature = sign_as_twilio(url.wire, form, auth_token=account.auth_token)
    return (
        ("Host", url.authority),
        ("User-Agent", "TwilioProxy/1.1"),
        *_content_length(callback, body),
        ("Accept", "*/*"),
        *_authorization(url),
        *(_TWILIO_FORM if callback.method is Method.POST else ()),
        ("I-Twilio-Idempotency-Token", callback.idempotency_token),
        ("X-Home-Region", "us1"),
        ("X-Twilio-Signature", signature),
        *(_STATIC_PROXY if account.uses_static_proxy else ()),
        ("Accept-Encoding", "gzip"),
    )


def _kore_headers(
    callback: Callback, url: CallbackUrl, body: bytes, account: Account, at: datetime
) -> Headers:
    secret = _secret_of(callback, account)
    signature = sign_as_kore(callback.method, url.resource, body, secret=secret)
    content_type = _KORE_JSON if callback.is_test else _KORE_FORM
    return (
        ("Host", url.authority),
        ("User-Agent", "KoreProxy/1.1"),
        *_content_length(callback, body),
        ("Accept", "*/*"),
        ("Accept-Encoding", "gzip, deflate"),
        *_authorization(url),
        *(content_type if callback.method is Method.POST else ()),
        ("Date", f"{at.isoformat()[:19]}Z"),
        ("Kore-Idempotency-Token", callback.idempotency_token),
        ("Kore-Signature", signature),
    )


def _secret_of(callback: Callback, account: Account) -> str:
    if callback.secret_id is None:
        return account.kore_secret
    found = account.webhook_secrets.find(callback.secret_id)
    if found is None:
        raise SecretGone(f"the webhook secret {callback.secret_id} that was to sign it is gone")
    return found[1].value


def _content_length(callback: Callback, body: bytes) -> Headers:
    return (("Content-Length", str(len(body))),) if callback.method is Method.POST else ()


def _authorization(url: CallbackUrl) -> Headers:
    return () if url.authorization is None else (("Authorization", url.authorization),)
