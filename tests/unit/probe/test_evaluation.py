"""The verdict of a case follows from the receiver's answers and their effects."""

import pytest

from ringback.core.http.outcome import AttemptFailure
from ringback.probe.case_kinds import ProbeSecret
from ringback.probe.evaluation import (
    judge_after_forgery,
    judge_answers,
    judge_effects,
    judge_forged,
    judge_genuine,
    judge_repeat,
    judge_times,
    missing_secrets,
)
from ringback.probe.probe_report import CaseVerdict, Effect
from ringback.probe.receiver_faults import ReceiverFaultKind
from ringback.probe.redacted_response import ProbeResponse
from tests.unit.probe.receivers import answered, case_called

GOOD = case_called("twilio-post-non-ascii")
FORGED = case_called("kore-post-hmac")
AGAIN = case_called("kore-repeat-at-once")


def unanswered(failure: AttemptFailure) -> ProbeResponse:
    return ProbeResponse(None, failure, "no answer", 1.0)


SILENCE = unanswered(AttemptFailure.READ_TIMEOUT)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (answered(200), None),
        (answered(204), None),
        (answered(302), ReceiverFaultKind.REDIRECTS),
        (answered(403), ReceiverFaultKind.REFUSES_NON_ASCII),
        (answered(500), ReceiverFaultKind.CRASHES_ON_GOOD_CALLBACK),
        (SILENCE, ReceiverFaultKind.DOES_NOT_ANSWER),
        (unanswered(AttemptFailure.CLOSED), ReceiverFaultKind.BREAKS_OFF),
    ],
)
def test_a_genuine_callback_has_to_be_accepted(
    answer: ProbeResponse, fault: ReceiverFaultKind | None
) -> None:
    result = judge_genuine(GOOD, answer)
    assert result.fault is fault
    assert result.verdict is (CaseVerdict.FAILED if fault else CaseVerdict.PASSED)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (answered(400), None),
        (answered(403), None),
        (answered(200), ReceiverFaultKind.ACCEPTS_HMAC),
        (answered(303), ReceiverFaultKind.REDIRECTS),
        (answered(503), ReceiverFaultKind.CRASHES_ON_BAD_SIGNATURE),
        (SILENCE, ReceiverFaultKind.DOES_NOT_ANSWER),
        (unanswered(AttemptFailure.PROTOCOL), ReceiverFaultKind.BREAKS_OFF),
    ],
)
def test_a_forgery_has_to_be_refused(
    answer: ProbeResponse, fault: ReceiverFaultKind | None
) -> None:
    result = judge_forged(FORGED, answer)
    assert result.fault is fault
    assert result.verdict is (CaseVerdict.FAILED if fault else CaseVerdict.PASSED)


@pytest.mark.parametrize(
    ("statuses", "effect", "verdict", "fault"),
    [
        ([200, 503, 200], 1, CaseVerdict.PASSED, None),
        ([200, 200], 2, CaseVerdict.FAILED, ReceiverFaultKind.NOT_IDEMPOTENT_AT_ONCE),
        ([200, 200], 0, CaseVerdict.FAILED, ReceiverFaultKind.LOSES_CALLBACK),
        ([200, 200], "nobody looked", CaseVerdict.NOT_OBSERVED, None),
        ([200, 409], 1, CaseVerdict.FAILED, ReceiverFaultKind.REFUSES_REPEAT),
        ([200, 409, 200], 1, CaseVerdict.FAILED, ReceiverFaultKind.REFUSES_REPEAT),
        ([200, 503, 503], 1, CaseVerdict.FAILED, ReceiverFaultKind.REFUSES_REPEAT),
        ([200, 301], "nobody looked", CaseVerdict.FAILED, ReceiverFaultKind.REDIRECTS),
    ],
)
def test_a_repeated_callback_is_accepted_in_the_end_and_has_one_effect(
    statuses: list[int], effect: Effect, verdict: CaseVerdict, fault: ReceiverFaultKind | None
) -> None:
    result = judge_repeat(AGAIN, [answered(status) for status in statuses], effect)
    assert (result.verdict, result.fault) == (verdict, fault)


def test_responses_are_listed_in_order_and_equal_ones_once() -> None:
    answers = [answered(status) for status in (200, 503, 503, 200)]
    assert judge_repeat(AGAIN, answers, 1).came == (
        "answered 200, then 2 times answered 503, then answered 200; one effect"
    )


@pytest.mark.parametrize(
    ("effect", "fault"),
    [(2, None), (1, ReceiverFaultKind.MIXES_TOKENS), (0, ReceiverFaultKind.LOSES_CALLBACK)],
)
def test_equal_tokens_of_both_sources_are_two_callbacks(
    effect: int, fault: ReceiverFaultKind | None
) -> None:
    case = case_called("same-token-of-both")
    answers = [answered(200), answered(200)]
    assert judge_repeat(case, answers, effect, expected=2).fault is fault


@pytest.mark.parametrize(
    ("statuses", "fault"),
    [
        ([200, 200], None),
        ([503, 200, 200], None),
        ([200, 409], ReceiverFaultKind.REFUSES_SWAPPED_ORDER),
        ([200, 500], ReceiverFaultKind.REFUSES_SWAPPED_ORDER),
        ([200, 302], ReceiverFaultKind.REDIRECTS),
    ],
)
def test_callbacks_in_the_wrong_order_are_both_accepted(
    statuses: list[int], fault: ReceiverFaultKind | None
) -> None:
    case = case_called("kore-swapped-order")
    assert judge_answers(case, [answered(status) for status in statuses]).fault is fault


@pytest.mark.parametrize(
    ("forged", "statuses", "effect", "verdict", "fault"),
    [
        (403, [200], 1, CaseVerdict.PASSED, None),
        (403, [503, 200], 1, CaseVerdict.PASSED, None),
        (403, [200], 2, CaseVerdict.PASSED, None),
        (403, [200], 0, CaseVerdict.FAILED, ReceiverFaultKind.REMEMBERS_FORGED_TOKENS),
        (403, [409], 0, CaseVerdict.FAILED, ReceiverFaultKind.REMEMBERS_FORGED_TOKENS),
        (403, [302], 0, CaseVerdict.FAILED, ReceiverFaultKind.REDIRECTS),
        (403, [200], "nobody looked", CaseVerdict.NOT_OBSERVED, None),
        (200, [200], 0, CaseVerdict.NOT_FOR_IT, None),
    ],
)
def test_a_genuine_callback_after_a_forgery_with_its_token_has_its_effect(
    forged: int,
    statuses: list[int],
    effect: Effect,
    verdict: CaseVerdict,
    fault: ReceiverFaultKind | None,
) -> None:
    case, answers = case_called("kore-forgery-first"), [answered(status) for status in statuses]
    result = judge_after_forgery(case, answered(forged), answers, effect)
    assert (result.verdict, result.fault) == (verdict, fault)


def test_only_another_url_may_be_refused() -> None:
    case = case_called("twilio-post-query")
    assert judge_genuine(case, answered(403)).fault is ReceiverFaultKind.REFUSES_QUERY
    other = judge_genuine(case, answered(403), is_other_url=True)
    assert other.verdict is CaseVerdict.NOT_FOR_IT
    assert judge_genuine(case, answered(500), is_other_url=True).verdict is CaseVerdict.FAILED


@pytest.mark.parametrize("status", [302, 403, 500])
def test_a_receiver_need_not_take_event_streams(status: int) -> None:
    result = judge_genuine(case_called("kore-post-events"), answered(status))
    assert (result.verdict, result.fault) == (CaseVerdict.NOT_FOR_IT, None)


@pytest.mark.parametrize(
    ("effect", "verdict"),
    [(0, CaseVerdict.PASSED), (3, CaseVerdict.FAILED), ("not seen", CaseVerdict.NOT_OBSERVED)],
)
def test_forgeries_have_no_effect(effect: Effect, verdict: CaseVerdict) -> None:
    assert judge_effects(case_called("forgeries-without-effect"), effect).verdict is verdict


def test_the_slowest_answer_decides_if_a_receiver_is_slow() -> None:
    case = case_called("answers-in-time")
    assert judge_times(case, [0.1, 4.9], within=5).verdict is CaseVerdict.PASSED
    assert judge_times(case, [0.1, 5.1], within=5).fault is ReceiverFaultKind.TOO_SLOW
    assert judge_times(case, [], within=5).verdict is CaseVerdict.NOT_RUN


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("twilio-post-sim-update", "the Auth Token is not given (--auth-token)"),
        ("kore-post-sim-update", None),
        ("kore-post-both-families", "the Auth Token is not given (--auth-token)"),
        ("post-unsigned", None),
    ],
)
def test_a_case_says_which_secret_it_lacks(name: str, missing: str | None) -> None:
    assert missing_secrets(case_called(name), frozenset({ProbeSecret.WEBHOOK_SECRET})) == missing
