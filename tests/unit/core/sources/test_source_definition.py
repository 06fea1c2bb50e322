from dataclasses import replace

import pytest

from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.http.http_exchange import HeadPlace
from ringback.core.policy.source_policy import Source
from ringback.core.sources.body_encoding import CONTENT_TYPES, BodyEncoding
from ringback.core.sources.idempotency_tokens import IdempotencyTokenFormat
from ringback.core.sources.source_definition import (
    BUILT_IN,
    FIRST,
    LAST,
    PLACEHOLDERS,
    SIGNATURE_SCHEMES,
    CallbackSourceDefinition,
    HeaderTemplate,
    SigningInput,
    header_names,
    other_than,
)

VALUES = {name: f"<{name}>" for name in PLACEHOLDERS}
SIGNED = SigningInput(
    method="POST",
    wire="https://a.example/p?x=1",
    resource="https://a.example/p",
    form=[("A", "1")],
    body=b"A=1",
    token="msg_1",
    timestamp=1614265330,
)


def a_source(*headers: str, scheme: str = "kore") -> CallbackSourceDefinition:
    lines = tuple(map(HeaderTemplate.parse, headers))
    return CallbackSourceDefinition(lines, SIGNATURE_SCHEMES[scheme], IdempotencyTokenFormat())


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("User-Agent: Acme/1.0", "User-Agent", "Acme/1.0"),
        ("webhook-id: {token}", "webhook-id", "<token>"),
        ("webhook-id:{token}", "webhook-id", "<token>"),
        ("Acme: t={timestamp},v1={signature}", "Acme", "t=<timestamp>,v1=<signature>"),
        ("X-Empty: ", "X-Empty", ""),
    ],
)  # fmt: skip
def test_a_header_is_filled_with_values_of_the_request(text: str, name: str, value: str) -> None:
    header = HeaderTemplate.parse(text)
    assert (header.name, header.fill(VALUES)) == (name, value)


@pytest.mark.parametrize("text", ["Content-Type: {content_type}", "X: {token} {content_type}"])
def test_a_header_without_its_value_is_left_out(text: str) -> None:
    assert HeaderTemplate.parse(text).fill({**VALUES, "content_type": None}) is None


@pytest.mark.parametrize(
    ("template", "value", "read"),
    [
        ("A: t={timestamp},v={signature}", "t=17,v=a=b", {"timestamp": "17", "signature": "a=b"}),
        ("Acme: {token}.{token}", "a.a", {"token": "a"}),
        ("Acme: {token}.{token}", "a.b", None),
        ("Acme: 1.0", "1.0", {}),
        ("Acme: 1.0", "1x0", None),
        ("Acme: {signature}", "", {"signature": ""}),
    ],
)  # fmt: skip
def test_a_filled_header_is_parsed_back_into_its_values(
    template: str, value: str, read: dict[str, str] | None
) -> None:
    assert HeaderTemplate.parse(template).read(value) == read


@pytest.mark.parametrize("name", SIGNATURE_SCHEMES)
def test_each_scheme_has_a_recipe_that_ends_with_the_signature(name: str) -> None:
    assert SIGNATURE_SCHEMES[name].recipe(SIGNED, "made up").steps[-1].value == "made up"


def test_a_source_fills_its_headers_in_their_order() -> None:
    source = CallbackSourceDefinition(
        tuple(
            map(
                HeaderTemplate.parse,
                ["A: 1", "B: {token}", "C: {date}", "D: x{token}", "E: {host}"],
            )
        ),
        SIGNATURE_SCHEMES["kore"],
        IdempotencyTokenFormat(),
    )
    assert source.fill({**VALUES, "date": None}) == (
        ("A", "1"),
        ("B", "<token>"),
        ("D", "x<token>"),
        ("E", "<host>"),
    )


@pytest.mark.parametrize(
    ("scheme", "header", "needs"),
    [
        ("kore", "A: 1", (False, False)),
        ("kore", "A: {date}", (False, True)),
        ("kore", "A: t={timestamp}", (True, False)),
        ("standard-webhooks", "A: 1", (True, False)),
    ],
)
def test_a_source_needs_the_time_if_it_sends_or_signs_it(
    scheme: str, header: str, needs: tuple[bool, bool]
) -> None:
    source = a_source(header, scheme=scheme)
    assert (source.needs_time, source.needs_date) == needs


def test_an_empty_signature_is_sent_empty() -> None:
    assert HeaderTemplate.parse("S: v1={signature}").fill({**VALUES, "signature": ""}) == "v1="


@pytest.mark.parametrize("text", ["", "no colon", "a b: c", ": c", "X: a\r\nY: b", "X: ü"])
def test_an_invalid_header_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a valid header; it must be like"):
        HeaderTemplate.parse(text)


def test_an_unknown_placeholder_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError,
        match=r"the placeholder \{secret\} is unknown; the placeholders are host, length",
    ):
        HeaderTemplate.parse("X: {secret}")


@pytest.mark.parametrize(
    ("name", "signature"),
    [
        # Each computed by hand with openssl from the bytes that its documentation names.
        ("twilio", "xT3c7jp1KyuE+bjLpyslDZp7PZ8="),
        ("kore", "bbc39e48a09261dc74153db70e9df80bc98bcc28928c39c201fef796b95b659a"),
        ("standard-webhooks", "v1,LdlxjydHCz6pG0QBzbkwhGx4kAVovxTe/G6ETGYpnDc="),
        ("hmac-sha256", "275b7a3bd1ad24ed19acf460f1cafe626f4317fb1cb8c063aea8005e27c5cd9d"),
    ],
)
def test_each_scheme_signs_its_parts(name: str, signature: str) -> None:
    assert SIGNATURE_SCHEMES[name].sign(SIGNED, "secret") == signature


def test_only_twilios_scheme_uses_the_auth_token() -> None:
    by_token = [name for name, scheme in SIGNATURE_SCHEMES.items() if scheme.is_by_auth_token]
    assert by_token == ["twilio"]


@pytest.mark.parametrize(
    ("source", "other"),
    [(Source.TWILIO, Source.KORE), (Source.KORE, Source.TWILIO), ("acme", Source.TWILIO)],
)
def test_the_other_source_is_the_other_one_of_the_notice(source: str, other: str) -> None:
    sources = {**BUILT_IN, "acme": BUILT_IN[Source.KORE]}
    assert other_than(source, sources) == other


def test_required_headers_are_added_to_a_source_that_does_not_list_them() -> None:
    assert [header.name for header in (*FIRST, *LAST)] == [
        "Host",
        "Content-Length",
        "Content-Type",
        "Authorization",
    ]


@pytest.mark.parametrize(
    ("is_post", "is_json", "first_lines"),
    [
        (True, False, ["POST /p?x=1 HTTP/1.1", "Host: a.example"]),
        (False, False, [f"GET {HeadPlace.TARGET} HTTP/1.1", "Host: a.example"]),
        (False, True, ["GET /p?x=1 HTTP/1.1", "Host: a.example"]),
    ],
)
def test_a_template_has_places_for_what_each_request_changes(
    is_post: bool, is_json: bool, first_lines: list[str]
) -> None:
    url = CallbackUrl.parse("https://a.example/p?x=1")
    template = BUILT_IN[Source.KORE].template_for(url, is_post, is_json, False)
    lines = template.text.split("\r\n")
    assert lines[:2] == first_lines
    assert (f"Content-Length: {HeadPlace.LENGTH}" in lines) == is_post
    assert f"Kore-Signature: {HeadPlace.SIGNATURE}" in lines
    assert template.recorded is template
    assert BUILT_IN[Source.KORE].template_for(url, is_post, is_json, False) is template


@pytest.mark.parametrize(
    ("source", "is_json", "uses_static_proxy", "line"),
    [
        (Source.KORE, True, True, "Content-Type: application/json; charset=utf-8"),
        (Source.TWILIO, False, True, "X-Use-Static-Proxy: true"),
    ],
)
def test_a_template_tells_json_and_the_static_proxy(
    source: Source, is_json: bool, uses_static_proxy: bool, line: str
) -> None:
    url = CallbackUrl.parse("https://a.example/p")
    told, plain = (
        BUILT_IN[source].template_for(url, True, *flags).text.split("\r\n")
        for flags in ((is_json, uses_static_proxy), (False, False))
    )
    assert line in told
    assert line not in plain


@pytest.mark.parametrize("encoding", BodyEncoding)
def test_the_content_type_is_that_of_the_body(encoding: BodyEncoding) -> None:
    own = "application/vnd.acme"
    acme = replace(BUILT_IN[Source.KORE], content_type=own, body_encoding=encoding)
    url = CallbackUrl.parse("https://a.example/p")
    for is_json, other in ((True, BodyEncoding.JSON), (False, BodyEncoding.FORM)):
        lines = acme.template_for(url, True, is_json, False).text.split("\r\n")
        # A callback from before the settings changed has another encoding than new ones.
        assert f"Content-Type: {own if other is encoding else CONTENT_TYPES[other]}" in lines


@pytest.mark.parametrize(
    ("encoding", "method", "body"),
    [
        (BodyEncoding.JSON, HttpMethod.POST, '{"A":"1"}'),
        (BodyEncoding.JSON, HttpMethod.GET, "A=1"),
        (BodyEncoding.FORM, HttpMethod.POST, "A=1"),
    ],
)
def test_a_source_encodes_bodies_but_not_queries(
    encoding: BodyEncoding, method: HttpMethod, body: str
) -> None:
    assert replace(BUILT_IN[Source.KORE], body_encoding=encoding).body_of("A=1", method) == body


def test_the_records_of_a_template_hide_the_credentials_of_its_url() -> None:
    url = CallbackUrl.parse("https://user:hunter2@a.example/p")
    template = BUILT_IN[Source.KORE].template_for(url, True, False, False)
    assert f"Authorization: {url.authorization}" in template.text
    assert "Authorization: (hidden)" in template.recorded.text


# ---- headers of a destination's profile


@pytest.mark.parametrize("source", Source)
def test_a_template_with_extra_headers_has_them_last_and_hides_their_values_in_records(
    source: Source,
) -> None:
    url = CallbackUrl.parse("https://a.example/p")
    extra = (("x-TEAM", "meters"), ("Authorization", "Bearer x"))
    plain = BUILT_IN[source].template_for(url, True, False, False)
    template = BUILT_IN[source].template_with(url, True, False, False, extra)
    assert template.text == f"{plain.text}\r\nx-TEAM: meters\r\nAuthorization: Bearer x"
    assert template.recorded.text == f"{plain.text}\r\nx-TEAM: (hidden)\r\nAuthorization: (hidden)"
    assert BUILT_IN[source].template_with(url, True, False, False, extra) is template
    other = BUILT_IN[source].template_with(url, True, False, False, (("x-TEAM", "lifts"),))
    assert other.text == f"{plain.text}\r\nx-TEAM: lifts"


def test_the_sources_own_header_wins_over_an_extra_one() -> None:
    url = CallbackUrl.parse("https://user:hunter2@a.example/p")
    extra = (("authorization", "Bearer x"), ("X-Signed", "by nobody"), ("X-Team", "meters"))
    acme = a_source("X-signed: {signature}", "Authorization: {authorization}")
    template = acme.template_with(url, True, False, False, extra)
    assert template.text.split("\r\n")[1:] == [
        f"X-signed: {HeadPlace.SIGNATURE}",
        f"Authorization: {url.authorization}",
        "X-Team: meters",
    ]
    assert template.recorded.text.endswith("Authorization: (hidden)\r\nX-Team: (hidden)")


def test_the_names_that_a_profile_can_not_have_are_those_that_sources_send() -> None:
    built_in = {
        "host",
        "user-agent",
        "content-length",
        "accept",
        "content-type",
        "i-twilio-idempotency-token",
        "x-home-region",
        "x-twilio-signature",
        "x-use-static-proxy",
        "accept-encoding",
        "date",
        "kore-idempotency-token",
        "kore-signature",
    }
    assert header_names({}) == header_names(BUILT_IN) == built_in
    acme = a_source("X-Signed: {signature}", "Authorization: Bearer {token}")
    assert header_names({"acme": acme}) == built_in | {"x-signed", "authorization"}


@pytest.mark.parametrize("method", HttpMethod)
def test_the_head_of_a_batch_has_a_body_and_a_place_for_its_target(method: HttpMethod) -> None:
    url = CallbackUrl.parse("http://a.example/e")
    definition = BUILT_IN[Source.TWILIO]
    extra = (("X-Team", "lifts"),)
    template = definition.stream_template(url, method, False, extra)
    lines = template.text.split("\r\n")
    assert lines[0] == f"{method} {HeadPlace.TARGET} HTTP/1.1"
    assert "Content-Type: application/json" in lines
    assert f"Content-Length: {HeadPlace.LENGTH}" in lines
    assert lines[-1] == "X-Team: lifts"
    assert definition.stream_template(url, method, False, extra) is template
