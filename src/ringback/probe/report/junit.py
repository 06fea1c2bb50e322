"""The probe's report as JUnit XML for CI servers: a suite for each group, a test for each case.

Cases that were not run, not observed, or don't apply are skipped tests.
"""

import re
from itertools import groupby
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from ringback.probe.probe_report import CaseResult, CaseVerdict, ProbeReport

# Characters that XML 1.0 can't contain.
_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def as_junit(report: ProbeReport) -> bytes:
    """Return the report as an XML document."""
    root = Element("testsuites", name="ringback probe", time=f"{report.seconds:.3f}")
    _count(root, report.results)
    for group, of_group in groupby(report.results, key=lambda result: result.case.group):
        results = tuple(of_group)
        suite = SubElement(
            root,
            "testsuite",
            name=group,
            hostname=_written(report.url),
            timestamp=f"{report.started:%Y-%m-%dT%H:%M:%S}",
            time=f"{sum(result.seconds for result in results):.3f}",
        )
        _count(suite, results)
        for result in results:
            _add_case(suite, result)
    return tostring(root, encoding="utf-8", xml_declaration=True)


def _count(element: Element, results: tuple[CaseResult, ...]) -> None:
    failed = sum(result.verdict is CaseVerdict.FAILED for result in results)
    passed = sum(result.verdict is CaseVerdict.PASSED for result in results)
    element.set("tests", str(len(results)))
    element.set("failures", str(failed))
    element.set("errors", "0")
    element.set("skipped", str(len(results) - failed - passed))


def _add_case(suite: Element, result: CaseResult) -> None:
    test = SubElement(
        suite,
        "testcase",
        classname="ringback.probe",
        name=result.case.name,
        time=f"{result.seconds:.3f}",
    )
    match result.verdict:
        case CaseVerdict.PASSED:
            return
        case CaseVerdict.FAILED:
            name = result.fault.label if result.fault else ""
            failure = SubElement(test, "failure", type=name, message=_written(result.came))
            failure.text = _written(_details(result))
        case verdict:
            SubElement(test, "skipped", message=_written(f"{verdict}: {result.came}"))


def _details(result: CaseResult) -> str:
    lines = [f"{name}: {text}" for name, text in result.told.items()]
    if result.fault is not None:
        lines += [f"fault: {result.fault.what}", f"fix: {result.fault.mend}"]
    return "\n".join([*lines, "", result.request])


def _written(text: str) -> str:
    return _NOT_IN_XML.sub("\ufffd", text)
