"""One fault explains many failed cases, and the report names it."""

from datetime import UTC, datetime

from ringback.probe.evaluation import judge_forged, judge_genuine, not_run
from ringback.probe.probe_cases import CASES, ForgedCase, GenuineCase, ProbeCase
from ringback.probe.probe_report import CaseResult, CaseVerdict, ProbeReport
from ringback.probe.receiver_faults import ReceiverFaultKind
from ringback.probe.root_causes import report_of
from tests.unit.probe.receivers import answered


def answered_so(good: int, forged: int, **others: int) -> ProbeReport:
    """Return a report in which cases were answered like this, except those named."""
    results = list[CaseResult]()
    for case in CASES:
        status = others.get(case.name.replace("-", "_"))
        match case.plan:
            case GenuineCase():
                results.append(judge_genuine(case, answered(status or good)))
            case ForgedCase():
                results.append(judge_forged(case, answered(status or forged)))
            case _:
                pass
    return report_of("http://a.example/", datetime(2026, 1, 1, tzinfo=UTC), 1.0, results)


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


def test_one_refused_forgery_leaves_the_others_with_their_own_names() -> None:
    found = faults(answered_so(200, 200, twilio_post_wrong_secret=403, kore_post_wrong_secret=403))
    assert "answers-200-to-everything" not in found
    assert "ignores-twilio-signature" not in found
    assert {"accepts-changed-body", "accepts-unsigned", "accepts-hmac"} <= set(found)


def test_a_family_that_is_not_verified_is_one_fault() -> None:
    of_kore = {
        case.name.replace("-", "_"): 200
        for case in CASES
        if isinstance(case.plan, ForgedCase) and case.name.startswith("kore-")
    }
    assert faults(answered_so(200, 403, **of_kore)) == [
        "ignores-kore-signature",
        "accepts-both-families",
    ]


def test_a_source_that_is_always_refused_is_one_fault() -> None:
    of_kore = {
        case.name.replace("-", "_"): 401
        for case in CASES
        if isinstance(case.plan, GenuineCase) and case.name.startswith("kore-")
    }
    assert faults(answered_so(200, 403, **of_kore)) == ["refuses-kore"]


def test_a_forgery_that_was_not_sent_shows_no_fault() -> None:
    forged = [case for case in CASES if isinstance(case.plan, ForgedCase)]
    results = [judge_forged(case, answered(200)) for case in forged[1:]]
    results.append(not_run(forged[0], "given up"))
    report = report_of("http://a.example/", datetime(2026, 1, 1, tzinfo=UTC), 1.0, results)
    assert report.results[0].fault is None
    assert forged[0].name not in report.faults[ReceiverFaultKind.ANSWERS_200_TO_EVERYTHING]


def test_a_method_that_is_always_refused_is_one_fault() -> None:
    by_get = {
        case.name.replace("-", "_"): 405
        for case in CASES
        if isinstance(case.plan, GenuineCase) and "-get-" in case.name
    }
    assert faults(answered_so(200, 403, **by_get)) == ["refuses-get"]


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
    report = answered_so(200, 403, twilio_post_query=403, twilio_post_added_query=200)
    assert faults(report) == ["refuses-query", "accepts-changed-query"]


def test_the_cases_of_a_report_are_in_the_order_of_the_table() -> None:
    cases: list[ProbeCase] = [*reversed(CASES[:5])]
    report = report_of(
        "http://a.example/",
        datetime(2026, 1, 1, tzinfo=UTC),
        1.0,
        [CaseResult(case, CaseVerdict.PASSED, "") for case in cases],
    )
    assert [result.case for result in report.results] == [*CASES[:5]]


def test_each_fault_has_a_name_and_a_text_of_its_own() -> None:
    assert len({fault.label for fault in ReceiverFaultKind}) == len(ReceiverFaultKind)
    for fault in ReceiverFaultKind:
        assert fault.what.endswith(".")
        assert fault.mend.endswith(".")
