"""The receiver agrees with Twilio's own RequestValidator, except where that is wrong.

Each gets a request as it does in practice: the receiver gets the bytes that arrived, and the
validator the URL that a framework rebuilds, with a form as the framework has parsed it.
"""

import base64
import hashlib
import hmac
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus

import pytest
from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import RequestValidator, get_signature_algorithm
from werkzeug.datastructures import MultiDict

from ringback.receiver import Reason, Receiver, Rejected, Verified
from ringback.receiver.verification import Verdict

TOKEN: Final = "12345"
KEY: Final = "a shared key"
SETTINGS: Final = "X-Twilio-Webhooks-Signature-Settings"
BY_KEY: Final = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
A_JSON: Final = "application/json"
A_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it reaches the receiver and the validator."""

    configured: str
    """The URL with which the receiver is configured."""
    signature: str | None
    body: bytes = b""
    target: str = "/p"
    method: str = "POST"
    content_type: str | None = A_FORM
    settings: str | None = None
    url: str = "https://a.example/p"
    """The input of the validator: the URL, and the parameters or the body."""
    given: Any = field(default_factory=dict[str, str])


def pairs_of(text: str) -> list[tuple[str, str]]:
    return parse_qsl(text, keep_blank_values=True)


def sign(url: str, body: bytes = b"", *, secret: str = TOKEN, digest: Any = hashlib.sha1) -> str:
    """Sign as Twilio documents it; the body is that of a form."""
    pairs = sorted(set(pairs_of(body.decode("utf-8", "surrogatepass"))))
    signed = (url + "".join(name + value for name, value in pairs)).encode("utf-8", "surrogatepass")
    return base64.b64encode(hmac.new(secret.encode(), signed, digest).digest()).decode()


def ours(request: Request) -> Verdict:
    headers = [("I-Twilio-Idempotency-Token", "ba8db584-d0ca-4379-3749-a4e21471a62e")]
    named = (
        ("Content-Type", request.content_type),
        ("X-Twilio-Signature", request.signature),
        (SETTINGS, request.settings),
    )
    headers += [(name, value) for name, value in named if value is not None]
    receiver = Receiver(request.configured, twilio_auth_tokens=[TOKEN], twilio_shared_keys=[KEY])
    return receiver.check(request.method, headers, request.body, target=request.target)


def theirs(request: Request) -> Any:
    """Return the validator's result, with the secret and the algorithm that the headers name."""
    validator = RequestValidator(TOKEN if request.settings is None else KEY)
    algorithm = get_signature_algorithm(request.settings)
    return validator.validate(request.url, request.given, request.signature, algorithm)


# ---- ten thousand requests ----------------------------------------------------------------------

_NAMES: Final = [
    "SimSid",
    "SimStatus",
    "Payload",
    "payload",
    "a",
    "",
    "Ünder",
    "x y",
    "%41",
    "=",
    "😀",
]
_PATHS: Final = ["/%7e/p%C3%A4th", "/p;a=1", "/@:1/", "/p;/q"]
_QUERIES: Final = ["b=2&a=1&a=1", "x=%20&y=a+b&z", "=&&?/", ";", "?", "a=%ff"]
_VALUES: Final = [
    "",
    "active",
    "my super sim",
    "1+1",
    "100%",
    "é\u0301",
    "a&b=c",
    "\n",
    "\x00",
    "☃" * 50,
]


@dataclass(frozen=True, slots=True)
class Url:
    """A URL as it is configured, in parts."""

    scheme: str
    host: str
    port: str
    path: str
    query: str | None
    credentials: str = ""
    fragment: str = ""

    @property
    def wire(self) -> str:
        query = "" if self.query is None else f"?{self.query}"
        return f"{self.scheme}://{self.host}{self.port}{self.path}{query}"

    @property
    def configured(self) -> str:
        return self.wire.replace("://", f"://{self.credentials}", 1) + self.fragment

    def with_more(self, more: str) -> "Url":
        return replace(self, query=f"{self.query}&{more}" if self.query else more) if more else self


def a_url(random: Random) -> Url:
    """Return a random URL, sometimes of a kind that the validator handles wrongly."""
    odd = random.random() < 0.2
    return Url(
        scheme=random.choice(["HTTPS", "Http", "https"] if odd else ["https", "http"]),
        host=random.choice(["a.example", "A.Example", "127.0.0.1", "xn--4ca.example", "[::1]"]),
        port=random.choice(["", "", "", ":443", ":80", ":8443", ":1", ":0443"]),
        path=random.choice(["", "/p;", "/p"] if odd else ["/p", "/", "/a/b/", "//p", *_PATHS]),
        query=random.choice(["", None] if odd else [None, "foo=bar", *_QUERIES]),
        credentials=random.choice(["", "", "user:p%40ss@"]),
        fragment=random.choice(["", "#cbs=twilio", "#rc=2"]),
    )


def some_pairs(random: Random) -> list[tuple[str, str]]:
    count = random.choice([0, 1, 2, 3, 5, 8, 20])
    return [(random.choice(_NAMES), random.choice(_VALUES)) for _ in range(count)]


def encoded(pairs: list[tuple[str, str]], random: Random) -> str:
    """Encode a form, with spaces as + or %20, and sometimes more escapes than needed."""
    escape = random.choice([quote_plus, quote, lambda text: quote(text, safe="!@$*()',/:;")])
    return "&".join(f"{escape(name)}={escape(value)}" for name, value in pairs)


def as_framework(text: str, random: Random) -> Any:
    """Return a form as Werkzeug or Starlette passes it on, or as a plain dict if that works."""
    pairs = pairs_of(text)
    if len(dict(pairs)) == len(pairs) and random.random() < 0.3:
        return dict(pairs)
    return MultiDict(pairs) if random.random() < 0.5 else Starlettes(pairs)


class Starlettes(ImmutableMultiDict[str, str]):
    """A form as Starlette has parsed it."""


def a_genuine_one(random: Random) -> tuple[Url, Request]:
    """Return a request that both have to accept, and the URL that was called."""
    url = a_url(random)
    kind = random.choice(["form", "form", "form", "get", "json"])
    text = encoded(some_pairs(random), random)
    called, body, given, content_type = url, b"", as_framework("", random), None
    if kind == "get":
        called = url.with_more(text)
    elif kind == "form":
        body, given = text.encode(), as_framework(text, random)
        content_type = random.choice([A_FORM, f"{A_FORM}; charset=UTF-8"])
    else:
        body = f'{{"a": "{random.choice(_VALUES)}"}}'.encode()
        called = url.with_more(f"bodySHA256={hashlib.sha256(body).hexdigest()}")
        given, content_type = body.decode(), A_JSON
    by_key = random.random() < 0.2
    signature = sign(
        _as_signed(called, random).wire,
        body if kind == "form" else b"",
        secret=KEY if by_key else TOKEN,
        digest=hashlib.sha256 if by_key else hashlib.sha1,
    )
    query = "" if called.query is None else f"?{called.query}"
    return called, Request(
        configured=url.configured,
        signature=signature,
        body=body,
        target=(called.path or "/") + query,
        method="GET" if kind == "get" else "POST",
        content_type=content_type,
        settings=BY_KEY if by_key else None,
        url=replace(called, path=called.path or "/").wire,
        given=given,
    )


def _as_signed(called: Url, random: Random) -> Url:
    """Remove the port, or add the default one, as Twilio's senders may."""
    if random.random() < 0.7:
        return called
    default = ":443" if called.scheme.lower() == "https" else ":80"
    return replace(called, port="" if called.port else default)


def signed_by_another(random: Random, called: Url, request: Request) -> Request:
    by_key = request.settings is not None
    digest = hashlib.sha256 if by_key else hashlib.sha1
    body = request.body if request.content_type != A_JSON else b""
    return replace(request, signature=sign(called.wire, body, secret="another", digest=digest))


def signature_changed(random: Random, called: Url, request: Request) -> Request:
    signature = str(request.signature)
    at = random.randrange(len(signature) - 2)
    other = "A" if signature[at] != "A" else "B"
    return replace(request, signature=signature[:at] + other + signature[at + 1 :])


def signature_cut_off(random: Random, called: Url, request: Request) -> Request:
    return replace(request, signature=random.choice(["", str(request.signature)[:-1], "é" * 28]))


def parameter_added(random: Random, called: Url, request: Request) -> Request:
    if not isinstance(request.given, str):
        text = request.body.decode() + "&Forged=1"
        if request.method == "POST":
            return replace(request, body=text.encode(), given=MultiDict(pairs_of(text)))
        return with_query(request, "Forged=1")
    return replace(request, body=request.body + b" ", given=f"{request.given} ")


def query_added(random: Random, called: Url, request: Request) -> Request:
    return with_query(request, random.choice(["Forged=1", "Forged", "=Forged"]))


def with_query(request: Request, more: str) -> Request:
    sign = "&" if "?" in request.target else "?"
    return replace(
        request, target=f"{request.target}{sign}{more}", url=f"{request.url}{sign}{more}"
    )


def value_changed(random: Random, called: Url, request: Request) -> Request:
    if request.content_type != A_FORM or not request.body:
        return signature_changed(random, called, request)
    text = f"{request.body.decode()}x"
    return replace(request, body=text.encode(), given=MultiDict(pairs_of(text)))


def body_gone(random: Random, called: Url, request: Request) -> Request:
    if not request.body.strip(b"="):
        return signature_changed(random, called, request)
    return replace(request, body=b"", given="" if request.content_type == A_JSON else {})


def sent_elsewhere(random: Random, called: Url, request: Request) -> Request:
    """Send the request to a receiver at another URL."""
    if random.random() < 0.5:
        moved = (text.replace(called.host, "b.example", 1) for text in _urls_of(request))
    else:
        other = "http" if called.scheme.lower() == "https" else "https"
        moved = (text.replace(called.scheme, other, 1) for text in _urls_of(request))
    configured, url = moved
    return replace(request, configured=configured, url=url)


def _urls_of(request: Request) -> tuple[str, str]:
    return request.configured, request.url


def key_for_token(random: Random, called: Url, request: Request) -> Request:
    return replace(request, settings=None if request.settings else BY_KEY)


FORGERIES: Final[tuple[Callable[[Random, Url, Request], Request], ...]] = (
    signed_by_another,
    signature_changed,
    signature_cut_off,
    parameter_added,
    query_added,
    value_changed,
    body_gone,
    sent_elsewhere,
    key_for_token,
)


def where_it_is_wrong(called: Url) -> list[str]:
    """Return the rows of the table below by which the validator refuses a genuine request here."""
    rows = {
        "an empty query": called.query == "",
        "an empty parameter of the path": called.path.endswith(";"),
        "capitals in the scheme": called.scheme != called.scheme.lower(),
        "no path": called.path == "",
        "an IPv6 address with a port": called.host.startswith("[") and called.port != "",
    }
    return [name for name, is_so in rows.items() if is_so]


@pytest.mark.parametrize("count", [3_000, pytest.param(10_000, marks=pytest.mark.long)])
def test_both_agree_on_many_requests_except_where_the_validator_is_wrong(count: int) -> None:
    random, seen = Random(7), Counter[str]()
    for _ in range(count):
        called, request = a_genuine_one(random)
        if random.random() < 0.3:
            forgery = random.choice(FORGERIES)
            request = forgery(random, called, request)
            assert isinstance(ours(request), Rejected), (forgery.__name__, request)
            assert theirs(request) is False, (forgery.__name__, request)
            seen[forgery.__name__] += 1
            continue
        assert isinstance(ours(request), Verified), request
        if theirs(request):
            seen["both accept"] += 1
        else:
            rows = where_it_is_wrong(called)
            assert rows, request
            seen.update(rows)
    assert seen["both accept"] > count * 0.4
    assert seen.keys() >= {"both accept", *(forgery.__name__ for forgery in FORGERIES)}
    assert seen.keys() - {row.name for row in WRONG} == {"both accept", *_names(FORGERIES)}


def _names(functions: Iterable[Callable[..., object]]) -> set[str]:
    return {function.__name__ for function in functions}


# ---- where the validator is wrong ---------------------------------------------------------------

REFUSES: Final = "refuses a genuine one"
ACCEPTS: Final = "accepts a forged one"


@dataclass(frozen=True, slots=True)
class Wrong:
    """A request on which the validator is wrong, and the receiver right."""

    name: str
    why: str
    request: Request
    does: str | type[Exception]
    """The validator's result: one of the two above, or the error that it raises."""
    is_genuine: bool = True
    reason: Reason | None = None
    """The reason for which the receiver rejects it, or None if it accepts."""


HERE: Final = "https://a.example/p"
BODY: Final = b"SimStatus=active&ApiVersion=v1"
FORM: Final = dict(pairs_of(BODY.decode()))
DOCUMENT: Final = b'{"SimStatus":"active"}'
FORGED: Final = b'{"SimStatus":"forged"}'
NO_TEXT: Final = b"\xff"
NOBODYS: Final = "A" * 27 + "="


def a_form(signed_for: str = HERE, body: bytes = BODY, **more: Any) -> Request:
    """Return a genuine form, for a receiver at the URL that it was signed for."""
    path = signed_for.partition("://")[2].partition("/")[2]
    ready: dict[str, Any] = {
        "configured": signed_for,
        "signature": sign(signed_for, body),
        "body": body,
        "target": f"/{path}",
        "url": signed_for,
        "given": FORM,
    }
    return Request(**(ready | more))


def a_json(given: object, document: bytes = DOCUMENT, **more: Any) -> Request:
    """Return JSON, signed by the hash of the document in its URL."""
    url = hashed(document)
    ready: dict[str, Any] = {
        "configured": HERE,
        "signature": sign(url),
        "body": document,
        "target": url.removeprefix("https://a.example"),
        "url": url,
        "given": given,
        "content_type": A_JSON,
    }
    return Request(**(ready | more))


def hashed(document: bytes) -> str:
    return f"{HERE}?bodySHA256={hashlib.sha256(document).hexdigest()}"


UNHASHED: Final[dict[str, Any]] = {"url": HERE, "target": "/p", "signature": sign(HERE)}
V6: Final = "https://[2001:db8::1]"
WRONG: Final = (
    Wrong(
        "an IPv6 address with a port",
        "what stands before the first colon is taken for the host",
        replace(a_form(f"{V6}/p"), url=f"{V6}:8443/p", configured=f"{V6}:8443/p", target="/p"),
        REFUSES,
    ),
    Wrong(
        "user and password, and a port",
        "what stands before the first colon is taken for the host, and that is the user",
        replace(
            a_form(HERE),
            url="https://user:pass@a.example:8443/p",
            configured="https://user:pass@a.example:8443/p",
        ),
        REFUSES,
    ),
    Wrong(
        "the URL as it is configured, with a fragment",
        "the fragment is kept, and nobody signs it",
        a_form(HERE, configured=f"{HERE}#cbs=twilio", url=f"{HERE}#cbs=twilio"),
        REFUSES,
    ),
    Wrong(
        "an empty query",
        "the URL is put together again without its question mark",
        a_form(f"{HERE}?"),
        REFUSES,
    ),
    Wrong(
        "an empty parameter of the path",
        "the URL is put together again without its semicolon",
        a_form(f"{HERE};"),
        REFUSES,
    ),
    Wrong(
        "capitals in the scheme",
        "the URL is put together again in lower case",
        a_form("HTTPS://a.example/p"),
        REFUSES,
    ),
    Wrong(
        "no path",
        "a URL that ends with its host is called with the path /, and signed without",
        a_form("https://a.example", url="https://a.example/"),
        REFUSES,
    ),
    Wrong(
        "a proxy in front",
        "the URL that a framework rebuilds is the one behind the proxy",
        a_form(HERE, url="http://10.0.0.7:8080/p"),
        REFUSES,
    ),
    Wrong(
        "a port that is not a number",
        "the Host header is anybody's, and a URL with this port raises when it is read",
        replace(a_form(HERE), signature=NOBODYS, url="https://a.example:x/p"),
        ValueError,
        is_genuine=False,
        reason=Reason.NOT_EXPLAINED,
    ),
    Wrong(
        "a port out of range",
        "likewise",
        replace(a_form(HERE), signature=NOBODYS, url="https://a.example:99999/p"),
        ValueError,
        is_genuine=False,
        reason=Reason.NOT_EXPLAINED,
    ),
    Wrong(
        "an open bracket in the Host header",
        "likewise",
        replace(a_form(HERE), signature=NOBODYS, url="https://[a.example/p"),
        ValueError,
        is_genuine=False,
        reason=Reason.NOT_EXPLAINED,
    ),
    Wrong(
        "a tab in the URL",
        "it is dropped when the URL is read, so another URL is checked than the one called",
        a_form(f"{HERE}?x=12", target="/p?x=1\t2", url=f"{HERE}?x=1\t2"),
        ACCEPTS,
        is_genuine=False,
        reason=Reason.URL_DIFFERS,
    ),
    Wrong(
        "a name that comes twice, in a plain dict",
        "a dict has one value for each name, and all of them are signed",
        a_form(HERE, b"a=1&a=2", given=dict(pairs_of("a=1&a=2"))),
        REFUSES,
    ),
    Wrong(
        "values in lists, as parse_qs gives them",
        "a list can't be put behind a name",
        a_form(HERE, b"a=1&a=2", given={"a": ["1", "2"]}),
        TypeError,
    ),
    Wrong(
        "a GET with its parameters handed over",
        "they are signed once, in the URL",
        a_form(f"{HERE}?a=1", b"", configured=HERE, method="GET", given={"a": "1"}),
        REFUSES,
    ),
    Wrong(
        "JSON without bodySHA256, as text",
        "the text is taken for a form, and its letters for names",
        a_json(DOCUMENT.decode(), **UNHASHED),
        TypeError,
        is_genuine=False,
        reason=Reason.BODY_NOT_SIGNED,
    ),
    Wrong(
        "JSON without bodySHA256, and the framework's empty form",
        "nothing looks at the body",
        a_json({}, FORGED, **UNHASHED),
        ACCEPTS,
        is_genuine=False,
        reason=Reason.BODY_NOT_SIGNED,
    ),
    Wrong(
        "JSON with bodySHA256, and the framework's empty form",
        "the hash is compared only with a text",
        a_json({}, body=FORGED),
        ACCEPTS,
        is_genuine=False,
        reason=Reason.BODY_CHANGED,
    ),
    Wrong(
        "JSON with bodySHA256, as bytes",
        "bytes are not a string, so they are taken for a form",
        a_json(DOCUMENT),
        IndexError,
    ),
    Wrong(
        "JSON with bodySHA256, parsed",
        "its values are put behind the URL as those of a form",
        a_json({"SimStatus": "active"}),
        REFUSES,
    ),
    Wrong(
        "a body that is no UTF-8",
        "the hash is of the text written as UTF-8, and that is another one",
        a_json(NO_TEXT.decode("latin-1"), NO_TEXT),
        REFUSES,
    ),
    Wrong(
        "a GET with a body",
        "nothing looks at the body",
        a_json({}, FORGED, method="GET", **UNHASHED),
        ACCEPTS,
        is_genuine=False,
        reason=Reason.BODY_NOT_SIGNED,
    ),
    Wrong(
        "no signature",
        "None has no length",
        replace(a_form(HERE), signature=None),
        TypeError,
        is_genuine=False,
        reason=Reason.NO_SIGNATURE,
    ),
    Wrong(
        "a lone surrogate, as WSGI has bytes that are no UTF-8",
        "the text can't be written as UTF-8",
        replace(a_form(HERE), signature=NOBODYS, target="/p?\udcff", url=f"{HERE}?\udcff"),
        UnicodeEncodeError,
        is_genuine=False,
        reason=Reason.URL_DIFFERS,
    ),
    Wrong(
        "a second algorithm in the settings header",
        "the first is taken",
        a_form(
            HERE,
            signature=sign(HERE, BODY, secret=KEY, digest=hashlib.sha256),
            settings=f"{BY_KEY},algorithm=HMAC_SHA1",
        ),
        ACCEPTS,
        is_genuine=False,
        reason=Reason.UNKNOWN_ALGORITHM,
    ),
)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_in_each_row_the_validator_is_wrong_and_the_receiver_right(wrong: Wrong) -> None:
    match wrong.does:
        case str(does):
            assert theirs(wrong.request) is (does == ACCEPTS)
        case error:
            with pytest.raises(error):
                theirs(wrong.request)
    verdict = ours(wrong.request)
    assert isinstance(verdict, Verified) is wrong.is_genuine
    assert getattr(verdict, "reason", None) is wrong.reason


def test_rows_with_refuses_are_genuine_and_rows_with_accepts_are_not() -> None:
    for wrong in WRONG:
        assert isinstance(wrong.does, type) or wrong.is_genuine is (wrong.does == REFUSES)


def test_the_validator_has_one_secret_and_the_receiver_both_of_a_rotation() -> None:
    request = a_form(HERE, signature=sign(HERE, BODY, secret="the new one"))
    assert theirs(request) is False
    receiver = Receiver(HERE, twilio_auth_tokens=[TOKEN, "the new one"])
    headers = [("X-Twilio-Signature", str(request.signature))]
    assert isinstance(receiver.check("POST", headers, BODY, target="/p"), Verified)
