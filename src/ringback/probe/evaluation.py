"""Decide from the receiver's answers if a case passes, and which fault they show."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final

from ringback.core.policy.source_policy import Source
from ringback.probe.probe_cases import SOURCES, GenuineCase, ProbeCase
from ringback.probe.probe_report import CaseResult, CaseVerdict, Effect
from ringback.probe.receiver_faults import ReceiverFaultKind
from ringback.probe.redacted_response import ProbeResponse


def judge_genuine(case: ProbeCase, answer: ProbeResponse) -> CaseResult:
    """Return the result of a case with a genuine callback, from the receiver's answer."""
    if answer.is_accepted:
        return _judged(case, answer.words)
    if not answer.is_refused:
        crashes = ReceiverFaultKind.CRASHES_ON_GOOD_CALLBACK
        return _judged(case, answer.words, _broken(answer, crashes))
    if isinstance(case.plan, GenuineCase) and case.plan.adds_query:
        came = f"{answer.words}; it accepts callbacks only at its exact URL, which is allowed"
        return CaseResult(case, CaseVerdict.NOT_FOR_IT, came)
    return _judged(case, answer.words, case.fault)


def judge_forged(case: ProbeCase, answer: ProbeResponse) -> CaseResult:
    """Return the result of a case with a forged callback, from the receiver's answer."""
    if answer.is_refused:
        return _judged(case, answer.words)
    accepts = case.fault if answer.is_accepted else ReceiverFaultKind.CRASHES_ON_BAD_SIGNATURE
    return _judged(case, answer.words, _broken(answer, accepts))


def judge_repeat(
    case: ProbeCase, answers: Sequence[ProbeResponse], effect: Effect, *, expected: int = 1
) -> CaseResult:
    """Return the result of a case with a repeated callback, from its answers and its effect."""
    answered = judge_answers(case, answers)
    if answered.verdict is CaseVerdict.FAILED:
        return answered
    if isinstance(effect, str):
        return CaseResult(case, CaseVerdict.NOT_OBSERVED, f"{answered.came}; {effect}")
    came = f"{answered.came}; {_effects(effect)}"
    if effect == expected:
        return _judged(case, came)
    is_lost = effect < expected and case.fault not in _TAKES_TWO_FOR_ONE
    return _judged(case, came, ReceiverFaultKind.LOSES_CALLBACK if is_lost else case.fault)


def judge_answers(case: ProbeCase, answers: Sequence[ProbeResponse]) -> CaseResult:
    """Return a case's result from its answers: none may refuse, and the last one must accept."""
    came = _in_a_row(answers)
    refusal = next((answer for answer in answers if not _is_fine(answer)), answers[-1])
    if refusal.is_accepted:
        return _judged(case, came)
    # Answers don't show a double effect, so a refused repeat is a fault of its own.
    refuses = case.fault if case.fault in _SHOWN_BY_ANSWERS else ReceiverFaultKind.REFUSES_REPEAT
    return _judged(case, came, _broken(refusal, refuses))


def judge_effects(case: ProbeCase, effect: Effect) -> CaseResult:
    """Return the result of a case that fails if any forgery made the receiver's counter change."""
    if isinstance(effect, str):
        return CaseResult(case, CaseVerdict.NOT_OBSERVED, effect)
    return _judged(case, _effects(effect), case.fault if effect else None)


def judge_times(case: ProbeCase, seconds: Sequence[float], *, within: float) -> CaseResult:
    """Return the result of a case that fails if any answer took longer than `within` seconds."""
    if not seconds:
        return not_run(case, "no request was answered")
    late = [each for each in seconds if each > within]
    came = f"the slowest of {len(seconds)} answers took {max(seconds):.2f} s"
    if not late:
        return _judged(case, came)
    return _judged(case, f"{came}; {len(late)} took longer than {within:g} s", case.fault)


def _judged(case: ProbeCase, came: str, fault: ReceiverFaultKind | None = None) -> CaseResult:
    verdict = CaseVerdict.FAILED if fault else CaseVerdict.PASSED
    return CaseResult(case, verdict, came, fault)


def _is_fine(answer: ProbeResponse) -> bool:
    """Return True if the answer accepts the callback, or makes the sender retry."""
    return answer.is_accepted or answer.asks_for_another_try


_TAKES_TWO_FOR_ONE: Final = frozenset(
    {ReceiverFaultKind.MIXES_TOKENS, ReceiverFaultKind.DROPS_EQUAL_EVENTS}
)
_SHOWN_BY_ANSWERS: Final = _TAKES_TWO_FOR_ONE | {ReceiverFaultKind.REFUSES_SWAPPED_ORDER}


def _broken(answer: ProbeResponse, otherwise: ReceiverFaultKind) -> ReceiverFaultKind:
    """Return the fault shown by a redirect or a missing or incomplete answer, else `otherwise`."""
    if answer.is_redirect:
        return ReceiverFaultKind.REDIRECTS
    if answer.is_silence:
        return ReceiverFaultKind.DOES_NOT_ANSWER
    return otherwise if answer.failure is None else ReceiverFaultKind.BREAKS_OFF


def _effects(count: int) -> str:
    match count:
        case 0:
            return "no effect"
        case 1:
            return "one effect"
        case _:
            return f"the counter went up by {count}" if count > 0 else "the counter went down"


def _in_a_row(answers: Sequence[ProbeResponse]) -> str:
    """Describe several answers in words, with a count where equal answers follow each other."""
    runs = [(words, len([*same])) for words, same in groupby(answer.words for answer in answers)]
    return ", then ".join(words if n == 1 else f"{n} times {words}" for words, n in runs)


def not_run(case: ProbeCase, why: str) -> CaseResult:
    """Return the result of a case that wasn't run, for the reason `why`."""
    return CaseResult(case, CaseVerdict.NOT_RUN, why)


MISSING: Final[Mapping[Source, str]] = {
    Source.TWILIO: "the Auth Token is not given (--auth-token)",
    Source.KORE: "the webhook secret is not given (--kore-secret)",
}


def missing_secrets(case: ProbeCase, has: frozenset[Source]) -> str | None:
    """Return a sentence about the secrets that a case needs but lacks; None if it lacks none."""
    missing = [MISSING[source] for source in SOURCES if source in case.needs - has]
    return " and ".join(missing) or None
