"""A report as JUnit XML, which CI servers read: one suite for each group, one test for each case.

What was not run, not observed, or doesn't apply is a skipped test.
"""

import re
from itertools import groupby
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from ringback.probe.probe_report import CaseResult, CaseVerdict, ProbeReport

# What XML 1.0 has no way to write.
_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(report: ProbeReport) -> bytes:
    """Return the report as an XML document."""
    root = Element("testsuites", name="ringback probe", time=f"{report.seconds:.3f}")
    _count(root, report.findings)
    for group, of_group in groupby(report.findings, key=lambda finding: finding.case.group):
        findings = tuple(of_group)
        suite = SubElement(
            root,
            "testsuite",
            name=group,
            hostname=_written(report.url),
            timestamp=f"{report.started:%Y-%m-%dT%H:%M:%S}",
            time=f"{sum(finding.seconds for finding in findings):.3f}",
        )
        _count(suite, findings)
        for finding in findings:
            _add_case(suite, finding)
    return tostring(root, encoding="utf-8", xml_declaration=True)


def _count(element: Element, findings: tuple[CaseResult, ...]) -> None:
    failed = sum(finding.verdict is CaseVerdict.FAILED for finding in findings)
    passed = sum(finding.verdict is CaseVerdict.PASSED for finding in findings)
    element.set("tests", str(len(findings)))
    element.set("failures", str(failed))
    element.set("errors", "0")
    element.set("skipped", str(len(findings) - failed - passed))


def _add_case(suite: Element, finding: CaseResult) -> None:
    test = SubElement(
        suite,
        "testcase",
        classname="ringback.probe",
        name=finding.case.name,
        time=f"{finding.seconds:.3f}",
    )
    match finding.verdict:
        case CaseVerdict.PASSED:
            return
        case CaseVerdict.FAILED:
            name = finding.fault.label if finding.fault else ""
            failure = SubElement(test, "failure", type=name, message=_written(finding.came))
            failure.text = _written(_details(finding))
        case verdict:
            SubElement(test, "skipped", message=_written(f"{verdict}: {finding.came}"))


def _details(finding: CaseResult) -> str:
    told = [
        f"sent: {finding.case.sends}",
        f"expected: {finding.case.expects}",
        f"came: {finding.came}",
    ]
    if finding.fault is not None:
        told += [f"fault: {finding.fault.what}", f"mend: {finding.fault.mend}"]
    return "\n".join([*told, "", finding.request])


def _written(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)
