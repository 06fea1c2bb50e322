import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.policy.source_policy import Source
from ringback.dev_receiver.callback_report import TerminalLineStyle, as_lines, as_record
from ringback.dev_receiver.forwarder import ForwardingResult
from ringback.dev_receiver.received_callback import CheckedRequest, CountedEvent
from ringback.dev_receiver.responses import FailureMode, ListenerResponse
from ringback.dev_receiver.seen_tokens import SeenTokenCount
from ringback.receiver.events import CloudEvents, TestEvent, read_event, typed_event
from ringback.receiver.verification import Reason, ReceivedRequest, Rejected, Verified
from tests.fakes import NOW, TOKENS
from tests.senders import received, rendered
from tests.stream_events import B1, KORE_TEST, data_of, enveloped, events_of, streamed

FIRST = SeenTokenCount(times=1, since=NOW)
RETRY = SeenTokenCount(times=2, since=NOW)
TOKEN = TOKENS[Source.KORE]


def checked(source: Source = Source.KORE, **changes: Any) -> CheckedRequest:
    request = received(rendered(source))
    return replace(
        CheckedRequest(NOW, request, Verified(source, TOKEN), FIRST, answered=200), **changes
    )


def refusal(reason: Reason) -> Rejected:
    return Rejected(reason, "the explanation", Source.KORE, TOKEN)


def shown(what: CheckedRequest, *, verbose: bool = False) -> str:
    return "\n".join(line.text for line in as_lines(what, verbose=verbose))


def line_of(what: CheckedRequest, label: str) -> str:
    [text] = [
        line.text for line in as_lines(what, verbose=False) if line.text.startswith(f"  {label}")
    ]
    return text.removeprefix(f"  {label}").strip()


def test_a_callback_is_shown_with_all_known_details() -> None:
    assert (
        shown(checked())
        == """\
14:40:58Z  kore  POST /path?foo=bar
      ApiVersion     v1
      SimUniqueName  my super sim
      SimSid         HSab3f06be8f5d32caecb91e8a306c6c08
      SimStatus      inactive
      AccountSid     AC3ba717b1d236e6c4a835e46130267eb4
  token      RQa48ec9b6ef475034c35566c02b654243
  signature  right
  delivery   first time
  answered   200"""
    )


def test_verbosely_the_request_is_shown_exactly_as_received() -> None:
    assert """\
  as received
      POST /path?foo=bar
      Host: 127.0.0.1:9000
      User-Agent: KoreProxy/1.1
      Content-Length: 147
""" in shown(checked(), verbose=True)


def test_the_query_of_a_get_is_shown_as_parameters() -> None:
    text = shown(checked(request=received(rendered(Source.KORE, HttpMethod.GET))))
    assert text.startswith("14:40:58Z  kore  GET /path\n      foo            bar\n")


def test_a_request_that_is_not_a_callback_is_reported_as_such() -> None:
    verdict = Rejected(Reason.NO_SIGNATURE, "there is no signature")
    what = checked(request=ReceivedRequest("GET", "/", ()), verdict=verdict, seen=None)
    assert (
        shown(what)
        == """\
14:40:58Z  no callback  GET /
  token      none, so a retry of this callback looks like a new one
  signature  not right (no signature): there is no signature
  answered   200"""
    )


def a_datagram(form: str) -> CheckedRequest:
    return checked(request=ReceivedRequest("POST", "/", (), f"PayloadType=binary{form}".encode()))


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("&Payload=YQ%3D%3D", "1 byte: a"),
        ("&Payload=YWN0dWFsbHk%3D", "8 bytes: actually"),
        ("&Payload=AP8b", r"3 bytes: \x00\xff\x1b"),
        ("", "0 bytes:"),
    ],
)
def test_the_text_of_a_datagram_is_shown_beside_its_base64(form: str, line: str) -> None:
    assert line_of(a_datagram(form), "payload") == line


@pytest.mark.parametrize("form", ["&Payload=no+base64", "&Payload=%C3%A9"])
def test_a_payload_that_is_not_base64_is_shown_only_as_it_arrived(form: str) -> None:
    assert "  payload" not in shown(a_datagram(form))


def test_names_that_no_callback_of_the_kind_has_are_shown() -> None:
    request = checked().request
    what = checked(request=replace(request, body=request.body + b"&Color=red&Size=1"))
    assert line_of(what, "unknown names") == "'Color', 'Size'"
    assert as_record(what)["unknown_names"] == ("Color", "Size")
    assert "unknown names" not in shown(checked())


def test_a_retry_comes_with_advice_to_do_the_work_only_once() -> None:
    assert line_of(checked(seen=RETRY), "delivery") == (
        "seen before, 2nd time since 14:40:58Z: a retry of the same callback,"
        " so do the work only once"
    )


def test_nothing_is_advised_about_the_retry_of_a_forgery() -> None:
    what = checked(seen=RETRY, verdict=refusal(Reason.WRONG_SECRET))
    assert line_of(what, "delivery") == "seen before, 2nd time since 14:40:58Z"


@pytest.mark.parametrize(
    ("reason", "words"),
    [(Reason.NO_SECRET, "no secret"), (Reason.EMPTY_SIGNATURE, "empty signature")],
)
def test_an_unverifiable_signature_is_not_called_wrong(reason: Reason, words: str) -> None:
    line = line_of(checked(verdict=refusal(reason)), "signature")
    assert line == f"not checked ({words}): the explanation"


def test_a_wrong_signature_is_named_by_its_reason_first() -> None:
    line = line_of(checked(verdict=refusal(Reason.WRONG_SECRET)), "signature")
    assert line == "not right (wrong secret): the explanation"


def test_a_differing_url_comes_with_advice() -> None:
    lines = as_lines(checked(verdict=refusal(Reason.URL_DIFFERS)), verbose=False)
    assert [line.text.strip() for line in lines if line.style is TerminalLineStyle.HINT] == [
        "behind a tunnel or a proxy, give the configured URL with --url"
    ]


def test_a_failure_on_purpose_names_the_flags_that_caused_it() -> None:
    what = checked(answered=503, on_purpose=FailureMode(count=1), after=timedelta(seconds=3))
    assert line_of(what, "answered") == "503 after 3 s on purpose (--fail-first 1)"


@pytest.mark.parametrize(
    ("source", "status", "hint"),
    [
        (Source.TWILIO, 200, ""),
        (
            Source.TWILIO,
            503,
            "Twilio's source tries again only after connection failures,"
            " unless the URL says e.g. #rp=5xx",
        ),
        (Source.KORE, 503, ""),
        (Source.KORE, 423, ""),
        (
            Source.KORE,
            404,
            "KORE's source tries again only after connection failures, 408, 423 and 5xx,"
            " unless the URL says e.g. #rp=4xx",
        ),
    ],
)
def test_a_failure_that_is_not_retried_by_default_says_how_to_get_a_retry(
    source: Source, status: int, hint: str
) -> None:
    lines = as_lines(checked(source, answered=status), verbose=False)
    assert (
        "".join(line.text.strip() for line in lines if line.style is TerminalLineStyle.HINT) == hint
    )


def test_an_applications_answer_is_shown() -> None:
    forwarded = ForwardingResult("http://app.example/path", ListenerResponse(201))
    assert (
        line_of(checked(forwarded=forwarded), "forwarded") == "http://app.example/path answered 201"
    )


def test_an_application_that_did_not_answer_is_shown_with_the_reason() -> None:
    forwarded = ForwardingResult(
        "http://app.example/path", ListenerResponse(502), why_not="nothing listens"
    )
    assert line_of(checked(forwarded=forwarded), "forwarded") == (
        "http://app.example/path gave no answer: nothing listens"
    )


def test_no_request_can_control_the_terminal() -> None:
    body = b"a=%1b%5b2J&%0d%0asignature=right&b=%e2%80%ae"
    request = ReceivedRequest("POST", "/\x1b[2J", (("X", "\x9b2J"),), body)
    assert shown(checked(request=request), verbose=True).replace("\n", "").isprintable()


def test_no_parameter_can_imitate_a_finding() -> None:
    request = ReceivedRequest("POST", "/", (), b"signature=right")
    what = checked(request=request, verdict=refusal(Reason.WRONG_SECRET))
    assert line_of(what, "signature").startswith("not right")


def test_a_long_request_is_truncated() -> None:
    request = ReceivedRequest("POST", "/", (), b"a=" + b"x" * 10_000 + b"&b=1" * 100)
    text = shown(checked(request=request))
    assert "… (10000 characters)" in text
    assert "and 51 more" in text


def test_a_long_json_body_is_cut_once_and_has_its_real_length() -> None:
    body = b'{"a": 1, "b": "' + b"x" * 9_983 + b'"}'
    request = ReceivedRequest("POST", "/", (("Content-Type", "application/json"),), body)
    (line,) = [line for line in shown(checked(request=request)).splitlines() if "JSON" in line]
    assert line.removeprefix("      JSON  ") == f"{body.decode()[:2000]}… (10000 characters)"


def test_the_members_of_a_json_object_are_shown_as_parameters() -> None:
    body = b'{"SimSid": "HS1", "SimStatus": "ready"}'
    request = ReceivedRequest("POST", "/", (("Content-Type", "application/json"),), body)
    lines = [line.split() for line in shown(checked(request=request)).splitlines()]
    assert ["SimStatus", "ready"] in lines
    assert as_record(checked(request=request))["parameters"] == [
        ("SimSid", "HS1"),
        ("SimStatus", "ready"),
    ]


def test_the_event_is_shown_by_its_type_and_fields_if_wanted() -> None:
    lines = [line.text for line in as_lines(checked(), verbose=False, with_event=True)]
    at = lines.index("  event  SimUpdated")
    assert lines[at + 1 : at + 5] == [
        "      account_sid      AC3ba717b1d236e6c4a835e46130267eb4",
        "      sim_sid          HSab3f06be8f5d32caecb91e8a306c6c08",
        "      sim_unique_name  my super sim",
        "      sim_status       inactive",
    ]
    assert as_record(checked(), with_event=True)["event"] == {
        "type": "SimUpdated",
        "account_sid": "AC3ba717b1d236e6c4a835e46130267eb4",
        "sim_sid": "HSab3f06be8f5d32caecb91e8a306c6c08",
        "sim_unique_name": "my super sim",
        "sim_status": "inactive",
        "error_code": None,
        "error_message": None,
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verdict": refusal(Reason.URL_DIFFERS)}, "SimUpdated, if the request is genuine"),
        (
            {"request": ReceivedRequest("POST", "/", (), b"a=\x1b")},
            "unknown: the parameters have no ",
        ),
    ],
)
def test_an_event_that_may_be_forged_or_is_unknown_is_marked(
    changes: dict[str, Any], said: str
) -> None:
    lines = [line.text for line in as_lines(checked(**changes), verbose=False, with_event=True)]
    (event,) = [line for line in lines if line.startswith("  event  ")]
    assert event.removeprefix("  event  ").startswith(said)
    assert "".join(lines).isprintable()


def test_json_output_has_everything() -> None:
    record = as_record(checked(seen=RETRY, answered=503, on_purpose=FailureMode(count=1)))
    assert json.loads(json.dumps(record)) == {
        "at": "2024-07-03T14:40:58Z",
        "source": "kore",
        "method": "POST",
        "path": "/path?foo=bar",
        "parameters": [
            ["ApiVersion", "v1"],
            ["SimUniqueName", "my super sim"],
            ["SimSid", "HSab3f06be8f5d32caecb91e8a306c6c08"],
            ["SimStatus", "inactive"],
            ["AccountSid", "AC3ba717b1d236e6c4a835e46130267eb4"],
        ],
        "unknown_names": [],
        "token": TOKEN,
        "signature": {"ok": True, "reason": None, "explanation": None},
        "seen_before": True,
        "times_seen": 2,
        "answered": 503,
        "on_purpose": True,
        "forwarded": None,
        "headers": [list(pair) for pair in rendered(Source.KORE).headers],
        "body": rendered(Source.KORE).body.decode(),
    }


def test_json_output_has_the_reason_and_the_applications_answer() -> None:
    forwarded = ForwardingResult(
        "http://app.example/", ListenerResponse(502), why_not="nothing listens"
    )
    report = as_record(checked(verdict=refusal(Reason.URL_DIFFERS), forwarded=forwarded))
    assert report["signature"] == {
        "ok": False,
        "reason": "url_differs",
        "explanation": "the explanation",
    }
    assert report["forwarded"] == {
        "url": "http://app.example/",
        "answered": None,
        "why_not": "nothing listens",
    }


def test_a_test_event_is_shown_as_the_json_that_it_is() -> None:
    headers = (("content-type", "Application/JSON; charset=utf-8"),)
    request = ReceivedRequest("POST", "/path", headers, b'[{"time":"09:48+00:00"}]')
    assert '      JSON  [{"time":"09:48+00:00"}]' in shown(checked(request=request))


# ---- event streams -------------------------------------------------------------------------------


def stream(
    source: Source, document: object, *times: int, token: str | None = "batch", **changes: Any
) -> CheckedRequest:
    """Return a request whose events have come so many times; a test event has no number."""
    request = streamed(source, document)
    event = read_event(request)
    if isinstance(event, CloudEvents):
        counts = [SeenTokenCount(times=n, since=NOW) for n in times]
        events = tuple(map(CountedEvent, map(typed_event, event.events), counts))
    else:
        assert isinstance(event, TestEvent)
        events = (CountedEvent(event, None),)
    return replace(
        CheckedRequest(NOW, request, Verified(source, token), None, answered=200),
        events=events,
        **changes,
    )


def test_a_batch_has_a_line_for_each_event_and_one_token() -> None:
    other = enveloped(data_of(1), Source.KORE, id="VW01", type="com.example.thing") | {"data": {}}
    batch = [*events_of(Source.KORE, 2, 6), other]
    assert (
        shown(stream(Source.KORE, batch, 1, 2, 1))
        == """\
14:40:58Z  kore  POST /events
      attachment.rejected  HSab3f06be8f5d32caecb91e8a306c6c08  2024-10-15T08:30:00Z  EZ00000000000000000000000000000002  error 83705
      data-session.ended   HSab3f06be8f5d32caecb91e8a306c6c08  2024-10-15T08:45:02Z  EZ00000000000000000000000000000006  seen before, 2nd time
      com.example.thing    2024-10-15T08:30:00Z  VW01
  token      batch (of the batch)
  signature  right
  delivery   3 events, 1 seen before: do the work of each event only once
  answered   200"""  # noqa: E501 (as it is printed)
    )


def test_a_batch_of_new_events_without_a_token_needs_none() -> None:
    what = stream(Source.TWILIO, events_of(Source.TWILIO, 1), 1, token=None)
    assert line_of(what, "token") == "none; events have ids"
    assert line_of(what, "delivery") == "1 event, first time"


@pytest.mark.parametrize(
    ("source", "document", "line"),
    [
        (
            Source.TWILIO,
            B1,
            "test event  cae2f9e2-c277-4612-8ad3-93c1a7a3ef88  2026-06-10T06:02:54Z",
        ),
        (
            Source.KORE,
            [dict(KORE_TEST)],
            "test event  88bf54a9-f2fb-40b6-8faf-e6c5a3c348d2  2024-09-25T19:09:48Z",
        ),
    ],
)
def test_a_test_event_has_a_line(source: Source, document: object, line: str) -> None:
    text = shown(stream(source, document))
    assert f"      {line}\n" in text
    assert "delivery" not in text


def test_of_very_many_events_only_the_first_are_shown() -> None:
    batch = events_of(Source.TWILIO, *range(1, 121))
    text = shown(stream(Source.TWILIO, batch, *[1] * 120))
    assert text.count("HSab3f06be8f5d32caecb91e8a306c6c08") == 100
    assert "and 20 more" in text


def test_times_at_the_end_of_the_calendar_are_shown_as_they_came() -> None:
    event = enveloped(data_of(1, timestamp="9999-12-31T23:59:59-12:00"), Source.KORE)
    event["time"] = "2024-10-15T10:30:00+02:00"
    assert "9999-12-31T23:59:59-12:00" in shown(stream(Source.KORE, [event], 1))
    other = event | {"type": "com.example.thing"}
    assert "2024-10-15T08:30:00Z" in shown(stream(Source.KORE, [other], 1))


def test_the_advice_about_a_failure_is_that_for_streams() -> None:
    batch = {source: stream(source, events_of(source, 1), 1, answered=422) for source in Source}
    assert "Twilio discards a batch of events after a 4xx" in shown(batch[Source.TWILIO])
    assert "tries again" not in shown(batch[Source.KORE])
    for status in (429, 500):
        text = shown(replace(batch[Source.TWILIO], answered=status))
        assert "discards" not in text
        assert "tries again" not in text


def test_with_events_each_event_is_shown_as_the_toolkit_reads_it() -> None:
    what = stream(Source.TWILIO, events_of(Source.TWILIO, 1, 3), 1, 1)
    text = "\n".join(line.text for line in as_lines(what, verbose=False, with_event=True))
    assert text.count("  event  ConnectionEvent\n") == 2
    assert "      account_sid" in text
    assert "cloud_event" not in text


def test_the_record_has_the_events_and_how_often_they_came() -> None:
    record = as_record(stream(Source.KORE, events_of(Source.KORE, 6, 7), 1, 2))
    assert json.loads(json.dumps(record))["events"] == [
        {
            "type": "com.twilio.iot.supersim.connection.data-session.ended",
            "is_test": False,
            "id": "EZ00000000000000000000000000000006",
            "event_sid": "EZ00000000000000000000000000000006",
            "sim_sid": "HSab3f06be8f5d32caecb91e8a306c6c08",
            "time": "2024-10-15T08:45:02+00:00",
            "seen_before": False,
            "times_seen": 1,
        },
        {
            "type": "com.twilio.iot.supersim.connection.data-session.failed",
            "is_test": False,
            "id": "EZ00000000000000000000000000000007",
            "event_sid": "EZ00000000000000000000000000000007",
            "sim_sid": "HSab3f06be8f5d32caecb91e8a306c6c08",
            "time": "2024-10-15T08:30:02+00:00",
            "seen_before": True,
            "times_seen": 2,
        },
    ]
    test = as_record(stream(Source.TWILIO, B1))["events"]
    assert [(each["is_test"], each["type"]) for each in test] == [(True, None)]
    assert "events" not in as_record(checked())
