"""A receiver of callbacks from sources that a settings file defines, sent by the real sender."""

import base64
import json
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from standardwebhooks.webhooks import Webhook

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.sources.signature import sign_as_standard_webhooks
from ringback.core.sources.source_definition import (
    BUILT_IN,
    SIGNATURE_SCHEMES,
    HeaderTemplate,
    SigningInput,
    Sources,
)
from ringback.core.sources.source_table import read_source_table
from ringback.receiver import (
    Accepted,
    ConfigurationError,
    Duplicate,
    MemoryDedupe,
    Reason,
    ReceivedRequest,
    Receiver,
    Rejected,
    Source,
    read_sources,
)
from ringback.receiver.events import SimUpdated
from tests.fakes import AUTH_TOKEN, KORE_SECRET, NOW
from tests.senders import received, rendered

URL: Final = "https://example.com/callbacks?tenant=7"
EXAMPLE: Final = Path(__file__).parents[3] / "examples/sources/standard-webhooks.toml"
WEBHOOKS: Final = "standard-webhooks"
TOKEN: Final = "msg_1"

FILE: Final = """\
[sources.standard-webhooks]
signature = "standard-webhooks"
token = "msg_{hex}"
headers = [
  "webhook-id: {token}",
  "webhook-timestamp: {timestamp}",
  "webhook-signature: {signature}",
]

[sources.combined]
signature = "hmac-sha256"
token = "{uuid}"
headers = ["Acme: id={token},t={timestamp},v1={signature}", "Date: {date}"]

[sources.old]
signature = "twilio"
token = "{uuid}"
headers = ["X-Old-Token: {token}", "X-Old-Signature: {signature}"]

[sources.hashed]
signature = "kore"
token = "{hex}"
headers = ["X-Hash-Token: {token}", "X-Hash: {signature}"]

[sources.like-kore]
signature = "hmac-sha256"
token = "{hex}"
headers = ["Kore-Idempotency-Token: {token}", "Kore-Signature: {signature}"]
"""
NAMES: Final = [WEBHOOKS, "combined", "old", "hashed", "like-kore"]
every_source = pytest.mark.parametrize("name", NAMES)


SOURCES: Final = {
    name: read_source_table(name, table) for name, table in tomllib.loads(FILE)["sources"].items()
}


def receiver(sources: Sources = SOURCES, **how: Any) -> Receiver:
    secrets = {name: ["new", KORE_SECRET, AUTH_TOKEN] for name in sources}
    how = {"source_secrets": secrets, "seen": MemoryDedupe(), "clock": lambda: NOW} | how
    return Receiver(
        URL, twilio_auth_tokens=["of twilio"], kore_secrets=["of kore"], sources=sources, **how
    )


def sent(
    name: str, method: HttpMethod = HttpMethod.POST, *, token: str | None = TOKEN, **how: Any
) -> ReceivedRequest:
    how = {"url": URL} | how
    return received(rendered(name, method, token=token, sources={**BUILT_IN, **SOURCES}, **how))


def accepted(callbacks: Receiver, request: ReceivedRequest) -> Accepted:
    result = callbacks.receive_request(request)
    assert isinstance(result, Accepted), result
    return result


def rejected(callbacks: Receiver, request: ReceivedRequest) -> Rejected:
    result = callbacks.receive_request(request)
    assert isinstance(result, Rejected), result
    checked = callbacks.check(
        request.method, dict(request.headers), request.body, target=request.target
    )
    assert checked == result
    return result


def with_header(request: ReceivedRequest, name: str, value: str | None) -> ReceivedRequest:
    others = tuple(pair for pair in request.headers if pair[0].lower() != name.lower())
    return replace(request, headers=others if value is None else (*others, (name, value)))


# ---- genuine callbacks ---------------------------------------------------------------------------


@every_source
@pytest.mark.parametrize("method", HttpMethod)
def test_a_callback_is_accepted_once_by_its_token(name: str, method: HttpMethod) -> None:
    callbacks, request = receiver(), sent(name, method)
    first = accepted(callbacks, request)
    assert (first.callback.source, first.callback.token) == (name, TOKEN)
    assert isinstance(first.callback.event, SimUpdated)
    assert first.callback.parameters["SimStatus"] == "inactive"
    assert first.callback.parameters_are_signed is (method is HttpMethod.POST)
    assert first.done()
    assert isinstance(callbacks.receive_request(request), Duplicate)
    accepted(callbacks, sent(name, method, token="msg_2"))


@pytest.mark.parametrize("source", Source)
def test_the_two_built_in_sources_are_accepted_beside_them(source: Source) -> None:
    request = received(
        rendered(source, url=URL, auth_token="of twilio", kore_secret="of kore", token=TOKEN)
    )
    assert accepted(receiver(), request).callback.source is source
    assert rejected(receiver(), replace(request, body=b"a=1")).reason is Reason.NOT_EXPLAINED


def test_the_file_of_the_example_is_read() -> None:
    assert read_sources(EXAMPLE)[WEBHOOKS].signature is SIGNATURE_SCHEMES[WEBHOOKS]


@pytest.mark.parametrize("name", [WEBHOOKS, "combined", "old", "hashed"])
def test_json_has_the_parameters_of_a_form(name: str) -> None:
    parameters = {"SimSid": "HSab3f06be8f5d32caecb91e8a306c6c08", "SimStatus": "ready", "é": ""}
    body = json.dumps(parameters, separators=(",", ":"), ensure_ascii=False).encode()
    request = signed_anew(name, body, parameters)
    callback = accepted(receiver(), request).callback
    assert callback.pairs == tuple(parameters.items())
    assert callback.parameters_are_signed
    form = sent(name, body="SimSid=HSab3f06be8f5d32caecb91e8a306c6c08&SimStatus=ready&%C3%A9=")
    assert callback.fingerprint == accepted(receiver(), form).callback.fingerprint


def header_with_signature(name: str) -> HeaderTemplate:
    (header,) = [each for each in SOURCES[name].headers if "signature" in each.placeholders]
    return header


def signed_anew(name: str, body: bytes, parameters: Mapping[str, str]) -> ReceivedRequest:
    """Return the request of a source that sends this JSON."""
    request = sent(name)
    scheme = SOURCES[name].signature
    form = tuple(parameters.items())
    resource = URL.partition("?")[0]
    parts = SigningInput("POST", URL, resource, form, body, TOKEN, int(NOW.timestamp()))
    secret = AUTH_TOKEN if scheme.is_by_auth_token else KORE_SECRET
    signature = scheme.sign(parts, secret)
    header = header_with_signature(name)
    values = {"token": TOKEN, "timestamp": str(int(NOW.timestamp())), "signature": signature}
    request = with_header(request, header.name, header.fill(values))
    return replace(with_header(request, "Content-Type", "application/json"), body=body)


def test_the_official_library_of_standard_webhooks_signs_what_is_accepted() -> None:
    secret = f"whsec_{base64.b64encode(b'a secret of their own').decode()}"
    callbacks = receiver(source_secrets={WEBHOOKS: [secret]})
    signature = Webhook(secret).sign(TOKEN, NOW, '{"SimStatus": "ready"}')
    headers = {
        "Webhook-Id": TOKEN,
        "Webhook-Timestamp": str(int(NOW.timestamp())),
        "Webhook-Signature": f"v1,{'A' * 43}= {signature} v1a,unknown",
        "Content-Type": "application/json",
    }
    result = callbacks.receive("POST", headers, b'{"SimStatus": "ready"}')
    assert isinstance(result, Accepted)
    assert result.callback.parameters == {"SimStatus": "ready"}


# ---- rejected requests ---------------------------------------------------------------------------


@every_source
def test_a_changed_body_is_rejected(name: str) -> None:
    request = sent(name)
    refusal = rejected(receiver(), replace(request, body=request.body + b"x"))
    assert (refusal.reason, refusal.status) == (Reason.NOT_EXPLAINED, 403)
    if name != "like-kore":
        assert (refusal.source, refusal.token) == (name, TOKEN)


@every_source
def test_a_body_that_was_written_anew_is_named(name: str) -> None:
    request = sent(name)
    body = request.body.replace(b"+", b"%20")
    changed = replace(request, body=body)
    if name == "old":  # the parameters are signed, not the bytes
        accepted(receiver(), changed)
    elif name != "like-kore":
        assert rejected(receiver(), changed).reason is Reason.BODY_CHANGED


@pytest.mark.parametrize("name", [WEBHOOKS, "combined", "old", "hashed"])
def test_the_secret_of_another_source_is_named(name: str) -> None:
    callbacks = receiver(source_secrets={name: ["new"]})
    refusal = rejected(callbacks, sent(name, kore_secret="of kore", auth_token="of kore"))
    assert refusal.reason is Reason.OTHER_FAMILYS_SECRET
    assert f"needs the secret of {name}" in refusal.explanation


@pytest.mark.parametrize("name", ["old", "hashed"])
def test_a_signature_for_another_url_is_named(name: str) -> None:
    request = sent(name, url="http://example.com/callbacks?tenant=7")
    assert rejected(receiver(), request).reason is Reason.URL_DIFFERS


@every_source
def test_another_query_than_the_configured_one_is_rejected(name: str) -> None:
    request = replace(sent(name), target="/callbacks?tenant=8")
    assert rejected(receiver(), request).reason is Reason.URL_DIFFERS


@pytest.mark.parametrize("name", [WEBHOOKS, "combined", "old", "hashed"])
def test_a_source_without_a_secret_is_rejected_so_that_the_sender_retries(name: str) -> None:
    refusal = rejected(receiver(source_secrets={}), sent(name))
    assert (refusal.reason, refusal.status) == (Reason.NO_SECRET, 503)
    assert f"has no secret of {name}" in refusal.explanation


@pytest.mark.parametrize("name", [WEBHOOKS, "combined", "old", "hashed"])
def test_an_empty_signature_is_rejected(name: str) -> None:
    request = sent(name)
    header = header_with_signature(name)
    (value,) = request.values(header.name)
    read = header.read(value)
    assert read is not None
    request = with_header(request, header.name, value.replace(read["signature"], ""))
    assert rejected(receiver(), request).reason is Reason.EMPTY_SIGNATURE


@pytest.mark.parametrize(
    ("name", "header", "value", "reason", "why"),
    [
        (
            WEBHOOKS,
            "webhook-signature",
            None,
            Reason.NO_SIGNATURE,
            "and none of webhook-signature,",
        ),
        (WEBHOOKS, "webhook-id", None, Reason.NO_TOKEN, "covers the idempotency token, but"),
        (WEBHOOKS, "webhook-id", "x" * 257, Reason.NOT_EXPLAINED, "wrong secret, or"),
        (WEBHOOKS, "webhook-timestamp", None, Reason.MALFORMED_SIGNATURE, "covers a timestamp"),
        (WEBHOOKS, "webhook-timestamp", "now", Reason.MALFORMED_SIGNATURE, "timestamp is 'now'"),
        (WEBHOOKS, "webhook-timestamp", "0001", Reason.MALFORMED_SIGNATURE, "is '0001'"),
        (WEBHOOKS, "webhook-signature", "é", Reason.MALFORMED_SIGNATURE, "'é'; it must be ASCII"),
        ("combined", "Acme", "v1=1", Reason.MALFORMED_SIGNATURE, "Acme is 'v1=1'; it must be like"),
        ("combined", "Acme", "id=,t=1,v1=" + "1" * 1024, Reason.MALFORMED_SIGNATURE, "Acme is"),
    ],
)
def test_what_is_wrong_with_a_header_is_named(
    name: str, header: str, value: str | None, reason: Reason, why: str
) -> None:
    refusal = rejected(receiver(), with_header(sent(name), header, value))
    assert refusal.reason is reason
    assert why in refusal.explanation


def test_a_header_that_repeats_is_malformed() -> None:
    request = sent(WEBHOOKS)
    twice = replace(request, headers=(*request.headers, ("Webhook-Id", "msg_2")))
    refusal = rejected(receiver(), twice)
    assert refusal.reason is Reason.MALFORMED_SIGNATURE
    assert (
        refusal.explanation == "webhook-id is 'msg_1' and 'msg_2'; it must be like '{token}', once"
    )


def test_a_genuine_request_with_a_malformed_token_is_rejected() -> None:
    request = sent("hashed", token="x" * 257)
    assert rejected(receiver(), request).reason is Reason.MALFORMED_TOKEN


def test_a_token_may_be_required() -> None:
    request = with_header(sent("hashed"), "X-Hash-Token", None)
    callbacks = receiver()
    assert accepted(callbacks, request).callback.token is None
    assert callbacks.without_token == 1
    assert rejected(receiver(require_token=True), request).reason is Reason.NO_TOKEN


@pytest.mark.parametrize("other", ["X-Twilio-Signature", "Kore-Signature", "Acme"])
def test_no_request_has_the_signatures_of_two_sources(other: str) -> None:
    refusal = rejected(receiver(), with_header(sent(WEBHOOKS), other, "x"))
    assert refusal.reason is Reason.BOTH_FAMILIES
    genuine = received(rendered(Source.KORE, url=URL, kore_secret="of kore"))
    if other != "Kore-Signature":
        refusal = rejected(receiver(), with_header(genuine, other, "x"))
        assert refusal.reason is Reason.BOTH_FAMILIES


def test_an_extended_body_is_rejected_if_the_scheme_is_a_plain_hash() -> None:
    request = sent("hashed", body="a=\0")
    assert rejected(receiver(), request).reason is Reason.BODY_CHANGED
    accepted(receiver(), sent("combined", body="a=\0"))


@pytest.mark.parametrize("method", ["PUT", "post"])
@every_source
def test_another_method_is_rejected(name: str, method: str) -> None:
    request = replace(sent(name), method=method)
    assert isinstance(receiver().receive_request(request), Rejected)


def test_json_that_a_signature_of_parameters_does_not_cover_is_rejected() -> None:
    body = b'{"SimStatus": 1}'
    request = signed_anew("old", body, {})
    assert isinstance(receiver().receive_request(request), Rejected)


# ---- age -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "is_dated"), [(WEBHOOKS, True), ("combined", True), ("old", False)]
)
def test_the_time_in_its_own_header_counts(name: str, is_dated: bool) -> None:
    def at(minutes: int) -> Receiver:
        later = NOW + timedelta(minutes=minutes)
        return receiver(max_age=timedelta(minutes=5), clock=lambda: later)

    accepted(at(4), sent(name))
    if is_dated:
        refusal = rejected(at(6), sent(name))
        assert refusal.reason is Reason.STALE
        assert refusal.explanation.startswith("its timestamp is 0:06:00 behind")
    else:
        accepted(at(6), sent(name))


def test_a_time_that_no_calendar_has_is_stale() -> None:
    request, timestamp = sent(WEBHOOKS), 999_999_999_999
    signature = sign_as_standard_webhooks(TOKEN, timestamp, request.body, secret=KORE_SECRET)
    request = with_header(request, "webhook-timestamp", str(timestamp))
    request = with_header(request, "webhook-signature", signature)
    accepted(receiver(), request)
    assert rejected(receiver(max_age=timedelta(minutes=5)), request).reason is Reason.STALE


# ---- configuration -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"source_secrets": {"acme": ["x"]}}, "'acme' is not one of the `sources`, those are stan"),
        ({"source_secrets": {WEBHOOKS: "x"}}, "source_secrets of standard-webhooks is a single st"),
        ({"source_secrets": {WEBHOOKS: [""]}}, "source_secrets of standard-webhooks: secret numb"),
        ({"source_secrets": {WEBHOOKS: ["whsec_a"]}}, "begins with whsec_, but what follows is no"),
        ({"keep": {Source.KORE: timedelta(1)}}, "keep: no duration for twilio and standard-webho"),
    ],
)
def test_impossible_settings_are_refused_at_once(how: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        receiver(**how)


def test_a_source_alone_is_enough() -> None:
    sources = read_sources(EXAMPLE)
    callbacks = Receiver(URL, sources=sources, source_secrets={WEBHOOKS: [KORE_SECRET]})
    accepted(callbacks, sent(WEBHOOKS))
    with pytest.raises(ConfigurationError, match="twilio_shared_keys or source_secrets"):
        Receiver(URL, sources=sources)
    with pytest.raises(ConfigurationError, match="'a' is not one of the `sources`, and there are"):
        Receiver(URL, source_secrets={"a": ["x"]})


@pytest.mark.parametrize("url", ["https://a.example/{tenant}/in", lambda _: URL])
def test_urls_of_tenants_need_a_signature_that_covers_the_url(url: Any) -> None:
    with pytest.raises(ConfigurationError, match="of standard-webhooks doesn't cover the URL"):
        Receiver(url, kore_secrets=["x"], sources=SOURCES)
    covered = {"hashed": SOURCES["hashed"]}
    callbacks = Receiver(url, sources=covered, source_secrets={"hashed": [KORE_SECRET]})
    called = "https://a.example/acme/in" if isinstance(url, str) else URL
    request = sent("hashed", url=called)
    assert accepted(callbacks, request).callback.url == called
    elsewhere = callbacks.receive_request(replace(request, target=""))
    assert isinstance(elsewhere, Rejected) is isinstance(url, str)


def test_callbacks_of_the_settings_sources_are_not_compared_by_content() -> None:
    callbacks = receiver(same_event_within=timedelta(minutes=1))
    genuine = received(rendered(Source.KORE, url=URL, kore_secret="of kore"))
    for request in (sent(WEBHOOKS), sent("combined"), genuine, sent("old")):
        assert accepted(callbacks, request).done()


# ---- the file ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "has no table [sources.NAME]; a source has signature, token and headers"),
        ("sources = 1", "has no table [sources.NAME]"),
        ("[sources]\na = 1", ": [sources.a] is not a table; a source has signature"),
        ("[sources.a]", ": [sources.a]: signature is missing; a source has signature"),
        ("[sources.kore]", ": [sources.kore]: kore is built in, and can't be changed"),
        ("[sources", "can't be read: "),
        ("é", "can't be read: "),
    ],
)
def test_a_wrong_file_is_refused(text: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "ringback.toml"
    path.write_text(text, "latin-1")
    with pytest.raises(ConfigurationError) as refused:
        read_sources(path)
    assert why in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml can't be read: .*No such file"):
        read_sources(tmp_path / "none.toml")
