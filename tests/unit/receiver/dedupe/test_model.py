"""Each store gives the same answers as the store in memory, for any sequence of visits."""

from contextlib import AbstractContextManager, ExitStack
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from ringback.core.policy.source_policy import Source
from ringback.receiver.dedupe import ClaimedByOther, DedupeClaimRequest
from ringback.receiver.dedupe.dedupe_store import Claimed
from tests.unit.receiver.dedupe.kept import Kept, opener
from tests.unit.receiver.dedupe.visits import MILLISECOND, SECOND, visit

# Time passes in whole seconds, and everything ends after whole or half seconds: so the short time
# between the two clocks, when a store and the model are asked, makes no difference. The model of a
# database with a clock of its own has a clock that runs, too.
TIMES = st.sampled_from([1, 1, 2, 5, 20]).map(lambda seconds: seconds * SECOND)
KEPT = st.sampled_from([2, 6, 60]).map(lambda seconds: seconds * SECOND)
LEASES = st.sampled_from([1, 3, 10]).map(lambda seconds: seconds * SECOND)
WITHIN = st.sampled_from([0 * SECOND, 7.5 * SECOND, 7.5 * SECOND])


class BesideTheModel(RuleBasedStateMachine):
    """A store and the model (the store in memory), which get the same calls."""

    def __init__(
        self, store: AbstractContextManager[Kept], model: AbstractContextManager[Kept]
    ) -> None:
        super().__init__()
        self._until_the_end = ExitStack()
        self._model = self._until_the_end.enter_context(model)
        self._store = self._until_the_end.enter_context(store)
        self._owners = count()
        self._visits = list[DedupeClaimRequest]()

    def teardown(self) -> None:
        self._until_the_end.close()

    @rule(
        source=st.sampled_from(Source),
        number=st.integers(0, 4),
        lease=LEASES,
        keep=KEPT,
        content=st.sampled_from([None, "a", "a", "b"]),
        within=WITHIN,
    )
    def come(
        self,
        *,
        source: Source,
        number: int,
        lease: timedelta,
        keep: timedelta,
        content: str | None,
        within: timedelta,
    ) -> None:
        new = visit(
            f"owner-{next(self._owners)}",
            token=f"token-{number}",
            source=source,
            lease=lease,
            keep=keep,
            content=content,
            within=within,
        )
        self._visits.append(new)
        self._claim(new)

    @precondition(lambda self: self._visits)
    @rule(ago=st.integers(0, 5))
    def come_again(self, ago: int) -> None:
        self._claim(self._made(ago))

    @precondition(lambda self: self._visits)
    @rule(ago=st.integers(0, 5))
    def be_done(self, ago: int) -> None:
        made = self._made(ago)
        self._tick()
        assert self._store.seen.done(made) == self._model.seen.done(made)

    @precondition(lambda self: self._visits)
    @rule(ago=st.integers(0, 5))
    def give_back(self, ago: int) -> None:
        made = self._made(ago)
        self._tick()
        self._store.seen.release(made)
        self._model.seen.release(made)

    @precondition(lambda self: self._visits)
    @rule(ago=st.integers(0, 5))
    def renew(self, ago: int) -> None:
        made = self._made(ago)
        self._tick()
        assert self._store.seen.renew(made) == self._model.seen.renew(made)

    @rule(time=TIMES)
    def wait(self, time: timedelta) -> None:
        self._store.let_pass(time)
        self._model.let_pass(time)

    def _claim(self, wanted: DedupeClaimRequest) -> None:
        self._tick()
        assert alike(self._store.seen.claim(wanted), self._model.seen.claim(wanted))

    def _made(self, ago: int) -> DedupeClaimRequest:
        return self._visits[-1 - ago % len(self._visits)]

    def _tick(self) -> None:
        """Move both clocks a little, since no two steps have the same time with a real clock."""
        self._store.let_pass(MILLISECOND)
        self._model.let_pass(MILLISECOND)


def alike(given: Claimed, expected: Claimed) -> bool:
    match given, expected:
        case ClaimedByOther(one), ClaimedByOther(other):
            return abs(one - other) < SECOND / 2
        case _:
            return given == expected


@pytest.mark.parametrize(
    ("store", "examples"),
    [("sqlite", 80), ("postgres", 30), ("async-postgres", 10), ("redis", 60), ("async-redis", 10)],
)
def test_a_store_returns_what_its_model_returns(
    store: str, examples: int, request: pytest.FixtureRequest
) -> None:
    kind = "memory" if store == "sqlite" else "memory with a running clock"
    opened, model = opener(store, request), opener(kind, request)

    class Machine(BesideTheModel):
        def __init__(self) -> None:
            super().__init__(opened(), model())

    run_state_machine_as_test(
        Machine, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None)
    )
