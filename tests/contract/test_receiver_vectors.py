"""The receiver accepts the vendors' published vectors, and every capture of a sent request."""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import pytest

from ringback.core.accounts.account import Account
from ringback.core.policy.source_policy import Source
from ringback.receiver import (
    Accepted,
    Duplicate,
    MemoryDedupe,
    Reason,
    ReceivedRequest,
    Receiver,
    Rejected,
    Verified,
)
from ringback.receiver.events import UnknownEvent
from ringback.receiver.verification import Verdict
from tests.contract.test_published_vectors import CALL, EVENT, FORM, JSON, V1, V2, V3, V4
from tests.fakes import KORE_SECRET, TOKENS, an_account
from tests.golden.test_golden import ALL, CAPTURES, TEST_EVENTS

# ---- captures -----------------------------------------------------------------------------------

TEST_EVENT_URL: Final = "http://your-callback-url.com/path?foo=bar"


def read(name: str) -> ReceivedRequest:
    """Return a capture as a server would receive it, from its bytes alone."""
    head, _, body = (CAPTURES / name).read_bytes().partition(b"\r\n\r\n")
    request_line, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = request_line.split(" ")
    pairs = (line.partition(": ") for line in lines)
    return ReceivedRequest(method, target, tuple((name, value) for name, _, value in pairs), body)


def told(name: str) -> tuple[str, Account]:
    """Return the URL and the account of a capture."""
    case = name.removesuffix(".http")
    if case in TEST_EVENTS:
        return TEST_EVENT_URL, an_account()
    return ALL[case][2].url, ALL[case][2].account


def receiver_of(name: str, **more: Any) -> Receiver:
    """Return a receiver with the secrets and the URL of a capture's sender."""
    url, account = told(name)
    secrets = [account.kore_secret] if account.kore_secret else []
    return Receiver(url, twilio_auth_tokens=[account.auth_token], kore_secrets=secrets, **more)


def receive(receiver: Receiver, request: ReceivedRequest) -> Any:
    return receiver.receive(request.method, request.headers, request.body, target=request.target)


captures = sorted(path.name for path in CAPTURES.iterdir())
every_capture = pytest.mark.parametrize("name", captures)
unsigned = [name for name in captures if "-no-secret" in name and name.startswith("kore")]
signed = [name for name in captures if name not in unsigned]
every_signed_capture = pytest.mark.parametrize("name", signed)


@every_signed_capture
def test_every_capture_is_accepted_once_and_read(name: str) -> None:
    source = Source(name.partition("-")[0])
    receiver, request = receiver_of(name, seen=MemoryDedupe()), read(name)
    result = receive(receiver, request)
    assert isinstance(result, Accepted)
    callback = result.callback
    assert (callback.source, callback.token) == (source, TOKENS[source])
    assert callback.is_signed
    assert result.done()
    assert receive(receiver, request) == Duplicate(callback)


@every_capture
def test_every_capture_except_a_test_event_by_get_is_of_a_known_kind(name: str) -> None:
    result = receive(receiver_of(name, accept_unsigned_kore=True), read(name))
    assert isinstance(result, Accepted)
    is_unknown = isinstance(result.callback.event, UnknownEvent)
    assert is_unknown == (name == "kore-get-test-event.http")


@pytest.mark.parametrize("name", unsigned)
def test_kores_unsigned_requests_are_rejected_unless_allowed(name: str) -> None:
    strict = receiver_of(name, accept_unsigned_kore=False)
    result = receive(strict, read(name))
    assert isinstance(result, Rejected)
    assert result.reason is Reason.EMPTY_SIGNATURE
    result = receive(receiver_of(name, accept_unsigned_kore=True), read(name))
    assert isinstance(result, Accepted)
    assert not result.callback.is_signed


def test_there_are_captures_without_a_secret_by_each_method() -> None:
    assert unsigned == ["kore-get-no-secret.http", "kore-post-no-secret.http"]


@every_signed_capture
def test_no_capture_is_accepted_with_another_secret(name: str) -> None:
    url, _ = told(name)
    receiver = Receiver(url, twilio_auth_tokens=["another"], kore_secrets=["another"])
    assert receive(receiver, read(name)).reason is Reason.NOT_EXPLAINED


@every_signed_capture
def test_no_capture_is_accepted_at_another_url(name: str) -> None:
    url, account = told(name)
    secrets = ([account.auth_token], [account.kore_secret or KORE_SECRET])
    moved = url.replace("your-callback-url", "another-url")
    receiver = Receiver(moved, twilio_auth_tokens=secrets[0], kore_secrets=secrets[1])
    assert receive(receiver, read(name)).reason is Reason.URL_DIFFERS


@pytest.mark.parametrize("name", [name for name in signed if "-post-" in name])
def test_no_capture_is_accepted_with_another_body(name: str) -> None:
    request = read(name)
    changed = replace(request, body=request.body.replace(b"AC3ba7", b"AC3ba8") + b"&X=1")
    assert receive(receiver_of(name), changed).status == 403


# ---- KORE: docs.korewireless.com/developers/how-to/webhooks/validate-webhook-signatures ---------

HERE: Final = "https://testendpoint.com"
SPACED: Final = b'{ "field1": "value1", "field2": "value2"}'
A_FORM: Final = "application/x-www-form-urlencoded"
A_JSON: Final = "application/json"


def from_kore(
    signature: str,
    body: bytes,
    *,
    secret: str,
    kind: str = A_FORM,
    url: str = HERE,
    method: str = "POST",
    target: str = "",
) -> Verdict:
    """Verify a signature that is published for this body."""
    headers = [("Kore-Signature", signature), ("Content-Type", kind)]
    return Receiver(url, kore_secrets=[secret]).check(method, headers, body, target=target)


@pytest.mark.parametrize(
    ("secret", "kind", "body", "signature"),
    [
        pytest.param("secret12345", A_FORM, FORM, V1, id="V1"),
        pytest.param("a35974bdf1c769b8bb", A_JSON, JSON, V2, id="V2"),
        pytest.param("a35974bdf1c769b8bb", A_JSON, SPACED, V2, id="V2 as the page shows its body"),
        pytest.param("12345", A_FORM, FORM, V3, id="V3"),
        pytest.param("f4d430d03cff6f03e1", A_JSON, b"[" + EVENT + b"]", V4, id="V4"),
        pytest.param(
            "f4d430d03cff6f03e1",
            A_JSON,
            json.dumps([json.loads(EVENT)], indent=2).encode(),
            V4,
            id="V4 spaced",
        ),
    ],
)
@pytest.mark.parametrize(
    "url",
    [
        HERE,
        f"{HERE}/",
        f"{HERE}#cbs=kore",
        f"{HERE}?foo1=bar1&foo2=bar2",
        f"{HERE}?foo1=bar1&foo2=bar2#cbs=kore",
        "https://user:password@testendpoint.com",
    ],
)
def test_kores_vectors_are_genuine(
    secret: str, kind: str, body: bytes, signature: str, url: str
) -> None:
    verdict = from_kore(signature, body, secret=secret, kind=kind, url=url)
    assert verdict == Verified(Source.KORE, None)


@pytest.mark.parametrize(
    ("method", "url", "target", "body", "signature"),
    [
        (
            "GET",
            HERE,
            "/?SimStatus=active",
            b"",
            "f0d8662d391c9d2ba6321a5bfdf43299067dcfd20740abe2f0e7f4f7a1946321",
        ),
        (
            "POST",
            HERE,
            "/",
            b"",
            "0081befa28641f37cc3e383297b6b99239fd891907ec8194ca70ae9d5371adcd",
        ),
        (
            "POST",
            f"{HERE}/webhooks/kore?x=1#cbs=kore",
            "/webhooks/kore?x=1",
            FORM,
            "d7711a0742a4df79ed566f359e2cba66bbd69b457692e34e0cc9652dae364d04",
        ),
    ],
)
def test_vectors_that_follow_from_kores_rule_are_genuine(
    method: str, url: str, target: str, body: bytes, signature: str
) -> None:
    verdict = from_kore(signature, body, secret="12345", url=url, method=method, target=target)
    assert verdict == Verified(Source.KORE, None)


@pytest.mark.parametrize(
    ("secret", "kind", "body", "signature", "reason"),
    [
        pytest.param(
            "a35974bdf1c769b8bb",
            A_FORM,
            SPACED,
            V2,
            Reason.NOT_EXPLAINED,
            id="V2 spaced, and nothing says that it is JSON",
        ),
        pytest.param(
            "f4d430d03cff6f03e1", A_JSON, EVENT, V4, Reason.NOT_EXPLAINED, id="V4 without its array"
        ),
        pytest.param(
            "f4d430d03cff6f03e1",
            A_JSON,
            b"[" + EVENT + b"]",
            "395b7b0fc882f4c22d78a080cf062a3210587d17f5cf4561fdb56457ab451fe3",
            Reason.NOT_EXPLAINED,
            id="V4 signed without its array",
        ),
        pytest.param(
            "12345",
            A_FORM,
            FORM,
            "c3a04135f98cb297102fd4becaa3e076368be4e19517caa26306244ecc65b72c",
            Reason.HMAC,
            id="V3 as an HMAC",
        ),
        pytest.param(
            "12345",
            A_FORM,
            FORM,
            "8e339e0a14da5f7b557b5826abbc5e7fc012a614cf80c226ca3fc93e0a68df34",
            Reason.URL_DIFFERS,
            id="V3 with its query",
        ),
        pytest.param(
            "12345",
            A_FORM,
            FORM,
            "ac377f9bc34bd1422903e1edfa535298354970d28f5ba1d8a8c28b6f0ce617d8",
            Reason.URL_DIFFERS,
            id="V3 with its fragment",
        ),
        pytest.param("12345", A_FORM, FORM, V1, Reason.NOT_EXPLAINED, id="V1 with V3's secret"),
        pytest.param("12345", A_FORM, FORM, V3.upper(), Reason.UPPER_CASE, id="V3 in upper case"),
        pytest.param("12345", A_FORM, FORM + b"\n", V3, Reason.BODY_CHANGED, id="V3 with a break"),
        pytest.param("12345", A_FORM, FORM, V3[:-1], Reason.MALFORMED_SIGNATURE, id="V3 cut off"),
        pytest.param("12345", A_FORM, FORM, "", Reason.EMPTY_SIGNATURE, id="nothing"),
    ],
)
def test_a_changed_vector_of_kores_is_rejected_with_the_right_reason(
    secret: str, kind: str, body: bytes, signature: str, reason: Reason
) -> None:
    url = f"{HERE}?foo1=bar1&foo2=bar2#cbs=kore"
    verdict = from_kore(signature, body, secret=secret, kind=kind, url=url)
    assert isinstance(verdict, Rejected)
    assert verdict.reason is reason


def test_a_url_with_a_path_is_not_kores_vector_without_one() -> None:
    verdict = from_kore(V3, FORM, secret="12345", url=f"{HERE}/webhooks")
    assert isinstance(verdict, Rejected)
    assert verdict.status == 403


# ---- Twilio: tests of the `twilio` package, and vectors computed with its validator -------------

CALLED: Final = "/myapp.php?foo=1&bar=2"
CALL_BODY: Final = (
    b"CallSid=CA1234567890ABCDE&Digits=1234&From=%2B14158675309&To=%2B18005551212"
    b"&Caller=%2B14158675309"
)
BY_ORIGIN: Final = {
    "https://mycompany.com": "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
    "https://mycompany.com:443": "kvajT1Ptam85bY51eRf/AJRuM3w=",
    "https://mycompany.com:1234": "CYn1h0gLBdNxDGkKJg6hYohgeD8=",
    "http://mycompany.com": "OyGYPqTF6ztdbRNCvuQO/oPvqQ4=",
    "http://mycompany.com:80": "0ZXoZLH/DfblKGATFgpif+LLRf4=",
    "http://mycompany.com:1234": "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
}
# The signed origin and the called one: according to the package, any port may have been left out
# when it was signed, and the default one added.
SAME: Final = [
    *((origin, origin) for origin in BY_ORIGIN),
    ("https://mycompany.com", "https://mycompany.com:443"),
    ("https://mycompany.com", "https://mycompany.com:1234"),
    ("https://mycompany.com:443", "https://mycompany.com"),
    ("http://mycompany.com", "http://mycompany.com:80"),
    ("http://mycompany.com", "http://mycompany.com:1234"),
    ("http://mycompany.com:80", "http://mycompany.com"),
]
OTHER: Final = [(a, b) for a in BY_ORIGIN for b in BY_ORIGIN if (a, b) not in SAME]
SHARED: Final = "033hgUJA9M/hXIZsYjwkerEP/DBm35nEri5FhCYjA5s="
REPEATED: Final = b"Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234"
BY_REPEATED: Final = "IK+Dwps556ElfBT0I3Rgjkr1wJU="
JSON_BODY: Final = b'{"property": "value", "boolean": true}'
JSON_HASH: Final = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620"
BY_JSON: Final = "a9nBmqA0ju/hNViExpshrM61xv4="
SETTINGS: Final = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"


def from_twilio(
    signature: str,
    body: bytes,
    *,
    origin: str = "https://mycompany.com",
    target: str = CALLED,
    kind: str = A_FORM,
    settings: str | None = None,
    keys: Sequence[str] = (),
) -> Verdict:
    """Verify a signature that is published for this body."""
    headers = [("X-Twilio-Signature", signature), ("Content-Type", kind)]
    if settings is not None:
        headers.append(("X-Twilio-Webhooks-Signature-Settings", settings))
    url = f"{origin}{CALLED}#cbs=twilio"
    receiver = Receiver(url, twilio_auth_tokens=["12345"], twilio_shared_keys=keys)
    return receiver.check("POST", headers, body, target=target)


def reason_of(verdict: Verdict) -> Reason:
    assert isinstance(verdict, Rejected)
    return verdict.reason


@pytest.mark.parametrize(("signed_for", "called_at"), SAME)
def test_twilios_vectors_are_genuine_with_or_without_the_port(
    signed_for: str, called_at: str
) -> None:
    verdict = from_twilio(BY_ORIGIN[signed_for], CALL_BODY, origin=called_at)
    assert verdict == Verified(Source.TWILIO, None)


@pytest.mark.parametrize(("signed_for", "called_at"), OTHER)
def test_twilios_vectors_are_not_genuine_at_another_scheme_or_port(
    signed_for: str, called_at: str
) -> None:
    verdict = from_twilio(BY_ORIGIN[signed_for], CALL_BODY, origin=called_at)
    assert reason_of(verdict) in (Reason.URL_DIFFERS, Reason.NOT_EXPLAINED)


def test_a_shared_key_signs_by_sha_256_if_the_header_says_so() -> None:
    verdict = from_twilio(SHARED, CALL_BODY, settings=SETTINGS, keys=["12345"])
    assert verdict == Verified(Source.TWILIO, None)


@pytest.mark.parametrize(
    ("signature", "settings", "keys", "reason"),
    [
        (SHARED, SETTINGS, ["another"], Reason.NOT_EXPLAINED),
        (SHARED, SETTINGS, [], Reason.NO_SECRET),
        (SHARED, None, ["12345"], Reason.MALFORMED_SIGNATURE),
        (SHARED, "key=1,algorithm=HMAC_MD5", ["12345"], Reason.UNKNOWN_ALGORITHM),
        (BY_ORIGIN["https://mycompany.com"], SETTINGS, ["12345"], Reason.MALFORMED_SIGNATURE),
    ],
)
def test_a_shared_key_and_the_auth_token_are_not_confused(
    signature: str, settings: str | None, keys: list[str], reason: Reason
) -> None:
    verdict = from_twilio(signature, CALL_BODY, settings=settings, keys=keys)
    assert reason_of(verdict) is reason


def test_a_shared_key_can_sign_json_too() -> None:
    url = f"https://mycompany.com{CALLED}&bodySHA256={JSON_HASH}"
    digest = hmac.new(b"a shared key", url.encode(), hashlib.sha256).digest()
    verdict = from_twilio(
        base64.b64encode(digest).decode(),
        JSON_BODY,
        target=f"{CALLED}&bodySHA256={JSON_HASH}",
        kind=A_JSON,
        settings=SETTINGS,
        keys=["a shared key"],
    )
    assert verdict == Verified(Source.TWILIO, None)


@pytest.mark.parametrize(
    "body",
    [
        REPEATED,
        b"Digits=1234&Digits=5678&Sid=CA123&SidAccount=AC123",
        b"&".join(reversed(REPEATED.split(b"&"))),
    ],
)
def test_twilios_vector_of_repeated_parameters_is_genuine_in_any_order(body: bytes) -> None:
    assert from_twilio(BY_REPEATED, body) == Verified(Source.TWILIO, None)


@pytest.mark.parametrize("target", ["", f"{CALLED}&bodySHA256={JSON_HASH}"])
def test_twilios_vector_of_json_is_genuine_with_or_without_its_target(target: str) -> None:
    verdict = from_twilio(BY_JSON, JSON_BODY, target=target, kind=A_JSON)
    assert verdict == Verified(Source.TWILIO, None)


HASHED: Final = f"{CALLED}&bodySHA256={JSON_HASH}"


@pytest.mark.parametrize(
    ("signature", "body", "target", "kind", "reason"),
    [
        pytest.param(
            BY_JSON, JSON_BODY + b"\n", HASHED, A_JSON, Reason.BODY_CHANGED, id="another JSON"
        ),
        pytest.param(BY_JSON, b"", HASHED, A_JSON, Reason.BODY_CHANGED, id="JSON taken away"),
        pytest.param(BY_JSON, JSON_BODY, CALLED, A_JSON, Reason.BODY_NOT_SIGNED, id="no hash"),
        pytest.param(
            BY_JSON,
            JSON_BODY,
            HASHED.replace("0a1f", "0A1F"),
            A_JSON,
            Reason.BODY_CHANGED,
            id="a hash in upper case",
        ),
        pytest.param(
            BY_JSON, b"Forged=1", HASHED, A_FORM, Reason.BODY_CHANGED, id="a form in place of JSON"
        ),
        pytest.param(
            BY_JSON,
            JSON_BODY,
            HASHED.replace("foo=1", "foo=2"),
            A_JSON,
            Reason.URL_DIFFERS,
            id="JSON at another URL",
        ),
        pytest.param(
            BY_REPEATED,
            REPEATED.replace(b"5678", b"1234"),
            CALLED,
            A_FORM,
            Reason.NOT_EXPLAINED,
            id="a parameter less",
        ),
        pytest.param(
            BY_ORIGIN["https://mycompany.com"],
            CALL_BODY + b"&Digits=9",
            CALLED,
            A_FORM,
            Reason.NOT_EXPLAINED,
            id="a parameter more",
        ),
        pytest.param(
            BY_ORIGIN["https://mycompany.com"],
            CALL_BODY + b"&Empty=",
            CALLED,
            A_FORM,
            Reason.BODY_CHANGED,
            id="a blank parameter more",
        ),
        pytest.param(
            BY_ORIGIN["https://mycompany.com"],
            CALL_BODY,
            "/myapp.php?bar=2&foo=1",
            A_FORM,
            Reason.URL_DIFFERS,
            id="a query in another order",
        ),
        pytest.param(
            BY_ORIGIN["https://mycompany.com"].lower(),
            CALL_BODY,
            CALLED,
            A_FORM,
            Reason.NOT_EXPLAINED,
            id="a signature in lower case",
        ),
    ],
)
def test_a_changed_vector_of_twilios_is_rejected_with_the_right_reason(
    signature: str, body: bytes, target: str, kind: str, reason: Reason
) -> None:
    assert reason_of(from_twilio(signature, body, target=target, kind=kind)) is reason


def test_the_vector_of_a_captured_super_sim_callback_is_genuine() -> None:
    body = (
        b"Status=received&ApiVersion=v1&Command=Hello%3B1234%3Btesting%40%21%23"
        b"&SimUniqueName=project&Payload=Hello%3B1234%3Btesting%40%21%23"
        b"&Direction=from_sim&PayloadType=text"
    )
    for name in (b"SimSid=HS", b"CommandSid=HC", b"AccountSid=AC"):
        body += b"&" + name + b"a" * 32
    receiver = Receiver("https://example.com/hook", twilio_auth_tokens=["12345"])
    headers = [("X-Twilio-Signature", "dEL/EOzw0/KHq06Dmy6J8Yw5iLA=")]
    assert receiver.check("POST", headers, body) == Verified(Source.TWILIO, None)


def test_the_body_of_the_published_call_has_its_parameters() -> None:
    callback = Receiver(f"https://mycompany.com{CALLED}", twilio_auth_tokens=["12345"]).receive(
        "POST", [("X-Twilio-Signature", BY_ORIGIN["https://mycompany.com"])], CALL_BODY
    )
    assert isinstance(callback, Accepted)
    assert list(callback.callback.pairs) == CALL
