import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.accounts.account import DamagedSecret
from ringback.core.accounts.webhook_secret import AccountWebhookSecrets
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.callback import FORGED, CallbackRecord, StreamBatch
from ringback.core.callbacks.rendering import render, render_unsent
from ringback.core.errors import CallbackSourceNotConfigured, SecretDamaged, SecretNotFound
from ringback.core.events.kore_test_event import TEST_EVENT_BYTES, write_test_event
from ringback.core.http.connection_profile import NO_PROFILE, ConnectionProfile
from ringback.core.http.http_exchange import OutgoingRequest, SentRequestRecord
from ringback.core.policy.source_policy import Source
from ringback.core.sources.idempotency_tokens import KORE_TOKEN
from ringback.core.sources.signature import sign_as_kore, sign_as_twilio
from ringback.core.sources.source_definition import (
    BUILT_IN,
    SIGNATURE_SCHEMES,
    CallbackSourceDefinition,
    HeaderTemplate,
)
from ringback.core.streams.event_types import StreamEventType
from ringback.core.streams.kinesis_stream import arn_of, partition_key_of, region_of, url_of_stream
from ringback.core.streams.stream_event import EventChoice, write_batch
from tests.fakes import ACCOUNT_SID, KORE_SECRET, NOW, a_callback, a_secret, an_account
from tests.unit.core.streams import vectors

POST, GET = HttpMethod.POST, HttpMethod.GET
TWILIO, KORE = Source.TWILIO, Source.KORE
BODY = "A=1&B=a+b"
WITHOUT_SECRET = an_account(kore_secret="")


def rendered(
    source: Source = KORE,
    method: HttpMethod = POST,
    url: str = "http://your-callback-url.com/path?foo=bar#cbs=kore",
    *,
    uses_static_proxy: bool = False,
    at: datetime = NOW,
    profile: ConnectionProfile = NO_PROFILE,
) -> OutgoingRequest:
    callback = a_callback(url=url, method=method, source=source, body=BODY)
    account = an_account(uses_static_proxy=uses_static_proxy)
    return render(callback, account=account, at=at, profile=profile)


def header(request: OutgoingRequest, name: str) -> str:
    return dict(request.headers)[name]


# ---- names, letter case and order


NAMES = {
    (TWILIO, POST): [
        "Host",
        "User-Agent",
        "Content-Length",
        "Accept",
        "Content-Type",
        "I-Twilio-Idempotency-Token",
        "X-Home-Region",
        "X-Twilio-Signature",
        "Accept-Encoding",
    ],
    (TWILIO, GET): [
        "Host",
        "User-Agent",
        "Accept",
        "I-Twilio-Idempotency-Token",
        "X-Home-Region",
        "X-Twilio-Signature",
        "Accept-Encoding",
    ],
    (KORE, POST): [
        "Host",
        "User-Agent",
        "Content-Length",
        "Accept",
        "Accept-Encoding",
        "Content-Type",
        "Date",
        "Kore-Idempotency-Token",
        "Kore-Signature",
    ],
    (KORE, GET): [
        "Host",
        "User-Agent",
        "Accept",
        "Accept-Encoding",
        "Date",
        "Kore-Idempotency-Token",
        "Kore-Signature",
    ],
}


def with_one_more(names: list[str], name: str, *, after: str) -> list[str]:
    index = names.index(after) + 1
    return [*names[:index], name, *names[index:]]


@pytest.mark.parametrize(("source", "method"), NAMES)
def test_the_headers_are_those_of_the_source_and_the_method(
    source: Source, method: HttpMethod
) -> None:
    request = rendered(source, method)
    assert [name for name, _ in request.headers] == NAMES[source, method]


@pytest.mark.parametrize("method", HttpMethod)
def test_only_twilio_has_the_header_of_the_static_proxy(method: HttpMethod) -> None:
    twilio = rendered(TWILIO, method, uses_static_proxy=True)
    assert [name for name, _ in twilio.headers] == with_one_more(
        NAMES[TWILIO, method], "X-Use-Static-Proxy", after="X-Twilio-Signature"
    )
    assert header(twilio, "X-Use-Static-Proxy") == "true"
    kore = rendered(KORE, method, uses_static_proxy=True)
    assert [name for name, _ in kore.headers] == NAMES[KORE, method]


@pytest.mark.parametrize(
    ("source", "method", "after"),
    [
        (TWILIO, POST, "Accept"),
        (TWILIO, GET, "Accept"),
        (KORE, POST, "Accept-Encoding"),
        (KORE, GET, "Accept-Encoding"),
    ],
)
def test_credentials_add_an_authorization(source: Source, method: HttpMethod, after: str) -> None:
    request = rendered(source, method, "http://user:hunter2@a.example/")
    names = [name for name, _ in request.headers]
    assert names == with_one_more(NAMES[source, method], "Authorization", after=after)


@pytest.mark.parametrize(
    ("source", "name", "value"),
    [
        (TWILIO, "Host", "your-callback-url.com"),
        (TWILIO, "User-Agent", "TwilioProxy/1.1"),
        (TWILIO, "Content-Length", "9"),
        (TWILIO, "Accept", "*/*"),
        (TWILIO, "Content-Type", "application/x-www-form-urlencoded; charset=UTF-8"),
        (TWILIO, "I-Twilio-Idempotency-Token", "ba8db584-d0ca-4379-3749-a4e21471a62e"),
        (TWILIO, "X-Home-Region", "us1"),
        (TWILIO, "Accept-Encoding", "gzip"),
        (KORE, "Host", "your-callback-url.com"),
        (KORE, "User-Agent", "KoreProxy/1.1"),
        (KORE, "Content-Length", "9"),
        (KORE, "Accept", "*/*"),
        (KORE, "Accept-Encoding", "gzip, deflate"),
        (KORE, "Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),
        (KORE, "Date", "2024-07-03T14:40:58Z"),
        (KORE, "Kore-Idempotency-Token", "RQa48ec9b6ef475034c35566c02b654243"),
    ],
)
def test_each_header_has_the_value_in_the_notice(source: Source, name: str, value: str) -> None:
    assert header(rendered(source), name) == value


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://A.Example/", "A.Example"),
        ("http://a.example:80/", "a.example:80"),
        ("http://a.example:9000?x=1", "a.example:9000"),
        ("http://[::1]:9000/", "[::1]:9000"),
        ("http://user:hunter2@a.example:9000/", "a.example:9000"),
    ],
)
def test_the_host_is_named_as_configured_with_its_port(source: Source, url: str, host: str) -> None:
    assert header(rendered(source, url=url), "Host") == host


# ---- the method decides where the parameters go


@pytest.mark.parametrize("source", Source)
def test_a_post_has_the_parameters_in_its_body(source: Source) -> None:
    request = rendered(source, POST)
    assert (request.method, request.url.target, request.body) == (
        "POST",
        "/path?foo=bar",
        b"A=1&B=a+b",
    )


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://a.example", "/?A=1&B=a+b"),
        ("http://a.example/", "/?A=1&B=a+b"),
        ("http://a.example/path", "/path?A=1&B=a+b"),
        ("http://a.example/path?", "/path?A=1&B=a+b"),
        ("http://a.example/path?foo=bar", "/path?foo=bar&A=1&B=a+b"),
        ("http://a.example?foo=bar#cbs=kore", "/?foo=bar&A=1&B=a+b"),
    ],
)
def test_a_get_has_the_parameters_in_its_query_and_no_body(
    source: Source, url: str, target: str
) -> None:
    request = rendered(source, GET, url)
    assert (request.method, request.url.target, request.body) == ("GET", target, b"")


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://a.example", "/"),
        ("http://a.example?foo=bar", "/?foo=bar"),
        ("http://a.example/?", "/?"),
        ("http://a.example//b/../c;d=1?foo=%20&bar=?#rc=1", "//b/../c;d=1?foo=%20&bar=?"),
    ],
)
def test_a_post_calls_the_url_unchanged(url: str, target: str) -> None:
    assert rendered(KORE, POST, url).url.target == target


# ---- signed content


def signed_by_twilio(url: str, *parameters: tuple[str, str]) -> str:
    return sign_as_twilio(url, parameters, auth_token="made-up-auth-token")


def signed_by_kore(method: str, resource: str, body: bytes) -> str:
    return sign_as_kore(method, resource, body, secret="made-up-webhook-secret")


FULL = "https://user:hunter2@A.Example:8443/path?foo=bar#cbs=kore"


def test_twilio_signs_the_url_with_its_query_and_the_form_of_a_post() -> None:
    assert header(rendered(TWILIO, POST, FULL), "X-Twilio-Signature") == signed_by_twilio(
        "https://A.Example:8443/path?foo=bar", ("A", "1"), ("B", "a b")
    )


def test_twilio_signs_the_full_url_of_a_get_and_nothing_more() -> None:
    assert header(rendered(TWILIO, GET, FULL), "X-Twilio-Signature") == signed_by_twilio(
        "https://A.Example:8443/path?foo=bar&A=1&B=a+b"
    )


def test_kore_signs_the_url_without_its_query_and_the_body_of_a_post() -> None:
    assert header(rendered(KORE, POST, FULL), "Kore-Signature") == signed_by_kore(
        "POST", "https://A.Example:8443/path", b"A=1&B=a+b"
    )


def test_kore_signs_the_url_of_a_get_without_its_query() -> None:
    assert header(rendered(KORE, GET, FULL), "Kore-Signature") == signed_by_kore(
        "GET", "https://A.Example:8443/path", b""
    )


def test_kore_signs_a_url_without_a_path_unchanged() -> None:
    assert header(rendered(KORE, POST, "http://a.example"), "Kore-Signature") == signed_by_kore(
        "POST", "http://a.example", b"A=1&B=a+b"
    )


@pytest.mark.parametrize("method", HttpMethod)
def test_without_a_secret_the_kore_signature_is_sent_empty(method: HttpMethod) -> None:
    request = render(a_callback(method=method), account=WITHOUT_SECRET, at=NOW)
    assert [name for name, _ in request.headers] == NAMES[KORE, method]
    assert header(request, "Kore-Signature") == ""
    assert b"\r\nKore-Signature: \r\n" in request.to_bytes()


def test_without_a_kore_secret_twilio_still_signs() -> None:
    callback = a_callback(source=TWILIO, body=BODY)
    assert render(callback, account=WITHOUT_SECRET, at=NOW) == render(
        callback, account=an_account(), at=NOW
    )


# ---- parts that are never sent


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("method", HttpMethod)
def test_neither_the_fragment_nor_the_plain_credentials_are_sent(
    source: Source, method: HttpMethod
) -> None:
    wire = rendered(source, method, FULL).to_bytes()
    for secret in (b"#", b"cbs", b"hunter2", b"user:", b"@"):
        assert secret not in wire


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("method", HttpMethod)
def test_the_fragment_does_not_change_the_request(source: Source, method: HttpMethod) -> None:
    plain, with_fragment = (
        rendered(source, method, f"http://a.example/p{fragment}").to_bytes()
        for fragment in ("", "#cbs=twilio&rc=5&foo")
    )
    assert plain == with_fragment


@pytest.mark.parametrize(
    ("credentials", "value"),
    [
        ("user:pass", "Basic dXNlcjpwYXNz"),
        ("user", "Basic dXNlcjo="),
        ("user:", "Basic dXNlcjo="),
        (":pass", "Basic OnBhc3M="),
        ("a:b:c", "Basic YTpiOmM="),
        ("user:p%40ss%3A", "Basic dXNlcjpwQHNzOg=="),
        ("us%3Aer:pass", "Basic dXM6ZXI6cGFzcw=="),
        ("%C3%A4:%FF", "Basic w6Q6/w=="),
        ("a:%0D%0AX-Evil:1", "Basic YToNClgtRXZpbDox"),
    ],
)
def test_credentials_are_sent_as_http_basic(credentials: str, value: str) -> None:
    request = rendered(url=f"http://{credentials}@a.example/")
    assert header(request, "Authorization") == value


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        (POST, "https://A.Example:8443/path?foo=bar", "A=1&B=a+b"),
        (GET, "https://A.Example:8443/path?foo=bar&A=1&B=a+b", ""),
    ],
)
@pytest.mark.parametrize("source", Source)
def test_the_record_of_a_request_hides_its_credentials(
    source: Source, method: HttpMethod, url: str, body: str
) -> None:
    request = rendered(source, method, FULL)
    recorded = request.recorded()
    assert recorded.headers == [
        (name, "(hidden)" if name == "Authorization" else value) for name, value in request.headers
    ]
    assert ("Authorization", "(hidden)") in recorded.headers
    line = f"{method} {request.url.target} HTTP/1.1\r\n"
    assert recorded == SentRequestRecord(method, url, recorded.head, body)
    assert recorded.head.startswith(line)


@pytest.mark.parametrize("source", Source)
def test_only_the_header_with_the_credentials_is_hidden(source: Source) -> None:
    token = "Authorization: not hidden"
    callback = a_callback(url="http://user:hunter2@a.example/", source=source, token=token)
    recorded = render(callback, account=an_account(), at=NOW).recorded()
    assert token in [value for _, value in recorded.headers]


def test_the_record_of_a_request_without_credentials_hides_nothing() -> None:
    request = rendered()
    assert request.recorded().headers == list(request.headers)


def test_the_record_has_the_sent_head() -> None:
    request = rendered()
    assert request.to_bytes() == f"{request.recorded().head}\r\n\r\n".encode() + request.body


@pytest.mark.parametrize("source", Source)
def test_a_request_says_which_infrastructure_it_comes_from(source: Source) -> None:
    assert rendered(source).source is source


# ---- from one attempt to the next


def test_a_later_attempt_differs_only_in_its_date() -> None:
    first, second = rendered(at=NOW), rendered(at=NOW + timedelta(seconds=62))
    assert set(second.headers) - set(first.headers) == {("Date", "2024-07-03T14:42:00Z")}
    assert second.body == first.body


def test_a_later_attempt_from_twilio_is_the_same_to_the_byte() -> None:
    assert rendered(TWILIO, at=NOW) == rendered(TWILIO, at=NOW + timedelta(days=1))


def test_the_date_has_whole_seconds() -> None:
    request = rendered(at=datetime(2025, 1, 2, 3, 4, 5, 999999, UTC))
    assert header(request, "Date") == "2025-01-02T03:04:05Z"


def test_the_request_has_a_request_line_headers_an_empty_line_and_the_body() -> None:
    head, body = rendered().to_bytes().split(b"\r\n\r\n")
    assert head.split(b"\r\n")[:2] == [
        b"POST /path?foo=bar HTTP/1.1",
        b"Host: your-callback-url.com",
    ]
    assert body == b"A=1&B=a+b"


# ---- a destination's own ways


TEAM = ConnectionProfile((("x-TEAM", "a secret"), ("X-Key", "grün")), egress="dublin")


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize("method", HttpMethod)
def test_the_headers_of_a_profile_follow_those_of_the_source(
    source: Source, method: HttpMethod
) -> None:
    plain, request = (rendered(source, method, profile=each) for each in (NO_PROFILE, TEAM))
    assert request.headers == plain.headers + TEAM.headers
    assert request.to_bytes() == plain.to_bytes().replace(
        b"\r\n\r\n", b"\r\nx-TEAM: a secret\r\nX-Key: gr\xfcn\r\n\r\n"
    )
    assert request.profile is TEAM


@pytest.mark.parametrize("url", ["http://a.example/", "http://user:hunter2@a.example/"])
def test_records_have_the_names_of_a_profiles_headers_but_not_the_values(url: str) -> None:
    callback = a_callback(url=url)
    request = render(callback, account=an_account(), at=NOW, profile=TEAM)
    recorded = request.recorded()
    hidden = {*dict(TEAM.headers), "Authorization"}
    assert recorded.headers == [
        (name, "(hidden)" if name in hidden else value) for name, value in request.headers
    ]
    assert request.template is not None
    assert recorded.head == request.template.recorded.fill(
        request.url.target,
        len(request.body),
        callback.idempotency_token,
        request.signature,
        request.sent_at,
    )


def test_requests_with_the_same_headers_of_a_profile_share_a_template() -> None:
    renewed = replace(TEAM, client_certificate="renewed")
    one, other = (rendered(profile=profile) for profile in (TEAM, renewed))
    assert one.template is other.template
    assert rendered().template is rendered(profile=ConnectionProfile(egress="dublin")).template


# ---- test events


EVENT = write_test_event(bytes(TEST_EVENT_BYTES), at=NOW)
PENDING = a_secret("the pending one", name="second")
ROTATING = replace(an_account(), webhook_secrets=an_account().webhook_secrets.with_new(PENDING))


def a_test_event(method: HttpMethod = POST, *, secret_id: str | None = None) -> CallbackRecord:
    return a_callback(
        url="http://your-callback-url.com/path?foo=bar#cbs=kore",
        method=method,
        body=EVENT,
        is_test=True,
        secret_id=secret_id,
    )


def test_a_test_event_has_the_headers_of_other_callbacks_and_is_json() -> None:
    request = render(a_test_event(), account=an_account(), at=NOW)
    assert [name for name, _ in request.headers] == NAMES[KORE, POST]
    assert header(request, "Content-Type") == "application/json; charset=utf-8"
    assert header(request, "Content-Length") == str(len(EVENT))
    assert request.body == EVENT.encode()


def test_a_test_event_by_get_has_nothing_of_the_event() -> None:
    request = render(a_test_event(GET), account=an_account(), at=NOW)
    assert [name for name, _ in request.headers] == NAMES[KORE, GET]
    assert request.to_bytes().startswith(b"GET /path?foo=bar HTTP/1.1\r\n")
    assert request.body == b""


@pytest.mark.parametrize("method", HttpMethod)
def test_a_test_event_is_signed_like_other_callbacks(method: HttpMethod) -> None:
    request = render(a_test_event(method), account=an_account(), at=NOW)
    body = EVENT.encode() if method is POST else b""
    assert header(request, "Kore-Signature") == sign_as_kore(
        method, "http://your-callback-url.com/path", body, secret=KORE_SECRET
    )


def test_a_chosen_secret_signs_although_it_is_pending() -> None:
    request = render(a_test_event(GET, secret_id=PENDING.id), account=ROTATING, at=NOW)
    assert header(request, "Kore-Signature") == sign_as_kore(
        "GET", "http://your-callback-url.com/path", secret="the pending one"
    )


def test_a_chosen_secret_signs_after_its_activation() -> None:
    activated = replace(ROTATING, webhook_secrets=ROTATING.webhook_secrets.with_activated(NOW))
    before, after = (
        render(a_test_event(secret_id=PENDING.id), account=account, at=NOW)
        for account in (ROTATING, activated)
    )
    assert after == before


def test_no_other_secret_signs_if_the_chosen_one_is_gone() -> None:
    why = f"^the webhook secret {PENDING.id}, which should sign it, no longer exists$"
    with pytest.raises(SecretNotFound, match=why):
        render(a_test_event(secret_id=PENDING.id), account=an_account(), at=NOW)


def test_a_forged_test_event_is_signed_by_no_secret_of_the_account() -> None:
    forged, *genuine = (
        header(render(a_test_event(secret_id=secret), account=ROTATING, at=NOW), "Kore-Signature")
        for secret in (FORGED, None, PENDING.id)
    )
    assert re.fullmatch("[0-9a-f]{64}", forged)
    assert forged not in genuine


# ---- custom sources ------------------------------------------------------------------------------


def test_a_custom_source_has_its_own_headers_and_the_time_of_the_attempt() -> None:
    headers = ("Host: {host}", "X-Id: {token}", "X-Sent: {timestamp}", "Length: {length}")
    acme = CallbackSourceDefinition(
        tuple(map(HeaderTemplate.parse, headers)), SIGNATURE_SCHEMES["hmac-sha256"], KORE_TOKEN
    )
    callback = a_callback(body="A=1")._replace(source="acme")
    request = render(callback, account=an_account(), at=NOW, sources={"acme": acme})
    assert request.headers == (
        ("Host", "127.0.0.1:9000"),
        ("X-Id", callback.idempotency_token),
        ("X-Sent", "1720017658"),
        ("Length", "3"),
    )
    assert request.source == "acme"


def test_a_removed_source_sends_nothing() -> None:
    callback = a_callback()._replace(source="acme")
    with pytest.raises(
        CallbackSourceNotConfigured, match="the settings no longer define the source 'acme'"
    ):
        render(callback, account=an_account(), at=NOW)


# ---- requests that are not sent ------------------------------------------------------------------


def test_an_unsent_request_has_descriptions_of_unknown_values() -> None:
    callback, kore = a_callback(source=Source.TWILIO), BUILT_IN[Source.KORE]
    request, open_values = render_unsent(callback, kore, account=an_account(), has_token=False)
    assert open_values == {
        "token": "34 characters, made when it is sent",
        "date": "the time at which it is sent, like 2024-07-03T14:40:58Z",
    }
    sent = render(callback._replace(source=Source.KORE), account=an_account(), at=NOW)
    assert [name for name, _ in request.headers] == [name for name, _ in sent.headers]
    assert header(request, "Kore-Signature") == header(sent, "Kore-Signature")
    assert header(request, "Kore-Idempotency-Token") == open_values["token"]


@pytest.mark.parametrize("secret", [KORE_SECRET, ""])
def test_a_signature_over_the_time_is_unknown_before_sending_unless_it_is_empty(
    secret: str,
) -> None:
    headers = ("webhook-id: {token}", "webhook-signature: {signature}")
    hooks = CallbackSourceDefinition(
        tuple(map(HeaderTemplate.parse, headers)),
        SIGNATURE_SCHEMES["standard-webhooks"],
        KORE_TOKEN,
    )
    account = an_account(kore_secret=secret)
    request, open_values = render_unsent(a_callback(), hooks, account=account, has_token=True)
    assert header(request, "webhook-id") == a_callback().idempotency_token
    assert header(request, "webhook-signature") == ("made when it is sent" if secret else "")
    assert ("signature" in open_values) is bool(secret)


def a_batch(source: Source, body: str, url: str, method: HttpMethod) -> CallbackRecord:
    return a_callback(source=source, url=url)._replace(
        body=body, method=method, stream=StreamBatch("DF1", "[2:1")
    )


@pytest.mark.parametrize("method", HttpMethod)
@pytest.mark.parametrize("source", Source)
def test_a_batch_is_signed_like_the_vectors(source: Source, method: HttpMethod) -> None:
    event = vectors.event(StreamEventType.SESSION_STARTED)
    body = write_batch(source, [EventChoice(event)])
    account = an_account(auth_token=vectors.TOKEN, kore_secret=vectors.TOKEN)
    batch = a_batch(source, body, vectors.SIGNED_URL, method)
    request = render(batch, account=account, at=NOW)
    headers = dict(request.headers)
    name = "X-Twilio-Signature" if source is Source.TWILIO else "Kore-Signature"
    if source is Source.TWILIO or method is HttpMethod.POST:  # KORE signs the method, too
        assert headers[name] == vectors.STARTED_SIGNATURES[source]
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Length"] == str(len(body))
    assert request.body == body.encode()
    assert request.head.startswith(f"{method} /events")


@pytest.mark.parametrize(("url", "signature"), vectors.TWILIO_SIGNATURES.items())
def test_a_test_event_from_twilio_is_signed_like_the_vectors(url: str, signature: str) -> None:
    batch = a_batch(Source.TWILIO, vectors.TEST_BODY, url, HttpMethod.POST)
    account = an_account(auth_token=vectors.TOKEN)
    request = render(batch, account=account, at=NOW)
    assert request.url.wire.endswith(f"bodySHA256={vectors.TEST_BODY_HASH}")
    assert dict(request.headers)["X-Twilio-Signature"] == signature
    assert f" {request.url.target} HTTP/1.1" in request.head


def test_credentials_are_sent_with_a_batch_but_not_signed() -> None:
    with_user = a_batch(
        Source.TWILIO, vectors.TEST_BODY, "https://u:p@example.com/events#x", HttpMethod.POST
    )
    request = render(with_user, account=an_account(auth_token=vectors.TOKEN), at=NOW)
    signature = vectors.TWILIO_SIGNATURES["https://example.com/events"]
    assert dict(request.headers)["X-Twilio-Signature"] == signature
    assert dict(request.headers)["Authorization"] == "Basic dTpw"


ARN = "arn:aws:kinesis:us-east-1:111111111111:stream/events"


@pytest.mark.parametrize("source", Source)
@pytest.mark.parametrize(("sim_sid", "key"), [("HS1/%", "HS1/%"), (None, ACCOUNT_SID)])
def test_a_record_of_a_kinesis_stream_has_neither_headers_nor_a_signature(
    source: Source, sim_sid: str | None, key: str
) -> None:
    batch = StreamBatch("DF" + "1" * 32, "{1:1")
    record = a_callback()._replace(
        url=url_of_stream(ARN), source=source, body='{"id":"é"}', sim_sid=sim_sid, stream=batch
    )
    account = an_account(kore_secret="")
    request = render(record, account=account, at=NOW)
    assert (partition_key_of(request.url), arn_of(request.url)) == (key, ARN)
    assert region_of(request.url) == "us-east-1"
    assert (request.body, request.signature) == ('{"id":"é"}'.encode(), "")
    assert request.headers == (("StreamARN", ARN),)
    assert request.head.startswith("PutRecords /aws?PartitionKey=")
    assert (request.stream_sid, request.account_sid) == (batch.stream_sid, ACCOUNT_SID)
    assert request.recorded().head == request.head
    assert render(record, account=account, at=NOW).template is request.template


def test_the_request_of_a_stream_says_whose_it_is() -> None:
    batch = StreamBatch("DF" + "1" * 32, "[1:1")
    record = a_callback()._replace(body="[{}]", stream=batch)
    assert render(record, account=an_account(), at=NOW).stream_sid == batch.stream_sid
    assert render(a_callback(), account=an_account(), at=NOW).stream_sid == ""


# ---- damaged secrets


def test_nothing_is_signed_by_a_damaged_secret() -> None:
    secret = a_secret("")
    account = replace(
        an_account(auth_token=""),
        webhook_secrets=AccountWebhookSecrets(active=secret),
        unopened=(DamagedSecret("auth_token", "…"), DamagedSecret(secret.id, "…")),
    )
    for source, named in ((TWILIO, "Auth Token"), (KORE, "active webhook secret")):
        with pytest.raises(SecretDamaged, match=f"the {named}, which should sign it"):
            render(a_callback(source=source, body=BODY), account=account, at=NOW)
    about_it = a_callback(source=KORE, body=BODY)._replace(secret_id=secret.id)
    with pytest.raises(SecretNotFound, match="can't be decrypted"):
        render(about_it, account=account, at=NOW)
