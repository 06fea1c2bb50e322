"""The fair semaphore: how many turns an account may hold, and which account is next."""

import asyncio

from ringback.runtime.account_fair_semaphore import FairSemaphore


class Turns:
    """A semaphore, and the accounts that got its turns, in order."""

    def __init__(self, count: int, *, shared: bool = True) -> None:
        self.given = list[str]()
        self.turns = FairSemaphore(count, shared=shared)

    def ask(self, account: str, times: int = 1) -> None:
        for _ in range(times):
            self.turns.ask(account, lambda: self.given.append(account))

    def give_back(self, account: str) -> None:
        self.turns.give_back(account)


def test_one_account_holds_half_and_the_next_one_a_third_of_the_whole() -> None:
    bench = Turns(12)
    bench.ask("A", 100)
    assert bench.given == ["A"] * 6
    bench.ask("B", 100)
    assert bench.given.count("B") == 3
    bench.ask("C", 100)
    assert bench.given.count("C") == 2
    bench.ask("D")
    assert bench.given[-1] == "D"
    assert bench.turns.taken == 12


def test_a_single_turn_is_for_anybody() -> None:
    bench = Turns(1)
    bench.ask("A", 2)
    bench.ask("B")
    assert bench.given == ["A"]
    bench.give_back("A")
    assert bench.given == ["A", "A"], "the first caller, since no account had more"


def test_waiting_accounts_take_turns_however_many_requests_each_has() -> None:
    bench = Turns(1)
    bench.ask("A", 50)
    bench.ask("B", 2)
    bench.ask("C", 1)
    for _ in range(5):
        bench.give_back(bench.given[-1])
    assert "".join(bench.given) == "AABCAB"


def test_if_turns_are_not_shared_one_account_may_hold_all() -> None:
    bench = Turns(4, shared=False)
    bench.ask("A", 10)
    assert bench.given == ["A"] * 4
    bench.ask("B", 2)
    bench.give_back("A")
    bench.give_back("A")
    assert bench.given[4:] == ["A", "B"]


def test_a_caller_that_stopped_waiting_gets_no_turn() -> None:
    turns, given = FairSemaphore(1), list[str]()
    assert turns.try_take("A")
    one = turns.ask("B", lambda: given.append("one"))
    turns.ask("B", lambda: given.append("other"))
    turns.withdraw(one)
    turns.give_back("A")
    assert given == ["other"]
    turns.withdraw(one)
    turns.give_back("B")
    assert turns.taken == 0
    assert not turns.are_waited_for


def test_callers_of_the_same_account_do_not_overtake_each_other() -> None:
    bench = Turns(2)
    bench.ask("A", 2)
    assert bench.given == ["A"]
    assert not bench.turns.try_take("A")
    assert bench.turns.try_take("B")


async def test_a_waiting_caller_gets_the_free_turn_and_a_cancelled_one_does_not() -> None:
    turns = FairSemaphore(1)
    await turns.take("A")
    given_up, waiting = (asyncio.create_task(turns.take("A")) for _ in range(2))
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    turns.give_back("A")
    await waiting
    assert (turns.taken, turns.are_waited_for) == (1, False)


async def test_a_turn_that_comes_free_at_a_cancellation_goes_to_the_next_caller() -> None:
    turns = FairSemaphore(1)
    await turns.take("A")
    given_up, waiting = (asyncio.create_task(turns.take("A")) for _ in range(2))
    await asyncio.sleep(0)
    turns.give_back("A")
    given_up.cancel()
    async with asyncio.timeout(1):
        await waiting
    assert turns.taken == 1
