"""The behaviour that every dedupe store has in common."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from ringback.core.policy.source_policy import Source
from ringback.receiver.dedupe import ClaimedByOther, ClaimWon, DedupeClaimRequest, WorkAlreadyDone
from tests.unit.receiver.dedupe.kept import Kept, opener
from tests.unit.receiver.dedupe.visits import HOUR, SECOND, visit

FIRST, RETRY = ClaimWon(is_retry=False), ClaimWon(is_retry=True)


@pytest.fixture(params=["memory", "sqlite", "postgres", "redis"])
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


def test_a_new_token_is_given_to_who_asks(kept: Kept) -> None:
    assert kept.seen.claim(visit("a")) == FIRST


def test_while_the_lease_lives_others_are_told_for_how_long(kept: Kept) -> None:
    kept.seen.claim(visit("a", lease=30 * SECOND))
    kept.let_pass(10 * SECOND)
    answer = kept.seen.claim(visit("b"))
    assert isinstance(answer, ClaimedByOther)
    assert 15 * SECOND < answer.for_another <= 20 * SECOND


def test_what_is_done_is_done_for_everybody(kept: Kept) -> None:
    kept.seen.claim(visit("a"))
    assert kept.seen.done(visit("a"))
    assert [kept.seen.claim(visit(owner)) for owner in "abc"] == [WorkAlreadyDone()] * 3


def test_done_may_be_said_twice(kept: Kept) -> None:
    kept.seen.claim(visit("a"))
    assert [kept.seen.done(visit("a")) for _ in range(2)] == [True, True]


def test_when_the_lease_is_over_another_tries_again(kept: Kept) -> None:
    kept.seen.claim(visit("a", lease=30 * SECOND))
    kept.let_pass(30 * SECOND)
    assert kept.seen.claim(visit("b")) == RETRY
    assert isinstance(kept.seen.claim(visit("c")), ClaimedByOther)


def test_who_was_relieved_changes_nothing_any_more(kept: Kept) -> None:
    kept.seen.claim(visit("a", lease=30 * SECOND))
    kept.let_pass(31 * SECOND)
    kept.seen.claim(visit("b"))
    assert not kept.seen.done(visit("a"))
    kept.seen.release(visit("a"))
    assert isinstance(kept.seen.claim(visit("c")), ClaimedByOther)
    assert kept.seen.done(visit("b"))


def test_late_work_counts_where_nobody_has_taken_over(kept: Kept) -> None:
    kept.seen.claim(visit("a", lease=30 * SECOND))
    kept.let_pass(31 * SECOND)
    assert kept.seen.done(visit("a"))
    assert kept.seen.claim(visit("b")) == WorkAlreadyDone()


def test_what_is_given_back_may_be_tried_at_once(kept: Kept) -> None:
    kept.seen.claim(visit("a"))
    kept.seen.release(visit("a"))
    assert kept.seen.claim(visit("b")) == RETRY


def test_what_is_done_is_not_given_back(kept: Kept) -> None:
    kept.seen.claim(visit("a"))
    kept.seen.done(visit("a"))
    kept.seen.release(visit("a"))
    assert kept.seen.claim(visit("b")) == WorkAlreadyDone()


def test_nobody_is_done_with_what_nobody_claimed(kept: Kept) -> None:
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
    )  # the other source's of the same event
    assert kept.seen.claim(kore("b", f"{token[:-1]}-")) == FIRST


# ---- how long it is remembered


def test_a_token_is_new_again_once_it_is_forgotten(kept: Kept) -> None:
    kept.seen.claim(visit("a"))
    kept.seen.done(visit("a"))
    kept.let_pass(HOUR)
    assert not kept.seen.done(visit("a"))
    assert kept.seen.claim(visit("b")) == FIRST


def test_each_claim_has_it_remembered_for_longer(kept: Kept) -> None:
    kept.seen.claim(visit("a"))
    kept.seen.done(visit("a"))
    kept.let_pass(HOUR - SECOND)
    assert kept.seen.claim(visit("b")) == WorkAlreadyDone()
    kept.let_pass(HOUR - SECOND)
    assert kept.seen.claim(visit("c")) == WorkAlreadyDone()


def test_done_has_it_remembered_for_longer(kept: Kept) -> None:
    kept.seen.claim(visit("a"))
    kept.let_pass(HOUR - SECOND)
    kept.seen.done(visit("a"))
    kept.let_pass(HOUR - SECOND)
    assert kept.seen.claim(visit("b")) == WorkAlreadyDone()


def test_it_is_not_forgotten_while_somebody_is_at_it(kept: Kept) -> None:
    kept.seen.claim(visit("a", lease=30 * SECOND, keep=SECOND))
    kept.let_pass(20 * SECOND)
    assert isinstance(kept.seen.claim(visit("b", keep=SECOND)), ClaimedByOther)


def test_what_is_forgotten_makes_room(kept: Kept) -> None:
    for number in range(20):
        kept.seen.claim(visit("a", token=f"lasting-{number}", keep=9 * HOUR))
    for number in range(50):
        kept.seen.claim(visit("a", token=f"old-{number}", content=f"{number}"))
    kept.let_pass(HOUR)
    for number in range(10):
        kept.seen.claim(visit("a", token=f"new-{number}"))
    assert kept.count() == 30


# ---- one event, told by both sources


def test_both_sources_tell_one_event(kept: Kept) -> None:
    assert kept.seen.claim(twilio("a")) == FIRST
    assert isinstance(kept.seen.claim(kore("b")), ClaimedByOther)
    kept.seen.done(twilio("a"))
    assert kept.seen.claim(kore("b")) == WorkAlreadyDone()


def test_the_other_sources_token_takes_the_work_over(kept: Kept) -> None:
    kept.seen.claim(kore("a"))
    kept.seen.release(kore("a"))
    assert kept.seen.claim(twilio("b")) == RETRY
    assert not kept.seen.done(kore("a"))
    assert kept.seen.done(twilio("b"))
    assert kept.seen.claim(kore("c")) == WorkAlreadyDone()


def test_one_source_may_tell_the_same_twice(kept: Kept) -> None:
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
def test_what_differs_is_not_one_event(kept: Kept, content: str | None) -> None:
    kept.seen.claim(twilio("a"))
    assert kept.seen.claim(kore("b", content=content)) == FIRST


@pytest.mark.parametrize(
    ("after", "answer"), [(9 * SECOND, WorkAlreadyDone()), (11 * SECOND, FIRST)]
)
def test_what_comes_too_late_is_not_one_event(
    kept: Kept, after: timedelta, answer: WorkAlreadyDone | ClaimWon
) -> None:
    kept.seen.claim(twilio("a"))
    kept.seen.done(twilio("a"))
    kept.let_pass(after)
    assert kept.seen.claim(kore("b")) == answer


def test_within_no_time_nothing_is_compared(kept: Kept) -> None:
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


def test_what_was_forgotten_is_not_paired(kept: Kept) -> None:
    short = visit("a", source=Source.TWILIO, content="ready", lease=SECOND, keep=SECOND)
    kept.seen.claim(short)
    kept.let_pass(2 * SECOND)
    assert kept.seen.claim(kore("b")) == FIRST


def test_what_began_anew_is_paired_by_what_it_tells_now(kept: Kept) -> None:
    short = visit("a", source=Source.TWILIO, content="ready", lease=SECOND, keep=SECOND)
    kept.seen.claim(short)
    kept.let_pass(2 * SECOND)
    kept.seen.claim(replace(short, content="stalled", keep=HOUR))
    kept.let_pass(SECOND)
    assert kept.seen.claim(kore("b", token="kore-1", content="ready")) == FIRST
    assert kept.seen.claim(kore("b", token="kore-2", content="stalled")) == RETRY


def test_a_shorter_memory_does_not_shorten_a_longer_one(kept: Kept) -> None:
    kept.seen.claim(twilio("a"))
    kept.seen.done(twilio("a"))
    brief = replace(kore("b"), keep=SECOND, lease=SECOND)
    kept.seen.claim(brief)
    kept.seen.done(replace(brief, owner="a"))
    kept.let_pass(HOUR / 2)
    assert [kept.seen.claim(one) for one in (kore("c"), twilio("d"))] == [WorkAlreadyDone()] * 2
