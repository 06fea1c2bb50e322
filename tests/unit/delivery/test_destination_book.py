"""The book of destinations: what it learns from the store, and which of it is about a lane."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from ringback.core.accounts.account import EVERY
from ringback.core.destinations.destination_settings import DestinationOrder
from ringback.core.destinations.effective_settings import DestinationRule
from ringback.core.retry_schedule import FAITHFUL, PERSISTENT, RetrySchedule
from ringback.delivery import destination_book
from ringback.delivery.destination_book import DestinationBook, LanePause
from ringback.ports import DestinationPause, Lane, StoredDestinationSettings, Transaction
from tests.destinations import ACCOUNT, OPERATOR, a_rule, set_at_run_time
from tests.fakes import ACCOUNT_SID, NOW, a_callback, an_account
from tests.memory_store import MemoryStore
from tests.unit.delivery.parts import LANE, OTHER_ACCOUNT_SID

SECOND = timedelta(seconds=1)
A, B = "http://a.example:80", "http://b.example:80"
OTHER_LANE = Lane(OTHER_ACCOUNT_SID, A)


def a_book(
    *rules: DestinationRule, stored: Sequence[StoredDestinationSettings] = ()
) -> DestinationBook:
    book = DestinationBook(rules, PERSISTENT)
    book.learn(stored)
    return book


def rate(book: DestinationBook, lane: Lane) -> float:
    return book.settings_of(lane).rate


# ---- rules ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", ["*", A, "http://*.example", "http://a.example/app/*"])
def test_a_rule_of_the_settings_file_is_about_the_lanes_of_its_pattern(pattern: str) -> None:
    book = a_book(a_rule(pattern, rate="5"))
    part = Lane(ACCOUNT_SID, f"{A}/app/*")
    lanes = [LANE, part, Lane(ACCOUNT_SID, "https://a.example:443")]
    expected = {
        "*": [5, 5, 5],
        A: [5, 5, math.inf],
        "http://*.example": [5, 5, math.inf],
        "http://a.example/app/*": [math.inf, 5, math.inf],
    }
    assert [rate(book, lane) for lane in lanes] == expected[pattern]


def test_a_rule_for_one_account_is_not_about_others() -> None:
    book = a_book(a_rule(A, account_sid=ACCOUNT_SID, rate="5"))
    assert (rate(book, LANE), rate(book, OTHER_LANE)) == (5, math.inf)


def test_two_rules_of_the_file_for_the_same_pattern_are_both_in_force() -> None:
    settings = a_book(a_rule(A, rate="5"), a_rule(A, burst="7")).settings_of(LANE)
    assert (settings.rate, settings.burst) == (5, 7)


def test_rules_of_the_file_stay_beside_what_is_stored_for_the_same_pattern() -> None:
    book = a_book(a_rule(A, rate="5", burst="7"))
    book.learn([set_at_run_time(A, owner=OPERATOR, rate="6")])
    assert (rate(book, LANE), book.settings_of(LANE).burst) == (6, 7)
    assert len(book.rules_of(LANE)) == 2


# ---- the store -----------------------------------------------------------------------------------


def test_what_is_stored_replaces_what_was_stored_for_the_same_pattern() -> None:
    book = a_book(stored=[set_at_run_time(A, rate="5")])
    book.learn([set_at_run_time(A, revision=2, rate="6")])
    assert (rate(book, LANE), book.revision) == (6, 2)
    book.learn([set_at_run_time(A, revision=3)])
    assert rate(book, LANE) == math.inf


def test_what_is_older_than_what_is_known_changes_nothing() -> None:
    book, told = a_book(stored=[set_at_run_time(A, revision=5, rate="5")]), list[object]()
    book.listen(told.append)
    book.learn([set_at_run_time(A, revision=5, rate="7"), set_at_run_time(B, revision=4, rate="7")])
    assert (rate(book, LANE), rate(book, LANE._replace(destination=B)), told) == (5, math.inf, [])


def test_those_who_listen_get_only_what_is_new() -> None:
    old, new = set_at_run_time(A, rate="5"), set_at_run_time(B, revision=2, rate="5")
    book, told = a_book(stored=[old]), list[Sequence[StoredDestinationSettings]]()
    book.listen(told.append)
    book.learn([old, new])
    assert told == [[new]]


async def test_only_changes_since_the_last_known_one_are_read() -> None:
    store, book = MemoryStore(), a_book()
    await store.transact(lambda tx: tx.destinations.save(set_at_run_time(A, rate="5")))
    await book.refresh(store)
    assert (rate(book, LANE), book.revision) == (5, 1)
    assert await store.read(book.changes_in) == []
    second = set_at_run_time(B, revision=2, rate="5")
    await store.transact(lambda tx: tx.destinations.save(second))
    assert await store.read(book.changes_in) == [second]


def test_it_knows_whether_something_is_about_a_lane() -> None:
    book, own = a_book(), set_at_run_time(A)
    everybodys = set_at_run_time(A, owner=OPERATOR)
    assert [book.is_about(one, LANE) for one in (own, everybodys)] == [True, True]
    assert [book.is_about(one, OTHER_LANE) for one in (own, everybodys)] == [False, True]
    assert not book.is_about(set_at_run_time(B), LANE)


# ---- pauses --------------------------------------------------------------------------------------


def test_the_pauses_of_a_lane_begin_with_the_operators() -> None:
    pause, other = DestinationPause(NOW, reason="a deployment"), DestinationPause(NOW + SECOND)
    book = a_book(
        stored=[
            set_at_run_time(A, pause=other, revision=1),
            set_at_run_time(owner=OPERATOR, pause=pause, revision=2),
            set_at_run_time(B, pause=other, revision=3),
        ]
    )
    pauses = book.pauses_of(LANE)
    assert [(one.owner, one.pause) for one in pauses] == [(OPERATOR, pause), (ACCOUNT, other)]
    assert [one.why for one in pauses] == [
        "paused by the operator: a deployment",
        "paused by the account",
    ]
    assert [one.owner for one in book.pauses_of(OTHER_LANE)] == [OPERATOR]


def test_a_pause_that_was_taken_back_is_gone() -> None:
    book = a_book(stored=[set_at_run_time(A, pause=DestinationPause(NOW))])
    book.learn([set_at_run_time(A, revision=2, resumed=NOW)])
    assert (book.pauses_of(LANE), book.resumed_at(LANE)) == ([], NOW)


def test_the_last_of_all_who_resumed_a_lane_counts() -> None:
    assert a_book().resumed_at(LANE) is None
    book = a_book(
        stored=[
            set_at_run_time(A, resumed=NOW + SECOND, revision=1),
            set_at_run_time(owner=OPERATOR, resumed=NOW, revision=2),
        ]
    )
    assert book.resumed_at(LANE) == NOW + SECOND
    assert book.resumed_at(OTHER_LANE) == NOW


def test_a_pause_says_who_made_it() -> None:
    assert LanePause(ACCOUNT, DestinationPause(NOW)).why == "paused by the account"


# ---- the places of callbacks ---------------------------------------------------------------------


def placed(book: DestinationBook, url: str) -> tuple[str, str | None]:
    callback = book.place(a_callback(url=url))
    return callback.destination, callback.order_key


def test_without_anything_set_a_callback_stays_as_it_is() -> None:
    callback = a_callback(url="http://a.example/app/x")
    assert a_book().place(callback) is callback


def test_a_callback_goes_to_the_most_special_part_of_its_destination() -> None:
    book = a_book(
        a_rule("http://a.example/app/*", rate="5"),
        a_rule("http://a.example/app/deep/*", rate="5"),
        a_rule("http://*.example/o*", rate="5"),
    )
    for path, part in (
        ("/app/x", "/app/*"),
        ("/app/deep/x", "/app/deep/*"),
        ("/x", ""),
        ("/ox", "/o*"),
    ):
        assert placed(book, f"http://a.example{path}") == (A + part, None)


def test_the_part_of_another_account_splits_nothing_off() -> None:
    book = a_book(stored=[set_at_run_time("http://a.example/app/*", account_sid=OTHER_ACCOUNT_SID)])
    book.learn(
        [
            set_at_run_time(
                "http://a.example/app/*", account_sid=OTHER_ACCOUNT_SID, revision=2, rate="5"
            )
        ]
    )
    assert placed(book, "http://a.example/app/x") == (A, None)


def test_a_part_for_which_nothing_is_set_any_more_is_gone() -> None:
    part = "http://a.example/app/*"
    book = a_book(stored=[set_at_run_time(part, rate="5")])
    assert placed(book, "http://a.example/app/x") == (f"{A}/app/*", None)
    book.learn([set_at_run_time(part, revision=2)])
    assert placed(book, "http://a.example/app/x") == (A, None)


def test_callbacks_in_order_get_the_sim_as_their_key_unless_they_have_one() -> None:
    book = a_book(a_rule(A, order="sim"))
    callback = a_callback(url="http://a.example/")
    assert callback.sim_sid is not None
    assert book.place(callback).order_key == callback.sim_sid
    assert book.place(callback._replace(order_key="mine")).order_key == "mine"
    assert book.place(callback._replace(sim_sid=None)).order_key is None
    assert placed(book, "http://b.example/") == (B, None)
    assert book.settings_of(LANE).order is DestinationOrder.SIM


def test_remembered_places_follow_what_is_set_and_are_limited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(destination_book, "_MOST_PLACES", 3)
    book = a_book(a_rule(B, rate="5"))
    for number in range(10):
        assert placed(book, f"http://a.example/app/{number}") == (A, None)
    assert len(book._places) <= 3
    book.learn([set_at_run_time("http://a.example/app/*", rate="5")])
    assert placed(book, "http://a.example/app/9") == (f"{A}/app/*", None)


# ---- schedules -----------------------------------------------------------------------------------


def test_an_accounts_own_schedule_comes_first() -> None:
    book, own = a_book(), RetrySchedule.parse("5s")
    assert book.schedule_of(None) is PERSISTENT
    assert book.schedule_of(an_account()) is PERSISTENT
    assert book.schedule_of(replace(an_account(), schedule=own)) is own


def test_the_schedule_decides_about_the_defaults() -> None:
    book = a_book()
    assert book.settings_of(LANE).breaker is not None
    assert book.settings_of(LANE, FAITHFUL).breaker is None


# ---- for those who set and show ------------------------------------------------------------------


async def test_a_change_is_used_and_announced_once_it_is_durable() -> None:
    store, book, announced = MemoryStore(), a_book(), list[int]()
    book.announce = lambda: announced.append(book.revision)

    def work(tx: Transaction) -> None:
        tx.destinations.save(set_at_run_time(A, rate="5"))
        book.use_from(tx)
        assert (book.revision, announced) == (0, [])

    await store.transact(work)
    assert (rate(book, LANE), announced) == (5, [1])


async def test_what_is_rolled_back_is_neither_used_nor_announced() -> None:
    store, book, announced = MemoryStore(), a_book(), list[int]()
    book.announce = lambda: announced.append(book.revision)

    def work(tx: Transaction) -> None:
        tx.destinations.save(set_at_run_time(A, rate="5"))
        book.use_from(tx)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await store.transact(work)
    assert (book.revision, announced) == (0, [])


def test_all_that_is_set_for_an_account_is_listed_by_its_pattern() -> None:
    second = set_at_run_time(B, revision=1, rate="5")
    first = set_at_run_time(A, revision=2, pause=DestinationPause(NOW))
    operators = set_at_run_time(A, owner=OPERATOR, account_sid=ACCOUNT_SID, revision=3, burst="5")
    everybodys = set_at_run_time(A, owner=OPERATOR, revision=4, rate="5")
    empty = set_at_run_time("http://c.example", revision=5)
    book = a_book(a_rule(rate="1"), stored=[second, first, operators, everybodys, empty])
    assert book.all_set(ACCOUNT_SID) == [first, operators, second]
    assert book.all_set(EVERY) == [everybodys]
