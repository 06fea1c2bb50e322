"""Prints the probe's cases and reports, and writes reports to files."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ringback.cli.output import echo, echo_text, say, style
from ringback.core.visible_text import visible_json

if TYPE_CHECKING:
    from ringback.probe.case_kinds import ProbeCase
    from ringback.probe.probe_report import ProbeReport
    from ringback.probe.report.text import ReportLine

_COLOURS: Final = {
    "passed": "green",
    "failed": "red",
    "not observed": "yellow",
    "not run": "yellow",
}


def list_cases(cases: "Sequence[ProbeCase]", *, as_json: bool) -> None:
    """Print these cases and all faults."""
    from ringback.probe.report.text import as_table

    lines = [line.text for line in as_table(cases)]
    say({"cases": [*map(_case_record, cases)]}, lines, as_json=as_json)


def _case_record(case: "ProbeCase") -> dict[str, str]:
    return {
        "name": case.name,
        "group": case.group,
        "sent": case.sends,
        "expected": case.expects,
        "fault": case.fault.label,
        "what": case.fault.what,
        "fix": case.fault.mend,
    }


def print_report(report: "ProbeReport", *, as_json: bool, verbose: bool, ci: bool) -> None:
    """Print the report as JSON, or as text that is long (`verbose`), short (`ci`) or in tables."""
    from ringback.probe.report import text
    from ringback.probe.report.as_json import as_json as report_as_json

    if as_json:
        echo_text(visible_json(report_as_json(report)))
    elif ci:
        _print(text.as_few_lines(report), has_colours=False)
    else:
        _print(text.as_lines(report) if verbose else text.as_grid(report), has_colours=True)


def _print(lines: "Iterable[ReportLine]", *, has_colours: bool) -> None:
    for line in lines:
        colour = _COLOURS.get(line.verdict) if has_colours and line.verdict else None
        echo(style(line.text, fg=colour) if colour else line.text)


def write_reports(report: "ProbeReport", *, junit: Path | None, html: Path | None) -> None:
    """Write the report to these files; raises ConfigurationError if one can't be written."""
    from ringback.probe.report.html import as_html
    from ringback.probe.report.junit import as_junit
    from ringback.runtime.os_error_messages import refusing

    for path, made in ((junit, as_junit(report)), (html, as_html(report).encode())):
        if path is not None:
            with refusing(f"the report {path} can't be written"):
                path.write_bytes(made)
