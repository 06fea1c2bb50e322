"""Whether moved URLs deliver at least as well as before."""

from collections.abc import Sequence
from fractions import Fraction

import pytest

from ringback.core.source import Source
from ringback.migration.canary import Counts, Target, judge, worse_of
from ringback.migration.record import Edit, Place
from ringback.ports import Totals

OURS, THEIRS = "AC1", "AC2"
A, B = "https://a.example/p?x=1", "https://b.example/"
Figures = tuple[int, int, int]
"""Delivered, undelivered, retried."""


def edit(url: str = A, *, name: str = "", account_sid: str | None = OURS) -> Edit:
    return Edit(Place(name or url, account_sid), f"{url}#rc=2", f"{url}#rc=2&cbs=kore")


def totals(
    figures: Figures,
    *,
    url: str = A,
    fragment: str = "#rc=2",
    account_sid: str = OURS,
    waiting: int = 0,
) -> Totals:
    asked = Source.KORE if "cbs=kore" in fragment else None
    return Totals(account_sid, url + fragment, asked or Source.TWILIO, asked, *figures, waiting)


def moved(figures: Figures, *, url: str = A, account_sid: str = OURS, waiting: int = 0) -> Totals:
    return totals(
        figures, url=url, fragment="#rc=2&cbs=kore", account_sid=account_sid, waiting=waiting
    )


@pytest.mark.parametrize(
    ("before", "after", "is_worse"),
    [
        ((0, 0, 0), (0, 0, 0), False),
        ((9, 0, 0), (0, 0, 0), False),
        ((9, 0, 0), (9, 0, 0), False),
        ((9, 0, 0), (1, 0, 0), False),
        ((9, 0, 0), (0, 0, 1), True),
        ((9, 0, 0), (999, 1, 0), True),
        ((0, 0, 0), (1, 0, 0), False),
        ((0, 0, 0), (0, 1, 0), True),
        ((9, 1, 0), (9, 0, 1), False),
        ((9, 1, 0), (90, 5, 5), False),
        ((9, 1, 0), (90, 5, 6), True),
        ((9, 0, 1), (8, 1, 1), True),
        ((0, 9, 0), (0, 1, 0), False),
        ((0, 9, 0), (0, 0, 99), False),
        ((1, 2, 0), (100, 200, 0), False),
    ],
)
def test_a_step_is_worse_where_a_greater_share_fails(
    before: Figures, after: Figures, is_worse: bool
) -> None:
    verdict = judge([totals(before)], [moved(after)], [edit()])
    assert verdict.is_worse == is_worse
    assert [one.target for one in verdict.worse] == [Target(OURS, A)] * is_worse
    assert (verdict.before, verdict.after) == (Counts(*before), Counts(*after))


def test_what_waits_does_not_count() -> None:
    before, after = totals((9, 1, 0), waiting=90), moved((9, 1, 0), waiting=900)
    verdict = judge([before], [after], [edit()])
    assert (verdict.before.share, verdict.after.share) == (Fraction(1, 10), Fraction(1, 10))
    assert not verdict.is_worse


def test_before_a_url_counts_in_whatever_form() -> None:
    before = [
        totals((1, 0, 0)),
        totals((2, 1, 0), fragment=""),
        totals((3, 0, 0), fragment="#rc=5"),
    ]
    assert judge(before, [], [edit()]).before == Counts(6, 1, 0)


def test_an_earlier_move_that_went_back_is_no_measure() -> None:
    verdict = judge([totals((9, 0, 0)), moved((0, 9, 0))], [moved((1, 1, 0))], [edit()])
    assert verdict.before == Counts(9, 0, 0)
    assert verdict.is_worse


def test_after_the_move_only_what_has_moved_counts() -> None:
    after = [moved((9, 0, 0)), totals((0, 9, 0)), totals((0, 9, 0), fragment="")]
    verdict = judge([totals((9, 0, 0))], after, [edit()])
    assert verdict.after == Counts(9, 0, 0)
    assert not verdict.is_worse


@pytest.mark.parametrize(
    "strange",
    [
        totals((0, 9, 0), account_sid=THEIRS, fragment="#rc=2&cbs=kore"),
        totals((0, 9, 0), url=B, fragment="#rc=2&cbs=kore"),
        totals((0, 9, 0), url=f"{A}&y=2", fragment="#rc=2&cbs=kore"),
    ],
    ids=["of another account", "of another URL", "of another query"],
)
def test_what_has_not_moved_is_no_matter(strange: Totals) -> None:
    verdict = judge([totals((9, 0, 0)), strange], [moved((9, 0, 0)), strange], [edit()])
    assert (verdict.before, verdict.after) == (Counts(9), Counts(9))


def test_a_url_with_credentials_is_found_without_them() -> None:
    given = Edit(Place("p", OURS), "https://u:p@b.example/", "https://u:p@b.example/#cbs=kore")
    after = totals((1, 0, 0), url=B, fragment="#cbs=kore")
    assert judge([totals((2, 0, 0), url=B, fragment="")], [after], [given]).after == Counts(1)


def test_the_edits_of_no_known_account_have_no_deliveries() -> None:
    given = edit(account_sid=None)
    assert judge([totals((9, 0, 0))], [moved((0, 9, 0))], [given]).watched == []
    assert worse_of([given, edit(B)], [], [moved((0, 1, 0), url=B)]).keys() == {Place(B, OURS)}


# ---- several URLs --------------------------------------------------------------------------------

TWO = [edit(A), edit(B)]


def both(a: Figures, b: Figures) -> Sequence[Totals]:
    return [totals(a), totals(b, url=B)]


def both_moved(a: Figures, b: Figures) -> Sequence[Totals]:
    return [moved(a), moved(b, url=B)]


@pytest.mark.parametrize(
    ("before", "after", "is_worse", "named"),
    [
        (((9, 0, 0), (9, 0, 0)), ((9, 0, 0), (8, 1, 0)), True, [B]),
        (((9, 0, 0), (9, 0, 0)), ((8, 1, 0), (8, 1, 0)), True, [A, B]),
        # One gets worse, and the other makes up for it.
        (((90, 0, 0), (90, 10, 0)), ((99, 1, 0), (95, 5, 0)), False, [A]),
        (((90, 0, 0), (90, 10, 0)), ((94, 6, 0), (95, 5, 0)), True, [A]),
        # One was down before, and happens to get more of the traffic than then.
        (((999, 0, 0), (0, 1, 0)), ((9, 0, 0), (0, 9, 0)), False, []),
        (((999, 0, 0), (0, 1, 0)), ((9, 0, 1), (0, 9, 0)), True, [A]),
        # One had no traffic before.
        (((999, 0, 0), (0, 0, 0)), ((999, 0, 0), (0, 1, 0)), True, [B]),
        (((999, 0, 0), (0, 0, 0)), ((999, 0, 0), (1, 0, 0)), False, []),
    ],
)
def test_each_url_is_held_to_its_own_share_before(
    before: tuple[Figures, Figures],
    after: tuple[Figures, Figures],
    is_worse: bool,
    named: list[str],
) -> None:
    verdict = judge(both(*before), both_moved(*after), TWO)
    assert verdict.is_worse == is_worse
    assert [one.target.url for one in verdict.worse] == named


def test_how_many_would_fail_as_before_is_added_up_over_the_urls() -> None:
    verdict = judge(both((3, 1, 0), (1, 1, 0)), both_moved((1, 1, 0), (2, 0, 1)), TWO)
    assert verdict.expected == Fraction(2, 4) + Fraction(3, 2)
    assert verdict.before == Counts(4, 2, 0)
    assert verdict.after == Counts(3, 1, 1)


def test_a_url_of_two_accounts_is_two() -> None:
    edits = [edit(), edit(account_sid=THEIRS)]
    before = [totals((9, 0, 0)), totals((9, 0, 0), account_sid=THEIRS)]
    after = [moved((9, 0, 0)), moved((8, 1, 0), account_sid=THEIRS)]
    assert [one.target for one in judge(before, after, edits).worse] == [Target(THEIRS, A)]
    assert worse_of(edits, before, after).keys() == {Place(A, THEIRS)}


# ---- where it got worse --------------------------------------------------------------------------


def test_a_url_that_a_fleet_and_a_sim_have_counts_once_and_is_named_for_both() -> None:
    edits = [edit(name="fleet HF1 SmsCommandsUrl"), edit(name="SIM DE1 CommandsCallbackUrl")]
    before, after = [totals((8, 0, 0))], [moved((3, 0, 1))]
    assert judge(before, after, edits).after == Counts(3, 0, 1)
    why = "1 of 4 fail (25.0 %); before: 0 of 8 fail (0.0 %)"
    assert worse_of(edits, before, after) == {each.place: why for each in edits}


def test_a_url_without_callbacks_before_says_so() -> None:
    why = "1 of 1 fail (100.0 %); before: none was tried"
    assert worse_of([edit()], [], [moved((0, 0, 1))]) == {Place(A, OURS): why}


def test_only_those_that_got_worse_are_named() -> None:
    found = worse_of(TWO, both((9, 0, 0), (9, 0, 0)), both_moved((9, 0, 0), (8, 0, 1)))
    assert found.keys() == {Place(B, OURS)}


def test_where_the_whole_is_no_worse_nothing_is_named() -> None:
    before, after = both((90, 0, 0), (90, 10, 0)), both_moved((99, 1, 0), (95, 5, 0))
    assert worse_of(TWO, before, after) == {}
