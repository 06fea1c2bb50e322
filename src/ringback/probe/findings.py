"""From what came to a verdict on each case, and to the faults that explain them. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from ringback.core.method import Method
from ringback.core.source import Source
from ringback.probe.answers import Answer
from ringback.probe.cases import CASES, SOURCES, Case, Forged, Forgery, Good, Group
from ringback.probe.faults import Fault


class Verdict(StrEnum):
    """What is known of a case."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_OBSERVED = "not observed"
    """It was answered as it should be; what it did, nobody saw."""
    NOT_RUN = "not run"
    NOT_FOR_IT = "does not apply"
    """It is about what this receiver does not do, and need not do."""


OPEN: Final = frozenset({Verdict.NOT_OBSERVED, Verdict.NOT_RUN})
"""What leaves it open whether the receiver is ready."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one case."""

    case: Case
    verdict: Verdict
    came: str
    """What came, or why the case wasn't run, in words."""
    fault: Fault | None = None
    """What is wrong, where it failed."""
    request: str = ""
    """The first request as it left, without secrets."""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Named:
    """A fault that the receiver has, and the cases that show it."""

    fault: Fault
    cases: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All that a run found out."""

    url: str
    """Without credentials."""
    started: datetime
    seconds: float
    findings: tuple[Finding, ...]
    faults: tuple[Named, ...]

    @classmethod
    def of(
        cls, url: str, started: datetime, seconds: float, findings: Iterable[Finding]
    ) -> "Report":
        """Put a report together: faults that explain others stand for them."""
        order = {case.name: place for place, case in enumerate(CASES)}
        ordered = sorted(findings, key=lambda finding: order[finding.case.name])
        explained = explain(ordered)
        return cls(url, started, seconds, tuple(explained), tuple(name_faults(explained)))

    @property
    def is_ready(self) -> bool:
        """Whether no fault was found."""
        return not self.faults

    @property
    def is_complete(self) -> bool:
        """Whether every case that applies was run, and observed where that is needed."""
        return not any(finding.verdict in OPEN for finding in self.findings)

    def count(self, verdict: Verdict) -> int:
        """Return how many cases have this verdict."""
        return sum(finding.verdict is verdict for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Uncounted:
    """An effect that nobody saw, and why."""

    why: str


Effect = int | Uncounted
"""By how much the receiver's own counter went up."""


# ---- each case by itself ------------------------------------------------------------------------


def judge_good(case: Case, answer: Answer) -> Finding:
    """Return what the answer to a genuine callback means."""
    if answer.is_accepted:
        return Finding(case, Verdict.PASSED, answer.words)
    if answer.is_refused and isinstance(case.plan, Good) and case.plan.adds_query:
        came = f"{answer.words}; it takes callbacks at the very URL alone, as it may"
        return Finding(case, Verdict.NOT_FOR_IT, came)
    fault = case.fault if answer.is_refused else _broken(answer, Fault.CRASHES_ON_GOOD_CALLBACK)
    return Finding(case, Verdict.FAILED, answer.words, fault)


def judge_forged(case: Case, answer: Answer) -> Finding:
    """Return what the answer to a forgery means."""
    if answer.is_refused:
        return Finding(case, Verdict.PASSED, answer.words)
    fault = case.fault if answer.is_accepted else _broken(answer, Fault.CRASHES_ON_BAD_SIGNATURE)
    return Finding(case, Verdict.FAILED, answer.words, fault)


def judge_again(
    case: Case, answers: Sequence[Answer], effect: Effect, *, expected: int = 1
) -> Finding:
    """Return what the answers to a callback that came again mean, the last of them above all."""
    came = _in_a_row(answers)
    refusal = next((answer for answer in answers if not _is_fine(answer)), None)
    if refusal is not None or not answers[-1].is_accepted:
        fault = _fault_of_refusal(case, refusal or answers[-1])
        return Finding(case, Verdict.FAILED, came, fault)
    match effect:
        case Uncounted(why):
            return Finding(case, Verdict.NOT_OBSERVED, f"{came}; {why}")
        case int(count):
            came = f"{came}; {_effects(count)}"
            if count == expected:
                return Finding(case, Verdict.PASSED, came)
            return Finding(case, Verdict.FAILED, came, _fault_of_effect(case, count, expected))


def judge_swapped(case: Case, answers: Sequence[Answer]) -> Finding:
    """Return what the answers to two callbacks in the wrong order mean."""
    came = _in_a_row(answers)
    if all(answer.is_accepted for answer in answers):
        return Finding(case, Verdict.PASSED, came)
    wrong = next(answer for answer in answers if not answer.is_accepted)
    return Finding(case, Verdict.FAILED, came, _fault_of_refusal(case, wrong))


def judge_effects(case: Case, effect: Effect) -> Finding:
    """Return what the effects of all forgeries together mean."""
    match effect:
        case Uncounted(why):
            return Finding(case, Verdict.NOT_OBSERVED, why)
        case 0:
            return Finding(case, Verdict.PASSED, "no effect")
        case int(count):
            return Finding(case, Verdict.FAILED, _effects(count), case.fault)


def judge_times(case: Case, seconds: Sequence[float], *, within: float) -> Finding:
    """Return what the times that all answers took mean."""
    if not seconds:
        return Finding(case, Verdict.NOT_RUN, "nothing was answered")
    late = [each for each in seconds if each > within]
    came = f"the slowest of {len(seconds)} answers took {max(seconds):.2f} s"
    if not late:
        return Finding(case, Verdict.PASSED, came)
    came = f"{came}; {len(late)} took longer than {within:g} s"
    return Finding(case, Verdict.FAILED, came, case.fault)


def _is_fine(answer: Answer) -> bool:
    """Whether a sender ends well with this answer, or goes on."""
    return answer.is_accepted or answer.asks_for_another_try


def _fault_of_refusal(case: Case, answer: Answer) -> Fault:
    # That an effect comes twice is shown by effects alone.
    refuses = case.fault if case.fault in _SHOWN_BY_ANSWERS else Fault.REFUSES_REPEAT
    return _broken(answer, refuses)


def _fault_of_effect(case: Case, count: int, expected: int) -> Fault:
    if count < expected and case.fault is not Fault.MIXES_TOKENS:
        return Fault.LOSES_CALLBACK
    return case.fault


_SHOWN_BY_ANSWERS: Final = frozenset({Fault.REFUSES_SWAPPED_ORDER, Fault.MIXES_TOKENS})


def _broken(answer: Answer, otherwise: Fault) -> Fault:
    """Return the fault of an answer that is neither yes nor no."""
    if answer.is_redirect:
        return Fault.REDIRECTS
    if answer.is_silence:
        return Fault.DOES_NOT_ANSWER
    return otherwise if answer.failure is None else Fault.BREAKS_OFF


def _effects(count: int) -> str:
    match count:
        case 0:
            return "no effect"
        case 1:
            return "one effect"
        case _:
            return f"the counter went up by {count}" if count > 0 else "the counter went down"


def _in_a_row(answers: Sequence[Answer]) -> str:
    """Return several answers in words, those that are alike as one."""
    told = list[list[str]]()
    for answer in answers:
        if told and told[-1][0] == answer.words:
            told[-1].append(answer.words)
        else:
            told.append([answer.words])
    return ", then ".join(
        same[0] if len(same) == 1 else f"{len(same)} times {same[0]}" for same in told
    )


# ---- all together -------------------------------------------------------------------------------


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
_REFUSES_METHOD: Final[Mapping[Method, Fault]] = {
    Method.POST: Fault.REFUSES_POST,
    Method.GET: Fault.REFUSES_GET,
}
# What isn't about one source's signature alone.
_OF_NO_FAMILY: Final = frozenset({Forgery.UNSIGNED, Forgery.BOTH_FAMILIES})


def _cause_of_accepting(plan: Forged, findings: Sequence[Finding]) -> Fault | None:
    forged = [each for each in findings if each.case.group is Group.FORGED and _is_decided(each)]
    if all(map(_is_accepted_forgery, forged)):
        return Fault.ANSWERS_200_TO_EVERYTHING
    if plan.forgery in _OF_NO_FAMILY:
        return None
    of_family = [each for each in forged if _family_of(each) == plan.source]
    return _IGNORES[plan.source] if all(map(_is_accepted_forgery, of_family)) else None


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


def not_run(case: Case, why: str) -> Finding:
    """Return the finding of a case that wasn't run."""
    return Finding(case, Verdict.NOT_RUN, why)


MISSING: Final[Mapping[Source, str]] = {
    Source.TWILIO: "the Auth Token is not given (--auth-token)",
    Source.KORE: "the webhook secret is not given (--kore-secret)",
}


def missing_secrets(case: Case, has: frozenset[Source]) -> str | None:
    """Say which secrets a case needs that are not given; None where it has all."""
    missing = [MISSING[source] for source in SOURCES if source in case.needs - has]
    return " and ".join(missing) or None
