"""A move is killed anywhere, and continued: each URL is always in its old or its new form."""

import os
import random
import signal
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from ringback.migration.canary_step import up_to
from ringback.migration.edit_status import EditState
from ringback.migration.executor import ApplyOutcome
from ringback.migration.journal import journal_of
from ringback.migration.progress import CanaryStarted
from tests.unit.migration.test_executor import Watched
from tests.unit.migration.url_sources import World, moved, urls


class Killed(BaseException):
    """Ends the process: no code of the project catches this exception."""


class Executioner:
    """A checkpoint that raises when it is passed for the Nth time."""

    def __init__(self, nth: int) -> None:
        self._left = nth
        self.died_at: str | None = None

    def __call__(self, name: str) -> None:
        self._left -= 1
        if self._left == 0:
            self.died_at = name
            raise Killed(name)


FOUR_LOOKS = timedelta(seconds=3)


def every_death(prepare: Callable[[], None], work: Callable[[Executioner], object]) -> set[str]:
    """Repeat the work, dying one checkpoint later each time, and finish it after each crash."""
    died_at = set[str]()
    for nth in range(1, 200):
        prepare()
        executioner = Executioner(nth)
        try:
            work(executioner)
        except Killed:
            assert executioner.died_at is not None
            died_at.add(executioner.died_at)
            work(Executioner(0))
        else:
            return died_at
    raise AssertionError("it never ends")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def check(world: World, old: dict[str, str]) -> None:
    """Check that each URL is in its old or its new form, and that the status says which."""
    new, now, states = moved(old), world.url_source.urls(), world.states()
    for name, url in now.items():
        assert url in (old[name], new[name])
        assert (states[name] is EditState.MOVED) == (url == new[name])


@pytest.mark.parametrize("nth", range(1, 8))
def test_an_apply_that_dies_at_a_checkpoint_is_continued(world: World, nth: int) -> None:
    old = urls(120)  # three batches
    world.url_source.fill(old)
    world.make_plan()
    deaths = 0
    while deaths < 100:
        try:
            world.apply(checkpoint=Executioner(nth))
            break
        except Killed:
            deaths += 1
            check(world, old)
        nth += 1
    assert deaths > 0
    assert world.url_source.urls() == moved(old)
    text = journal_of(world.path).read_text()
    assert text.count('"ringback_journal": "passed"') == 1


def test_a_canary_that_dies_at_any_checkpoint_ends_as_if_it_had_not(world: World) -> None:
    old = urls(10)

    def prepare() -> None:
        world.begin_anew(old)

    def work(executioner: Executioner) -> None:
        try:
            canary = Watched().canary(50, soak=FOUR_LOOKS)
            assert world.apply(canary=canary, checkpoint=executioner) is ApplyOutcome.DONE
        finally:
            check(world, old)
        assert world.url_source.urls() == moved(old)

    died_at = every_death(prepare, work)
    assert died_at >= {
        "began",
        "step",
        "moving",
        "replaced",
        "moved",
        "soaking",
        "looked",
        "passed",
    }
    assert {news.share for news in world.news if isinstance(news, CanaryStarted)} == {50, 100}


def test_an_interrupted_soak_ends_when_it_would_have(world: World) -> None:
    world.url_source.fill(urls(10))
    world.make_plan()
    with pytest.raises(Killed):
        world.apply(canary=Watched().canary(50), checkpoint=Executioner(20))
    died = world.clock.now()
    world.apply(canary=Watched().canary(50))
    first, again, *_ = [news for news in world.news if isinstance(news, CanaryStarted)]
    assert first == again
    assert first.until > died


GOING_BACK = ["worse", "stopped", "returning", "replaced", "returned", "went back"]


@pytest.mark.parametrize("nth", range(1, len(GOING_BACK) + 1))
def test_a_rollback_that_dies_is_finished_first(world: World, nth: int) -> None:
    old = urls(10)
    world.url_source.fill(old)
    world.make_plan()
    watched = Watched(old)
    # began, step, moving, replaced, moved, soaking, and then:
    executioner = Executioner(6 + nth)
    with pytest.raises(Killed):
        world.apply(canary=watched.canary(50), checkpoint=executioner)
    assert executioner.died_at == GOING_BACK[nth - 1]
    check(world, old)
    if executioner.died_at != "went back":
        # Once it is decided, the results are not read again.
        again = watched if executioner.died_at == "worse" else Watched()
        assert world.apply(canary=again.canary(50)) is ApplyOutcome.WENT_BACK
    assert world.url_source.urls() == old
    assert list(world.states().values()).count(EditState.BEHIND) == 5


def test_a_single_url_is_rolled_back_wherever_a_canary_dies(world: World) -> None:
    old = urls(10)

    def prepare() -> None:
        world.begin_anew(old)

    def work(executioner: Executioner) -> None:
        (first, *_) = up_to(50, world.plan.edits)
        watched = Watched({first.name})
        try:
            canary = watched.canary(50, soak=FOUR_LOOKS)
            assert world.apply(canary=canary, checkpoint=executioner) is ApplyOutcome.DONE
        finally:
            check(world, old)
        assert world.url_source.urls() == {**moved(old), first.name: old[first.name]}
        assert world.states()[first.name] is EditState.BEHIND

    assert every_death(prepare, work) >= {"worse", "returning", "replaced", "returned", "passed"}


def test_a_revert_that_dies_at_any_checkpoint_is_continued(world: World) -> None:
    old = urls(60)  # two batches

    def prepare() -> None:
        world.begin_anew(old)
        world.apply()

    def work(executioner: Executioner) -> None:
        try:
            world.revert(executioner)
        finally:
            check(world, old)
        assert world.url_source.urls() == old

    assert every_death(prepare, work) == {"reverting", "returning", "replaced", "returned"}


def test_a_journal_with_an_incomplete_line_is_continued(world: World) -> None:
    old = urls(2)
    world.url_source.fill(old)
    world.make_plan()
    world.apply()
    whole = journal_of(world.path).read_bytes()
    for end in range(0, len(whole), 23):
        journal_of(world.path).write_bytes(whole[:end])
        # If "moving" did not reach the disk, nothing has moved yet.
        world.url_source.fill(
            moved(old) if b'"moving"' in whole[: whole.rfind(b"\n", 0, end) + 1] else old
        )
        world.apply()
        assert world.url_source.urls() == moved(old)
        assert set(world.states().values()) == {EditState.MOVED}


def test_a_process_that_is_killed_at_random_is_continued(world: World) -> None:
    old = urls(120)
    world.url_source.fill(old)
    world.make_plan()
    random_source = random.Random(8)
    deaths = 0
    for _ in range(100):
        child = os.fork()
        if child == 0:
            world.apply()
            os._exit(0)
        time.sleep(random_source.uniform(0, 0.04))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        deaths += os.WIFSIGNALED(status)
        check(world, old)
        if world.url_source.urls() == moved(old):
            break
    assert deaths > 0
    world.apply()
    assert world.url_source.urls() == moved(old)
    assert set(world.states().values()) == {EditState.MOVED}
