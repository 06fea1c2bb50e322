"""Evaluating a canary: do moved URLs deliver at least as well as before?"""

from collections.abc import Sequence

import pytest

from ringback.core.policy.source_policy import Source
from ringback.migration.canary_evaluation import CanaryResult, compare_deliveries
from ringback.migration.url_source import UrlEdit, UrlLocation
from ringback.ports import UrlDeliveryTotals

OURS, THEIRS = "AC1", "AC2"
A, B = "https://a.example/p?x=1", "https://b.example/"
Figures = tuple[int, int, int]
"""Numbers of delivered, undelivered and retried callbacks."""


def edit(url: str = A, *, name: str = "", account_sid: str | None = OURS) -> UrlEdit:
    return UrlEdit(UrlLocation(name or url, account_sid), f"{url}#rc=2", f"{url}#rc=2&cbs=kore")


def totals(
    figures: Figures,
    *,
    url: str = A,
    fragment: str = "#rc=2",
    account_sid: str = OURS,
    waiting: int = 0,
) -> UrlDeliveryTotals:
    asked = Source.KORE if "cbs=kore" in fragment else None
    return UrlDeliveryTotals(
        account_sid, url + fragment, asked or Source.TWILIO, asked, *figures, waiting
    )


def moved(
    figures: Figures, *, url: str = A, account_sid: str = OURS, waiting: int = 0
) -> UrlDeliveryTotals:
    return totals(
        figures, url=url, fragment="#rc=2&cbs=kore", account_sid=account_sid, waiting=waiting
    )


def look(before: Figures, after: Figures) -> CanaryResult:
    return compare_deliveries([edit()], [totals(before)], [moved(after)])


@pytest.mark.parametrize(
    ("before", "after", "is_worse"),
    [
        # Nothing, or nothing worse.
        ((0, 0, 0), (0, 0, 0), False),
        ((9, 0, 0), (0, 0, 0), False),
        ((9, 0, 0), (9, 0, 0), False),
        ((0, 0, 0), (1, 0, 0), False),
        ((9, 1, 0), (90, 5, 5), False),
        # Nothing is delivered any more.
        ((9, 0, 0), (0, 0, 1), True),
        ((0, 0, 0), (0, 1, 0), True),
        ((99, 1, 0), (0, 1, 0), True),
        # It was like this before.
        ((0, 9, 0), (0, 1, 0), False),
        ((0, 9, 0), (0, 0, 99), False),
        # A little more fails, which may be random.
        ((9, 0, 0), (999, 1, 0), False),
        ((990, 10, 0), (1970, 15, 15), False),
        ((100, 0, 0), (96, 0, 4), False),
        # More fails than randomness explains.
        ((100, 0, 0), (93, 3, 4), True),
        ((9900, 100, 0), (9800, 100, 100), True),
        ((90, 10, 0), (70, 20, 10), True),
    ],
)
def test_a_url_is_worse_if_more_fails_than_randomness_explains(
    before: Figures, after: Figures, is_worse: bool
) -> None:
    assert (look(before, after).worse.keys() == {UrlLocation(A, OURS)}) == is_worse


def test_waiting_callbacks_do_not_count() -> None:
    found = compare_deliveries(
        [edit()], [totals((9, 1, 0), waiting=90)], [moved((0, 0, 0), waiting=900)]
    )
    assert found == CanaryResult()


def why_of(
    before: Sequence[UrlDeliveryTotals], after: Sequence[UrlDeliveryTotals], given: UrlEdit
) -> str:
    return compare_deliveries([given], before, after).worse[given.place]


def test_before_the_move_a_url_counts_in_any_form() -> None:
    before = [
        totals((1, 0, 0)),
        totals((2, 1, 0), fragment=""),
        totals((3, 0, 0), fragment="#rc=5"),
    ]
    why = "1 of 1 fail (100.0 %); before: 1 of 7 fail (14.3 %)"
    assert why_of(before, [moved((0, 1, 0))], edit()) == why


def test_an_earlier_move_that_was_rolled_back_does_not_count() -> None:
    before = [totals((9, 0, 0)), moved((0, 9, 0))]
    why = "2 of 2 fail (100.0 %); before: 0 of 9 fail (0.0 %)"
    assert why_of(before, [moved((0, 1, 1))], edit()) == why


def test_after_the_move_only_moved_urls_count() -> None:
    after = [moved((9, 0, 0)), totals((0, 9, 0)), totals((0, 9, 0), fragment="")]
    assert compare_deliveries([edit()], [totals((9, 0, 0))], after) == CanaryResult(
        {}, frozenset({edit().place}), callbacks=9
    )


@pytest.mark.parametrize(
    "strange",
    [
        totals((0, 9, 0), account_sid=THEIRS, fragment="#rc=2&cbs=kore"),
        totals((0, 9, 0), url=B, fragment="#rc=2&cbs=kore"),
        totals((0, 9, 0), url=f"{A}&y=2", fragment="#rc=2&cbs=kore"),
    ],
    ids=["of another account", "of another URL", "of another query"],
)
def test_urls_that_have_not_moved_are_ignored(strange: UrlDeliveryTotals) -> None:
    assert compare_deliveries([edit()], [totals((9, 0, 0))], [strange]) == CanaryResult()


def test_a_url_with_credentials_is_found_without_them() -> None:
    given = UrlEdit(
        UrlLocation("p", OURS), "https://u:p@b.example/", "https://u:p@b.example/#cbs=kore"
    )
    after = totals((0, 1, 0), url=B, fragment="#cbs=kore")
    found = compare_deliveries([given], [totals((2, 0, 0), url=B, fragment="")], [after])
    assert found.called == {given.place}


def test_edits_of_an_unknown_account_have_the_deliveries_of_all() -> None:
    given = edit(account_sid=None)
    before = [totals((9, 0, 0)), totals((9, 0, 0), account_sid=THEIRS)]
    after = [moved((9, 0, 0)), moved((0, 2, 0), account_sid=THEIRS), moved((0, 1, 0), url=B)]
    found = compare_deliveries([given], before, after)
    assert (found.called, found.callbacks) == ({given.place}, 11)
    assert found.worse == {}
    why = "2 of 2 fail (100.0 %); before: 0 of 18 fail (0.0 %)"
    assert why_of(before, after[1:], given) == why


# ---- several URLs --------------------------------------------------------------------------------


def test_each_url_is_compared_with_its_own_earlier_rate() -> None:
    edits = [edit(A), edit(B)]
    # One receiver was down before, and gets more of the traffic now.
    before = [totals((9, 0, 0)), totals((0, 1, 0), url=B)]
    assert (
        compare_deliveries(edits, before, [moved((9, 0, 0)), moved((0, 99, 0), url=B)]).worse == {}
    )
    # One compensates for the other.
    before = [totals((99, 0, 0)), totals((0, 99, 0), url=B)]
    found = compare_deliveries(edits, before, [moved((0, 99, 0)), moved((99, 0, 0), url=B)])
    assert found.worse.keys() == {UrlLocation(A, OURS)}


def test_a_url_of_two_accounts_is_two() -> None:
    edits = [edit(), edit(account_sid=THEIRS)]
    before = [totals((9, 0, 0)), totals((9, 0, 0), account_sid=THEIRS)]
    after = [moved((9, 0, 0)), moved((0, 1, 0), account_sid=THEIRS)]
    assert compare_deliveries(edits, before, after).worse.keys() == {UrlLocation(A, THEIRS)}


def test_a_url_of_a_fleet_and_a_sim_is_named_for_both() -> None:
    edits = [edit(name="fleet HF1 SmsCommandsUrl"), edit(name="SIM DE1 CommandsCallbackUrl")]
    why = "4 of 4 fail (100.0 %); before: 0 of 8 fail (0.0 %)"
    found = compare_deliveries(edits, [totals((8, 0, 0))], [moved((0, 3, 1))])
    places = {each.place: why for each in edits}
    assert found == CanaryResult(places, frozenset(places), callbacks=4)


def test_a_url_without_callbacks_before_says_so() -> None:
    why = "1 of 1 fail (100.0 %); before: no attempts"
    assert why_of([], [moved((0, 0, 1))], edit()) == why


@pytest.mark.parametrize(
    ("worse", "called", "is_general"),
    [(0, 0, False), (1, 1, False), (1, 9, False), (2, 2, True), (2, 19, True), (2, 20, False)],
)
def test_more_than_one_and_more_than_a_tenth_of_worse_urls_is_a_general_problem(
    worse: int, called: int, is_general: bool
) -> None:
    places = [UrlLocation(str(each), OURS) for each in range(called)]
    result = CanaryResult(dict.fromkeys(places[:worse], ""), frozenset(places))
    assert result.is_general == is_general


@pytest.mark.parametrize(
    ("worse", "called", "is_surely_general"),
    [
        *((0, 0, False), (1, 1, False), (1, 9, False), (2, 20, False)),
        # The probability that at least as many of those are worse, if a tenth of all is, in percent
        *((2, 2, True), (3, 5, True), (4, 9, True), (5, 14, True)),  # 1.0, 0.9, 0.8, 0.9
        *((2, 3, False), (3, 6, False), (4, 10, False), (5, 15, False)),  # 2.8, 1.6, 1.3, 1.3
    ],
)
def test_while_few_urls_had_callbacks_a_problem_is_general_only_if_that_is_no_coincidence(
    worse: int, called: int, is_surely_general: bool
) -> None:
    places = [UrlLocation(str(each), OURS) for each in range(called)]
    result = CanaryResult(dict.fromkeys(places[:worse], ""), frozenset(places))
    assert result.is_surely_general == is_surely_general


def test_many_urls_are_judged_without_an_overflow() -> None:
    places = [UrlLocation(str(each), OURS) for each in range(100_000)]
    result = CanaryResult(dict.fromkeys(places[:11_000], ""), frozenset(places))
    assert result.is_surely_general


def test_callbacks_of_urls_that_share_a_target_are_counted_once() -> None:
    edits = [edit(A, name="fleet"), edit(A, name="SIM"), edit(B)]
    found = compare_deliveries(edits, [], [moved((3, 1, 0)), moved((0, 0, 2), url=B)])
    assert found.callbacks == 6
