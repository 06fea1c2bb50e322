"""Find root causes: a fault that explains many failed cases replaces the faults of these cases."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeVar

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.policy.source_policy import Source
from ringback.probe.probe_cases import CASES, ForgedCase, Forgery, GenuineCase
from ringback.probe.probe_report import CaseResult, CaseVerdict, ProbeReport
from ringback.probe.receiver_faults import ReceiverFaultKind

K = TypeVar("K", GenuineCase, ForgedCase)


def report_of(
    url: str, started: datetime, seconds: float, results: Iterable[CaseResult]
) -> ProbeReport:
    """Return the report, in which each root cause replaces the faults that it explains.

    The results are in the order of the table of cases.
    """
    order = {case.name: place for place, case in enumerate(CASES)}
    ordered = sorted(results, key=lambda result: order[result.case.name])
    settled = [_with_query_settled(result, ordered) for result in ordered]
    explained = (replace(result, fault=_cause_of(result, settled)) for result in settled)
    return ProbeReport(url, started, seconds, tuple(explained))


def _with_query_settled(result: CaseResult, results: Iterable[CaseResult]) -> CaseResult:
    """Return the result, as failed if the receiver refused a query but accepts unsigned ones.

    A receiver may refuse every added query, since it may accept callbacks only at its exact URL.
    But if it accepts an unsigned one, its signature check ignores the query, and that is a fault.
    """
    plan = result.case.plan
    if result.verdict is not CaseVerdict.NOT_FOR_IT or not isinstance(plan, GenuineCase):
        return result
    takes_unsigned = any(
        is_accepted
        for other, is_accepted in _decided(ForgedCase, results)
        if other.forgery is Forgery.ADDED_QUERY and other.source == plan.source
    )
    if not takes_unsigned:
        return result
    return replace(result, verdict=CaseVerdict.FAILED, fault=result.case.fault)


def _decided(kind: type[K], results: Iterable[CaseResult]) -> list[tuple[K, bool]]:
    """Return the plan of each case of this kind that passed or failed.

    Each plan is paired with True if its case found the fault that it looks for, else with False.
    """
    return [
        (each.case.plan, each.fault is each.case.fault)
        for each in results
        if isinstance(each.case.plan, kind)
        and each.verdict in (CaseVerdict.PASSED, CaseVerdict.FAILED)
    ]


def _cause_of(result: CaseResult, results: Sequence[CaseResult]) -> ReceiverFaultKind | None:
    plan, cause = result.case.plan, None
    if result.fault is result.case.fault and isinstance(plan, ForgedCase):
        cause = _cause_of_accepting(plan, results)
    elif result.fault is result.case.fault and isinstance(plan, GenuineCase):
        cause = _cause_of_refusing(plan, results)
    return cause or result.fault


_IGNORES: Final[Mapping[Source, ReceiverFaultKind]] = {
    Source.TWILIO: ReceiverFaultKind.IGNORES_TWILIO_SIGNATURE,
    Source.KORE: ReceiverFaultKind.IGNORES_KORE_SIGNATURE,
}
_REFUSES: Final = {
    Source.TWILIO: ReceiverFaultKind.REFUSES_TWILIO,
    Source.KORE: ReceiverFaultKind.REFUSES_KORE,
}
_REFUSES_METHOD: Final = {
    HttpMethod.POST: ReceiverFaultKind.REFUSES_POST,
    HttpMethod.GET: ReceiverFaultKind.REFUSES_GET,
}
# Two accepted forgeries can be two separate mistakes, so they don't prove a missing check.
_ENOUGH: Final = 3
# These forgeries don't show whether one source's signature is checked.
_OF_NO_FAMILY: Final = frozenset({Forgery.UNSIGNED, Forgery.BOTH_FAMILIES})


def _cause_of_accepting(
    plan: ForgedCase, results: Sequence[CaseResult]
) -> ReceiverFaultKind | None:
    forged = _decided(ForgedCase, results)
    if _are_all_accepted([is_accepted for _, is_accepted in forged]):
        return ReceiverFaultKind.ANSWERS_200_TO_EVERYTHING
    of_family = [
        is_accepted
        for other, is_accepted in forged
        if other.source == plan.source and other.forgery not in _OF_NO_FAMILY
    ]
    if plan.forgery not in _OF_NO_FAMILY and _are_all_accepted(of_family):
        return _IGNORES[plan.source]
    return None


def _are_all_accepted(forged: Sequence[bool]) -> bool:
    return len(forged) >= _ENOUGH and all(forged)


def _cause_of_refusing(
    plan: GenuineCase, results: Sequence[CaseResult]
) -> ReceiverFaultKind | None:
    of_source = [
        (other.method, is_refused)
        for other, is_refused in _decided(GenuineCase, results)
        if other.source == plan.source
    ]
    if all(is_refused for _, is_refused in of_source):
        return _REFUSES[plan.source]
    if all(is_refused for method, is_refused in of_source if method is plan.method):
        return _REFUSES_METHOD[plan.method]
    return None
