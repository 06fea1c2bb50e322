"""The probe's report as a single HTML page, without scripts and without external files."""

from collections.abc import Iterator
from html import escape
from itertools import groupby
from typing import Final

from ringback.probe.probe_report import CaseResult, CaseVerdict, ProbeReport
from ringback.probe.report.text import summary

_CLASSES: Final = {
    CaseVerdict.PASSED: "good",
    CaseVerdict.FAILED: "bad",
    CaseVerdict.NOT_OBSERVED: "open",
    CaseVerdict.NOT_RUN: "open",
    CaseVerdict.NOT_FOR_IT: "quiet",
}
_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin-bottom: 2rem; }
caption { text-align: left; font-weight: bold; padding: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; border-top: 1px solid #8886; }
th[scope=row] { font-weight: normal; font-family: ui-monospace, monospace; }
td { overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0; }
.verdict { white-space: nowrap; font-weight: bold; }
.good .verdict { color: light-dark(#116329, #57d364); }
.bad .verdict, .fault h3 { color: light-dark(#a40e26, #ff7b72); }
.open .verdict { color: light-dark(#7a4b00, #e3b341); }
.fault { border-left: .3rem solid #cf222e; padding-left: 1rem; margin: 1rem 0; }
"""


def as_html(report: ProbeReport) -> str:
    """Return the report as a complete HTML page."""
    title = escape(f"{report.url}: {summary(report)}")
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            # The page quotes answers of the receiver, so nothing in it may run or load anything.
            '<meta http-equiv="Content-Security-Policy"',
            " content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{title}</title><style>{_STYLE}</style></head><body>",
            f"<h1>Is {escape(report.url)} ready?</h1>",
            f"<p>{escape(summary(report))}, {report.started:%Y-%m-%d %H:%M:%S} UTC</p>",
            *_faults(report),
            *_tables(report),
            "</body></html>",
            "",
        ]
    )


def _faults(report: ProbeReport) -> Iterator[str]:
    if report.faults:
        yield "<h2>What is wrong</h2>"
    for fault, names in report.faults.items():
        cases = ", ".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in names)
        yield (
            f'<div class="fault"><h3>{escape(fault.label)}</h3><p>{escape(fault.what)}</p>'
            f"<p>Fix: {escape(fault.mend)}</p><p>Shown by {cases}</p></div>"
        )


def _tables(report: ProbeReport) -> Iterator[str]:
    for group, results in groupby(report.results, key=lambda result: result.case.group):
        yield f"<table><caption>{escape(group)}</caption><thead><tr>"
        yield "".join(f'<th scope="col">{name}</th>' for name in ("case", "verdict", "what"))
        yield "</tr></thead><tbody>"
        yield from map(_row, results)
        yield "</tbody></table>"


def _row(result: CaseResult) -> str:
    name = escape(result.case.name)
    return (
        f'<tr id="{name}" class="{_CLASSES[result.verdict]}"><th scope="row">{name}</th>'
        f'<td class="verdict">{escape(result.verdict)}</td><td>{_what(result)}</td></tr>'
    )


def _what(result: CaseResult) -> str:
    told = [f"{name.capitalize()}: {escape(text)}" for name, text in result.told.items()]
    if result.fault is not None:
        told.append(f"Fix: {escape(result.fault.mend)}")
    request = escape(result.request)
    details = f"<details><summary>the request</summary><pre>{request}</pre></details>"
    return "<br>".join(told) + (details if request else "")
