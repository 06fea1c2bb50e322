"""What the watch reports about attempts left open by a stop: whose they are, and why."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.fakes import NOW
from tests.simulation.invariants import Violated
from tests.simulation.plan import Bounds
from tests.simulation.shortage import Machine
from tests.simulation.trace import Trace
from tests.simulation.watch import Watch

SID = "CB1"
BEGAN = 20.0


def a_watch(database: Any, on_violation: Callable[[Violated], None]) -> Watch:
    return Watch(
        database=database,
        machine=cast("Machine", None),
        trace=Trace(),
        bounds=cast("Bounds", None),
        now=lambda: BEGAN,
        clock=lambda: NOW,
        fair_to=frozenset(),
        on_violation=on_violation,
        sees_all=True,
    )


@pytest.mark.parametrize(
    ("opened_in", "was_away", "is_found"),
    [(2, -1.0, True), (2, 21.0, True), (1, 19.0, True), (1, 20.0, False), (1, 21.0, False)],
    ids=[
        "its own",
        "its own, with an outage",
        "an earlier one's, with an outage before the start",
        "an earlier one's, with an outage at the start",
        "an earlier one's, with an outage",
    ],
)
def test_only_attempts_that_could_not_be_settled_yet_may_be_open_after_a_stop(
    opened_in: int, was_away: float, *, is_found: bool
) -> None:
    found = list[Violated]()
    watch = a_watch(SimpleNamespace(was_away=was_away), found.append)
    watch.began(2)
    watch.open[SID], watch.opened_in[SID, 3] = 3, opened_in

    watch.stopped()

    assert [one.name for one in found] == ["stopped"] * is_found
