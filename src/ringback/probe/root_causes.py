"""Find root causes: a fault that explains many failed cases replaces the faults of these cases.

The methods are judged apart: a receiver that takes only POST, and accepts every POST, has one fault
with signatures and one with GET.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.policy.source_policy import Source, SourceName
from ringback.probe.case_kinds import (
    OF_EVENTS,
    CallbackRepetition,
    ForgedCase,
    Forgery,
    GenuineCase,
    Plan,
    ProbeCase,
    RepeatedCallbackCase,
    TokenCollisionCase,
)
from ringback.probe.evaluation import TAKES_TWO_FOR_ONE, is_of_events
from ringback.probe.payloads import ProbeCallbackKind
from ringback.probe.probe_cases import CASES
from ringback.probe.probe_report import CaseResult, CaseVerdict, ProbeReport
from ringback.probe.receiver_faults import ReceiverFaultKind

_IGNORES: Final[Mapping[SourceName, ReceiverFaultKind]] = {
    Source.TWILIO: ReceiverFaultKind.IGNORES_TWILIO_SIGNATURE,
    Source.KORE: ReceiverFaultKind.IGNORES_KORE_SIGNATURE,
}
_REFUSES: Final[Mapping[SourceName, ReceiverFaultKind]] = {
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
_JSON: Final = frozenset({ProbeCallbackKind.TEST_EVENT, ProbeCallbackKind.EVENTS})
"""The kinds of requests that are not callbacks: many receivers take them at another URL."""
_NO_ACCEPTANCE: Final = frozenset(
    {
        ReceiverFaultKind.CRASHES_ON_GOOD_CALLBACK,
        ReceiverFaultKind.CRASHES_ON_BAD_SIGNATURE,
        ReceiverFaultKind.DOES_NOT_ANSWER,
        ReceiverFaultKind.BREAKS_OFF,
    }
)
"""The faults that a refusal of all callbacks can explain; a redirect has its own advice."""
_OF_LOST: Final = TAKES_TWO_FOR_ONE | {ReceiverFaultKind.REMEMBERS_FORGED_TOKENS}
"""The faults that show nothing if a single callback has no effect either."""
_TRIED: Final = frozenset({CaseVerdict.PASSED, CaseVerdict.FAILED})


def report_of(
    url: str,
    started: datetime,
    seconds: float,
    results: Iterable[CaseResult],
    cases: Sequence[ProbeCase] = CASES,
) -> ProbeReport:
    """Return the report, in which each root cause replaces the faults that it explains.

    The results are in the order of `cases`.
    """
    order = {case.name: place for place, case in enumerate(cases)}
    ordered = sorted(results, key=lambda result: order[result.case.name])
    found = SignatureChecks.of(ordered)
    settled = [_settled(result, found) for result in ordered]
    causes = _RootCauses(SignatureChecks.of(settled), _losing_sources(settled))
    explained = (replace(each, fault=causes.of(each)) for each in settled)
    return ProbeReport(url, started, seconds, tuple(explained))


@dataclass(slots=True)
class SignatureChecks:
    """What the receiver accepted: genuine callbacks and forgeries, by source and method."""

    callbacks: list[tuple[GenuineCase, CaseResult]] = field(
        default_factory=list[tuple[GenuineCase, CaseResult]]
    )
    """The genuine callbacks that were tried; JSON only to a receiver of event streams."""
    forgeries: list[tuple[ForgedCase, CaseResult]] = field(
        default_factory=list[tuple[ForgedCase, CaseResult]]
    )
    """The forgeries that were tried."""
    sources_of_events: set[SourceName] = field(default_factory=set[SourceName])
    """The sources whose Event Streams were accepted."""

    @classmethod
    def of(cls, results: Iterable[CaseResult]) -> "SignatureChecks":
        """Sort the results of cases that were tried."""
        found = cls()
        for result in results:
            match result.case.plan:
                case GenuineCase() as plan if plan.of_stream or plan.payload not in _JSON:
                    if result.verdict in _TRIED:
                        found.callbacks.append((plan, result))
                case GenuineCase(source) if is_of_events(result.case):
                    if result.verdict is CaseVerdict.PASSED:
                        found.sources_of_events.add(source)
                case ForgedCase() as plan if result.verdict in _TRIED:
                    found.forgeries.append((plan, result))
                case _:
                    pass
        return found

    def accepts(self, source: SourceName, method: HttpMethod | None = None) -> bool:
        """Return True if it accepted a callback of this source, by this method if it is given."""
        return any(
            plan.source == source
            and method in (None, plan.method)
            and result.verdict is CaseVerdict.PASSED
            for plan, result in self.callbacks
        )

    @property
    def open_methods(self) -> frozenset[HttpMethod]:
        """The methods by which it accepts every request."""
        return self._open(lambda plan: plan.forgery not in OF_EVENTS)

    def open_methods_of(self, source: SourceName) -> frozenset[HttpMethod]:
        """Return the methods by which it accepts every request with this source's headers."""
        others = OF_EVENTS | _OF_NO_FAMILY
        return self._open(lambda plan: plan.source == source and plan.forgery not in others)

    def _open(self, counts: Callable[[ForgedCase], bool]) -> frozenset[HttpMethod]:
        tried = [(plan.method, is_accepted(each)) for plan, each in self.forgeries if counts(plan)]
        refusing = {method for method, accepts in tried if not accepts}
        accepted = [method for method, _ in tried if method not in refusing]
        return frozenset(accepted) if len(accepted) >= _ENOUGH else frozenset()

    @property
    def telling_methods(self) -> tuple[HttpMethod, ...]:
        """The methods by which an accepted callback shows that its source is accepted.

        Many receivers answer every GET with a 200, for health checks, and take callbacks by POST.
        """
        takes_post = any(
            plan.method is HttpMethod.POST and each.verdict is CaseVerdict.PASSED
            for plan, each in self.callbacks
        )
        if takes_post and self.open_methods == frozenset({HttpMethod.GET}):
            return (HttpMethod.POST,)
        return (*HttpMethod,)


def is_accepted(forged: CaseResult) -> bool:
    """Return True if a forgery was accepted."""
    return forged.fault is forged.case.fault


# ---- cases that apply to some receivers ----------------------------------------------------------


def _settled(result: CaseResult, found: SignatureChecks) -> CaseResult:
    """Return the result of a case that applies only to some receivers, in the light of the others.

    A receiver may refuse every added query, since it may accept callbacks only at its exact URL.
    But if it accepts an unsigned query, its signature check ignores the query. It may also refuse
    all Event Streams, signed or not, but not only the signed ones.
    """
    match result.case.plan, result.verdict:
        case GenuineCase() as plan, CaseVerdict.NOT_FOR_IT:
            if is_of_events(result.case):
                is_fault = _accepts_forgery(found, plan, OF_EVENTS)
            else:
                takes_unsigned = _accepts_forgery(found, plan, {Forgery.ADDED_QUERY})
                is_fault = takes_unsigned and not _accepts_some_query(found, plan)
            if is_fault:
                return replace(result, verdict=CaseVerdict.FAILED, fault=result.case.fault)
        case ForgedCase(source, forgery=forgery), CaseVerdict.FAILED if forgery in OF_EVENTS:
            if source not in found.sources_of_events and not is_accepted(result):
                return replace(result, verdict=CaseVerdict.NOT_FOR_IT, fault=None)
        case _:
            pass
    return result


def _accepts_forgery(
    found: SignatureChecks, plan: GenuineCase, forgeries: Iterable[Forgery]
) -> bool:
    return any(
        other.source == plan.source
        and other.method is plan.method
        and other.forgery in forgeries
        and is_accepted(each)
        for other, each in found.forgeries
    )


def _accepts_some_query(found: SignatureChecks, plan: GenuineCase) -> bool:
    """Return True if a callback of the same source was accepted at a URL with a query."""
    return found.accepts(plan.source, HttpMethod.GET) or any(
        other.adds_query and other.source == plan.source and each.verdict is CaseVerdict.PASSED
        for other, each in found.callbacks
    )


def _losing_sources(results: Iterable[CaseResult]) -> frozenset[SourceName]:
    """Return the sources of which a single callback, sent in series, has no effect."""
    return frozenset(
        result.case.plan.source
        for result in results
        if isinstance(result.case.plan, RepeatedCallbackCase)
        and result.case.plan.again is CallbackRepetition.IN_SERIES
        and result.fault is ReceiverFaultKind.LOSES_CALLBACK
    )


def _sources_of(plan: Plan) -> tuple[SourceName, ...]:
    match plan:
        case RepeatedCallbackCase(source):
            return (source,)
        case TokenCollisionCase(sources):
            return sources
        case _:
            return ()


# ---- causes --------------------------------------------------------------------------------------


class _RootCauses:
    """Finds the fault that explains the fault of one case."""

    def __init__(self, found: SignatureChecks, losing: frozenset[SourceName]) -> None:
        self._found, self._losing = found, losing
        failed = [each for _, each in found.callbacks if each.verdict is CaseVerdict.FAILED]
        accepts_none = len(failed) == len(found.callbacks)
        # If no callback is accepted, and none is refused with a 4xx, the sources don't matter.
        self._is_down = accepts_none and not any(each.fault is each.case.fault for each in failed)

    def of(self, result: CaseResult) -> ReceiverFaultKind | None:
        """Return the fault that the report shows for this result."""
        plan, fault = result.case.plan, result.fault
        if isinstance(plan, ForgedCase) and fault is not None:
            cause = self._of_accepting(plan) if is_accepted(result) else self._of_crash(plan, fault)
            return cause or fault
        if isinstance(plan, GenuineCase) and fault in {result.case.fault, *_NO_ACCEPTANCE}:
            return self._of_refusing(plan.source, plan.method) or fault
        if fault in _OF_LOST and self._losing.intersection(_sources_of(plan)):
            return ReceiverFaultKind.LOSES_CALLBACK
        return fault

    def _of_accepting(self, plan: ForgedCase) -> ReceiverFaultKind | None:
        if plan.method in self._found.open_methods:
            return ReceiverFaultKind.ANSWERS_200_TO_EVERYTHING
        if plan.forgery in _OF_NO_FAMILY:
            return None
        if plan.method in self._found.open_methods_of(plan.source):
            return _IGNORES.get(plan.source, ReceiverFaultKind.IGNORES_SIGNATURE)
        return None

    def _of_refusing(self, source: SourceName, method: HttpMethod) -> ReceiverFaultKind | None:
        """Return the cause why a callback of this source by this method was not accepted."""
        if self._is_down:
            return None
        if not any(self._found.accepts(source, each) for each in self._found.telling_methods):
            return _REFUSES.get(source, ReceiverFaultKind.REFUSES_SOURCE)
        if not self._found.accepts(source, method):
            return _REFUSES_METHOD[method]
        return None

    def _of_crash(self, plan: ForgedCase, fault: ReceiverFaultKind) -> ReceiverFaultKind | None:
        """Return the cause of a crash by a forgery if genuine callbacks make it crash as well."""
        genuine = [
            each.fault
            for other, each in self._found.callbacks
            if (other.source, other.method) == (plan.source, plan.method)
        ]
        if fault in _NO_ACCEPTANCE and _NO_ACCEPTANCE.intersection(genuine) and None not in genuine:
            return self._of_refusing(plan.source, plan.method)
        return None
