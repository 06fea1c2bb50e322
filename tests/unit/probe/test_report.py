"""The four report formats: each shows everything, and escapes the receiver's text."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from ringback.probe.probe_cases import CASES
from ringback.probe.probe_report import CaseResult, CaseVerdict, ProbeReport
from ringback.probe.receiver_faults import ReceiverFaultKind
from ringback.probe.report.as_json import as_json
from ringback.probe.report.html import as_html
from ringback.probe.report.junit import as_junit
from ringback.probe.report.text import ReportLine, as_few_lines, as_grid, as_lines, as_table
from ringback.probe.root_causes import report_of
from tests.unit.probe.receivers import case_called

HOSTILE = "<script>alert('\"&')</script>\x00]]>"
PASSED, FAILED, OPEN, LEFT_OUT = (
    case_called(name)
    for name in (
        "twilio-post-sim-update",
        "kore-post-hmac",
        "kore-repeat-in-series",
        "kore-post-query",
    )
)
REPORT = report_of(
    "https://receiver.example/<b>",
    datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    1.5,
    [
        CaseResult(PASSED, CaseVerdict.PASSED, "the receiver answered 200 OK", seconds=0.25),
        CaseResult(
            FAILED,
            CaseVerdict.FAILED,
            HOSTILE,
            ReceiverFaultKind.ACCEPTS_HMAC,
            "POST / HTTP/1.1\n<i>",
        ),
        CaseResult(OPEN, CaseVerdict.NOT_OBSERVED, "nobody looked"),
        CaseResult(LEFT_OUT, CaseVerdict.NOT_FOR_IT, "it need not"),
    ],
)


def test_the_text_begins_with_the_fault_and_lists_each_case() -> None:
    lines = [line.text for line in as_lines(REPORT)]
    assert lines[0] == (
        "https://receiver.example/<b>: not ready, 1 fault (1 passed, 1 failed, 1 not observed,"
        " 1 does not apply; 1.5 s)"
    )
    assert lines[2].startswith("accepts-hmac: It accepts an HMAC")
    text = "\n".join(lines)
    for told in (
        FAILED.sends,
        FAILED.expects,
        HOSTILE,
        ReceiverFaultKind.ACCEPTS_HMAC.mend,
        "nobody looked",
    ):
        assert told in text
    for result in REPORT.results:
        assert result.case.name in text


TWO = report_of(
    "https://receiver.example/",
    REPORT.started,
    1.5,
    [
        CaseResult(FAILED, CaseVerdict.FAILED, "200", ReceiverFaultKind.ACCEPTS_HMAC),
        CaseResult(PASSED, CaseVerdict.FAILED, "302", ReceiverFaultKind.REDIRECTS),
    ],
)


@pytest.mark.parametrize("form", [as_grid, as_lines, as_few_lines])
def test_the_text_begins_with_a_list_of_several_faults(
    form: Callable[[ProbeReport], Iterator[ReportLine]],
) -> None:
    lines = [line.text for line in form(TWO)]
    assert lines[:3] == [
        "https://receiver.example/: not ready, 2 faults (2 failed; 1.5 s)",
        "  redirects     1 case",
        "  accepts-hmac  1 case",
    ]


def test_the_page_begins_with_the_verdict_and_a_list_of_faults() -> None:
    text = re.sub(r"<style>.*</style>", "", as_html(TWO), flags=re.DOTALL)
    parts = ["not ready, 2 faults</p>", "2 failed; 1.5 s", 'href="#redirects"', "<h2>", "<table>"]
    places = [text.index(part, text.index("<body>")) for part in parts]
    assert places == sorted(places)


def grid_of(*results: CaseResult) -> list[str]:
    report = report_of("http://a.example/", REPORT.started, 1.0, results)
    return [line.text for line in as_grid(report)]


def result_of(name: str, verdict: CaseVerdict = CaseVerdict.PASSED, came: str = "") -> CaseResult:
    case = case_called(name)
    return CaseResult(case, verdict, came, case.fault if verdict is CaseVerdict.FAILED else None)


def test_the_grid_has_a_row_for_each_trial_and_a_column_for_each_source_and_method() -> None:
    lines = grid_of(
        result_of("twilio-post-sim-update"),
        result_of("twilio-get-sim-update"),
        result_of("kore-post-sim-update"),
        result_of("kore-post-test-event"),
        result_of("kore-post-query", CaseVerdict.NOT_FOR_IT, "403; it need not"),
        result_of("kore-post-twilio-signature"),
        result_of("twilio-repeat-in-series", CaseVerdict.NOT_OBSERVED, "200; not counted"),
        result_of("kore-repeat-in-series"),
        result_of("same-token-of-both", CaseVerdict.NOT_RUN, "no secret"),
        result_of("answers-in-time"),
    )
    assert lines[1:] == [
        "",
        "Genuine callbacks are accepted",
        "              twilio POST   twilio GET    kore POST",
        "  sim-update  ok            ok            ok",
        "  query                                   n/a",
        "  test-event                              ok",
        "",
        "Forgeries are refused",
        "                    kore POST",
        "  twilio-signature  ok",
        "",
        "A callback that comes again has one effect",
        "                      twilio        kore",
        "  repeat-in-series    not observed  ok",
        "  same-token-of-both  not run       not run",
        "",
        "All in all",
        "  answers-in-time  ok",
        "",
        "n/a: 1 case: it need not",
        "not observed: 1 case: not counted",
        "not run: 1 case: no secret",
    ]


def test_a_forgery_of_no_source_counts_for_each_source() -> None:
    names = ("twilio-post-wrong-secret", "kore-post-wrong-secret", "kore-get-wrong-secret")
    lines = grid_of(*map(result_of, (*names, "post-unsigned", "get-unsigned")))
    assert lines[-3:] == [
        "                twilio POST   kore POST     kore GET",
        "  wrong-secret  ok            ok            ok",
        "  unsigned      ok            ok            ok",
    ]
    assert grid_of(result_of("post-unsigned"))[-1] == "  unsigned  ok"


def test_the_grid_names_a_fault_once_and_faults_with_the_same_fix_share_it() -> None:
    failed = [
        result_of(f"{source}-repeat-after-{what}", CaseVerdict.FAILED, "two effects")
        for source in ("twilio", "kore")
        for what in ("timeout", "drop")
    ]
    lines = grid_of(*failed)
    text = "\n".join(lines)
    timeout, drop = (
        ReceiverFaultKind.NOT_IDEMPOTENT_AFTER_TIMEOUT,
        ReceiverFaultKind.NOT_IDEMPOTENT_AFTER_DROP,
    )
    assert timeout.mend == drop.mend
    assert [text.count(words) for words in (timeout.what, drop.what, drop.mend)] == [1, 1, 1]
    assert "two effects" in text
    assert "  repeat-after-drop     FAULT         FAULT" in lines


def test_the_grid_fits_a_terminal_and_has_every_case() -> None:
    lines = grid_of(*(CaseResult(case, CaseVerdict.PASSED, "") for case in CASES))
    assert len(lines) < 60
    assert max(map(len, lines)) <= 80
    assert sum(line.count(" ok") for line in lines) == len(CASES) + len(("unsigned",) * 2) + 1


def test_the_short_text_lists_only_wrong_and_open_cases() -> None:
    lines = [line.text for line in as_few_lines(REPORT)]
    assert len(lines) == 4
    assert lines[1].startswith("fault accepts-hmac: ")
    assert lines[2].startswith("  shown by kore-post-hmac; ")
    assert lines[3] == "not observed kore-repeat-in-series: nobody looked"


def test_a_report_without_faults_says_if_it_is_complete() -> None:
    def first_line(*results: CaseResult) -> str:
        report = report_of("http://a.example/", REPORT.started, 1.0, results)
        return next(as_few_lines(report)).text

    passed = CaseResult(PASSED, CaseVerdict.PASSED, "")
    assert first_line(passed) == "http://a.example/: ready (1 passed; 1.0 s)"
    assert first_line(passed, CaseResult(OPEN, CaseVerdict.NOT_RUN, "")) == (
        "http://a.example/: no fault found, but not every case was tested"
        " (1 passed, 1 not run; 1.0 s)"
    )


def test_the_table_lists_each_case_and_each_fault() -> None:
    text = "\n".join(line.text for line in as_table(CASES))
    assert all(case.name in text and case.sends in text for case in CASES)
    assert all(fault.what in text for fault in ReceiverFaultKind)


def test_json_has_everything() -> None:
    document = json.loads(as_json(REPORT))
    assert document["ready"] is False
    assert document["complete"] is False
    assert document["counts"]["failed"] == 1
    assert document["faults"] == [
        {
            "name": "accepts-hmac",
            "what": ReceiverFaultKind.ACCEPTS_HMAC.what,
            "mend": ReceiverFaultKind.ACCEPTS_HMAC.mend,
            "cases": ["kore-post-hmac"],
        }
    ]
    case = next(case for case in document["cases"] if case["name"] == "kore-post-hmac")
    assert case["sent"] == FAILED.sends
    assert case["expected"] == "a 4xx"
    assert case["came"] == HOSTILE
    assert case["fault"] == "accepts-hmac"
    assert case["request"] == "POST / HTTP/1.1\n<i>"


def test_junit_counts_failed_and_skipped_cases() -> None:
    root = ElementTree.fromstring(as_junit(REPORT))  # noqa: S314 (the document is our own)
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("4", "1", "2")
    assert len(root.findall("testsuite")) == 3
    failure = root.find(".//testcase[@name='kore-post-hmac']/failure")
    assert failure is not None
    assert failure.get("type") == "accepts-hmac"
    assert ReceiverFaultKind.ACCEPTS_HMAC.mend in (failure.text or "")
    passed = root.find(".//testcase[@name='twilio-post-sim-update']")
    assert passed is not None
    assert len(passed) == 0
    skipped = root.find(".//testcase[@name='kore-repeat-in-series']/skipped")
    assert skipped is not None
    assert skipped.get("message") == "not observed: nobody looked"


class Page(HTMLParser):
    """The elements that a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags = list[str]()
        self.links = list[str]()
        self.ids = list[str]()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("href", "src"):
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")


def test_the_page_is_self_contained_and_escapes_everything() -> None:
    text = as_html(REPORT)
    page = Page(text)
    assert not {"script", "b", "i", "img", "link", "iframe"} & set(page.tags)
    assert page.links == ["#accepts-hmac", "#kore-post-hmac"]
    assert {"accepts-hmac", "kore-post-hmac"} <= set(page.ids)
    assert not re.search(r"url\(|@import", text)
    assert "default-src 'none'" in text
    assert ReceiverFaultKind.ACCEPTS_HMAC.label in text
    text.encode("utf-8", "strict")
