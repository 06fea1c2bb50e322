"""Forms that somebody has changed without changing their signature."""

from dataclasses import replace
from typing import Any, Final

import pytest

from ringback.core.form_encoding import encode
from ringback.core.policy.source_policy import Source
from ringback.core.sources.signature import sign_as_kore, sign_as_twilio
from ringback.receiver import Accepted, Reason, ReceivedRequest, Receiver, Rejected, Result

URL: Final = "https://a.example/callbacks"
HEX: Final = "0123456789abcdef" * 2
SIM: Final = [
    ("ApiVersion", "v1"),
    ("SimUniqueName", "my_super_sim"),
    ("SimSid", f"HS{HEX}"),
    ("SimStatus", "inactive"),
    ("AccountSid", f"AC{HEX}"),
]
ROOTS: Final = ["https://a.example", "https://a.example/"]


def signed(
    source: Source, url: str = URL, form: list[tuple[str, str]] | None = None
) -> ReceivedRequest:
    pairs = SIM if form is None else form
    body = encode(pairs).encode()
    if source is Source.KORE:
        header = ("Kore-Signature", sign_as_kore("POST", url, body, secret="s"))
    else:
        header = ("X-Twilio-Signature", sign_as_twilio(url, pairs, auth_token="s"))
    content_type = ("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
    return ReceivedRequest("POST", "", (header, content_type), body)


def received(request: ReceivedRequest, url: str = URL, **how: Any) -> Result:
    receiver = Receiver(url, twilio_auth_tokens=["s"], kore_secrets=["s"], **how)
    result = receiver.receive_request(request)
    verdict = receiver.check(request.method, dict(request.headers), request.body)
    assert isinstance(verdict, Rejected) == isinstance(result, Rejected)
    return result


def refusal(request: ReceivedRequest, url: str = URL, **how: Any) -> Rejected:
    result = received(request, url, **how)
    assert isinstance(result, Rejected)
    return result


@pytest.mark.parametrize("configured", ROOTS)
@pytest.mark.parametrize("source", list(Source))
@pytest.mark.parametrize("form", [SIM, [("Color", "red")]])
def test_the_slash_of_a_url_without_a_path_cannot_move_to_the_form(
    source: Source, configured: str, form: list[tuple[str, str]]
) -> None:
    request = signed(source, "https://a.example/", form)
    assert isinstance(received(request, configured), Accepted)
    first, *others = sorted(form) if source is Source.TWILIO else form
    moved = [("/" + first[0], first[1]), *others]
    body = b"/" + request.body if source is Source.KORE else encode(moved).encode()
    found = refusal(replace(request, body=body), configured)
    assert found.reason is Reason.BODY_CHANGED
    assert "begins with '/'" in found.explanation


def test_the_slash_cannot_move_to_a_form_that_is_called_json() -> None:
    request = signed(Source.KORE, "https://a.example/")
    headers = (request.headers[0], ("Content-Type", "application/json"))
    moved = replace(request, headers=headers, body=b" /" + request.body)
    assert refusal(moved, "https://a.example").reason is Reason.BODY_CHANGED


def test_the_port_of_a_url_without_a_path_cannot_move_to_twilios_form() -> None:
    request = signed(Source.TWILIO, "https://a.example:443")
    moved = [(f":443{name}" if name == "AccountSid" else name, value) for name, value in SIM]
    found = refusal(replace(request, body=encode(moved).encode()), "https://a.example")
    assert found.reason is Reason.BODY_CHANGED


@pytest.mark.parametrize(
    ("name", "instead", "why"),
    [
        ("AccountSid", [("AccountSi", f"dAC{HEX}")], "not AccountSid (it has the unknown name"),
        ("SimSid", [("SimSidHS", HEX)], "not SimSid (it has the unknown name 'SimSidHS')"),
        ("ApiVersion", [("ApiVersionv", "1")], "not ApiVersion"),
        ("SimUniqueName", [], "its SimStatus is 'inactiveSimUniqueNamemy_super_sim'"),
        ("SimSid", [("SimSid", f"HS{HEX}")] * 2, "it has SimSid 2 times"),
    ],
)
def test_a_form_of_twilio_that_was_split_again_is_refused_and_says_why(
    name: str, instead: list[tuple[str, str]], why: str
) -> None:
    request = signed(Source.TWILIO)
    split = [pair for pair in SIM if pair[0] != name] + instead
    if not instead:
        split = [(n, f"{v}{name}my_super_sim" if n == "SimStatus" else v) for n, v in split]
    body = encode(split).encode()
    assert isinstance(received(request), Accepted)
    for written in (body, body.replace(b"S", b"%53")):
        found = refusal(replace(request, body=written))
        assert (found.reason, found.status, found.source) == ("malformed_form", 400, "twilio")
        assert why in found.explanation


def test_a_form_of_kore_without_a_required_name_is_refused_signed_or_not() -> None:
    request = signed(Source.KORE, form=SIM[:-1])
    assert refusal(request).reason is Reason.MALFORMED_FORM
    unsigned = replace(request, headers=(("Kore-Signature", ""), request.headers[1]))
    found = refusal(unsigned, accept_unsigned_kore=True)
    assert found.reason is Reason.MALFORMED_FORM


@pytest.mark.parametrize("source", list(Source))
def test_unknown_names_are_reported_and_refused_only_if_the_receiver_says_so(
    source: Source,
) -> None:
    request = signed(source, form=[*SIM, ("Color", "red")])
    result = received(request)
    assert isinstance(result, Accepted)
    assert result.callback.unknown_names == ("Color",)
    found = refusal(request, refuse_unknown_names=True)
    assert (found.reason, found.status) == (Reason.UNKNOWN_NAMES, 400)
    assert "'Color'" in found.explanation
    assert isinstance(received(signed(source), refuse_unknown_names=True), Accepted)


@pytest.mark.parametrize("source", list(Source))
def test_an_event_of_ones_own_may_have_any_names(source: Source) -> None:
    request = signed(source, form=[("Sid", "X1"), ("Color", "red"), ("/x", "1"), ("Sid", "X2")])
    result = received(request)
    assert isinstance(result, Accepted)
    assert result.callback.unknown_names == ()
    found = refusal(request, refuse_unknown_names=True)
    assert "no known kind" in found.explanation


@pytest.mark.parametrize("source", list(Source))
def test_the_parameters_of_a_get_are_not_a_form(source: Source) -> None:
    query = f"{URL}?Color=red&SimStatus=active&SimSid=HS{HEX}"
    if source is Source.KORE:
        header = ("Kore-Signature", sign_as_kore("GET", URL, secret="s"))
    else:
        header = ("X-Twilio-Signature", sign_as_twilio(query, auth_token="s"))
    target = query.removeprefix("https://a.example")
    receiver = Receiver(
        URL, twilio_auth_tokens=["s"], kore_secrets=["s"], refuse_unknown_names=True
    )
    result = receiver.receive("GET", [header], target=target)
    assert isinstance(result, Accepted)
    assert result.callback.unknown_names == ()
