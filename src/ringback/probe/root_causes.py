"""Finds root causes: a fault that explains many results replaces the fault of each. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.policy.source_policy import Source
from ringback.probe.probe_cases import CASES, CaseGroup, ForgedCase, Forgery, GenuineCase
from ringback.probe.probe_report import CaseResult, CaseVerdict, FaultWithCases, ProbeReport
from ringback.probe.receiver_faults import ReceiverFault


def report_of(
    url: str, started: datetime, seconds: float, results: Iterable[CaseResult]
) -> ProbeReport:
    """Put a report together, in the order of the table of cases."""
    order = {case.name: place for place, case in enumerate(CASES)}
    ordered = sorted(results, key=lambda result: order[result.case.name])
    explained = explain(ordered)
    return ProbeReport(url, started, seconds, tuple(explained), tuple(name_faults(explained)))


def explain(results: Sequence[CaseResult]) -> list[CaseResult]:
    """Return the results, with a common root cause as their fault where there is one."""
    settled = [_with_query_settled(result, results) for result in results]
    return [replace(result, fault=_cause_of(result, settled)) for result in settled]


def name_faults(results: Iterable[CaseResult]) -> Iterator[FaultWithCases]:
    """Yield each fault with the cases that show it, root causes first."""
    shown = dict[ReceiverFault, list[str]]()
    for result in results:
        if result.fault is not None:
            shown.setdefault(result.fault, []).append(result.case.name)
    order = list(ReceiverFault)
    for fault in sorted(shown, key=order.index):
        yield FaultWithCases(fault, tuple(shown[fault]))


def _with_query_settled(result: CaseResult, results: Iterable[CaseResult]) -> CaseResult:
    """Decide whether a refused query is a fault.

    A receiver may take callbacks at its exact URL alone. But one that also accepts a query which
    wasn't signed leaves the query out of the signature, and that is a fault.
    """
    if result.verdict is not CaseVerdict.NOT_FOR_IT or not isinstance(
        result.case.plan, GenuineCase
    ):
        return result
    takes_unsigned = any(
        isinstance(other.case.plan, ForgedCase)
        and other.case.plan.forgery is Forgery.ADDED_QUERY
        and other.case.plan.source == result.case.plan.source
        and _is_accepted_forgery(other)
        for other in results
    )
    if not takes_unsigned:
        return result
    return replace(result, verdict=CaseVerdict.FAILED, fault=result.case.fault)


def _cause_of(result: CaseResult, results: Sequence[CaseResult]) -> ReceiverFault | None:
    plan = result.case.plan
    if isinstance(plan, ForgedCase) and _is_accepted_forgery(result):
        return _cause_of_accepting(plan, results) or result.fault
    if isinstance(plan, GenuineCase) and _is_refused(result):
        return _cause_of_refusing(plan, results) or result.fault
    return result.fault


def _is_accepted_forgery(result: CaseResult) -> bool:
    return result.case.group is CaseGroup.FORGED and result.fault is result.case.fault


def _is_refused(result: CaseResult) -> bool:
    return result.case.group is CaseGroup.GENUINE and result.fault is result.case.fault


def _is_decided(result: CaseResult) -> bool:
    return result.verdict in (CaseVerdict.PASSED, CaseVerdict.FAILED)


_IGNORES: Final[Mapping[Source, ReceiverFault]] = {
    Source.TWILIO: ReceiverFault.IGNORES_TWILIO_SIGNATURE,
    Source.KORE: ReceiverFault.IGNORES_KORE_SIGNATURE,
}
_REFUSES: Final = {
    Source.TWILIO: ReceiverFault.REFUSES_TWILIO,
    Source.KORE: ReceiverFault.REFUSES_KORE,
}
_REFUSES_METHOD: Final = {
    HttpMethod.POST: ReceiverFault.REFUSES_POST,
    HttpMethod.GET: ReceiverFault.REFUSES_GET,
}
# Two accepted forgeries can be two separate mistakes, so they don't prove a missing check.
_ENOUGH: Final = 3
# These say nothing about the check of one source's signature.
_OF_NO_FAMILY: Final = frozenset({Forgery.UNSIGNED, Forgery.BOTH_FAMILIES})


def _cause_of_accepting(plan: ForgedCase, results: Sequence[CaseResult]) -> ReceiverFault | None:
    forged = [each for each in results if each.case.group is CaseGroup.FORGED and _is_decided(each)]
    if _are_all_accepted(forged):
        return ReceiverFault.ANSWERS_200_TO_EVERYTHING
    if plan.forgery in _OF_NO_FAMILY:
        return None
    of_family = [each for each in forged if _family_of(each) == plan.source]
    return _IGNORES[plan.source] if _are_all_accepted(of_family) else None


def _are_all_accepted(forged: Sequence[CaseResult]) -> bool:
    return len(forged) >= _ENOUGH and all(map(_is_accepted_forgery, forged))


def _family_of(result: CaseResult) -> Source | None:
    plan = result.case.plan
    if not isinstance(plan, ForgedCase) or plan.forgery in _OF_NO_FAMILY:
        return None
    return plan.source


def _cause_of_refusing(plan: GenuineCase, results: Sequence[CaseResult]) -> ReceiverFault | None:
    of_source = [
        (each.case.plan.method, _is_refused(each))
        for each in results
        if isinstance(each.case.plan, GenuineCase)
        and each.case.plan.source == plan.source
        and _is_decided(each)
    ]
    if all(is_refused for _, is_refused in of_source):
        return _REFUSES[plan.source]
    if all(is_refused for method, is_refused in of_source if method is plan.method):
        return _REFUSES_METHOD[plan.method]
    return None
