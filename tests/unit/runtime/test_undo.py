"""Undoing: a failure calls the undo function, and is raised again."""

import asyncio

import pytest

from ringback.runtime.undo import on_failure


def test_successful_work_is_not_undone() -> None:
    undone = list[str]()
    with on_failure(lambda: undone.append("undone")):
        pass
    assert undone == []


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, asyncio.CancelledError])
def test_any_failure_undoes_it_and_is_raised(failure: type[BaseException]) -> None:
    undone = list[str]()
    with pytest.raises(failure), on_failure(lambda: undone.append("undone")):
        raise failure
    assert undone == ["undone"]
