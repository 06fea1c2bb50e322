"""A report as lines for people at a terminal."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from ringback.probe.cases import Case
from ringback.probe.faults import Fault
from ringback.probe.findings import OPEN, Finding, Named, Report, Verdict

_WIDTH = len(max(Verdict, key=len))


@dataclass(frozen=True, slots=True)
class Line:
    """One line, and the verdict that it is about, where it is about one."""

    text: str
    verdict: Verdict | None = None


def as_lines(report: Report) -> Iterator[Line]:
    """Yield all that was found out: the faults first, then each case."""
    yield Line(f"{report.url}: {summary(report)}", _overall(report))
    yield from _faults(report.faults)
    for group, findings in groupby(report.findings, key=lambda finding: finding.case.group):
        yield Line("")
        yield Line(group)
        for finding in findings:
            yield from _finding(finding)


def as_few_lines(report: Report) -> Iterator[Line]:
    """Yield what a log of an automatic run needs: the faults, and what is left open."""
    yield Line(f"{report.url}: {summary(report)}", _overall(report))
    came = {finding.case.name: finding.came for finding in report.findings}
    for named in report.faults:
        first = named.cases[0]
        yield Line(f"fault {named.fault.label}: {named.fault.what} {named.fault.mend}")
        yield Line(f"  shown by {_listed(named.cases)}; {first}: {came[first]}")
    for finding in report.findings:
        if finding.verdict in OPEN:
            yield Line(f"{finding.verdict} {finding.case.name}: {finding.came}")


def summary(report: Report) -> str:
    """Return in one line whether the receiver is ready, and how many cases say what."""
    counted = ((report.count(verdict), verdict) for verdict in Verdict)
    cases = ", ".join(f"{count} {verdict}" for count, verdict in counted if count)
    return f"{_in_short(report)} ({cases}; {report.seconds:.1f} s)"


def _in_short(report: Report) -> str:
    if not report.is_ready:
        count = len(report.faults)
        return f"not ready, {count} fault{'' if count == 1 else 's'}"
    return "ready" if report.is_complete else "no fault found, but not all was shown"


def as_table(cases: Iterable[Case]) -> Iterator[Line]:
    """Yield the cases, each with the fault that it shows; then the faults in words."""
    cases = tuple(cases)
    for group, of_group in groupby(cases, key=lambda case: case.group):
        yield Line(group)
        for case in of_group:
            yield Line(f"  {case.name}")
            yield Line(f"    {case.sends}: {case.expects}; else {case.fault.label}")
        yield Line("")
    yield Line("Faults")
    for fault in Fault:
        yield Line(f"  {fault.label}")
        yield Line(f"    {fault.what}")


def _overall(report: Report) -> Verdict:
    if not report.is_ready:
        return Verdict.FAILED
    return Verdict.PASSED if report.is_complete else Verdict.NOT_OBSERVED


def _faults(faults: Iterable[Named]) -> Iterator[Line]:
    for named in faults:
        yield Line("")
        yield Line(f"{named.fault.label}: {named.fault.what}", Verdict.FAILED)
        yield Line(f"  mend   {named.fault.mend}")
        yield Line(f"  shown  by {_listed(named.cases)}")


def _listed(names: tuple[str, ...]) -> str:
    few = ", ".join(names[:3])
    return few if len(names) <= 3 else f"{few} and {len(names) - 3} more"


def _finding(finding: Finding) -> Iterator[Line]:
    case, verdict = finding.case, finding.verdict
    yield Line(f"  {verdict:{_WIDTH}}  {case.name}", verdict)
    indent = " " * (_WIDTH + 4)
    if verdict is Verdict.FAILED:
        yield Line(f"{indent}sent      {case.sends}")
        yield Line(f"{indent}expected  {case.expects}")
        yield Line(f"{indent}came      {finding.came}")
        if finding.fault is not None:
            yield Line(f"{indent}fault     {finding.fault.label}")
            yield Line(f"{indent}mend      {finding.fault.mend}")
    elif verdict is not Verdict.PASSED:
        yield Line(f"{indent}{finding.came}")
