"""The probe's report as one JSON object."""

import json
from typing import Any

from ringback.probe.probe_report import CaseResult, CaseVerdict, ProbeReport
from ringback.probe.receiver_faults import ReceiverFaultKind


def as_json(report: ProbeReport) -> str:
    """Return the whole report as one line of JSON."""
    return json.dumps(
        {
            "url": report.url,
            "started": report.started.isoformat(),
            "seconds": round(report.seconds, 3),
            "ready": report.is_ready,
            "complete": report.is_complete,
            "counts": {verdict: report.count(verdict) for verdict in CaseVerdict},
            "faults": [_fault(*each) for each in report.faults.items()],
            "cases": [_case(result) for result in report.results],
        }
    )


def _fault(fault: ReceiverFaultKind, cases: list[str]) -> dict[str, Any]:
    return {"name": fault.label, "what": fault.what, "mend": fault.mend, "cases": cases}


def _case(result: CaseResult) -> dict[str, Any]:
    case, fault = result.case, result.fault
    return {
        "name": case.name,
        "group": case.group,
        "verdict": result.verdict,
        **result.told,
        "fault": fault and fault.label,
        "mend": fault and fault.mend,
        "request": result.request or None,
        "seconds": round(result.seconds, 3),
    }
