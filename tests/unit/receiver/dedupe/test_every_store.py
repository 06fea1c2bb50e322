"""The behaviour that every dedupe store has in common."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from ringback.core.policy.source_policy import Source
from ringback.receiver.dedupe import ClaimedByOther, ClaimWon, DedupeClaimRequest, WorkAlreadyDone
from tests.unit.receiver.dedupe.kept import STORES, Kept, opener
from tests.unit.receiver.dedupe.visits import HOUR, SECOND, visit

FIRST, RETRY = ClaimWon(is_retry=False), ClaimWon(is_retry=True)


@pytest.fixture(params=STORES)
def kept(request: pytest.FixtureRequest) -> Iterator[Kept]:
    with opener(request.param, request)() as opened:
        yield opened


def twilio(
    owner: str, token: str = "twilio-1", content: str | None = "ready"
) -> DedupeClaimRequest:
    return visit(owner, token=token, source=Source.TWILIO, content=content)


def kore(owner: str, token: str = "kore-1", content: str | None = "ready") -> DedupeClaimRequest:
    return visit(owner, token=token, source=Source.KORE, content=content)


# ---- one token


def test_a_new_token_is_given_to_the_caller(kept: Kept) -> None:
    assert kept.seen.claim(visit("a")) == FIRST


def test_during_the_lease_other_callers_get_its_remaining_time(kept: Kept) -> None:
    kept.seen.claim(visit("a", lease=30 * SECOND))
    kept.let_pass(10 * SECOND)
    answer = kept.seen.claim(visit("b"))
    assert isinstance(answer, ClaimedByOther)
    assert 15 * SECOND < answer.for_another <= 20 * SECOND


def test_done_work_is_done_for_all_callers(kept: Kept) -> None:
    kept.seen.claim(visit("a"))
    assert kept.seen.done(visit("a"))
    assert [kept.seen.claim(visit(owner)) for owner in "abc"] == [WorkAlreadyDone()] * 3


def test_reporting_done_twice_is_allowed(kept: Kept) -> None:
    kept.seen.claim(visit("a"))
    assert [kept.seen.done(visit("a")) for _ in range(2)] == [True, True]


def test_after_the_lease_another_caller_tries_again(kept: Kept) -> None:
    kept.seen.claim(visit("a", lease=30 * SECOND))
    kept.let_pass(30 * SECOND)
    assert kept.seen.claim(visit("b")) == RETRY
    assert isinstance(kept.seen.claim(visit("c")), ClaimedByOther)


def test_a_caller_whose_lease_was_taken_over_changes_nothing(kept: Kept) -> None:
    kept.seen.claim(visit("a", lease=30 * SECOND))
    kept.let_pass(31 * SECOND)
    kept.seen.claim(visit("b"))
    assert not kept.seen.done(visit("a"))
    kept.seen.release(visit("a"))
    assert isinstance(kept.seen.claim(visit("c")), ClaimedByOther)
    assert kept.seen.done(visit("b"))


def test_late_work_counts_if_nobody_has_taken_over(kept: Kept) -> None:
    kept.seen.claim(visit("a", lease=30 * SECOND))
    kept.let_pass(31 * SECOND)
    assert kept.seen.done(visit("a"))
    assert kept.seen.claim(visit("b")) == WorkAlreadyDone()


def test_a_released_token_may_be_tried_at_once(kept: Kept) -> None:
    kept.seen.claim(visit("a"))
    kept.seen.release(visit("a"))
    assert kept.seen.claim(visit("b")) == RETRY


def test_done_work_cannot_be_released(kept: Kept) -> None:
    kept.seen.claim(visit("a"))
    kept.seen.done(visit("a"))
    kept.seen.release(visit("a"))
    assert kept.seen.claim(visit("b")) == WorkAlreadyDone()


def test_a_renewed_lease_begins_anew(kept: Kept) -> None:
    kept.seen.claim(visit("a", lease=30 * SECOND))
    for _ in range(3):
        kept.let_pass(20 * SECOND)
        assert kept.seen.renew(visit("a", lease=30 * SECOND))
    answer = kept.seen.claim(visit("b"))
    assert isinstance(answer, ClaimedByOther)
    assert 25 * SECOND < answer.for_another <= 30 * SECOND


def test_a_lease_may_be_renewed_late_if_nobody_has_taken_over(kept: Kept) -> None:
    kept.seen.claim(visit("a", lease=30 * SECOND))
    kept.let_pass(31 * SECOND)
    assert kept.seen.renew(visit("a"))
    assert isinstance(kept.seen.claim(visit("b")), ClaimedByOther)


def test_a_lease_that_was_taken_over_is_not_renewed(kept: Kept) -> None:
    kept.seen.claim(visit("a", lease=30 * SECOND))
    kept.let_pass(31 * SECOND)
    kept.seen.claim(visit("b", lease=10 * SECOND))
    assert not kept.seen.renew(visit("a"))
    kept.let_pass(11 * SECOND)
    assert kept.seen.claim(visit("c")) == RETRY


def test_a_renewal_that_comes_after_the_work_changes_nothing(kept: Kept) -> None:
    kept.seen.claim(visit("a", token="done"))
    kept.seen.done(visit("a", token="done"))
    assert not kept.seen.renew(visit("a", token="done"))
    assert kept.seen.claim(visit("b", token="done")) == WorkAlreadyDone()
    kept.seen.claim(visit("a", token="released"))
    kept.seen.release(visit("a", token="released"))
    assert not kept.seen.renew(visit("a", token="released"))
    assert kept.seen.claim(visit("b", token="released")) == RETRY


def test_a_renewal_without_a_claim_has_no_effect(kept: Kept) -> None:
    assert not kept.seen.renew(visit("a"))
    assert kept.seen.claim(visit("b")) == FIRST


def test_a_token_is_not_forgotten_while_its_lease_is_renewed(kept: Kept) -> None:
    kept.seen.claim(visit("a", lease=30 * SECOND, keep=SECOND))
    for _ in range(3):
        kept.let_pass(20 * SECOND)
        assert kept.seen.renew(visit("a", lease=30 * SECOND, keep=SECOND))
    assert isinstance(kept.seen.claim(visit("b", keep=SECOND)), ClaimedByOther)


def test_work_that_was_released_is_not_done(kept: Kept) -> None:
    kept.seen.claim(visit("a"))
    kept.seen.release(visit("a"))
    assert not kept.seen.done(visit("a"))
    assert kept.seen.claim(visit("b")) == RETRY


def test_the_tokens_of_a_source_of_the_settings_are_apart(kept: Kept) -> None:
    named = visit("a", source="unpaired", token="kore:ready")
    assert kept.seen.claim(kore("a")) == FIRST
    assert kept.seen.claim(named) == FIRST
    assert kept.seen.done(named)
    assert kept.seen.claim(named) == WorkAlreadyDone()
    assert kept.seen.claim(replace(named, source=Source.KORE)) == FIRST


def test_reporting_done_without_a_claim_has_no_effect(kept: Kept) -> None:
    assert not kept.seen.done(visit("a"))
    kept.seen.release(visit("a"))
    assert kept.seen.claim(visit("a")) == FIRST


def test_the_same_token_from_each_source_is_two(kept: Kept) -> None:
    visits = [visit("a", source=source) for source in Source]
    assert [kept.seen.claim(one) for one in visits] == [FIRST, FIRST]


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "x" * 256,
        "é" * 256,
        "🚗" * 256,
        "a.b:c",
        ":",
        "{a}:{b}",
        'it\'s 100 %s \\ "?"',
        "unpaired:kore",
    ],
)
def test_any_printable_token_is_a_key(kept: Kept, token: str) -> None:
    assert kept.seen.claim(twilio("a", token)) == FIRST
    assert isinstance(kept.seen.claim(twilio("b", token)), ClaimedByOther)
    assert kept.seen.done(twilio("a", token))
    assert kept.seen.claim(twilio("b", token)) == WorkAlreadyDone()
    assert (
        kept.seen.claim(kore("b", token)) == WorkAlreadyDone()
    )  # the other source's token of the same event
    assert kept.seen.claim(kore("b", f"{token[:-1]}-")) == FIRST


# ---- retention -----------------------------------------------------------------------------------


def test_a_token_is_new_again_once_it_is_forgotten(kept: Kept) -> None:
    kept.seen.claim(visit("a"))
    kept.seen.done(visit("a"))
    kept.let_pass(HOUR)
    assert not kept.seen.done(visit("a"))
    assert kept.seen.claim(visit("b")) == FIRST


def test_each_claim_extends_the_retention(kept: Kept) -> None:
    kept.seen.claim(visit("a"))
    kept.seen.done(visit("a"))
    kept.let_pass(HOUR - SECOND)
    assert kept.seen.claim(visit("b")) == WorkAlreadyDone()
    kept.let_pass(HOUR - SECOND)
    assert kept.seen.claim(visit("c")) == WorkAlreadyDone()


def test_done_extends_the_retention(kept: Kept) -> None:
    kept.seen.claim(visit("a"))
    kept.let_pass(HOUR - SECOND)
    kept.seen.done(visit("a"))
    kept.let_pass(HOUR - SECOND)
    assert kept.seen.claim(visit("b")) == WorkAlreadyDone()


def test_a_token_is_not_forgotten_during_its_lease(kept: Kept) -> None:
    kept.seen.claim(visit("a", lease=30 * SECOND, keep=SECOND))
    kept.let_pass(20 * SECOND)
    assert isinstance(kept.seen.claim(visit("b", keep=SECOND)), ClaimedByOther)


def test_forgotten_tokens_are_deleted(kept: Kept) -> None:
    for number in range(20):
        kept.seen.claim(visit("a", token=f"lasting-{number}", keep=9 * HOUR))
    for number in range(50):
        kept.seen.claim(visit("a", token=f"old-{number}", content=f"{number}"))
    kept.let_pass(HOUR)
    for number in range(10):
        kept.seen.claim(visit("a", token=f"new-{number}"))
    assert kept.count() == 30


# ---- one event, sent by both sources -------------------------------------------------------------


def test_both_sources_send_one_event(kept: Kept) -> None:
    assert kept.seen.claim(twilio("a")) == FIRST
    assert isinstance(kept.seen.claim(kore("b")), ClaimedByOther)
    kept.seen.done(twilio("a"))
    assert kept.seen.claim(kore("b")) == WorkAlreadyDone()


def test_the_other_sources_token_takes_over_the_work(kept: Kept) -> None:
    kept.seen.claim(kore("a"))
    kept.seen.release(kore("a"))
    assert kept.seen.claim(twilio("b")) == RETRY
    assert not kept.seen.done(kore("a"))
    assert kept.seen.done(twilio("b"))
    assert kept.seen.claim(kore("c")) == WorkAlreadyDone()


def test_one_source_may_send_equal_events_twice(kept: Kept) -> None:
    visits = [kore("a", token=f"kore-{number}") for number in range(3)]
    assert [kept.seen.claim(one) for one in visits] == [FIRST] * 3


def test_equal_events_pair_one_to_one_and_oldest_first(kept: Kept) -> None:
    for number in (2, 1):
        kept.seen.claim(kore("a", token=f"kore-{number}"))
        kept.let_pass(SECOND)
    kept.seen.done(kore("a", token="kore-2"))
    assert kept.seen.claim(twilio("b", token="twilio-1")) == WorkAlreadyDone()
    assert isinstance(kept.seen.claim(twilio("b", token="twilio-2")), ClaimedByOther)
    assert kept.seen.claim(twilio("b", token="twilio-3")) == FIRST


def test_a_token_that_has_been_seen_is_not_paired_any_more(kept: Kept) -> None:
    kept.seen.claim(kore("a", content=None))
    kept.seen.claim(twilio("b"))
    assert isinstance(kept.seen.claim(kore("c")), ClaimedByOther)
    kept.seen.done(twilio("b"))
    assert isinstance(kept.seen.claim(kore("c")), ClaimedByOther)


@pytest.mark.parametrize("content", ["stalled", None])
def test_different_content_is_not_one_event(kept: Kept, content: str | None) -> None:
    kept.seen.claim(twilio("a"))
    assert kept.seen.claim(kore("b", content=content)) == FIRST


@pytest.mark.parametrize(
    ("after", "answer"), [(9 * SECOND, WorkAlreadyDone()), (11 * SECOND, FIRST)]
)
def test_a_late_callback_is_not_the_same_event(
    kept: Kept, after: timedelta, answer: WorkAlreadyDone | ClaimWon
) -> None:
    kept.seen.claim(twilio("a"))
    kept.seen.done(twilio("a"))
    kept.let_pass(after)
    assert kept.seen.claim(kore("b")) == answer


def test_with_a_window_of_zero_nothing_is_compared(kept: Kept) -> None:
    kept.seen.claim(visit("a", source=Source.TWILIO, content="ready", within=timedelta(0)))
    assert kept.seen.claim(kore("b")) == FIRST
    other = visit("c", token="t", source=Source.TWILIO, content="ready", within=timedelta(0))
    assert kept.seen.claim(other) == FIRST


def test_both_tokens_are_forgotten_together(kept: Kept) -> None:
    kept.seen.claim(twilio("a"))
    kept.seen.done(twilio("a"))
    kept.seen.claim(kore("b"))
    kept.let_pass(HOUR - SECOND)
    assert kept.seen.claim(twilio("c")) == WorkAlreadyDone()
    kept.let_pass(HOUR - SECOND)
    assert kept.seen.claim(kore("d")) == WorkAlreadyDone()
    kept.let_pass(HOUR)
    assert [kept.seen.claim(kore("e")), kept.seen.claim(twilio("f", content=None))] == [FIRST] * 2


def test_a_forgotten_event_is_not_paired(kept: Kept) -> None:
    short = visit("a", source=Source.TWILIO, content="ready", lease=SECOND, keep=SECOND)
    kept.seen.claim(short)
    kept.let_pass(2 * SECOND)
    assert kept.seen.claim(kore("b")) == FIRST


def test_a_token_that_is_new_again_is_paired_by_its_new_content(kept: Kept) -> None:
    short = visit("a", source=Source.TWILIO, content="ready", lease=SECOND, keep=SECOND)
    kept.seen.claim(short)
    kept.let_pass(2 * SECOND)
    kept.seen.claim(replace(short, content="stalled", keep=HOUR))
    kept.let_pass(SECOND)
    assert kept.seen.claim(kore("b", token="kore-1", content="ready")) == FIRST
    assert kept.seen.claim(kore("b", token="kore-2", content="stalled")) == RETRY


def test_a_shorter_retention_does_not_shorten_a_longer_one(kept: Kept) -> None:
    kept.seen.claim(twilio("a"))
    kept.seen.done(twilio("a"))
    brief = replace(kore("b"), keep=SECOND, lease=SECOND)
    kept.seen.claim(brief)
    kept.seen.done(replace(brief, owner="a"))
    kept.let_pass(HOUR / 2)
    assert [kept.seen.claim(one) for one in (kore("c"), twilio("d"))] == [WorkAlreadyDone()] * 2
