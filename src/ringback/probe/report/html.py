"""The probe's report as a single HTML page, without scripts and without external files.

The summary comes first: the verdict, and each fault once. Narrow screens show a case as a block
instead of a row.
"""

from collections.abc import Iterator
from html import escape
from itertools import groupby
from typing import Final

from ringback.core.counted import counted
from ringback.probe.probe_report import CaseResult, CaseVerdict, ProbeReport
from ringback.probe.report.text import counts, in_short

_CLASSES: Final = {
    CaseVerdict.PASSED: "good",
    CaseVerdict.FAILED: "bad",
    CaseVerdict.NOT_OBSERVED: "open",
    CaseVerdict.NOT_RUN: "open",
    CaseVerdict.NOT_FOR_IT: "quiet",
}
_FEW: Final = 3
_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 1rem auto; padding: 0 1rem;
  overflow-wrap: anywhere; background: light-dark(#fff, #121212); color: light-dark(#111, #eee); }
a { color: light-dark(#0550ae, #79c0ff); }
h1 { font-size: 1.5rem; line-height: 1.25; }
.summary { font-size: 1.25rem; font-weight: bold; margin-bottom: 0; }
table { border-collapse: collapse; width: 100%; margin-bottom: 2rem; }
caption { text-align: left; font-weight: bold; padding: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .6rem; }
tr { border-top: 1px solid #8886; }
th[scope=row] { font-weight: normal; font-family: ui-monospace, monospace; }
pre { white-space: pre-wrap; margin: .3rem 0; font-size: .8125rem; }
.verdict { white-space: nowrap; font-weight: bold; }
.good .verdict, .good.summary { color: light-dark(#116329, #57d364); }
.bad .verdict, .bad.summary, .fault h3 { color: light-dark(#a40e26, #ff7b72); }
.open .verdict, .open.summary { color: light-dark(#7a4b00, #e3b341); }
.fault { border-left: .3rem solid #cf222e; padding-left: 1rem; margin: 1rem 0; }
@media (max-width: 40rem) {
  table, caption, tbody, tr, th, td { display: block; }
  thead { display: none; }
  tr { padding: .5rem 0; }
  th, td { padding: .1rem 0; }
}
"""


def as_html(report: ProbeReport) -> str:
    """Return the report as a complete HTML page."""
    url, short = escape(report.url), escape(in_short(report))
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            # The page quotes answers of the receiver, so nothing in it may run or load anything.
            '<meta http-equiv="Content-Security-Policy"',
            " content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{url}: {short}</title><style>{_STYLE}</style></head><body><main>",
            f"<h1>Is {url} ready?</h1>",
            f'<p class="summary {_overall(report)}">{short}</p>',
            f"<p>{escape(counts(report))}, {report.started:%Y-%m-%d %H:%M:%S} UTC</p>",
            *_overview(report),
            *_faults(report),
            *_tables(report),
            "</main></body></html>",
            "",
        ]
    )


def _overall(report: ProbeReport) -> str:
    if not report.is_ready:
        return _CLASSES[CaseVerdict.FAILED]
    return _CLASSES[CaseVerdict.PASSED if report.is_complete else CaseVerdict.NOT_RUN]


def _overview(report: ProbeReport) -> Iterator[str]:
    """Yield a list with each fault once."""
    if report.faults:
        yield "<ul>"
    for fault, names in report.faults.items():
        label = escape(fault.label)
        yield f'<li><a href="#{label}">{label}</a>: {counted(len(names), "case")}</li>'
    if report.faults:
        yield "</ul>"


def _faults(report: ProbeReport) -> Iterator[str]:
    if report.faults:
        yield "<h2>What is wrong</h2>"
    for fault, names in report.faults.items():
        label = escape(fault.label)
        yield (
            f'<div class="fault"><h3 id="{label}">{label}</h3><p>{escape(fault.what)}</p>'
            f"<p>Fix: {escape(fault.mend)}</p>{_shown_by(names)}</div>"
        )


def _shown_by(names: list[str]) -> str:
    """Return links to the cases that show a fault; if there are many, they are folded."""
    links = ", ".join(f'<a href="#{escape(name)}">{escape(name)}</a>' for name in names)
    if len(names) <= _FEW:
        return f"<p>Shown by {links}</p>"
    return f"<details><summary>Shown by {len(names)} cases</summary><p>{links}</p></details>"


def _tables(report: ProbeReport) -> Iterator[str]:
    yield "<h2>All cases</h2>"
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
