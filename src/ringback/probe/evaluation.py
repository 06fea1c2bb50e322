"""Decide from the receiver's answers if a case passes, and which fault they show."""

from collections.abc import Sequence
from itertools import groupby
from typing import Final, NamedTuple

from ringback.probe.case_kinds import GenuineCase, ProbeCase, ProbeSecret
from ringback.probe.payloads import ProbeCallbackKind
from ringback.probe.probe_report import CaseResult, CaseVerdict, Effect
from ringback.probe.receiver_faults import ReceiverFaultKind
from ringback.probe.redacted_response import ProbeResponse


def fault_of_genuine(
    answer: ProbeResponse, *, refuses: ReceiverFaultKind
) -> ReceiverFaultKind | None:
    """Return the fault that the answer to a genuine callback shows; None for a 2xx.

    `refuses` is the fault of a receiver that refuses the callback. The probe, the check before a
    URL moves and `ringback secrets rehearse` all judge by this function and `fault_of_forged`.
    """
    if answer.is_accepted:
        return None
    if answer.is_refused:
        return refuses
    return _broken(answer, ReceiverFaultKind.CRASHES_ON_GOOD_CALLBACK)


def fault_of_forged(
    answer: ProbeResponse, *, accepts: ReceiverFaultKind
) -> ReceiverFaultKind | None:
    """Return the fault that the answer to a forgery shows; None for a 4xx.

    `accepts` is the fault of a receiver that accepts the forgery.
    """
    if answer.is_refused:
        return None
    crashes = ReceiverFaultKind.CRASHES_ON_BAD_SIGNATURE
    return _broken(answer, accepts if answer.is_accepted else crashes)


def judge_genuine(
    case: ProbeCase, answer: ProbeResponse, *, is_other_url: bool = False
) -> CaseResult:
    """Return the result of a case with a genuine callback, from the receiver's answer.

    `is_other_url` is True if the callback went to another URL than the receiver's.
    """
    fault = fault_of_genuine(answer, refuses=case.fault)
    if fault is ReceiverFaultKind.CRASHES_ON_GOOD_CALLBACK and _is_special(case):
        fault = case.fault  # such as the null of a location, which an application computes with
    if fault is case.fault and is_other_url:
        came = f"{answer.words}; it accepts callbacks only at its exact URL, which is allowed"
        return CaseResult(case, CaseVerdict.NOT_FOR_IT, came)
    if fault is not None and is_of_events(case):
        came = f"{answer.words}; it takes no Event Streams at this URL, which is allowed"
        return CaseResult(case, CaseVerdict.NOT_FOR_IT, came)
    return _judged(case, answer.words, fault)


def is_of_events(case: ProbeCase) -> bool:
    """Return True if this case sends genuine Event Streams, which the receiver need not take."""
    return isinstance(case.plan, GenuineCase) and case.plan.payload is ProbeCallbackKind.EVENTS


def _is_special(case: ProbeCase) -> bool:
    """Return True if this case sends something unusual of an event stream."""
    plan = case.plan
    is_plain = isinstance(plan, GenuineCase) and plan.payload is ProbeCallbackKind.CONNECTION_EVENT
    return isinstance(plan, GenuineCase) and plan.of_stream and not is_plain


def judge_forged(case: ProbeCase, answer: ProbeResponse) -> CaseResult:
    """Return the result of a case with a forged callback, from the receiver's answer."""
    return _judged(case, answer.words, fault_of_forged(answer, accepts=case.fault))


def judge_after_forgery(
    case: ProbeCase, forged: ProbeResponse, answers: Sequence[ProbeResponse], effect: Effect
) -> CaseResult:
    """Return the result of a case with a genuine callback after a forgery with its token.

    `answers` are those to the genuine callback, and `effect` is the effect of this callback only.
    """
    came = f"{forged.words}, then {_in_a_row(answers)}"
    if forged.is_accepted:
        why = "it accepts the forgery itself, which other cases show"
        return CaseResult(case, CaseVerdict.NOT_FOR_IT, f"{came}; {why}")
    if not answers[-1].is_accepted:
        return _judged(case, came, _broken(answers[-1], case.fault))
    if isinstance(effect, str):
        return CaseResult(case, CaseVerdict.NOT_OBSERVED, f"{came}; {effect}")
    return _judged(case, f"{came}; {_effects(effect)}", None if effect > 0 else case.fault)


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
    is_lost = effect < (1 if case.fault in TAKES_TWO_FOR_ONE else expected)
    return _judged(case, came, ReceiverFaultKind.LOSES_CALLBACK if is_lost else case.fault)


class BatchAnswers(NamedTuple):
    """The answers to a batch of an event stream until it was accepted, and its effect."""

    answers: Sequence[ProbeResponse]
    effect: Effect
    expected: int
    """The number of its events that have not come before."""


def judge_batches(case: ProbeCase, batches: Sequence[BatchAnswers]) -> CaseResult:
    """Return the result of a case with batches of an event stream, sent one after the other."""
    came = _in_a_row([answer for batch in batches for answer in batch.answers])
    for number, (answers, _, _) in enumerate(batches):
        refusal = next((answer for answer in answers if not _is_fine(answer)), answers[-1])
        if not refusal.is_accepted:
            first = ReceiverFaultKind.REFUSES_BATCH
            refuses = first if number == 0 else ReceiverFaultKind.REFUSES_REPEAT
            return _judged(case, came, _broken(refusal, refuses))
    total = 0
    for _, effect, expected in batches:
        if isinstance(effect, str):
            return CaseResult(case, CaseVerdict.NOT_OBSERVED, f"{came}; {effect}")
        total += effect
        if effect != expected:
            is_lost = effect < expected
            fault = ReceiverFaultKind.LOSES_EVENTS if is_lost else case.fault
            of = "event" if expected == 1 else f"{expected} new events"
            return _judged(case, f"{came}; {_effects(effect)} of a batch with {of}", fault)
    return _judged(case, f"{came}; {_effects(total)}")


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


TAKES_TWO_FOR_ONE: Final = frozenset(
    {ReceiverFaultKind.MIXES_TOKENS, ReceiverFaultKind.DROPS_EQUAL_EVENTS}
)
"""The faults of a receiver that does one callback's work for two callbacks."""
_SHOWN_BY_ANSWERS: Final = TAKES_TWO_FOR_ONE | {ReceiverFaultKind.REFUSES_SWAPPED_ORDER}


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


def missing_secrets(case: ProbeCase, has: frozenset[ProbeSecret]) -> str | None:
    """Return a sentence about the secrets that a case needs but lacks; None if it lacks none."""
    missing = [secret.value for secret in ProbeSecret if secret in case.needs - has]
    return " and ".join(missing) or None
