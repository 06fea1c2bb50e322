"""The probe's report as lines of text for a terminal."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from ringback.probe.probe_cases import ProbeCase
from ringback.probe.probe_report import OPEN, CaseResult, CaseVerdict, ProbeReport
from ringback.probe.receiver_faults import ReceiverFaultKind

_WIDTH = len(max(CaseVerdict, key=len))


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One line of a report, and the verdict that it shows; None if it shows none."""

    text: str
    verdict: CaseVerdict | None = None


def as_lines(report: ProbeReport) -> Iterator[ReportLine]:
    """Yield the whole report: the faults first, then each case."""
    yield ReportLine(f"{report.url}: {summary(report)}", _overall(report))
    for fault, cases in report.faults.items():
        yield ReportLine("")
        yield ReportLine(f"{fault.label}: {fault.what}", CaseVerdict.FAILED)
        yield ReportLine(f"  fix    {fault.mend}")
        yield ReportLine(f"  shown  by {_listed(cases)}")
    for group, results in groupby(report.results, key=lambda result: result.case.group):
        yield ReportLine("")
        yield ReportLine(group)
        for result in results:
            yield from _result(result)


def as_few_lines(report: ProbeReport) -> Iterator[ReportLine]:
    """Yield a short report for the log of an automatic run: the faults and the open cases."""
    yield ReportLine(f"{report.url}: {summary(report)}", _overall(report))
    came = {result.case.name: result.came for result in report.results}
    for fault, cases in report.faults.items():
        yield ReportLine(f"fault {fault.label}: {fault.what} {fault.mend}")
        yield ReportLine(f"  shown by {_listed(cases)}; {cases[0]}: {came[cases[0]]}")
    for result in report.results:
        if result.verdict in OPEN:
            yield ReportLine(f"{result.verdict} {result.case.name}: {result.came}")


def summary(report: ProbeReport) -> str:
    """Return one line that says if the receiver is ready, with the number of cases per verdict."""
    counted = ((report.count(verdict), verdict) for verdict in CaseVerdict)
    cases = ", ".join(f"{count} {verdict}" for count, verdict in counted if count)
    return f"{_in_short(report)} ({cases}; {report.seconds:.1f} s)"


def _in_short(report: ProbeReport) -> str:
    if not report.is_ready:
        count = len(report.faults)
        return f"not ready, {count} fault{'' if count == 1 else 's'}"
    return "ready" if report.is_complete else "no fault found, but not every case was tested"


def as_table(cases: Iterable[ProbeCase]) -> Iterator[ReportLine]:
    """Yield the list of cases, each with the fault that it may show, then the list of faults."""
    cases = tuple(cases)
    for group, of_group in groupby(cases, key=lambda case: case.group):
        yield ReportLine(group)
        for case in of_group:
            yield ReportLine(f"  {case.name}")
            yield ReportLine(f"    {case.sends}: {case.expects}; else {case.fault.label}")
        yield ReportLine("")
    yield ReportLine("Faults")
    for fault in ReceiverFaultKind:
        yield ReportLine(f"  {fault.label}")
        yield ReportLine(f"    {fault.what}")


def _overall(report: ProbeReport) -> CaseVerdict:
    if not report.is_ready:
        return CaseVerdict.FAILED
    return CaseVerdict.PASSED if report.is_complete else CaseVerdict.NOT_OBSERVED


def _listed(names: list[str]) -> str:
    few = ", ".join(names[:3])
    return few if len(names) <= 3 else f"{few} and {len(names) - 3} more"


def _result(result: CaseResult) -> Iterator[ReportLine]:
    verdict = result.verdict
    yield ReportLine(f"  {verdict:{_WIDTH}}  {result.case.name}", verdict)
    indent = " " * (_WIDTH + 4)
    if verdict is CaseVerdict.FAILED:
        for name, told in result.told.items():
            yield ReportLine(f"{indent}{name:8}  {told}")
        if result.fault is not None:
            yield ReportLine(f"{indent}fault     {result.fault.label}")
            yield ReportLine(f"{indent}fix       {result.fault.mend}")
    elif verdict is not CaseVerdict.PASSED:
        yield ReportLine(f"{indent}{result.came}")
