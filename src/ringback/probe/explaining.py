"""Which faults the findings have in common: one that explains many stands in their place. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.policy.source_policy import Source
from ringback.probe.cases import CASES, Forged, Forgery, Good, Group
from ringback.probe.faults import Fault
from ringback.probe.findings import Finding, Named, Report, Verdict


def report_of(url: str, started: datetime, seconds: float, findings: Iterable[Finding]) -> Report:
    """Put a report together, in the order of the table of cases."""
    order = {case.name: place for place, case in enumerate(CASES)}
    ordered = sorted(findings, key=lambda finding: order[finding.case.name])
    explained = explain(ordered)
    return Report(url, started, seconds, tuple(explained), tuple(name_faults(explained)))


def explain(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings with the fault that explains several in place of what each shows."""
    settled = [_with_query_settled(finding, findings) for finding in findings]
    return [replace(finding, fault=_cause_of(finding, settled)) for finding in settled]


def name_faults(findings: Iterable[Finding]) -> Iterator[Named]:
    """Yield the faults with their cases, those first that explain most."""
    shown = dict[Fault, list[str]]()
    for finding in findings:
        if finding.fault is not None:
            shown.setdefault(finding.fault, []).append(finding.case.name)
    order = list(Fault)
    for fault in sorted(shown, key=order.index):
        yield Named(fault, tuple(shown[fault]))


def _with_query_settled(finding: Finding, findings: Iterable[Finding]) -> Finding:
    """Tell who knows one URL alone from who leaves the query out of what is signed.

    The latter takes a query that wasn't signed, and refuses one that was.
    """
    if finding.verdict is not Verdict.NOT_FOR_IT or not isinstance(finding.case.plan, Good):
        return finding
    takes_unsigned = any(
        isinstance(other.case.plan, Forged)
        and other.case.plan.forgery is Forgery.ADDED_QUERY
        and other.case.plan.source == finding.case.plan.source
        and _is_accepted_forgery(other)
        for other in findings
    )
    if not takes_unsigned:
        return finding
    return replace(finding, verdict=Verdict.FAILED, fault=finding.case.fault)


def _cause_of(finding: Finding, findings: Sequence[Finding]) -> Fault | None:
    plan = finding.case.plan
    if isinstance(plan, Forged) and _is_accepted_forgery(finding):
        return _cause_of_accepting(plan, findings) or finding.fault
    if isinstance(plan, Good) and _is_refused(finding):
        return _cause_of_refusing(plan, findings) or finding.fault
    return finding.fault


def _is_accepted_forgery(finding: Finding) -> bool:
    return finding.case.group is Group.FORGED and finding.fault is finding.case.fault


def _is_refused(finding: Finding) -> bool:
    return finding.case.group is Group.GENUINE and finding.fault is finding.case.fault


def _is_decided(finding: Finding) -> bool:
    return finding.verdict in (Verdict.PASSED, Verdict.FAILED)


_IGNORES: Final[Mapping[Source, Fault]] = {
    Source.TWILIO: Fault.IGNORES_TWILIO_SIGNATURE,
    Source.KORE: Fault.IGNORES_KORE_SIGNATURE,
}
_REFUSES: Final[Mapping[Source, Fault]] = {
    Source.TWILIO: Fault.REFUSES_TWILIO,
    Source.KORE: Fault.REFUSES_KORE,
}
_REFUSES_METHOD: Final[Mapping[HttpMethod, Fault]] = {
    HttpMethod.POST: Fault.REFUSES_POST,
    HttpMethod.GET: Fault.REFUSES_GET,
}
# From fewer forgeries nothing follows for all.
_ENOUGH: Final = 3
# What isn't about one source's signature alone.
_OF_NO_FAMILY: Final = frozenset({Forgery.UNSIGNED, Forgery.BOTH_FAMILIES})


def _cause_of_accepting(plan: Forged, findings: Sequence[Finding]) -> Fault | None:
    forged = [each for each in findings if each.case.group is Group.FORGED and _is_decided(each)]
    if _are_all_accepted(forged):
        return Fault.ANSWERS_200_TO_EVERYTHING
    if plan.forgery in _OF_NO_FAMILY:
        return None
    of_family = [each for each in forged if _family_of(each) == plan.source]
    return _IGNORES[plan.source] if _are_all_accepted(of_family) else None


def _are_all_accepted(forged: Sequence[Finding]) -> bool:
    return len(forged) >= _ENOUGH and all(map(_is_accepted_forgery, forged))


def _family_of(finding: Finding) -> Source | None:
    plan = finding.case.plan
    if not isinstance(plan, Forged) or plan.forgery in _OF_NO_FAMILY:
        return None
    return plan.source


def _cause_of_refusing(plan: Good, findings: Sequence[Finding]) -> Fault | None:
    of_source = [
        (each.case.plan.method, _is_refused(each))
        for each in findings
        if isinstance(each.case.plan, Good)
        and each.case.plan.source == plan.source
        and _is_decided(each)
    ]
    if all(is_refused for _, is_refused in of_source):
        return _REFUSES[plan.source]
    if all(is_refused for method, is_refused in of_source if method is plan.method):
        return _REFUSES_METHOD[plan.method]
    return None
