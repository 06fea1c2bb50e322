"""The four report formats: each shows everything, and escapes the receiver's text."""

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from xml.etree import ElementTree

from ringback.probe.probe_cases import CASES
from ringback.probe.probe_report import CaseResult, CaseVerdict
from ringback.probe.receiver_faults import ReceiverFaultKind
from ringback.probe.report.as_json import as_json
from ringback.probe.report.html import as_html
from ringback.probe.report.junit import as_junit
from ringback.probe.report.text import as_few_lines, as_lines, as_table
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
    assert page.links == ["#kore-post-hmac"]
    assert "kore-post-hmac" in page.ids
    assert not re.search(r"url\(|@import", text)
    assert "default-src 'none'" in text
    assert ReceiverFaultKind.ACCEPTS_HMAC.label in text
    text.encode("utf-8", "strict")
