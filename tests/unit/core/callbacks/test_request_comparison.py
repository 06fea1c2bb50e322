"""Two requests side by side: what was renamed, removed, added, and how each is signed."""

from dataclasses import replace
from typing import Any

import pytest

from ringback.core.accounts.account import Account
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.rendering import render
from ringback.core.callbacks.request_comparison import (
    ComparedRequest,
    HeaderChange,
    HeaderRole,
    ParameterDifference,
    RequestComparison,
    compared,
    compared_unsent,
)
from ringback.core.http.http_exchange import SentRequestRecord
from ringback.core.policy.source_policy import Source, SourceName
from ringback.core.sources.body_encoding import BodyEncoding
from ringback.core.sources.idempotency_tokens import IdempotencyTokenFormat
from ringback.core.sources.source_definition import (
    BUILT_IN,
    SIGNATURE_SCHEMES,
    CallbackSourceDefinition,
    HeaderTemplate,
    Sources,
)
from ringback.core.supersim.sim import SimStatus
from tests.fakes import (
    AUTH_TOKEN,
    CALLBACK_SID,
    KORE_SECRET,
    NOW,
    TOKENS,
    a_callback,
    an_account,
    an_event,
)
from tests.streams import a_batch_of, a_sink, a_subscription, an_event_of
from tests.unit.core.sources.test_signature_recipe import follow

TWILIO, KORE = Source
POST, GET = HttpMethod.POST, HttpMethod.GET
SAME, DIFFERS, RENAMED, REMOVED, ADDED = HeaderChange
ACME, HOOKS = "acme", "hooks"


def a_source(scheme: str, token: str, *headers: str) -> CallbackSourceDefinition:
    return CallbackSourceDefinition(
        tuple(map(HeaderTemplate.parse, headers)),
        SIGNATURE_SCHEMES[scheme],
        IdempotencyTokenFormat.parse(token),
    )


SOURCES: Sources = {
    **BUILT_IN,
    HOOKS: a_source(
        "standard-webhooks",
        "msg_{hex}",
        "Host: {host}",
        "webhook-id: {token}",
        "webhook-timestamp: {timestamp}",
        "webhook-signature: {signature}",
        "Content-Type: {content_type}",
    ),
    ACME: a_source(
        "hmac-sha256",
        "{uuid}",
        "Host: {host}",
        "X-Acme: {token}",
        "X-Twilio-Signature: v={signature}",
    ),
}


def sent(
    source: SourceName = KORE,
    *,
    account: Account | None = None,
    definition: CallbackSourceDefinition | None = None,
    **kinds: Any,
) -> ComparedRequest:
    """Return the request of a callback, as an attempt's row has it."""
    token = TOKENS[Source(source)] if source in BUILT_IN else "msg_1"
    callback = a_callback(**{"token": token, **kinds})._replace(source=source)
    request = render(callback, account=account or an_account(), at=NOW, sources=SOURCES)
    return compared(
        request.recorded(),
        definition or SOURCES[source],
        source=source,
        credentials=callback.url.credentials,
        callback_sid=callback.sid,
        date_sent=NOW,
    )


def unsent(
    source: SourceName, callback: CallbackRecord | None = None, account: Account | None = None
) -> ComparedRequest:
    return compared_unsent(
        callback or a_callback(source=TWILIO),
        SOURCES[source],
        source=source,
        account=account or an_account(),
    )


def rows(comparison: RequestComparison) -> list[tuple[HeaderChange, str | None, str | None]]:
    return [
        (pair.change, pair.first and pair.first.name, pair.second and pair.second.name)
        for pair in comparison.headers
    ]


# ---- headers -------------------------------------------------------------------------------------


def test_the_notices_two_requests_differ_as_the_notice_says() -> None:
    comparison = RequestComparison(sent(TWILIO), sent(KORE))
    assert rows(comparison) == [
        (SAME, "Host", "Host"),
        (DIFFERS, "User-Agent", "User-Agent"),
        (SAME, "Content-Length", "Content-Length"),
        (SAME, "Accept", "Accept"),
        (DIFFERS, "Accept-Encoding", "Accept-Encoding"),
        (DIFFERS, "Content-Type", "Content-Type"),
        (ADDED, None, "Date"),
        (RENAMED, "I-Twilio-Idempotency-Token", "Kore-Idempotency-Token"),
        (REMOVED, "X-Home-Region", None),
        (RENAMED, "X-Twilio-Signature", "Kore-Signature"),
    ]
    assert [pair.role for pair in comparison.headers if pair.role] == list(HeaderRole)
    assert (comparison.is_same_line, comparison.is_same_body) == (True, True)
    assert comparison.summary == (
        "Headers: 2 renamed, 1 removed, 1 added, 3 differ; the body is the same."
    )


def test_the_static_proxys_header_is_removed_too() -> None:
    account = an_account(uses_static_proxy=True)
    comparison = RequestComparison(sent(TWILIO, account=account), sent(KORE, account=account))
    removed = [row for row in rows(comparison) if row[0] is REMOVED]
    assert removed == [(REMOVED, "X-Home-Region", None), (REMOVED, "X-Use-Static-Proxy", None)]
    assert comparison.count(REMOVED) == 2


def test_a_header_that_comes_before_all_others_is_removed_at_the_top() -> None:
    first = replace(sent(TWILIO), headers=(sent(TWILIO).headers[6], *sent(TWILIO).headers))
    comparison = RequestComparison(first, sent(KORE))
    assert [row[0] for row in rows(comparison)].count(REMOVED) == 2
    lone = replace(first, headers=first.headers[7:8])
    assert rows(RequestComparison(lone, replace(sent(KORE), headers=()))) == [
        (REMOVED, lone.headers[0].name, None)
    ]


def test_custom_sources_have_roles_too_whatever_their_headers_names() -> None:
    comparison = RequestComparison(sent(TWILIO), sent(ACME))
    assert (RENAMED, "I-Twilio-Idempotency-Token", "X-Acme") in rows(comparison)
    assert (DIFFERS, "X-Twilio-Signature", "X-Twilio-Signature") in rows(comparison)


def test_a_single_differing_header_is_one_difference() -> None:
    comparison = RequestComparison(sent(KORE, token="RQ1"), sent(KORE, token="RQ2"))
    assert comparison.summary == "Headers: 1 differs; the body is the same."


def test_a_request_equals_itself() -> None:
    comparison = RequestComparison(sent(KORE), sent(KORE))
    assert comparison.summary == "Headers: all the same; the body is the same."
    assert comparison.receiver_changes == []


def test_credentials_are_hidden_but_compared() -> None:
    urls = [f"http://user:{word}@a.example/" for word in ("secret-1", "secret-2")]
    one, other = (sent(KORE, url=url) for url in urls)
    for second, change in ((one, SAME), (other, DIFFERS)):
        comparison = RequestComparison(one, second)
        (pair,) = (each for each in comparison.headers if "Authorization" in str(each))
        assert pair.change is change
        assert pair.first is not None
        assert pair.first.value == "(hidden)"
        assert "secret-" not in repr((comparison.first, comparison.second))


def test_headers_removed_from_the_settings_are_compared_by_name() -> None:
    old = sent(HOOKS, definition=SOURCES[ACME])
    assert {header.role for header in old.headers} == {None}
    assert old.recipe is None
    assert rows(RequestComparison(old, sent(HOOKS)))[1] == (SAME, "webhook-id", "webhook-id")


def test_a_header_whose_fixed_part_was_changed_is_compared_by_name() -> None:
    record = SentRequestRecord("POST", "http://a.example/", "POST / HTTP/1.1\r\nX-Acme: 1", "")
    definition = a_source("kore", "{uuid}", "X-Acme: v{token}", "S: {signature}")
    (header,) = compared(record, definition, source=ACME).headers
    assert (header.name, header.value, header.role) == ("X-Acme", "1", None)


# ---- requests that were not sent -----------------------------------------------------------------


def test_no_values_are_made_up_for_an_unsent_request() -> None:
    request = unsent(KORE)
    values = {header.name: (header.value, header.note) for header in request.headers}
    assert values["Kore-Idempotency-Token"] == (None, "34 characters, made when it is sent")
    assert values["Date"] == (None, "the time at which it is sent, like 2024-07-03T14:40:58Z")
    assert (request.callback_sid, request.date_sent) == (None, None)
    signature = request.header_with(HeaderRole.SIGNATURE)
    assert signature == sent(KORE).header_with(HeaderRole.SIGNATURE)


def test_an_unsent_request_is_compared_like_any_other() -> None:
    real = RequestComparison(sent(TWILIO), sent(KORE))
    assert rows(RequestComparison(sent(TWILIO), unsent(KORE))) == rows(real)


def test_a_callback_keeps_its_own_token_before_it_is_sent() -> None:
    request = unsent(TWILIO)
    token = request.header_with(HeaderRole.IDEMPOTENCY)
    assert token is not None
    assert token.value == TOKENS[TWILIO]
    assert request.callback_sid == CALLBACK_SID


def test_a_signature_over_token_and_time_is_unknown_before_sending() -> None:
    request = unsent(HOOKS)
    notes = [(header.name, header.note) for header in request.headers if header.value is None]
    assert notes == [
        ("webhook-id", "36 characters, made when it is sent"),
        ("webhook-timestamp", "the time at which it is sent, in seconds since 1970"),
        ("webhook-signature", "made when it is sent"),
    ]
    assert request.recipe is not None
    assert request.recipe.steps[-1].value is None


def test_without_a_secret_the_signature_is_known_to_be_empty() -> None:
    for source in (KORE, HOOKS):
        request = unsent(source, account=an_account(kore_secret=""))
        signature = request.header_with(HeaderRole.SIGNATURE)
        assert signature is not None
        assert signature.value == ""
        assert request.recipe is not None
        assert [step.text for step in request.recipe.steps] == [
            "The account has no webhook secret, so the signature is empty"
        ]


# ---- bodies and parameters -----------------------------------------------------------------------


def test_differing_parameters_are_listed_with_both_values() -> None:
    inactive, active = (
        an_event(sim_status=each) for each in (SimStatus.INACTIVE, SimStatus.ACTIVE)
    )
    comparison = RequestComparison(sent(TWILIO, event=inactive), sent(KORE, event=active))
    assert comparison.parameters == [ParameterDifference("SimStatus", ("inactive",), ("active",))]
    assert not comparison.is_same_body
    assert comparison.summary == (
        "Headers: 2 renamed, 1 removed, 1 added, 4 differ;"
        " the body differs only in SimStatus, and Content-Length because of that."
    )


@pytest.mark.parametrize(
    ("bodies", "differences"),
    [
        (("a=1&a=2&b=1", "a=1&b=1"), [ParameterDifference("a", ("1", "2"), ("1",))]),
        (("a=1", "a=1&b=2"), [ParameterDifference("b", (), ("2",))]),
        (("a=1&b=2", "b=2"), [ParameterDifference("a", ("1",), ())]),
        (("a=1&b=2", "b=2&a=1"), []),
    ],
)
def test_parameters_are_compared_by_name(
    bodies: tuple[str, str], differences: list[ParameterDifference]
) -> None:
    comparison = RequestComparison(*(sent(KORE, body=body) for body in bodies))
    assert comparison.parameters == differences
    if not differences:
        assert comparison.summary.endswith("; the body differs.")


def test_of_many_parameters_only_the_first_are_named() -> None:
    body = "&".join(f"p{number}={{0}}" for number in range(7))
    comparison = RequestComparison(*(sent(KORE, body=body.format(value)) for value in "12"))
    assert comparison.summary.endswith("; the body differs only in p0, p1, p2, p3, p4 and 2 more.")


def test_the_parameters_of_a_get_are_in_its_url() -> None:
    same = RequestComparison(sent(TWILIO, method=GET), sent(KORE, method=GET))
    assert same.summary.endswith("; the parameters in the URL are the same.")
    other = RequestComparison(sent(TWILIO, method=GET), sent(KORE, method=GET, body="SimSid=HS1"))
    assert not other.is_same_line
    assert "; the request line differs; the parameters in the URL differ only in" in other.summary


def test_the_methods_get_and_post_are_reported_as_different() -> None:
    comparison = RequestComparison(sent(KORE, method=GET), sent(KORE))
    assert comparison.summary.endswith("; the request line differs; GET is compared with POST.")


def test_a_test_event_has_no_parameters() -> None:
    comparison = RequestComparison(
        *(sent(KORE, body=body, is_test=True) for body in ('[{"a=1":1}]', '[{"a=1":2}]'))
    )
    assert comparison.parameters == []
    assert comparison.summary.endswith("; the body differs.")


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("B=1+%26&A=%C3%A9", "the body is JSON instead of a form, with the same parameters."),
        ("B=2&A=%C3%A9", "the body is JSON instead of a form, and differs in B."),
    ],
)
def test_another_encoding_of_the_body_is_a_change_for_the_receiver(form: str, content: str) -> None:
    as_json = sent(HOOKS, body='{"B":"1 &","A":"é"}')
    comparison = RequestComparison(sent(KORE, body=form), as_json)
    assert as_json.parameters == [("B", "1 &"), ("A", "é")]
    assert comparison.summary.endswith(f"; {content}")
    change = "Read the parameters from a body that is {}, not {}."
    assert change.format("JSON", "a form") in comparison.receiver_changes
    back = RequestComparison(as_json, sent(KORE, body=form))
    assert change.format("a form", "JSON") in back.receiver_changes


def test_an_unsent_request_has_the_encoding_of_its_source() -> None:
    callback = a_callback(source=KORE, body="A=1")
    definition = replace(SOURCES[HOOKS], body_encoding=BodyEncoding.JSON)
    unsent = compared_unsent(callback, definition, source=HOOKS, account=an_account())
    assert unsent.body == '{"A":"1"}'
    kept = callback._replace(source=HOOKS)  # created before the settings changed
    own = compared_unsent(kept, definition, source=HOOKS, account=an_account())
    assert own.body == "A=1"


# ---- recipes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [POST, GET])
@pytest.mark.parametrize("source", SOURCES)
def test_the_recipe_of_a_request_leads_to_the_signature_in_its_header(
    source: SourceName, method: HttpMethod
) -> None:
    request = sent(source, method=method, body="B=1%26&A=%C3%A9+2")
    header = request.header_with(HeaderRole.SIGNATURE)
    assert request.recipe is not None
    assert header is not None
    assert header.value is not None
    secret = AUTH_TOKEN if source == TWILIO else KORE_SECRET
    assert header.value.removeprefix("v=") == follow(request.recipe, secret)
    assert secret not in str(request.recipe)


@pytest.mark.parametrize(
    ("source", "step", "url"),
    [(TWILIO, 0, "https://a.example/p?x=1"), (KORE, 2, "https://a.example/p")],
)
def test_the_url_in_a_recipe_has_neither_credentials_nor_fragment(
    source: Source, step: int, url: str
) -> None:
    request = sent(source, url="https://user:word@a.example/p?x=1#cbs=kore")
    assert request.recipe is not None
    assert request.recipe.steps[step].value == url


# ---- changes for a receiver ----------------------------------------------------------------------


def test_a_receiver_of_twilios_callbacks_has_to_change_four_things() -> None:
    assert RequestComparison(sent(TWILIO), sent(KORE)).receiver_changes == [
        "Check Kore-Signature, computed with the account's webhook secret. Do not require"
        " X-Twilio-Signature: kore does not send it.",
        "Read the idempotency token from Kore-Idempotency-Token. Take any printable token of up to"
        " 256 characters, and keep the tokens of the two sources apart.",
        "Do not require X-Home-Region: kore does not send it. Do not depend on the values of"
        " User-Agent, Accept-Encoding and Content-Type: kore sends other ones.",
        "Do not recognise callbacks by the IP address that they come from: kore sends from a pool"
        " of addresses without a fixed range.",
    ]


def test_the_necessary_changes_follow_from_the_two_sources() -> None:
    changes = RequestComparison(sent(TWILIO), sent(ACME)).receiver_changes
    assert changes == [
        "Check X-Twilio-Signature, computed with the account's webhook secret.",
        "Read the idempotency token from X-Acme. Take any printable token of up to 256 characters,"
        " and keep the tokens of the two sources apart.",
        "Do not require User-Agent, Accept, Content-Type, X-Home-Region and Accept-Encoding: acme"
        " does not send them.",
        "Do not recognise callbacks by the IP address that they come from: acme may send from other"
        " addresses.",
    ]


def test_one_header_with_another_value_is_one_changed_value() -> None:
    comparison = RequestComparison(
        replace(sent(KORE), headers=sent(KORE).headers[1:2]),
        replace(sent(TWILIO), headers=sent(TWILIO).headers[1:2]),
    )
    assert comparison.receiver_changes == [
        "Do not depend on the value of User-Agent: twilio sends another one.",
        "Do not recognise callbacks by the IP address that they come from: twilio may send from"
        " other addresses.",
    ]


def test_a_token_header_of_the_same_name_is_read_as_before() -> None:
    changes = RequestComparison(sent(HOOKS), replace(sent(HOOKS), source=ACME)).receiver_changes
    assert changes[1].startswith("Take any printable token")
    assert len(changes) == 3


# ---- batches of event streams --------------------------------------------------------------------


def two_of_a_batch(method: HttpMethod = POST) -> RequestComparison:
    """Compare a batch from twilio with the same events from kore, which was not sent."""
    events, rule = [an_event_of(1), an_event_of(2)], a_subscription()
    sinks = [a_sink(source=one, method=method) for one in (TWILIO, KORE)]
    batch, others = (a_batch_of(events, sink, rule) for sink in sinks)
    request = render(batch, account=an_account(), at=NOW)
    own = compared(request.recorded(), BUILT_IN[TWILIO], source=TWILIO)
    account, definition = an_account(), BUILT_IN[KORE]
    other = compared_unsent(batch, definition, source=KORE, account=account, body=others.body)
    assert other.body == others.body
    return RequestComparison(own, other)


@pytest.mark.parametrize("method", HttpMethod)
def test_the_other_sources_batch_has_the_same_events(method: HttpMethod) -> None:
    comparison = two_of_a_batch(method)
    assert comparison.parameters == []
    assert comparison.summary.endswith(
        "; the request line differs; the body has the same events, written in another way."
    )
    first, second = comparison.first, comparison.second
    assert first.line.startswith(f"{method} /events?bodySHA256=")
    assert second.line == f"{method} /events HTTP/1.1"
    changes = comparison.receiver_changes
    assert (
        "Read an event's names in any order, and recognise it by its `id`, which is the same from"
        " both sources, as is its `data`. kore sends another `source`, `dataschema` and format of"
        " `time`." in changes
    )
    assert (
        "Do not require bodySHA256 in the URL: the signature of kore covers the body itself."
        in changes
    )


def test_the_hash_of_the_body_is_left_out_only_on_the_way_to_kore() -> None:
    there = two_of_a_batch()
    back = RequestComparison(there.second, there.first)
    assert any("bodySHA256" in change for change in there.receiver_changes)
    assert not any("bodySHA256" in change for change in back.receiver_changes)


def test_the_recipes_of_batches_give_their_signatures() -> None:
    comparison = two_of_a_batch()
    for request, secret in ((comparison.first, AUTH_TOKEN), (comparison.second, KORE_SECRET)):
        header = request.header_with(HeaderRole.SIGNATURE)
        assert header is not None
        assert request.recipe is not None
        assert follow(request.recipe, secret) == header.value


def test_a_batch_is_the_same_as_itself() -> None:
    first = two_of_a_batch().first
    same = RequestComparison(first, first)
    assert (
        same.summary == "Headers: all the same; the body has the same events, also byte for byte."
    )
