"""Genuine requests of all sorts, signed by the vendors' rules without any of our code."""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus

from ringback.core.policy.source_policy import Source
from ringback.receiver import ReceivedRequest, Receiver

NOW: Final = datetime(2024, 7, 3, 14, 40, 58, tzinfo=UTC)
PENDING: Final = "not yet active"
PLACE: Final = "{tenant}"
SIGNATURES: Final = {Source.TWILIO: "X-Twilio-Signature", Source.KORE: "Kore-Signature"}
TOKENS: Final = {
    Source.TWILIO: ("I-Twilio-Idempotency-Token", "ba8db584-d0ca-4379-3749-a4e21471a62e"),
    Source.KORE: ("Kore-Idempotency-Token", "RQa48ec9b6ef475034c35566c02b654243"),
}
SETTINGS: Final = "X-Twilio-Webhooks-Signature-Settings"

_FORMS: Final = ["application/x-www-form-urlencoded; charset=UTF-8", "", None]
_JSONS: Final = ["application/json", "application/json; charset=utf-8", "application/ld+json"]
_TEXTS: Final = ["", "v1", "active", "my super sim", "100% & more", "é", "😀 \u2028", "a=b", "\x00"]
_NAMES: Final = ["ApiVersion", "SimSid", "SimStatus", "AccountSid", "Payload", "CommandSid", "Ü"]
_MORE_NAMES: Final = ["SimUniqueName", "ErrorCode", "Payload", "Status", "Ü"]
_SIM: Final = [
    ("ApiVersion", "v1"),
    ("SimSid", "HS" + "a" * 32),
    ("SimStatus", "active"),
    ("AccountSid", "AC" + "a" * 32),
]
_CLOUD_EVENT: Final[dict[str, Any]] = {
    "data": {"test_id": "88bf54a9"},
    "id": "fff521c2",
    "time": "2024-09-25T19:09:48.5842087+00:00",
    "type": "com.kore.eventstreams.test.event",
    "source": "kore-events",
    "specversion": "1.0",
}
_HOSTS: Final = ["a.example", "A.Example", "a.example.", "127.0.0.1", "[::1]", "[2001:DB8::a]"]
_PATHS: Final = ["", "/", "/hook", "/a/b/", "/%7e/p%C3%A4th", "//x", "/p;q", "/p;", "/a@b:8080"]
_QUERIES: Final = ["", "", "?", "?foo=bar", "?b=2&a=1&a=1", "?x=%20&y=a+b&z", "?&&=&"]
_FRAGMENTS: Final = ["", "#cbs=kore", "#cbs=twilio&rc=2", "#odd"]
_SECRETS: Final = ["12345", "a35974bdf1c769b8bb", "é☃", "x" * 200, " "]


@dataclass(slots=True)
class Url:
    """A callback URL in its parts, each as it is configured."""

    scheme: str
    host: str
    port: str
    path: str
    query: str
    credentials: str = ""
    fragment: str = ""

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.host}{self.port}"

    @property
    def wire(self) -> str:
        return f"{self.origin}{self.path}{self.query}"

    @property
    def configured(self) -> str:
        rest = f"{self.host}{self.port}{self.path}{self.query}{self.fragment}"
        return f"{self.scheme}://{self.credentials}{rest}"


@dataclass(slots=True)
class Case:
    """A configured receiver, and a request that arrives at it."""

    source: Source
    url: Url
    """The receiver's configured URL, perhaps with a placeholder in it."""
    tenant: str
    """The value of the placeholder."""
    secret: str
    digest: str
    signed: bytes
    """The text that is signed; for KORE it begins with the secret."""
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    settings: dict[str, Any] = field(default_factory=dict)
    is_called_back: bool = False
    """True if the receiver gets its URL from a function."""

    def __repr__(self) -> str:
        request = (self.method, self.headers, self.body, self.target)
        return f"Receiver({self.url.configured!r}, **{self.settings!r}), request={request!r}"

    @property
    def is_template(self) -> bool:
        return PLACE in self.url.configured

    @property
    def content_type(self) -> str:
        return next((value for name, value in self.headers if name.lower() == "content-type"), "")

    @property
    def is_json(self) -> bool:
        return "json" in self.content_type.lower()

    @property
    def request(self) -> ReceivedRequest:
        return ReceivedRequest(self.method, self.target, tuple(self.headers), self.body)

    def receiver(self, **more: Any) -> Receiver:
        """Return the receiver of this case."""
        text = self.url.configured
        url = (lambda _: text) if self.is_called_back else text
        return Receiver(url, clock=lambda: NOW, **self.settings, **more)


def sign_as_twilio(secret: str, signed: bytes, digest: str) -> str:
    return base64.b64encode(hmac.new(secret.encode(), signed, digest).digest()).decode()


def sign(case: Case) -> str:
    """Return the signature of the case's signed text."""
    if case.source is Source.KORE:
        return hashlib.sha256(case.signed).hexdigest()
    return sign_as_twilio(case.secret, case.signed, case.digest)


def form_as_signed(pairs: list[tuple[str, str]]) -> str:
    return "".join(name + value for name, value in sorted(set(pairs)))


def pairs_of(encoded: bytes | str) -> list[tuple[str, str]]:
    text = encoded if isinstance(encoded, str) else encoded.decode("utf-8", "replace")
    return parse_qsl(text, keep_blank_values=True)


def genuine(random: Random) -> Case:
    """Return a request that its receiver must accept as genuine."""
    source = random.choice(list(Source))
    method = random.choice(["POST", "POST", "GET"])
    case = Case(
        source=source,
        url=_url(random),
        tenant=random.choice(["acme", "a-b_c", "x"]),
        secret=random.choice(_SECRETS),
        digest="sha1",
        signed=b"",
        method=method,
        target="",
        headers=[],
        body=b"",
        is_called_back=random.random() < 0.1,
    )
    if random.random() < 0.3:
        _open_a_place(case, random)
        case.is_called_back = False
    called = _called(case)
    _tell(case, called, random)
    _add_headers(case, called, random)
    _set_up(case, random)
    return case


def _url(random: Random) -> Url:
    return Url(
        scheme=random.choice(["https", "http", "HTTPS"]),
        host=random.choice(_HOSTS),
        port=random.choice(["", "", ":8443", ":443", ":80"]),
        path=random.choice(_PATHS),
        query=random.choice(_QUERIES),
        credentials=random.choice(["", "", "", "user:p%40ss@", "@"]),
        fragment=random.choice(_FRAGMENTS),
    )


def _open_a_place(case: Case, random: Random) -> None:
    where = random.randrange(3)
    if where == 0:
        case.url.host = f"{PLACE}.a.example"
    else:
        case.url.path = f"/{PLACE}/hook" if where == 1 else f"/hook/{PLACE}/"


def _called(case: Case) -> Url:
    url = case.url
    host, path = (part.replace(PLACE, case.tenant) for part in (url.host, url.path))
    return Url(url.scheme, host, url.port, path, url.query)


def _tell(case: Case, called: Url, random: Random) -> None:
    """Set the request's body and target, and the text that is signed."""
    if case.method == "POST" and random.random() < 0.3:
        _tell_json(case, called, random)
    else:
        _tell_form(case, called, random)
    case.target = (called.path or "/") + called.query


def _tell_form(case: Case, called: Url, random: Random) -> None:
    is_of_sim = random.random() < 0.3  # then each required name may be there only once
    pairs, names = (list(_SIM), _MORE_NAMES) if is_of_sim else ([], _NAMES)
    while random.random() < 0.6:
        pairs.append((random.choice(names), random.choice(_TEXTS)))
    escape = random.choice([quote_plus, quote])
    encoded = "&".join(f"{escape(name)}={escape(value)}" for name, value in pairs)
    resource = called.origin + called.path
    if case.method == "GET":
        _add_to_query(called, encoded)
        form = ""
    else:
        case.body, form = encoded.encode(), form_as_signed(pairs_of(encoded))
        kind = random.choice(_FORMS)
        case.headers += [] if kind is None else [("Content-Type", kind)]
    if case.source is Source.KORE:
        case.signed = f"{case.secret}{case.method}{resource}".encode() + case.body
    else:
        case.signed = f"{_in_some_spelling(called, random)}{form}".encode()


def _add_to_query(called: Url, encoded: str) -> None:
    if encoded:
        called.query = f"{called.query}&{encoded}" if called.query[1:] else f"?{encoded}"


def _in_some_spelling(called: Url, random: Random) -> str:
    """Return the URL, sometimes without its port, as some of Twilio's senders sign it."""
    if not called.port and random.random() < 0.1:
        port = ":443" if called.scheme.lower() == "https" else ":80"
        return f"{called.origin}{port}{called.path}{called.query}"
    if called.port and random.random() < 0.3:
        return called.wire.replace(called.port, "", 1)
    return called.wire


def _tell_json(case: Case, called: Url, random: Random) -> None:
    document = [_json_object(random) for _ in range(random.randrange(4))]
    signed = json.dumps(
        document, separators=(",", ":"), ensure_ascii=random.random() < 0.5
    ).encode()
    case.headers.append(("Content-Type", random.choice(_JSONS)))
    if case.source is Source.KORE:
        spaced = json.dumps(document, indent=random.choice([None, 2]), ensure_ascii=False).encode()
        case.body = random.choice([signed, spaced])
        resource = called.origin + called.path
        case.signed = f"{case.secret}POST{resource}".encode() + signed
    else:
        case.body = signed
        _add_to_query(called, f"bodySHA256={hashlib.sha256(signed).hexdigest()}")
        case.signed = _in_some_spelling(called, random).encode()


def _json_object(random: Random) -> dict[str, Any]:
    """Return an event of KORE's, perhaps damaged, or any other object."""
    event: dict[str, Any] = dict(_CLOUD_EVENT) if random.random() < 0.5 else {}
    while random.random() < 0.5:
        event[random.choice([*_NAMES, *_CLOUD_EVENT])] = random.choice([*_TEXTS, None, 1, [], {}])
    return event


def _add_headers(case: Case, called: Url, random: Random) -> None:
    if case.source is Source.TWILIO and random.random() < 0.3:
        case.digest = random.choice(["sha1", "sha256"])
        name = random.choice([case.digest.upper(), case.digest])
        case.headers.append((SETTINGS, f"key=webhooks_sharedkey_1,algorithm=HMAC_{name}"))
    date = f"{NOW:%Y-%m-%dT%H:%M:%SZ}" if random.random() < 0.7 else format_datetime(NOW)
    if case.source is Source.KORE or random.random() < 0.2:
        case.headers.append(("Date", date))
    if random.random() < 0.9:
        case.headers.append(TOKENS[case.source])
    case.headers.append(("Host", called.host + called.port))
    case.headers.append((SIGNATURES[case.source], sign(case)))


def _set_up(case: Case, random: Random) -> None:
    """Give the receiver the secret, often among others."""
    kind = "kore_secrets" if case.source is Source.KORE else "twilio_auth_tokens"
    if any(name == SETTINGS for name, _ in case.headers):
        kind = "twilio_shared_keys"
    for name in ("twilio_auth_tokens", "kore_secrets", "twilio_shared_keys"):
        others = [f"another {name}"] if random.random() < 0.4 else []
        mine = [case.secret] if name == kind else []
        if others or mine:
            case.settings[name] = random.choice([others + mine, mine + others])
    if random.random() < 0.3:
        case.settings["pending_kore_secrets"] = [PENDING]
    if random.random() < 0.3:
        case.settings["max_age"] = timedelta(minutes=5)
