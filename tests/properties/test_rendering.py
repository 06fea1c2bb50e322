import base64
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import httptools
from hypothesis import given, reject
from hypothesis import strategies as st

from ringback.core.accounts.account import Account
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.rendering import render
from ringback.core.form_encoding import encode
from ringback.core.http.connection_profile import ConnectionProfile, check_headers
from ringback.core.http.http_exchange import HeadTemplate
from ringback.core.policy.source_policy import Source
from ringback.core.sources.source_definition import CallbackSourceDefinition, header_names
from tests.fakes import NOW, a_callback
from tests.properties.strategies import (
    accounts,
    callbacks,
    methods,
    parameters,
    source_definitions,
    sources,
    urls,
)

JSON = "application/json; charset=utf-8"


@dataclass
class Received:
    """A request as an independent parser reads it."""

    target: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])
    body: bytes = b""
    is_complete: bool = False

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.is_complete = True


@given(callbacks(), accounts())
def test_a_receiver_reads_the_request_that_was_made(
    callback: CallbackRecord, account: Account
) -> None:
    request = render(callback, account=account, at=NOW)
    received = Received()
    parser = httptools.HttpRequestParser(received)
    parser.feed_data(request.to_bytes())
    assert received.is_complete
    assert parser.get_method().decode() == request.method
    assert received.target.decode() == request.url.target
    assert [(name.decode(), value.decode()) for name, value in received.headers] == list(
        request.headers
    )
    assert received.body == request.body


@given(callbacks(), accounts())
def test_no_value_starts_a_line_of_its_own(callback: CallbackRecord, account: Account) -> None:
    request = render(callback, account=account, at=NOW)
    head, _, body = request.to_bytes().partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert len(lines) == 1 + len(request.headers)
    assert not [line for line in lines if b"\r" in line or b"\n" in line]
    assert body == request.body


@given(
    callbacks(),
    accounts(),
    st.lists(
        st.tuples(
            st.text("Xx-0!~ :", min_size=1, max_size=8) | st.just("Authorization"),
            st.text(st.characters(min_codepoint=0x1F, max_codepoint=0x100), max_size=8),
        ),
        max_size=3,
    ),
)
def test_headers_of_a_profile_that_pass_the_check_are_read_as_they_were_given(
    callback: CallbackRecord, account: Account, headers: list[tuple[str, str]]
) -> None:
    try:
        check_headers(headers, taken=header_names({}))
    except ValueError:
        reject()
    profile = ConnectionProfile(tuple(headers))
    request = render(callback, account=account, at=NOW, profile=profile)
    plain = render(callback, account=account, at=NOW)
    own = {name.lower() for name, _ in plain.headers}
    added = [header for header in headers if header[0].lower() not in own]
    received = Received()
    httptools.HttpRequestParser(received).feed_data(request.to_bytes())
    read = [(name.decode(), value.decode("latin-1")) for name, value in received.headers]
    assert read == [*plain.headers, *added]
    assert received.is_complete
    assert received.body == plain.body


@given(callbacks(), accounts())
def test_the_fragment_is_never_on_the_wire(callback: CallbackRecord, account: Account) -> None:
    request = render(callback, account=account, at=NOW)
    assert b"#" not in request.to_bytes()
    assert "#" not in request.recorded().url


@given(
    st.from_regex("[a-z]{3}:secret[0-9a-f]{16}", fullmatch=True), urls(credentials=st.just("")),
    accounts(), sources, methods
)  # fmt: skip
def test_no_record_has_credentials(
    credentials: str, url: str, account: Account, source: Source, method: HttpMethod
) -> None:
    with_credentials = url.replace("://", f"://{credentials}@", 1)
    callback = a_callback(url=with_credentials, source=source, method=method)
    request = render(callback, account=account, at=NOW)
    encoded = base64.b64encode(credentials.encode()).decode()
    assert encoded in dict(request.headers)["Authorization"]
    assert encoded not in str(request.recorded())
    assert credentials not in str(request.recorded())
    assert credentials not in callback.url.shown + repr(callback)


@given(
    callbacks(), accounts(), source_definitions, st.datetimes(timezones=st.just(UTC)), st.booleans()
)  # fmt: skip
def test_the_head_of_any_source_is_made_from_its_template(
    callback: CallbackRecord,
    account: Account,
    source: CallbackSourceDefinition,
    at: datetime,
    is_test: bool,
) -> None:
    callback = callback._replace(source="acme", is_test=is_test)
    request = render(callback, account=account, at=at, sources={"acme": source})
    is_post = callback.method is HttpMethod.POST
    values = {
        "host": callback.url.authority,
        "length": str(len(callback.sent_body)) if is_post else None,
        "content_type": (JSON if is_test else source.content_type) if is_post else None,
        "authorization": callback.url.authorization,
        "token": callback.idempotency_token,
        "signature": request.signature,
        "date": f"{at:%Y-%m-%dT%H:%M:%SZ}".rjust(20, "0"),
        "timestamp": str(int(at.timestamp())),
        "static_proxy": "true" if account.uses_static_proxy else None,
    }
    filled = [(header.name, header.fill(values)) for header in source.headers]
    assert request.headers == tuple(pair for pair in filled if pair[1] is not None)
    assert request.head.startswith(f"{request.method} {callback.called.target} HTTP/1.1")


@given(callbacks(), accounts(), source_definitions, st.booleans())
def test_the_record_of_a_head_is_made_again_from_the_text_of_its_template(
    callback: CallbackRecord, account: Account, source: CallbackSourceDefinition, is_test: bool
) -> None:
    callback = callback._replace(source="acme", is_test=is_test)
    request = render(callback, account=account, at=NOW, sources={"acme": source})
    assert request.template is not None
    again = HeadTemplate(request.template.recorded.text)
    filled = again.fill(
        callback.called.target,
        len(request.body),
        callback.idempotency_token,
        request.signature,
        request.sent_at,
    )
    assert filled == request.recorded().head
    assert again == again.recorded == request.template.recorded


@given(urls(), parameters, accounts(), methods)
def test_both_sources_send_the_same_body_to_the_same_target(
    url: str, parameters: list[tuple[str, str]], account: Account, method: HttpMethod
) -> None:
    twilio, kore = (
        render(
            a_callback(url=url, source=source, method=method, body=encode(parameters)),
            account=account,
            at=NOW,
        )
        for source in Source
    )
    assert (twilio.body, twilio.url) == (kore.body, kore.url)


@given(callbacks(), accounts())
def test_the_parameters_follow_the_urls_own_query(
    callback: CallbackRecord, account: Account
) -> None:
    request = render(callback, account=account, at=NOW)
    own = callback.url.wire.removeprefix(f"{callback.url.scheme}://{callback.url.authority}")
    slash = "" if own.startswith("/") else "/"
    assert request.url.target.startswith(slash + own)
    assert (request.url.target + request.body.decode()).endswith(callback.body)


@given(parameters)
def test_encoded_text_decodes_to_the_same(parameters: list[tuple[str, str]]) -> None:
    assert parse_qsl(encode(parameters), keep_blank_values=True) == parameters
    assert a_callback(body=encode(parameters)).parameters == parameters


@given(parameters)
def test_an_encoded_form_has_only_characters_of_a_query(parameters: list[tuple[str, str]]) -> None:
    assert re.fullmatch("[A-Za-z0-9_.~+%&=-]*", encode(parameters))
