"""The probe's report as lines of text for a terminal."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from ringback.core.counted import counted
from ringback.probe.case_kinds import (
    ForgedCase,
    Forgery,
    GenuineCase,
    ProbeCase,
    RepeatedCallbackCase,
    RepeatedEventsCase,
)
from ringback.probe.probe_report import OPEN, CaseResult, CaseVerdict, ProbeReport
from ringback.probe.receiver_faults import ReceiverFaultKind

_WIDTH = len(max(CaseVerdict, key=len))


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One line of a report, and the verdict that it shows; None if it shows none."""

    text: str
    verdict: CaseVerdict | None = None


def as_grid(report: ProbeReport) -> Iterator[ReportLine]:
    """Yield a short report for people: each fault once, and the verdicts in tables by source."""
    yield from _summary(report)
    yield from _faults(report)
    for group, results in groupby(report.results, key=lambda result: result.case.group):
        yield ReportLine("")
        yield from _table(group, tuple(results))
    yield from _reasons(report)


def as_lines(report: ProbeReport) -> Iterator[ReportLine]:
    """Yield the whole report: the faults first, then each case."""
    yield from _summary(report)
    yield from _faults(report)
    for group, results in groupby(report.results, key=lambda result: result.case.group):
        yield ReportLine("")
        yield ReportLine(group)
        for result in results:
            yield from _result(result)


def _summary(report: ProbeReport) -> Iterator[ReportLine]:
    """Yield the verdict; if there are several faults, also a list of them."""
    yield ReportLine(f"{report.url}: {in_short(report)} ({counts(report)})", _overall(report))
    if len(report.faults) > 1:
        widest = max(len(fault.label) for fault in report.faults)
        for fault, cases in report.faults.items():
            text = f"  {fault.label:{widest}}  {counted(len(cases), 'case')}"
            yield ReportLine(text, CaseVerdict.FAILED)


def _faults(report: ProbeReport) -> Iterator[ReportLine]:
    """Yield each fault once; faults with the same fix share it."""
    came = {result.case.name: result.came for result in report.results}
    for fix, faults in groupby(report.faults, key=lambda fault: fault.mend):
        yield ReportLine("")
        cases = list[str]()
        for fault in faults:
            yield ReportLine(f"{fault.label}: {fault.what}", CaseVerdict.FAILED)
            cases += report.faults[fault]
        yield ReportLine(f"  fix    {fix}")
        yield ReportLine(f"  shown  by {_listed(cases)}")
        yield ReportLine(f"  came   {came[cases[0]]}")


def as_few_lines(report: ProbeReport) -> Iterator[ReportLine]:
    """Yield a short report for the log of an automatic run: the faults and the open cases."""
    yield from _summary(report)
    came = {result.case.name: result.came for result in report.results}
    for fault, cases in report.faults.items():
        yield ReportLine(f"fault {fault.label}: {fault.what} {fault.mend}")
        yield ReportLine(f"  shown by {_listed(cases)}; {cases[0]}: {came[cases[0]]}")
    for result in report.results:
        if result.verdict in OPEN:
            yield ReportLine(f"{result.verdict} {result.case.name}: {result.came}")


# ---- tables of verdicts --------------------------------------------------------------------------

_WORDS: Final = {
    CaseVerdict.PASSED: "ok",
    CaseVerdict.FAILED: "FAULT",
    CaseVerdict.NOT_FOR_IT: "n/a",
}
"""The words for these verdicts in a table; all other verdicts are shown by their values."""


def _table(title: str, results: Sequence[CaseResult]) -> Iterator[ReportLine]:
    """Yield a table of verdicts: a row for each kind of case, a column for each source."""
    columns = list(dict.fromkeys(column for each in results for column in _columns(each.case)))
    rows = dict[str, dict[str, CaseVerdict]]()
    for each in results:
        row = rows.setdefault(_row(each.case), {})
        own = _columns(each.case)
        # A case of no source, or of both, counts for each column that has its method.
        method = each.case.method or ""
        row |= dict.fromkeys(own or [one for one in columns if method in one], each.verdict)
    if not columns:  # such as the cases about the whole run
        columns = [""]
        rows = {name: {"": each.verdict} for name, each in zip(rows, results, strict=True)}
    widest = max(map(len, rows))
    head = "".join(f"  {column:{_CELL}}" for column in columns)
    yield ReportLine(title)
    if any(columns):
        yield ReportLine(f"  {'':{widest}}{head}".rstrip())
    for name, row in rows.items():
        cells = (_word(row[column]) if column in row else "" for column in columns)
        text = "".join(f"  {cell:{_CELL}}" for cell in cells)
        yield ReportLine(
            f"  {name:{widest}}{text}".rstrip(), min(row.values(), key=_SEVERITY.index)
        )


_CELL: Final = len(CaseVerdict.NOT_OBSERVED)
_SEVERITY: Final = (
    CaseVerdict.FAILED,
    CaseVerdict.NOT_RUN,
    CaseVerdict.NOT_OBSERVED,
    CaseVerdict.PASSED,
    CaseVerdict.NOT_FOR_IT,
)
"""The verdicts from worst to best; a row has the colour of its worst verdict."""


def _word(verdict: CaseVerdict) -> str:
    return _WORDS.get(verdict, verdict.value)


def _columns(case: ProbeCase) -> list[str]:
    """Return the column of a case, like `kore POST`; none for a case of no source, or of both."""
    match case.plan:
        case ForgedCase(forgery=Forgery.UNSIGNED):
            return []
        case GenuineCase(source, method) | ForgedCase(source, method):
            return [f"{source} {method}"]
        case RepeatedCallbackCase(source) | RepeatedEventsCase(source):
            return [str(source)]
        case _:
            return []


def _row(case: ProbeCase) -> str:
    """Return a case's name without the source and the method that its column shows."""
    match case.plan:
        case GenuineCase(source, method) | ForgedCase(source, method):
            return case.name.removeprefix(f"{source}-").removeprefix(f"{method.lower()}-")
        case RepeatedCallbackCase(source) | RepeatedEventsCase(source):
            return case.name.removeprefix(f"{source}-")
        case _:
            return case.name


def _reasons(report: ProbeReport) -> Iterator[ReportLine]:
    """Yield why cases are open or do not apply: each reason once."""
    unclear = (each for each in report.results if each.verdict in (*OPEN, CaseVerdict.NOT_FOR_IT))
    # The part after the last semicolon is the reason; the answer before it may differ.
    reasons = Counter((each.verdict, each.came.rpartition("; ")[2]) for each in unclear)
    if reasons:
        yield ReportLine("")
    for (verdict, reason), number in reasons.items():
        yield ReportLine(f"{_word(verdict)}: {counted(number, 'case')}: {reason}", verdict)


# ---- words ---------------------------------------------------------------------------------------


def counts(report: ProbeReport) -> str:
    """Return the number of cases with each verdict, and how long the probe took."""
    numbers = ((report.count(verdict), verdict) for verdict in CaseVerdict)
    cases = ", ".join(f"{count} {verdict}" for count, verdict in numbers if count)
    return f"{cases}; {report.seconds:.1f} s"


def in_short(report: ProbeReport) -> str:
    """Return a phrase that says if the receiver is ready."""
    if not report.is_ready:
        return f"not ready, {counted(len(report.faults), 'fault')}"
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
