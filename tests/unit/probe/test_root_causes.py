"""One fault explains many failed cases, and the report names it."""

from datetime import UTC, datetime
from typing import Final

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.http.outcome import AttemptFailure
from ringback.probe.case_kinds import ForgedCase, GenuineCase, ProbeCase
from ringback.probe.evaluation import (
    judge_after_forgery,
    judge_forged,
    judge_genuine,
    judge_repeat,
    not_run,
)
from ringback.probe.probe_cases import CASES
from ringback.probe.probe_report import CaseResult, CaseVerdict, ProbeReport
from ringback.probe.receiver_faults import ReceiverFaultKind
from ringback.probe.redacted_response import ProbeResponse
from ringback.probe.root_causes import report_of
from tests.unit.probe.receivers import answered, case_called

AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
SILENT: Final = 0
"""In place of a status: no answer came."""
SILENCE: Final = ProbeResponse(None, AttemptFailure.READ_TIMEOUT, "no answer came", 15.0)
EVENTS: Final = [case.name.replace("-", "_") for case in CASES if "-post-events" in case.name]


def answered_so(good: int, forged: int, **others: int) -> ProbeReport:
    """Return a report in which cases were answered like this, except those named."""
    results = list[CaseResult]()
    for case in CASES:
        status = others.get(case.name.replace("-", "_"))
        answer = SILENCE if status == SILENT else None
        match case.plan:
            case GenuineCase(adds_query=adds_query):
                came = answer or answered(status or good)
                results.append(judge_genuine(case, came, is_other_url=adds_query))
            case ForgedCase():
                results.append(judge_forged(case, answer or answered(status or forged)))
            case _:
                pass
    return report_of("http://a.example/", AT, 1.0, results)


def faults(report: ProbeReport) -> list[str]:
    return [fault.label for fault in report.faults]


def test_a_correct_receiver_has_no_fault() -> None:
    report = answered_so(200, 403)
    assert report.is_ready
    assert report.is_complete
    assert report.count(CaseVerdict.PASSED) == len(report.results)


def test_a_200_to_everything_is_one_fault() -> None:
    report = answered_so(200, 200)
    assert faults(report) == ["answers-200-to-everything"]
    assert {each.fault for each in report.results} == {
        None,
        ReceiverFaultKind.ANSWERS_200_TO_EVERYTHING,
    }


def cases(begins: str, kind: type[GenuineCase | ForgedCase], status: int) -> dict[str, int]:
    """Return a status for each case of this kind whose name begins so."""
    return {
        case.name.replace("-", "_"): status
        for case in CASES
        if isinstance(case.plan, kind) and case.name.startswith(begins)
    }


GET = {
    case.name.replace("-", "_"): 405
    for case in CASES
    if isinstance(case.plan, (GenuineCase, ForgedCase)) and case.method is HttpMethod.GET
}


def test_one_refused_forgery_leaves_the_others_with_their_own_names() -> None:
    refused = {"twilio_post_wrong_secret": 403, "kore_post_wrong_secret": 403}
    refused |= {"twilio_get_wrong_secret": 403, "kore_get_wrong_secret": 403}
    found = faults(answered_so(200, 200, **refused))
    assert "answers-200-to-everything" not in found
    assert "ignores-twilio-signature" not in found
    assert {"accepts-changed-body", "accepts-unsigned", "accepts-hmac"} <= set(found)


def test_a_post_only_receiver_that_accepts_everything_has_two_faults() -> None:
    assert faults(answered_so(200, 200, **GET)) == ["answers-200-to-everything", "refuses-get"]


def test_a_post_only_receiver_that_checks_one_source_has_two_faults_and_both_families() -> None:
    of_kore = cases("kore-post", ForgedCase, 200)
    assert faults(answered_so(200, 403, **{**of_kore, **GET})) == [
        "ignores-kore-signature",
        "refuses-get",
        "accepts-both-families",
    ]


def test_an_answer_of_200_to_each_get_shows_nothing_about_sources() -> None:
    by_get = dict.fromkeys(GET, 200)
    of_kore = cases("kore-post", GenuineCase, 403)
    assert faults(answered_so(200, 403, **by_get, **of_kore)) == [
        "answers-200-to-everything",
        "refuses-kore",
    ]


@pytest.mark.parametrize("status", [403, 500, 503])
def test_a_source_of_which_none_is_accepted_is_one_fault(status: int) -> None:
    of_kore = cases("kore-", GenuineCase, status) | cases("kore-", ForgedCase, status)
    assert faults(answered_so(200, 403, **of_kore)) == ["refuses-kore"]


def test_none_accepted_decides_even_if_answers_differ() -> None:
    of_kore = cases("kore-post", GenuineCase, 403) | cases("kore-get", GenuineCase, 500)
    of_kore |= {"kore_post_command": SILENT, "kore_post_ip_command": 500}
    assert faults(answered_so(200, 403, **of_kore)) == ["refuses-kore"]


def test_a_redirect_keeps_its_name_beside_refusals() -> None:
    of_kore = cases("kore-post", GenuineCase, 403) | cases("kore-get", GenuineCase, 302)
    assert faults(answered_so(200, 403, **of_kore)) == ["refuses-kore", "redirects"]


def test_a_crash_of_all_is_no_matter_of_the_source() -> None:
    assert faults(answered_so(500, 500)) == ["crashes-on-good-callback", "crashes-on-bad-signature"]
    assert faults(answered_so(302, 302)) == ["redirects"]


def test_a_method_that_the_server_does_not_know_is_one_fault() -> None:
    assert faults(answered_so(200, 403, **dict.fromkeys(GET, 501))) == ["refuses-get"]


def test_a_crash_by_forgeries_alone_is_a_fault_of_its_own() -> None:
    found = faults(answered_so(200, 403, kore_post_malformed_signature=500))
    assert found == ["crashes-on-bad-signature"]


@pytest.mark.parametrize("status", [403, 415, 500])
def test_event_streams_may_be_refused_in_any_way(status: int) -> None:
    of_events = dict.fromkeys(EVENTS, status)
    report = answered_so(200, 403, **of_events)
    assert report.is_ready
    assert report.is_complete
    assert report.count(CaseVerdict.NOT_FOR_IT) >= 2


def test_forged_event_streams_are_one_fault() -> None:
    of_twilio = {name: 200 for name in EVENTS if name.startswith("twilio")}
    report = answered_so(200, 403, **of_twilio)
    assert faults(report) == ["accepts-forged-events"]
    assert len(report.faults[ReceiverFaultKind.ACCEPTS_FORGED_EVENTS]) == 3


def test_signed_event_streams_must_not_be_refused_where_unsigned_ones_are_accepted() -> None:
    found = faults(
        answered_so(200, 403, kore_post_events=403, kore_post_events_missing_signature=200)
    )
    assert found == ["refuses-events", "accepts-forged-events"]


def test_a_callback_that_is_always_lost_is_the_cause_of_lost_pairs() -> None:
    names = ("kore-repeat-in-series", "kore-same-event", "same-token-of-both")
    results = [
        judge_repeat(case, [answered(200)] * 2, effect, expected=expected)
        for case, (effect, expected) in zip(
            map(case_called, names), [(0, 1), (1, 2), (1, 2)], strict=True
        )
    ]
    after_forgery = judge_after_forgery(
        case_called("kore-forgery-first"), answered(403), [answered(200)], 0
    )
    results.append(after_forgery)
    assert faults(report_of("http://a.example/", AT, 1.0, results)) == ["loses-callback"]
    assert faults(report_of("http://a.example/", AT, 1.0, results[1:])) == [
        "remembers-forged-tokens",
        "mixes-tokens",
        "drops-equal-events",
    ]


def test_a_family_that_is_not_verified_is_one_fault() -> None:
    of_kore = cases("kore-", ForgedCase, 200)
    assert faults(answered_so(200, 403, **of_kore)) == [
        "ignores-kore-signature",
        "accepts-both-families",
    ]


def test_a_forgery_that_was_not_sent_shows_no_fault() -> None:
    forged = [case for case in CASES if isinstance(case.plan, ForgedCase)]
    results = [judge_forged(case, answered(200)) for case in forged[1:]]
    results.append(not_run(forged[0], "given up"))
    report = report_of("http://a.example/", AT, 1.0, results)
    assert report.results[0].fault is None
    assert forged[0].name not in report.faults[ReceiverFaultKind.ANSWERS_200_TO_EVERYTHING]


def test_one_refused_value_has_its_own_name() -> None:
    report = answered_so(200, 403, kore_get_long_values=414, twilio_post_empty_values=403)
    assert faults(report) == ["refuses-empty-values", "refuses-long-values"]
    assert report.faults[ReceiverFaultKind.REFUSES_LONG_VALUES] == ["kore-get-long-values"]


def test_a_receiver_may_have_a_single_url() -> None:
    report = answered_so(200, 403, twilio_post_query=403, kore_post_query=403)
    assert report.is_ready
    assert report.is_complete
    assert report.count(CaseVerdict.NOT_FOR_IT) == 2


def test_a_receiver_that_leaves_the_query_out_of_the_signed_url_is_recognised() -> None:
    ignored = {"twilio_post_query": 403, "twilio_post_added_query": 200}
    by_get = {name: status for name, status in GET.items() if name.startswith("twilio")}
    assert faults(answered_so(200, 403, **{**by_get, **ignored})) == [
        "refuses-get",
        "refuses-query",
        "accepts-changed-query",
    ]


def test_a_receiver_that_accepts_a_query_by_get_does_not_refuse_queries() -> None:
    report = answered_so(200, 403, twilio_post_query=403, twilio_post_added_query=200)
    assert faults(report) == ["accepts-changed-query"]
    query = next(each for each in report.results if each.case.name == "twilio-post-query")
    assert query.verdict is CaseVerdict.NOT_FOR_IT


def test_the_cases_of_a_report_are_in_the_order_of_the_table() -> None:
    cases: list[ProbeCase] = [*reversed(CASES[:5])]
    report = report_of(
        "http://a.example/", AT, 1.0, [CaseResult(case, CaseVerdict.PASSED, "") for case in cases]
    )
    assert [result.case for result in report.results] == [*CASES[:5]]


def test_each_fault_has_a_name_and_a_text_of_its_own() -> None:
    assert len({fault.label for fault in ReceiverFaultKind}) == len(ReceiverFaultKind)
    for fault in ReceiverFaultKind:
        assert fault.what.endswith(".")
        assert fault.mend.endswith(".")
