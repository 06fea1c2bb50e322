"""The probe's HTML report in a real browser: readable on a phone, in light and dark colours."""

from datetime import UTC, datetime
from pathlib import Path

from docs_build.chromium import a_browser
from ringback.probe.probe_cases import CASES
from ringback.probe.probe_report import CaseResult, CaseVerdict
from ringback.probe.report.html import as_html
from ringback.probe.root_causes import report_of
from tests.browser.test_site import NARROW, faults_of, needs_a_browser, served

LONG = "POST /hook?" + "site=M%c3%bcnchen&" * 40 + " HTTP/1.1\nKore-Signature: " + "0" * 64


def page() -> str:
    """Return a report with each verdict, and with texts that have no place for a line break."""
    verdicts = [*CaseVerdict] * len(CASES)
    results = [
        CaseResult(case, verdict, "the receiver answered " + "x" * 90, request=LONG)
        if verdict is not CaseVerdict.FAILED
        else CaseResult(case, verdict, "the receiver answered 200 OK", case.fault, LONG)
        for case, verdict in zip(CASES, verdicts, strict=False)
    ]
    url = "https://a-long-name-of-a-host.customer.example/callbacks/of/sims?tenant=0123456789"
    return as_html(report_of(url, datetime(2026, 1, 2, tzinfo=UTC), 1.5, results))


@needs_a_browser
def test_the_report_is_readable_by_everybody(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text(page(), "utf-8")
    (tmp_path / "favicon.ico").touch()  # browsers ask for it
    with served(tmp_path) as base, a_browser(tmp_path / "profile") as browser:
        # Without its policy, in which no script may run, so that the checks can.
        text = page().replace("Content-Security-Policy", "X-None")
        (tmp_path / "open.html").write_text(text, "utf-8")
        assert list(faults_of(browser, base, "open.html")) == []
        browser.resize(NARROW)
        browser.open(f"{base}/report.html")
        script = "[...document.querySelectorAll('*')].filter(each => each.scrollWidth > %d).length"
        assert browser.run(script % NARROW) == 0
        assert browser.run("getComputedStyle(document.querySelector('td')).display") == "block"
