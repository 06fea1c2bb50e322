"""Verifying requests: genuine ones are accepted, others rejected for the right reason."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.form_encoding import encode
from ringback.core.policy.source_policy import Source
from ringback.core.sources.signature import sign_as_kore, sign_as_twilio
from ringback.receiver.verification import (
    Reason,
    ReceivedRequest,
    ReceiverSecrets,
    Rejected,
    SenderCallbackRecord,
    Verdict,
    Verified,
    check,
)
from tests.fakes import AUTH_TOKEN, KORE_SECRET, TOKENS
from tests.fuzz.length_extension import extended, padding_after
from tests.senders import BODY, URL, received, rendered

SECRETS = ReceiverSecrets((AUTH_TOKEN,), (KORE_SECRET,))
both_sources = pytest.mark.parametrize("source", list(Source))
both_methods = pytest.mark.parametrize("method", list(HttpMethod))


def checked(
    request: ReceivedRequest,
    *,
    urls: Sequence[str] | None = None,
    secrets: ReceiverSecrets = SECRETS,
    sent: SenderCallbackRecord | None = None,
) -> Verdict:
    """Verify a request, by default with the URL made of its own target."""
    here = [f"http://127.0.0.1:9000{request.target}"]
    return check(request, urls=here if urls is None else urls, secrets=secrets, sent=sent)


def refused(request: ReceivedRequest, **how: Any) -> Rejected:
    verdict = checked(request, **how)
    assert isinstance(verdict, Rejected)
    return verdict


def with_header(request: ReceivedRequest, name: str, value: str) -> ReceivedRequest:
    others = tuple(pair for pair in request.headers if pair[0].lower() != name.lower())
    return replace(request, headers=(*others, (name, value)))


def without_header(request: ReceivedRequest, name: str) -> ReceivedRequest:
    return replace(request, headers=tuple(pair for pair in request.headers if pair[0] != name))


# ---- genuine ------------------------------------------------------------------------------------


@both_methods
def test_twilios_request_is_genuine(method: HttpMethod) -> None:
    request = received(rendered(Source.TWILIO, method))
    assert checked(request) == Verified(Source.TWILIO, TOKENS[Source.TWILIO])


@both_methods
def test_kores_request_is_genuine(method: HttpMethod) -> None:
    request = received(rendered(Source.KORE, method))
    assert checked(request) == Verified(Source.KORE, TOKENS[Source.KORE])


@both_sources
def test_header_names_match_in_any_letter_case(source: Source) -> None:
    request = received(rendered(source))
    shouted = tuple((name.upper(), value) for name, value in request.headers)
    assert isinstance(checked(replace(request, headers=shouted)), Verified)


def test_the_documented_vector_of_kore_is_genuine_under_a_url_without_a_path() -> None:
    digest = "f562d3959f68b5a30fc7a63f8bbf40987f633575f4231ffceb4f76dd154ea3ce"
    request = ReceivedRequest(
        "POST", "/", (("kore-signature", digest),), b"field1=value1&field2=value2"
    )
    secrets = ReceiverSecrets(kore_secrets=("12345",))
    verdict = check(request, urls=["https://testendpoint.com/"], secrets=secrets)
    assert verdict == Verified(Source.KORE, None)


@both_sources
@pytest.mark.parametrize("configured", ["https://a.example", "https://a.example/"])
@pytest.mark.parametrize("believed", ["https://a.example", "https://a.example/"])
def test_a_url_without_a_path_and_one_with_the_root_are_the_same_to_the_receiver(
    source: Source, configured: str, believed: str
) -> None:
    request = received(rendered(source, url=configured))
    assert isinstance(checked(request, urls=[believed]), Verified)


@both_sources
def test_any_of_several_urls_and_secrets_may_be_the_right_one(source: Source) -> None:
    secrets = ReceiverSecrets(("new", AUTH_TOKEN), ("new", KORE_SECRET))
    urls = ["https://elsewhere.example/", URL]
    assert isinstance(checked(received(rendered(source)), urls=urls, secrets=secrets), Verified)


@both_sources
def test_repeated_and_blank_parameters_are_genuine(source: Source) -> None:
    request = received(rendered(source, body="b=2&a=&b=1&b=2&a=x%C3%A9"))
    assert isinstance(checked(request), Verified)


def test_an_empty_token_is_none() -> None:
    request = with_header(received(rendered(Source.KORE)), "Kore-Idempotency-Token", "")
    assert checked(request) == Verified(Source.KORE, None)


@pytest.mark.parametrize("token", ["0" * 257, "RQ" + "0" * 32 + "\t", "\xa0", "a\u200bb"])
def test_a_long_or_unprintable_token_is_rejected_since_it_could_not_be_recognised(
    token: str,
) -> None:
    request = with_header(received(rendered(Source.KORE)), "Kore-Idempotency-Token", token)
    refusal = refused(request)
    assert (refusal.reason, refusal.status) == (Reason.MALFORMED_TOKEN, 400)
    assert (refusal.source, refusal.token) == (Source.KORE, None)
    assert f"{len(token)} characters; a token has 1 to 256, all of them" in refusal.explanation


def test_a_malformed_token_of_a_forgery_is_not_its_reason() -> None:
    request = with_header(received(rendered(Source.KORE)), "Kore-Idempotency-Token", "\0")
    assert refused(replace(request, body=b"a=1")).reason is Reason.NOT_EXPLAINED


@both_sources
def test_the_senders_record_makes_nothing_genuine(source: Source) -> None:
    request = replace(received(rendered(source)), body=b"SimStatus=forged")
    sent = SenderCallbackRecord("POST", URL, request.body)
    assert refused(request, sent=sent).reason is Reason.WRONG_SECRET


# ---- nothing to check ---------------------------------------------------------------------------


def test_a_request_without_a_signature_claims_nothing() -> None:
    assert refused(ReceivedRequest("GET", "/", (("Host", "a.example"),))) == Rejected(
        Reason.NO_SIGNATURE, "there is neither X-Twilio-Signature nor Kore-Signature"
    )


def test_a_token_without_a_signature_shows_the_claimed_source() -> None:
    request = without_header(received(rendered(Source.KORE)), "Kore-Signature")
    assert refused(request) == Rejected(
        Reason.NO_SIGNATURE, "there is no Kore-Signature", Source.KORE, TOKENS[Source.KORE]
    )


def test_headers_of_both_families_are_refused_even_if_one_is_right() -> None:
    request = received(rendered(Source.TWILIO))
    request = with_header(request, "Kore-Idempotency-Token", TOKENS[Source.KORE])
    assert refused(request).reason is Reason.BOTH_FAMILIES


def test_an_empty_signature_of_kore_says_that_the_account_has_no_secret() -> None:
    request = received(rendered(Source.KORE, kore_secret=""))
    verdict = refused(request)
    assert verdict.reason is Reason.EMPTY_SIGNATURE
    assert verdict.explanation == (
        "KORE sends an empty signature when the account has no webhook secret,"
        " so nothing can be checked"
    )


def test_an_empty_signature_does_not_pass_if_the_receiver_has_no_secret_either() -> None:
    request = received(rendered(Source.KORE, kore_secret=""))
    secrets = ReceiverSecrets(kore_secrets=("",))
    assert refused(request, secrets=secrets).reason is Reason.EMPTY_SIGNATURE


@pytest.mark.parametrize(
    ("source", "signature"),
    [
        (Source.TWILIO, ""),
        (Source.TWILIO, "rh4rZXy3AfT1HCr7tZMh3/dY2Ss"),
        (Source.TWILIO, "rh4rZXy3AfT1HCr7tZMh3/dY2Ss=, rh4rZXy3AfT1HCr7tZMh3/dY2Ss="),
        (Source.KORE, "0" * 63),
        (Source.KORE, "é" * 64),
        (Source.KORE, "0x" + "0" * 62),
    ],
)
def test_a_signature_of_another_form_is_malformed(source: Source, signature: str) -> None:
    name = "X-Twilio-Signature" if source is Source.TWILIO else "Kore-Signature"
    request = with_header(received(rendered(source)), name, signature)
    assert refused(request).reason is Reason.MALFORMED_SIGNATURE


@both_sources
def test_two_signatures_are_malformed_even_if_both_are_right(source: Source) -> None:
    request = received(rendered(source))
    twice = replace(request, headers=request.headers * 2)
    assert refused(twice).reason is Reason.MALFORMED_SIGNATURE


@both_sources
def test_without_a_secret_no_signature_is_called_wrong(source: Source) -> None:
    assert refused(received(rendered(source)), secrets=ReceiverSecrets()).reason is Reason.NO_SECRET


def test_an_empty_secret_is_ignored_since_anybody_could_sign_with_it() -> None:
    request = received(rendered(Source.TWILIO, auth_token=""))
    assert refused(request, secrets=ReceiverSecrets(("",))).reason is Reason.NO_SECRET


# ---- secrets ------------------------------------------------------------------------------------


def test_twilios_signature_made_with_the_webhook_secret_is_named() -> None:
    request = received(rendered(Source.TWILIO, auth_token=KORE_SECRET))
    verdict = refused(request)
    assert verdict.reason is Reason.OTHER_FAMILYS_SECRET
    assert verdict.explanation == (
        "it was signed with the webhook secret; X-Twilio-Signature needs the Auth Token"
    )


def test_kores_signature_made_with_the_auth_token_is_named() -> None:
    request = received(rendered(Source.KORE, kore_secret=AUTH_TOKEN))
    assert refused(request).reason is Reason.OTHER_FAMILYS_SECRET


@both_sources
def test_another_known_secret_is_named_but_not_shown(source: Source) -> None:
    request = received(rendered(source, auth_token="api-key", kore_secret="api-key"))
    secrets = replace(SECRETS, not_accepted=(("the API key's secret", "api-key"),))
    verdict = refused(request, secrets=secrets)
    assert verdict.reason is Reason.WRONG_SECRET
    assert "it was signed with the API key's secret" in verdict.explanation
    assert "api-key" not in verdict.explanation


def test_an_empty_secret_explains_nothing() -> None:
    request = received(rendered(Source.TWILIO, auth_token=""))
    secrets = replace(SECRETS, not_accepted=(("the API key's secret", ""),))
    assert refused(request, secrets=secrets).reason is Reason.NOT_EXPLAINED


@both_sources
def test_an_unknown_secret_cannot_be_distinguished_from_a_change_on_the_way(source: Source) -> None:
    request = received(rendered(source, auth_token="other", kore_secret="other"))
    assert refused(request).explanation == (
        "wrong secret, or the URL or the body was changed on the way;"
        " the signature alone doesn't show which"
    )


@both_sources
def test_an_unknown_secret_is_certain_with_the_senders_record(source: Source) -> None:
    outgoing = rendered(source, auth_token="other", kore_secret="other")
    sent = SenderCallbackRecord("POST", outgoing.url.wire, outgoing.body)
    assert refused(received(outgoing), sent=sent).reason is Reason.WRONG_SECRET


# ---- URL ----------------------------------------------------------------------------------------

LOCAL = "http://127.0.0.1:9000"


OTHER_PORTS: Final = [
    ("http://127.0.0.1/path", f"{LOCAL}/path"),
    ("http://127.0.0.1:80/path", "http://127.0.0.1/path"),
    ("https://a.example:443/path", "https://a.example/path"),
    ("https://a.example/path", "https://a.example:443/path"),
    ("https://[::1]:443/path", "https://[::1]/path"),
    ("https://[::1]/path", "https://[::1]:8443/path"),
]


@both_methods
@pytest.mark.parametrize(("signed", "believed"), OTHER_PORTS, ids=str)
def test_an_added_or_removed_port_is_named_for_kore(
    method: HttpMethod, signed: str, believed: str
) -> None:
    verdict = refused(received(rendered(Source.KORE, method, url=signed)), urls=[believed])
    assert verdict.reason is Reason.URL_DIFFERS
    assert f"it was signed for {signed}" in verdict.explanation


@both_methods
@pytest.mark.parametrize(("signed", "believed"), OTHER_PORTS, ids=str)
def test_an_added_or_removed_port_is_the_same_url_to_twilio(
    method: HttpMethod, signed: str, believed: str
) -> None:
    request = received(rendered(Source.TWILIO, method, url=signed))
    used = believed + request.target.removeprefix(request.path)
    assert isinstance(checked(request, urls=[used]), Verified)


def test_another_port_is_named_for_twilio() -> None:
    request = received(rendered(Source.TWILIO, url="http://127.0.0.1:8080/path"))
    assert refused(request, urls=[f"{LOCAL}/path"]).reason is Reason.URL_DIFFERS


@both_sources
@both_methods
@pytest.mark.parametrize(
    ("signed", "believed"),
    [
        ("https://127.0.0.1:9000/path", f"{LOCAL}/path"),
        ("http://127.0.0.1:9000/path/", f"{LOCAL}/path"),
        ("http://127.0.0.1:9000/path", f"{LOCAL}/path/"),
        ("http://127.0.0.1:9000/path", "https://a.example/hook"),
    ],
    ids=str,
)
def test_the_signed_url_is_named(
    source: Source, method: HttpMethod, signed: str, believed: str
) -> None:
    request = received(rendered(source, method, url=signed))
    used = believed + request.target.removeprefix(request.path)
    verdict = refused(request, urls=[used])
    assert verdict.reason is Reason.URL_DIFFERS
    assert f"it was signed for {signed}" in verdict.explanation
    assert f"this receiver checks it for {believed}" in verdict.explanation


@both_sources
def test_the_url_before_a_proxy_is_found_from_the_proxys_headers(source: Source) -> None:
    request = received(rendered(source, url="https://public.example/path"))
    forwarded = (
        ("Host", "127.0.0.1:9000"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "public.example, inner.example"),
    )
    others = tuple(pair for pair in request.headers if pair[0] != "Host")
    verdict = refused(replace(request, headers=(*forwarded, *others)))
    assert verdict.explanation == (
        "it was signed for https://public.example/path, but this receiver"
        " checks it for http://127.0.0.1:9000/path"
    )


def test_a_query_removed_by_the_sender_is_named_for_twilio() -> None:
    request = received(rendered(Source.TWILIO, url=f"{LOCAL}/path"))
    verdict = refused(replace(request, target="/path?foo=bar"))
    assert verdict.reason is Reason.URL_DIFFERS


@both_methods
def test_a_query_removed_by_the_receiver_is_named_for_twilio(method: HttpMethod) -> None:
    request = received(rendered(Source.TWILIO, method, url=URL))
    verdict = refused(request, urls=[f"{LOCAL}/path"])
    assert verdict.explanation == (
        f"it was signed for {LOCAL}{request.target}, but this receiver checks it for {LOCAL}/path"
    )


def test_a_kept_query_is_named_for_kore() -> None:
    digest = hashlib.sha256(f"{KORE_SECRET}POST{URL}{BODY}".encode()).hexdigest()
    request = with_header(received(rendered(Source.KORE)), "Kore-Signature", digest)
    verdict = refused(request)
    assert verdict.reason is Reason.URL_DIFFERS
    assert URL in verdict.explanation


@both_sources
@both_methods
def test_any_other_url_is_named_with_the_senders_record(source: Source, method: HttpMethod) -> None:
    outgoing = rendered(source, method, url="https://public.example/somewhere/else")
    moved = replace(received(outgoing), target="/path", headers=outgoing.headers[1:])
    sent = SenderCallbackRecord(method, outgoing.url.wire, outgoing.body)
    assert refused(moved).reason is Reason.NOT_EXPLAINED
    verdict = refused(moved, sent=sent)
    assert verdict.reason is Reason.URL_DIFFERS
    assert "https://public.example/somewhere/else" in verdict.explanation


def test_credentials_in_the_receivers_url_are_never_shown() -> None:
    request = received(rendered(Source.TWILIO, url="https://a.example/path"))
    urls = ["http://user:pass@a.example/path"]
    assert "pass@" not in refused(request, urls=urls).explanation


# ---- body ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrived", "how"),
    [
        (BODY.replace("+", "%20"), "the form was parsed and written again"),
        (BODY + "\n", "a line break was added at its end"),
        (BODY + "&ErrorCode=", "parameters without a value were added"),
        ("&".join(sorted(BODY.split("&"))), "its parameters were put in another order"),
    ],
)
def test_the_usual_changes_to_a_body_are_named_for_kore(arrived: str, how: str) -> None:
    request = replace(received(rendered(Source.KORE)), body=arrived.encode())
    verdict = refused(request)
    assert verdict.reason is Reason.BODY_CHANGED
    assert verdict.explanation == f"the body is not the one that was signed: {how}"


@pytest.mark.parametrize(
    ("signed", "arrived"),
    [("a=1%202", "a=1+2"), ("a=%c3%a9+1", "a=%c3%a9%201"), ("a=1\n", "a=1"), ("", "a=1")],
)
def test_the_opposite_change_to_a_body_is_named_too(signed: str, arrived: str) -> None:
    request = replace(received(rendered(Source.KORE, body=signed)), body=arrived.encode())
    assert refused(request).reason is Reason.BODY_CHANGED


@pytest.mark.parametrize("arrived", [BODY + "\n", BODY + "&ErrorCode="])
def test_changed_parameters_are_named_for_twilio(arrived: str) -> None:
    request = replace(received(rendered(Source.TWILIO)), body=arrived.encode())
    assert refused(request).reason is Reason.BODY_CHANGED


def test_a_form_that_was_only_encoded_differently_is_still_genuine_for_twilio() -> None:
    request = received(rendered(Source.TWILIO))
    rewritten = "&".join(sorted(BODY.replace("+", "%20").split("&")))
    assert isinstance(checked(replace(request, body=rewritten.encode())), Verified)


@both_sources
def test_changed_parameters_are_named_with_the_senders_record(source: Source) -> None:
    outgoing = rendered(source)
    sent = SenderCallbackRecord("POST", outgoing.url.wire, outgoing.body)
    arrived = BODY.replace("inactive", "active").replace("ApiVersion=v1&", "") + "&Extra=1"
    verdict = refused(replace(received(outgoing), body=arrived.encode()), sent=sent)
    assert verdict.reason is Reason.BODY_CHANGED
    assert verdict.explanation == (
        "the body is not the one that was signed:"
        " changed: SimStatus; added: Extra; removed: ApiVersion"
    )


def test_a_long_body_is_verified_but_errors_are_not_explained() -> None:
    outgoing = rendered(Source.KORE, body="a=" + "x" * 10_000)
    assert isinstance(checked(received(outgoing)), Verified)
    changed = replace(received(outgoing), body=outgoing.body + b"\n")
    assert refused(changed).reason is Reason.NOT_EXPLAINED


def test_a_form_of_many_parameters_is_verified_but_errors_are_not_explained() -> None:
    outgoing = rendered(Source.TWILIO, body="&".join(f"a{n}=" for n in range(101)))
    assert isinstance(checked(received(outgoing)), Verified)
    changed = replace(received(outgoing), body=outgoing.body + b"\n")
    assert refused(changed).reason is Reason.NOT_EXPLAINED


# ---- unsigned content with a valid signature -----------------------------------------------------

JSON_BODY: Final = b'{"a":1}'


def signed_json(body: bytes = JSON_BODY) -> ReceivedRequest:
    """Return a JSON request from Twilio; the hash in its URL makes the signature cover the body."""
    target = f"/path?bodySHA256={hashlib.sha256(JSON_BODY).hexdigest()}"
    signature = sign_as_twilio(f"{LOCAL}{target}", auth_token=AUTH_TOKEN)
    headers = (("X-Twilio-Signature", signature), ("Content-Type", "application/json"))
    return ReceivedRequest("POST", target, headers, body)


def test_json_whose_hash_is_in_the_signed_url_is_genuine() -> None:
    assert checked(signed_json()) == Verified(Source.TWILIO, None)


@pytest.mark.parametrize("body", [b"", b"&", b"&&", b'{"a":2}'])
@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", ""])
def test_replaced_or_removed_json_is_not_genuine(body: bytes, kind: str) -> None:
    request = with_header(signed_json(body), "Content-Type", kind)
    assert isinstance(checked(signed_json()), Verified)
    assert refused(request).reason in (Reason.BODY_CHANGED, Reason.NOT_EXPLAINED)


def lengthened(request: ReceivedRequest, more: bytes) -> ReceivedRequest:
    """Return a lengthened request, signed by length extension instead of with the secret."""
    [signature] = request.values("Kore-Signature")
    length = len(f"{KORE_SECRET}{request.method}{LOCAL}/path") + len(request.body)
    body = request.body + padding_after(length) + more
    return with_header(
        replace(request, body=body), "Kore-Signature", extended(signature, length, more)
    )


def test_a_body_lengthened_by_a_stranger_is_not_genuine() -> None:
    forged = lengthened(received(rendered(Source.KORE)), b"&SimStatus=active")
    [signature] = forged.values("Kore-Signature")
    assert signature == sign_as_kore("POST", f"{LOCAL}/path", forged.body, secret=KORE_SECRET)
    verdict = refused(forged)
    assert verdict.reason is Reason.BODY_CHANGED
    assert "NUL byte" in verdict.explanation


def test_a_get_that_continues_in_a_body_is_not_genuine() -> None:
    request = received(rendered(Source.KORE, HttpMethod.GET))
    [signature] = request.values("Kore-Signature")
    assert signature == sign_as_kore("GET", f"{LOCAL}/pa", b"th", secret=KORE_SECRET)
    verdict = refused(replace(request, body=b"th"), urls=[f"{LOCAL}/pa"])
    assert verdict.reason is Reason.BODY_CHANGED
    assert verdict.explanation == "it is a GET with a body, but a callback by GET has no body"


def test_a_post_of_twilios_turned_into_a_get_is_not_genuine() -> None:
    # The method isn't signed, and the parameters of a GET are in its query: there are none.
    request = replace(received(rendered(Source.TWILIO)), method="GET")
    assert refused(request).reason is Reason.BODY_CHANGED


# ---- method and hash ----------------------------------------------------------------------------


def test_another_method_than_the_signed_one_is_named() -> None:
    request = replace(received(rendered(Source.KORE)), method="PUT")
    verdict = refused(request)
    assert verdict.reason is Reason.METHOD_CHANGED
    assert verdict.explanation == "it was signed as POST, but arrived as PUT"


def test_a_redirect_that_turned_a_post_into_a_get_is_named_with_the_senders_record() -> None:
    outgoing = rendered(Source.KORE, body="")
    sent = SenderCallbackRecord("POST", outgoing.url.wire, outgoing.body)
    verdict = refused(replace(received(outgoing), method="GET"), sent=sent)
    assert verdict.reason is Reason.METHOD_CHANGED


def test_upper_case_hex_is_named() -> None:
    request = received(rendered(Source.KORE))
    [signature] = request.values("Kore-Signature")
    shouted = with_header(request, "Kore-Signature", signature.upper())
    assert refused(shouted).reason is Reason.UPPER_CASE


def test_an_hmac_instead_of_the_plain_hash_is_named() -> None:
    request = received(rendered(Source.KORE))
    signed = f"POSThttp://127.0.0.1:9000/path{BODY}".encode()
    digest = hmac.new(KORE_SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert refused(with_header(request, "Kore-Signature", digest)).reason is Reason.HMAC


# ---- any input -----------------------------------------------------------------------------------

anything = st.text(st.characters(), max_size=40)  # lone surrogates too
header_names = st.sampled_from(
    [
        "Host",
        "X-Twilio-Signature",
        "I-Twilio-Idempotency-Token",
        "Kore-Signature",
        "kore-idempotency-token",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
    ]
)
signatures = st.sampled_from(["", "0" * 64, "A" * 64, "A" * 27 + "="])
requests = st.builds(
    ReceivedRequest,
    method=st.one_of(st.sampled_from(["GET", "POST"]), anything),
    target=st.one_of(st.sampled_from(["/", "/p?a=%ff&a&=", "*"]), anything),
    headers=st.lists(
        st.tuples(st.one_of(header_names, anything), st.one_of(signatures, anything)), max_size=6
    ).map(tuple),
    body=st.binary(max_size=200),
)
records = st.one_of(
    st.none(), st.builds(SenderCallbackRecord, anything, anything, st.binary(max_size=60))
)
some_secrets = st.lists(anything, max_size=2).map(tuple)


@settings(max_examples=300, deadline=None)
@given(
    request=requests,
    urls=st.lists(anything, min_size=1, max_size=2),
    secrets=st.builds(ReceiverSecrets, some_secrets, some_secrets),
    sent=records,
)
def test_any_request_gets_a_verdict(
    request: ReceivedRequest,
    urls: list[str],
    secrets: ReceiverSecrets,
    sent: SenderCallbackRecord | None,
) -> None:
    assert isinstance(check(request, urls=urls, secrets=secrets, sent=sent), Verified | Rejected)


@settings(max_examples=100, deadline=None)
@given(
    source=st.sampled_from(Source),
    method=st.sampled_from(HttpMethod),
    body=st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=5),
)
def test_any_sent_parameters_are_genuine(
    source: Source, method: HttpMethod, body: list[tuple[str, str]]
) -> None:
    request = received(rendered(source, method, body=encode(body)))
    assert isinstance(checked(request), Verified)
