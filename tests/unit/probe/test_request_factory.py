"""A receiver made with the toolkit accepts the probe's genuine requests, and no forgery."""

import hashlib
import json
import re

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.events.payload import PARAMETERS, Event
from ringback.core.policy.source_policy import Source
from ringback.core.sources.signature import sign_as_standard_webhooks
from ringback.probe.case_kinds import ForgedCase, Forgery, GenuineCase, ProbeCase
from ringback.probe.forgeries import forge
from ringback.probe.payloads import (
    KINDS,
    UNUSUAL,
    CallbackSubject,
    ProbeCallbackKind,
    parameters_for,
)
from ringback.probe.probe_cases import CASES, cases_of
from ringback.receiver import Reason, Receiver, Rejected
from ringback.receiver.events import CloudEvents, read_event
from ringback.receiver.verification import Verified
from tests.corpus.receivers.other_sources import ACME, SOURCES, STANDARD
from tests.fakes import AUTH_TOKEN, KORE_SECRET
from tests.senders import received
from tests.unit.probe.receivers import case_called, requests_to

URL = "https://receiver.example/hook?tenant=7"
RECEIVER = Receiver(URL, twilio_auth_tokens=[AUTH_TOKEN], kore_secrets=[KORE_SECRET])
GOOD = [case for case in CASES if isinstance(case.plan, GenuineCase)]
FORGED = [case for case in CASES if isinstance(case.plan, ForgedCase)]
REASONS = {
    Forgery.WRONG_SECRET: Reason.NOT_EXPLAINED,
    Forgery.CHANGED_BODY: Reason.NOT_EXPLAINED,
    Forgery.CHANGED_PATH: Reason.NOT_EXPLAINED,
    Forgery.CHANGED_QUERY: Reason.NOT_EXPLAINED,
    Forgery.ADDED_QUERY: Reason.URL_DIFFERS,
    Forgery.MISSING_SIGNATURE: Reason.NO_SIGNATURE,
    Forgery.EMPTY_SIGNATURE: Reason.MALFORMED_SIGNATURE,
    Forgery.EMPTY_KORE_SIGNATURE: Reason.EMPTY_SIGNATURE,
    Forgery.MALFORMED_SIGNATURE: Reason.MALFORMED_SIGNATURE,
    Forgery.UPPER_CASE: Reason.UPPER_CASE,
    Forgery.HMAC: Reason.HMAC,
    Forgery.AUTH_TOKEN: Reason.OTHER_FAMILYS_SECRET,
    Forgery.TWILIO_SIGNATURE: Reason.MALFORMED_SIGNATURE,
    Forgery.BOTH_FAMILIES: Reason.BOTH_FAMILIES,
    Forgery.EVENTS_WRONG_SECRET: Reason.NOT_EXPLAINED,
    Forgery.EVENTS_CHANGED_BODY: Reason.NOT_EXPLAINED,
    Forgery.EVENTS_MISSING_SIGNATURE: Reason.NO_SIGNATURE,
    Forgery.UNSIGNED: Reason.NO_SIGNATURE,
}


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.name)
@pytest.mark.parametrize("url", [URL, "http://receiver.example:8080", "http://u:p@a.example/x"])
def test_genuine_requests_are_genuine(case: ProbeCase, url: str) -> None:
    assert isinstance(case.plan, GenuineCase)
    request = requests_to(url).genuine(case.plan)
    receiver = Receiver(
        request.url.wire if case.plan.adds_query and case.plan.method is HttpMethod.POST else url,
        twilio_auth_tokens=[AUTH_TOKEN],
        kore_secrets=[KORE_SECRET],
    )
    verdict = receiver.check_request(received(request))
    assert isinstance(verdict, Verified)
    assert verdict.source == case.plan.source
    assert verdict.token is not None


@pytest.mark.parametrize("case", FORGED, ids=lambda case: case.name)
def test_each_forgery_is_rejected_for_its_error(case: ProbeCase) -> None:
    assert isinstance(case.plan, ForgedCase)
    plan = case.plan
    request = forge(requests_to(URL), plan.forgery, plan.source, plan.method)
    verdict = RECEIVER.check_request(received(request))
    assert isinstance(verdict, Rejected)
    by_hash = plan == ForgedCase(Source.TWILIO, HttpMethod.POST, Forgery.EVENTS_CHANGED_BODY)
    assert verdict.reason is (Reason.BODY_CHANGED if by_hash else REASONS[plan.forgery])


def test_a_forgery_with_both_families_has_two_correct_signatures() -> None:
    make = requests_to(URL)
    request = forge(make, Forgery.BOTH_FAMILIES, Source.KORE, HttpMethod.POST)
    for family in ("Kore-", "X-Twilio-"), ("X-Twilio-", "Kore-"):
        alone = tuple(
            pair
            for pair in request.headers
            if not pair[0].startswith((family[0], family[0].replace("X-", "I-")))
        )
        request_alone = received(request)
        request_alone = type(request_alone)(request.method, request.url.target, alone, request.body)
        assert isinstance(RECEIVER.check_request(request_alone), Verified)


def test_twilios_token_is_in_kores_header() -> None:
    request = forge(requests_to(URL), Forgery.TWILIO_SIGNATURE, Source.KORE, HttpMethod.POST)
    headers = dict(request.headers)
    assert len(headers["Kore-Idempotency-Token"]) == 36
    assert len(headers["Kore-Signature"]) == 28
    assert not [name for name in headers if "Twilio" in name]


def test_a_changed_body_has_the_same_length() -> None:
    request = forge(requests_to(URL), Forgery.CHANGED_BODY, Source.KORE, HttpMethod.POST)
    assert dict(request.headers)["Content-Length"] == str(len(request.body))
    assert b"SimStatus=hacked" in request.body


def test_each_kind_of_event_is_sent() -> None:
    make = requests_to(URL)
    kinds = {
        type(read_event(received(make.rendered(make.callback(Source.KORE, payload=kind)))))
        for kind in KINDS
    }
    assert kinds == set[type[Event]](PARAMETERS)


@pytest.mark.parametrize("payload", [*KINDS, *UNUSUAL])
def test_no_two_callbacks_are_equal(payload: ProbeCallbackKind) -> None:
    make = requests_to(URL)
    bodies = {make.callback(Source.KORE, payload=payload).body for _ in range(3)}
    assert len(bodies) == 3


def test_unusual_values_match_their_names() -> None:
    about = CallbackSubject("AC1", "HS1", "00")
    values = {
        payload: [
            pair
            for pair in parameters_for(payload, about, HttpMethod.POST)
            if pair[0] in ("Note", "Tag")
        ]
        for payload in UNUSUAL
    }
    assert not values[ProbeCallbackKind.NON_ASCII][0][1].isascii()
    assert (
        values[ProbeCallbackKind.WHITE_SPACE][0][1]
        != values[ProbeCallbackKind.WHITE_SPACE][0][1].strip()
    )
    assert values[ProbeCallbackKind.EMPTY_VALUES] == [("Note", "")]
    assert len(values[ProbeCallbackKind.REPEATED_PARAMETERS]) == 3
    assert len(values[ProbeCallbackKind.LONG_VALUES][0][1]) > 10_000
    assert len(parameters_for(ProbeCallbackKind.LONG_VALUES, about, HttpMethod.GET)[-1][1]) < 4_000


@pytest.mark.parametrize("source", list(Source))
def test_event_streams_have_the_envelope_of_their_source(source: Source) -> None:
    make = requests_to(URL)
    plan = GenuineCase(source, HttpMethod.POST, ProbeCallbackKind.EVENTS)
    request = make.genuine(plan)
    event = read_event(received(request))
    assert isinstance(event, CloudEvents)
    (only,) = event.events
    assert only.type == "com.twilio.iot.supersim.connection.data-session.started"
    assert isinstance(only.data, dict)
    assert only.data["event_sid"] == only.id
    assert only.data["location"] is None
    names = [*json.loads(request.body)[0]]
    assert names[0] == {Source.TWILIO: "specversion", Source.KORE: "data"}[source]
    assert ("Content-Type", "application/json") in request.headers
    hashed = f"&bodySHA256={hashlib.sha256(request.body).hexdigest()}"
    assert request.url.wire == URL + (hashed if source is Source.TWILIO else "")


def test_a_changed_event_keeps_its_hash_and_its_length() -> None:
    make = requests_to(URL)
    request = forge(make, Forgery.EVENTS_CHANGED_BODY, Source.TWILIO, HttpMethod.POST)
    assert b'"apn":"hyper"' in request.body
    signed = request.body.replace(b"hyper", b"super")
    assert request.url.wire.endswith(hashlib.sha256(signed).hexdigest())


# ---- sources of the settings ---------------------------------------------------------------------


def test_a_source_has_the_forgeries_that_its_scheme_can_notice() -> None:
    def labels(name: str) -> set[str]:
        cases = cases_of([name], SOURCES)
        return {case.plan.forgery.label for case in cases if isinstance(case.plan, ForgedCase)}

    always = {"wrong-secret", "changed-body", "missing-signature", "empty-signature"}
    always |= {"malformed-signature", "unsigned"}
    assert labels(ACME) == always
    assert labels(STANDARD) == always | {"old-timestamp"}


def test_a_header_with_token_and_signature_is_forged_in_its_part() -> None:
    make = requests_to(URL, sources=SOURCES)

    def header(forgery: Forgery) -> str | None:
        headers = dict(forge(make, forgery, ACME, HttpMethod.POST).headers)
        return headers.get("Acme-Hook")

    assert re.fullmatch(r"id=[0-9a-f-]{36},sha256=", header(Forgery.EMPTY_SIGNATURE) or "")
    assert re.fullmatch(r"id=[0-9a-f-]{36},sha256=!", header(Forgery.MALFORMED_SIGNATURE) or "")
    assert header(Forgery.MISSING_SIGNATURE) is None
    assert header(Forgery.UNSIGNED) is None


def test_an_old_request_is_signed_for_its_own_time() -> None:
    make = requests_to(URL, sources=SOURCES)
    request = forge(make, Forgery.OLD_TIMESTAMP, STANDARD, HttpMethod.POST)
    headers = dict(request.headers)
    at = int(headers["webhook-timestamp"])
    assert 3590 < make.now().timestamp() - at < 3610
    right = sign_as_standard_webhooks(headers["webhook-id"], at, request.body, secret=KORE_SECRET)
    assert headers["webhook-signature"] == right


def test_cases_of_two_sources_share_what_needs_both() -> None:
    names = [case.name for case in cases_of([Source.KORE, ACME], SOURCES)]
    assert len(set(names)) == len(names)
    assert "same-token-of-both" in names
    assert not [name for name in names if "both-families" in name or "twilio" in name]
    alone = [case.name for case in cases_of([ACME], SOURCES)]
    assert "same-token-of-both" not in alone


def test_two_callbacks_in_the_wrong_order_are_about_one_command() -> None:
    make, mark = requests_to(URL), "0123456789ab"
    later, earlier = (
        dict(make.callback(Source.KORE, payload=payload, mark=mark).parameters)
        for payload in (ProbeCallbackKind.SMS_COMMAND, ProbeCallbackKind.SMS_COMMAND_SENT)
    )
    assert later["CommandSid"] == earlier["CommandSid"]
    assert (later["Status"], earlier["Status"]) == ("delivered", "sent")
    another = dict(make.callback(Source.KORE, payload=ProbeCallbackKind.SMS_COMMAND).parameters)
    assert another["CommandSid"] != later["CommandSid"]


def test_a_repeat_depends_on_its_case_and_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    assert case_called("kore-post-hmac").plan == ForgedCase(
        Source.KORE, HttpMethod.POST, Forgery.HMAC
    )
