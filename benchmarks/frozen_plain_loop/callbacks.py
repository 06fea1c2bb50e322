"""Callbacks, and how a request is made of one: rendered and signed as KORE does."""

import hashlib
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from itertools import repeat
from typing import Final, NamedTuple, Self
from urllib.parse import urlsplit

SourceName = str
Headers = tuple[tuple[str, str], ...]


class Method(StrEnum):
    POST = "POST"
    GET = "GET"


class Source(StrEnum):
    TWILIO = "twilio"
    KORE = "kore"


@dataclass(frozen=True)
class Connection:
    """The timeouts of one request, and the ways out that it may take."""

    connect_timeout_ms: int = 5000
    read_timeout_ms: int = 15000
    total_timeout_ms: int = 15000
    retry_count: int = 1
    retry_on: frozenset[str] | None = None
    sni: bool | None = None
    egress: tuple[str, ...] = ()


class Limits(NamedTuple):
    connect: float
    read: float
    total: float


def limits_of(connection: Connection, left: timedelta) -> Limits:
    return Limits(
        connection.connect_timeout_ms / 1000,
        connection.read_timeout_ms / 1000,
        left.total_seconds(),
    )


@dataclass(frozen=True)
class CallbackUrl:
    scheme: str
    host: str
    explicit_port: str | None
    path: str
    query: str | None
    fragment: str | None = None
    credentials: str | None = field(default=None, repr=False)
    source: SourceName | None = None
    connection: Connection = Connection()
    warnings: tuple[str, ...] = ()

    @cached_property
    def authority(self) -> str:
        return self.host if self.explicit_port is None else f"{self.host}:{self.explicit_port}"

    @cached_property
    def resource(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    @cached_property
    def wire(self) -> str:
        return self.resource if self.query is None else f"{self.resource}?{self.query}"

    @cached_property
    def target(self) -> str:
        return (self.path or "/") + ("" if self.query is None else f"?{self.query}")

    @cached_property
    def authorization(self) -> str | None:
        return None

    @cached_property
    def uses_tls(self) -> bool:
        return self.scheme.lower() == "https"

    @cached_property
    def port(self) -> int:
        return int(self.explicit_port or 80)

    @cached_property
    def hostname(self) -> str:
        return self.host.strip("[]")


class WebhookSecret(NamedTuple):
    id: str
    value: str


@dataclass(frozen=True, slots=True)
class WebhookSecrets:
    active: WebhookSecret | None = None
    pending: WebhookSecret | None = None

    def find(self, secret_id: str) -> WebhookSecret | None:
        both = (self.active, self.pending)
        return next((each for each in both if each is not None and each.id == secret_id), None)


@dataclass(frozen=True, slots=True)
class Account:
    sid: str
    auth_token: str = field(repr=False)
    uses_static_proxy: bool
    webhook_secrets: WebhookSecrets

    @property
    def kore_secret(self) -> str:
        active = self.webhook_secrets.active
        return "" if active is None else active.value


class Progress(NamedTuple):
    date_updated: datetime
    status: str = "scheduled"
    status_reason: str | None = None
    attempt_count: int = 0
    due: datetime | None = None
    round_attempts: int = 0
    round_began: datetime | None = None
    round_number: int = 0


class Callback(NamedTuple):
    sid: str
    account_sid: str
    url: CallbackUrl
    method: Method
    body: str
    source: SourceName
    source_asked: SourceName | None
    source_reason: str
    idempotency_token: str
    date_created: datetime
    progress: Progress
    idempotency_key: str | None = None
    replay_of: str | None = None
    is_test: bool = False
    secret_id: str | None = None

    @property
    def parameters(self) -> list[tuple[str, str]]:
        raise NotImplementedError("KORE signs the body as it is")

    @property
    def called(self) -> CallbackUrl:
        if self.method is Method.POST or self.is_test:
            return self.url
        raise NotImplementedError("the loop sends no GET requests")

    @property
    def sent_body(self) -> str:
        return self.body if self.method is Method.POST else ""


# The headers of a source, and its signature.

Values = Mapping[str, str | None]
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


class HeaderLine(NamedTuple):
    name: str
    template: str
    placeholders: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        name, _, value = text.partition(": ")
        return cls(name, value, tuple(_PLACEHOLDER.findall(value)))

    @property
    def key(self) -> str | None:
        is_all = self.placeholders and self.template == f"{{{self.placeholders[0]}}}"
        return self.placeholders[0] if is_all else None

    def fill(self, values: Values) -> str | None:
        if any(values[name] is None for name in self.placeholders):
            return None
        return _PLACEHOLDER.sub(lambda found: values[found[1]] or "", self.template)


class Signed(NamedTuple):
    """The parts of a request that a signature may cover."""

    method: str
    wire: str
    resource: str
    form: Sequence[tuple[str, str]]
    body: bytes
    token: str
    timestamp: int


class SignatureScheme(NamedTuple):
    sign: Callable[[Signed, str], str]
    is_by_auth_token: bool = False
    covers_form: bool = False
    covers_time: bool = False


def sign_as_kore(method: str, resource: str, body: bytes = b"", *, secret: str) -> str:
    if not secret:
        return ""
    return hashlib.sha256(f"{secret}{method}{resource}".encode() + body).hexdigest()


def _as_kore(signed: Signed, secret: str) -> str:
    return sign_as_kore(signed.method, signed.resource, signed.body, secret=secret)


@dataclass(frozen=True)
class Infrastructure:
    """A source of callbacks: its headers in their order, and how it signs."""

    headers: tuple[HeaderLine, ...]
    signature: SignatureScheme
    content_type: str = "application/x-www-form-urlencoded; charset=utf-8"

    @cached_property
    def needs_time(self) -> bool:
        return self.signature.covers_time or "timestamp" in self._placeholders

    @cached_property
    def needs_date(self) -> bool:
        return "date" in self._placeholders

    def fill(self, values: Values) -> Headers:
        found = list[tuple[str, str]]()
        for as_it_stands, name, key, header in self._lines:
            if as_it_stands is not None:
                found.append(as_it_stands)
                continue
            value = values[key] if key is not None else header.fill(values)
            if value is not None:
                found.append((name, value))
        return tuple(found)

    @cached_property
    def _placeholders(self) -> frozenset[str]:
        return frozenset(name for header in self.headers for name in header.placeholders)

    @cached_property
    def _lines(self) -> Sequence[tuple[tuple[str, str] | None, str, str | None, HeaderLine]]:
        return [
            (
                None if header.placeholders else (header.name, header.template),
                header.name,
                header.key,
                header,
            )
            for header in self.headers
        ]


Sources = Mapping[SourceName, Infrastructure]

BUILT_IN: Final[Sources] = {
    Source.KORE: Infrastructure(
        headers=tuple(
            map(
                HeaderLine.parse,
                (
                    "Host: {host}",
                    "User-Agent: KoreProxy/1.1",
                    "Content-Length: {length}",
                    "Accept: */*",
                    "Accept-Encoding: gzip, deflate",
                    "Authorization: {authorization}",
                    "Content-Type: {content_type}",
                    "Date: {date}",
                    "Kore-Idempotency-Token: {token}",
                    "Kore-Signature: {signature}",
                ),
            )
        ),
        signature=SignatureScheme(_as_kore),
    )
}


# Rendering.

_JSON: Final = "application/json; charset=utf-8"


@dataclass(slots=True)
class OutgoingRequest:
    method: str
    url: CallbackUrl
    headers: Headers
    body: bytes
    source: SourceName | None = None
    head: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lines = [f"{self.method} {self.url.target} HTTP/1.1", *map(": ".join, self.headers)]
        self.head = "\r\n".join(lines)

    def to_bytes(self) -> bytes:
        return b"%b\r\n\r\n%b" % (self.head.encode("latin-1"), self.body)


def render(
    callback: Callback, *, account: Account, at: datetime, sources: Sources = BUILT_IN
) -> OutgoingRequest:
    infrastructure = sources.get(callback.source)
    if infrastructure is None:
        raise LookupError(f"there is no source {callback.source!r}")
    url, body = callback.called, callback.sent_body.encode()
    values = _values_of(callback, url, body, account=account, at=at, source=infrastructure)
    return OutgoingRequest(callback.method, url, infrastructure.fill(values), body, callback.source)


def _values_of(
    callback: Callback,
    url: CallbackUrl,
    body: bytes,
    *,
    account: Account,
    at: datetime,
    source: Infrastructure,
) -> Values:
    is_post = callback.method is Method.POST
    token, scheme = callback.idempotency_token, source.signature
    form = callback.parameters if is_post and scheme.covers_form else ()
    timestamp = int(at.timestamp()) if source.needs_time else 0
    signed = Signed(callback.method, url.wire, url.resource, form, body, token, timestamp)
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


def _secret_of(callback: Callback, account: Account) -> str:
    if callback.secret_id is None:
        return account.kore_secret
    found = account.webhook_secrets.find(callback.secret_id)
    if found is None:
        raise LookupError(f"there is no webhook secret {callback.secret_id}")
    return found.value


# The callbacks of the loop.

_SECRETS: Final = WebhookSecrets(WebhookSecret("whs_1", "secret"))
ACCOUNT: Final = Account("AC" + "1" * 32, "token", False, _SECRETS)
_BODY: Final = (
    "ApiVersion=v1&SimUniqueName=my_super_sim&SimSid=HS22222222222222222222222222222222"
    "&SimStatus=active&AccountSid=AC11111111111111111111111111111111"
)


def callbacks_to(url: str) -> Iterator[Callback]:
    """Make callbacks endlessly, each with texts of its own, as they come from a store."""
    parts = urlsplit(url)
    port = None if parts.port is None else str(parts.port)
    target = CallbackUrl(
        parts.scheme, parts.hostname or "", port, parts.path, parts.query or None,
        fragment="cbs=kore", source=Source.KORE,
    )  # fmt: skip
    for _ in repeat(None):
        now = datetime.now(UTC)
        yield Callback(
            sid=f"CB{secrets.token_hex(16)}",
            account_sid=ACCOUNT.sid,
            url=target,
            method=Method.POST,
            body="".join(_BODY.partition("&")),
            source=Source.KORE,
            source_asked=Source.KORE,
            source_reason=f"the URL asks for it: #cbs={Source.KORE}",
            idempotency_token=f"RQ{secrets.token_hex(16)}",
            date_created=now,
            progress=Progress(now, due=now),
        )


def stamped(callback: Callback, number: int) -> Callback:
    """Return the callback with a number, by which the receiver reports when it arrived."""
    return callback._replace(body=f"{callback.body}&Stamp={number}")
