"""The backlog: the number of unfinished callbacks, and its limits."""

import pytest

from ringback.core.callbacks.callback import CallbackStatus, ended
from ringback.core.errors import BacklogFull
from ringback.delivery.backlog import Backlog, BacklogLimits
from ringback.delivery.counters import DeliveryCounters
from tests.fakes import NOW, a_callback

OURS, THEIRS = "account A", "account B"


def a_backlog(unfinished: dict[str, int], *, in_all: int = 100, per_account: int = 100) -> Backlog:
    backlog = Backlog(BacklogLimits(in_all=in_all, per_account=per_account), DeliveryCounters())
    backlog.start_with(unfinished)
    return backlog


@pytest.mark.parametrize("count", [1, 5])
def test_up_to_the_limit_of_an_account_there_is_room(count: int) -> None:
    a_backlog({OURS: 5}, per_account=10).check(OURS, count)


@pytest.mark.parametrize("count", [6, 1000])
def test_beyond_the_limit_of_an_account_there_is_none(count: int) -> None:
    backlog = a_backlog({OURS: 5}, per_account=10)
    with pytest.raises(BacklogFull) as refused:
        backlog.check(OURS, count)
    assert str(refused.value) == (
        "5 callbacks of this account are waiting; the limit is 10. Nothing"
        " was accepted; try again in 5 s"
    )
    assert (refused.value.status, refused.value.retry_after) == (429, 5)


def test_waiting_callbacks_of_one_account_take_no_room_from_another() -> None:
    a_backlog({OURS: 10}, per_account=10).check(THEIRS, 10)


@pytest.mark.parametrize("account", [OURS, THEIRS, "a new account"])
def test_the_total_limit_counts_for_all(account: str) -> None:
    backlog = a_backlog({OURS: 4, THEIRS: 5}, in_all=10)
    backlog.check(account, 1)
    with pytest.raises(BacklogFull, match="9 callbacks are waiting; the limit is 10"):
        backlog.check(account, 2)


def test_checking_takes_no_room() -> None:
    backlog = a_backlog({}, per_account=1)
    for _ in range(3):
        backlog.check(OURS, 1)
    assert backlog.in_all == 0


def test_an_ended_callback_makes_room() -> None:
    backlog = a_backlog({OURS: 10}, per_account=10, in_all=10)
    backlog.change(OURS, -1)
    backlog.check(OURS, 1)
    assert backlog.in_all == 9


def test_a_new_callback_takes_room() -> None:
    backlog = a_backlog({}, per_account=3)
    backlog.change(OURS, 2)
    backlog.check(OURS, 1)
    with pytest.raises(BacklogFull):
        backlog.check(OURS, 2)


def test_a_start_counts_only_the_callbacks_in_the_store() -> None:
    backlog = a_backlog({OURS: 7, THEIRS: 2}, per_account=7)
    assert backlog.in_all == 9
    backlog.start_with({OURS: 1})
    assert backlog.in_all == 1
    backlog.check(OURS, 6)
    backlog.check(THEIRS, 7)


def test_a_million_may_wait_by_default() -> None:
    backlog = Backlog(BacklogLimits(), DeliveryCounters())
    backlog.check(OURS, 1_000_000)
    with pytest.raises(BacklogFull):
        backlog.check(OURS, 1_000_001)


def test_ends_without_an_attempt_are_not_logged_one_by_one(
    caplog: pytest.LogCaptureFixture,
) -> None:
    backlog = Backlog(BacklogLimits(), DeliveryCounters())
    callback = a_callback()
    failed = ended(callback.progress, CallbackStatus.FAILED, "the destination is disabled", NOW)
    backlog.discarded(callback, failed)
    assert caplog.messages == []
    backlog.ended(callback, failed)
    assert len(caplog.messages) == 1
