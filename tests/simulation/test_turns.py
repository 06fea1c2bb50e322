"""What the watches conclude from commits: whose turn it is."""

from ringback.core.callbacks.callback import CallbackRecord
from tests.fakes import a_callback
from tests.simulation.turns import Turns


class Commits:
    """Commits that add, end and replay callbacks; those of one key, by their numbers."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turns = Turns(lambda: self.now)

    def commit(
        self, *, add: tuple[int, ...] = (), end: tuple[int, ...] = (), replay: tuple[int, ...] = ()
    ) -> list[int]:
        """Do these in one commit; return those of which it may be the turn from now on."""
        self.now += 1.0
        for numbers, was_ended, is_ended in (
            (add, None, False),
            (end, False, True),
            (replay, True, False),
        ):
            for number in numbers:
                self.turns.changed(
                    ordered(number), was_ended=was_ended, is_ended=is_ended, age=number
                )
        return sorted(int(sid) for sid in self.turns.committed())

    def possible(self) -> list[int]:
        return [number for number in range(10) if self.turns.is_turn_of(ordered(number))]


def ordered(number: int) -> CallbackRecord:
    return a_callback(sid=str(number), order_key="SIM")


def test_each_follows_the_one_that_was_added_before_it() -> None:
    commits = Commits()
    assert commits.commit(add=(3, 1)) == [3]
    assert commits.commit(add=(2,)) == []
    assert commits.commit(end=(3,)) == [1]
    assert commits.commit(end=(1,), add=(4,)) == [2]
    assert commits.commit(end=(2, 4)) == []
    assert commits.possible() == []
    assert commits.commit(add=(5,)) == [5]


def test_one_that_has_ended_before_its_turn_is_passed_over() -> None:
    commits = Commits()
    commits.commit(add=(1, 2, 3))
    assert commits.commit(end=(2,)) == []
    assert commits.commit(end=(1,)) == [3]


def test_a_replayed_one_follows_the_present_one_and_the_oldest_is_first() -> None:
    commits = Commits()
    commits.commit(add=(1, 2, 3, 4))
    for number in (1, 2):
        commits.commit(end=(number,))
    assert commits.commit(replay=(2,)) == []
    assert commits.commit(replay=(1,)) == []
    assert [commits.commit(end=(number,)) for number in (3, 1, 2)] == [[1], [2], [4]]


def test_a_commit_that_ends_one_and_replays_another_leaves_it_open_which_follows() -> None:
    commits = Commits()
    commits.commit(add=(1, 2, 3))
    commits.commit(end=(1,))
    assert commits.commit(end=(2,), replay=(1,)) == [1, 3]
    assert commits.turns.since(ordered(3)) is None
    commits.turns.left(ordered(3))
    assert commits.possible() == [3]
    assert commits.turns.since(ordered(3)) == commits.now
    assert commits.commit(end=(3,)) == [1]


def test_a_commit_may_have_ended_and_replayed_the_same_one() -> None:
    commits = Commits()
    commits.commit(add=(1, 2))
    commits.turns.may_have_ended_and_been_replayed(ordered(1), age=1)
    assert commits.commit() == [2]
    assert commits.possible() == [1, 2]
    commits.turns.left(ordered(2))
    assert commits.commit(end=(2,)) == [1]


def test_a_callback_without_a_key_is_always_free_to_go() -> None:
    commits = Commits()
    commits.commit(add=(1,))
    free = a_callback(sid="9")
    assert commits.turns.is_turn_of(free)
    assert commits.turns.since(free) == 0.0
    assert not commits.turns.is_turn_of(ordered(9))


def test_other_keys_and_lanes_have_turns_of_their_own() -> None:
    commits = Commits()
    commits.commit(add=(1,))
    others = [
        a_callback(sid="2", order_key="other"),
        a_callback(sid="3", order_key="SIM", url="http://b.example"),
        a_callback(sid="4", order_key="SIM", account_sid="AC2"),
    ]
    for other in others:
        commits.turns.changed(other, was_ended=None, is_ended=False, age=9)
    assert sorted(commits.turns.committed()) == ["2", "3", "4"]
