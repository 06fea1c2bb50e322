"""What came of each case means: a verdict, and the fault that it shows. Pure."""

from collections.abc import Mapping, Sequence
from typing import Final

from ringback.core.policy.source_policy import Source
from ringback.probe.answers import Answer
from ringback.probe.cases import SOURCES, Case, Good
from ringback.probe.faults import Fault
from ringback.probe.findings import Effect, Finding, Uncounted, Verdict


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
    answered = judge_answers(case, answers)
    if answered.verdict is Verdict.FAILED:
        return answered
    match effect:
        case Uncounted(why):
            return Finding(case, Verdict.NOT_OBSERVED, f"{answered.came}; {why}")
        case int(count):
            came = f"{answered.came}; {_effects(count)}"
            if count == expected:
                return Finding(case, Verdict.PASSED, came)
            return Finding(case, Verdict.FAILED, came, _fault_of_effect(case, count, expected))


def judge_answers(case: Case, answers: Sequence[Answer]) -> Finding:
    """Return what answers in a row mean where effects don't count: in the end it is accepted."""
    came = _in_a_row(answers)
    refusal = next((answer for answer in answers if not _is_fine(answer)), None)
    if refusal is None and answers[-1].is_accepted:
        return Finding(case, Verdict.PASSED, came)
    fault = _fault_of_refusal(case, refusal or answers[-1])
    return Finding(case, Verdict.FAILED, came, fault)


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
    if count < expected and case.fault not in _TAKES_TWO_FOR_ONE:
        return Fault.LOSES_CALLBACK
    return case.fault


_TAKES_TWO_FOR_ONE: Final = frozenset({Fault.MIXES_TOKENS, Fault.DROPS_EQUAL_EVENTS})
_SHOWN_BY_ANSWERS: Final = _TAKES_TWO_FOR_ONE | {Fault.REFUSES_SWAPPED_ORDER}


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
