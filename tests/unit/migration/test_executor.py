"""A plan is applied and reverted correctly, even if others change URLs meanwhile."""

import asyncio
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from ringback.core.errors import ConfigurationError, QueryTimeout, StoreUnavailable
from ringback.core.policy.source_policy import Source
from ringback.migration.canary_step import CanarySettings, up_to
from ringback.migration.edit_status import EditState
from ringback.migration.executor import ApplyOutcome
from ringback.migration.journal import journal_of
from ringback.migration.progress import (
    CanaryStarted,
    CanaryWaits,
    DeliveriesWorsened,
    EditSkipped,
    EditsMoved,
    SilentReceiversTried,
)
from ringback.migration.url_source import EditOutcome, UrlEdit, UrlEntry, UrlLocation
from ringback.ports import UrlDeliveryTotals
from tests.unit.migration.url_sources import (
    ACCOUNT,
    NOW,
    FileOfUrls,
    PassingClock,
    World,
    moved,
    urls,
)

HOUR = timedelta(hours=1)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def planned(world: World, count: int = 3) -> dict[str, str]:
    old = urls(count)
    world.url_source.fill(old)
    world.make_plan()
    return old


# ---- apply


def test_the_planned_urls_are_moved(world: World) -> None:
    old = planned(world)
    assert world.apply() is ApplyOutcome.DONE
    assert world.url_source.urls() == moved(old)
    assert set(world.states().values()) == {EditState.MOVED}


def test_credentials_of_a_configured_url_stay_unchanged(world: World) -> None:
    world.url_source.fill({"a": "https://user:first@a.example/"})
    world.make_plan()
    world.url_source.fill({"a": "https://user:second@a.example/"})
    world.apply()
    assert world.url_source.urls() == {"a": "https://user:second@a.example/#cbs=kore"}
    world.revert()
    assert world.url_source.urls() == {"a": "https://user:second@a.example/"}
    for file in (world.path, journal_of(world.path)):
        assert "first" not in file.read_text()
        assert "second" not in file.read_text()


def test_urls_that_somebody_changed_meanwhile_are_not_moved(world: World) -> None:
    old = planned(world)
    now = {**old, "fleet 1": "https://other.example/"}
    del now["fleet 2"]
    world.url_source.fill(now)
    world.apply()
    assert world.url_source.urls() == {**now, "fleet 0": f"{old['fleet 0']}&cbs=kore"}
    assert world.states() == {
        "fleet 0": EditState.MOVED,
        "fleet 1": EditState.CHANGED,
        "fleet 2": EditState.GONE,
    }


def test_urls_moved_by_somebody_else_stay_when_the_plan_is_reverted(world: World) -> None:
    old = planned(world, 2)
    there = {**old, "fleet 0": f"{old['fleet 0']}&cbs=kore"}
    world.url_source.fill(there)
    world.apply()
    assert world.states()["fleet 0"] is EditState.THERE
    world.revert()
    assert world.url_source.urls() == there


def test_a_line_that_was_deleted_from_the_plan_is_not_moved(world: World) -> None:
    old = planned(world)
    lines = world.path.read_text().splitlines(keepends=True)
    world.path.write_text("".join(line for line in lines if "fleet 1" not in line))
    world.apply()
    assert world.url_source.urls() == {**moved(old), "fleet 1": old["fleet 1"]}


def test_urls_that_somebody_rolled_back_are_not_moved_again(world: World) -> None:
    old = planned(world, 2)
    world.apply()
    world.url_source.fill({**moved(old), "fleet 0": old["fleet 0"]})
    world.apply()
    assert world.url_source.urls() == {**moved(old), "fleet 0": old["fleet 0"]}
    assert world.states()["fleet 0"] is EditState.CHANGED


class InMemory(FileOfUrls):
    """A URL source in memory, faster than one that rewrites a file for each edit."""

    def __init__(self) -> None:
        self._urls = dict[str, str]()

    def fill(self, urls: dict[str, str]) -> None:
        self._urls = urls

    def urls(self) -> dict[str, str]:
        return self._urls


@pytest.mark.parametrize(("count", "pieces"), [(50, 1), (51, 2), (5001, 99)])
def test_many_urls_move_in_at_most_a_hundred_batches(count: int, pieces: int, world: World) -> None:
    world.url_source = InMemory()
    old = planned(world, count)
    world.apply()
    assert world.url_source.urls() == moved(old)
    begun, *progress = [news for news in world.news if isinstance(news, EditsMoved)]
    assert (begun.moved, begun.done, begun.of) == (0, 0, count)
    assert len(progress) == pieces
    assert progress[-1] == EditsMoved(100, count, count, count)


# ---- receivers that are not ready


@dataclass
class Unready:
    """Implements `ReceiverReadinessCheck`: receivers of these hosts are not ready."""

    hosts: set[str]
    asked: list[str] = field(default_factory=list[str])

    async def __call__(self, entry: UrlEntry) -> str | None:
        host = entry.url.split("/")[2]
        self.asked.append(host)
        return "it answers 200 to everything" if host in self.hosts else None


def test_a_receiver_that_is_not_ready_is_skipped_and_reported(world: World) -> None:
    old = planned(world)
    world.apply(readiness=Unready({"r1.example"}))
    assert world.url_source.urls() == {**moved(old), "fleet 1": old["fleet 1"]}
    assert [
        (news.place.name, news.why) for news in world.news if isinstance(news, EditSkipped)
    ] == [("fleet 1", "it answers 200 to everything")]
    assert world.states()["fleet 1"] is EditState.SKIPPED


def test_a_skipped_url_moves_once_its_receiver_is_ready(world: World) -> None:
    old = planned(world)
    world.apply(readiness=Unready({"r1.example"}))
    world.apply(readiness=Unready(set()))
    assert world.url_source.urls() == moved(old)


def test_a_receiver_is_checked_once_for_all_its_places(world: World) -> None:
    world.url_source.fill({name: f"https://a.example/#rc={n}" for n, name in enumerate("abc")})
    world.make_plan()
    readiness = Unready({"a.example"})
    world.apply(readiness=readiness)
    assert readiness.asked == ["a.example"]


def test_a_receiver_that_is_not_ready_is_checked_once_in_all_steps(world: World) -> None:
    planned(world, 4)
    readiness = Unready({f"r{n}.example" for n in range(4)})
    world.apply(readiness=readiness, canary=Watched().canary(25, 50))
    assert sorted(readiness.asked) == [f"r{n}.example" for n in range(4)]


def test_a_step_in_which_nothing_moved_has_no_soak(world: World) -> None:
    planned(world, 2)
    world.apply(readiness=Unready({"r0.example", "r1.example"}), canary=Watched().canary(50))
    assert world.clock.now() == NOW


# ---- the canary


@dataclass
class Watched:
    """Implements `UrlDeliveryHistory`: after the given number of reads, these places fail."""

    worse: Collection[str] = ()
    after_looks: int = 1
    looks: int = 0
    asked: list[tuple[datetime, datetime]] = field(default_factory=list[tuple[datetime, datetime]])

    async def totals(self, *, since: datetime, until: datetime) -> Sequence[UrlDeliveryTotals]:
        self.asked.append((since, until))
        if until - since >= timedelta(days=1):  # before the step
            return []
        self.looks += 1
        failing = self.worse if self.looks >= self.after_looks else ()
        return [
            _one_callback(url, delivered=name not in failing)
            for name, url in moved(urls(100)).items()
        ]

    def canary(self, *shares: int, soak: timedelta = HOUR) -> CanarySettings:
        return CanarySettings(shares, soak, self)


def _one_callback(url: str, *, delivered: bool) -> UrlDeliveryTotals:
    kore = Source.KORE
    return UrlDeliveryTotals(ACCOUNT, url, kore, kore, int(delivered), int(not delivered), 0, 0)


def test_a_canary_moves_its_share_and_soaks_before_the_next_step(world: World) -> None:
    old = planned(world, 40)
    watched = Watched()
    assert world.apply(canary=watched.canary(10, 50)) is ApplyOutcome.DONE
    assert world.url_source.urls() == moved(old)
    steps = [(news.share, news.count) for news in world.news if isinstance(news, CanaryStarted)]
    assert steps == [(10, 4), (50, 16), (100, 20)]
    assert world.clock.now() - NOW == 3 * HOUR
    assert set(world.clock.slept) == {timedelta(minutes=1)}
    before, first, second, *_ = watched.asked
    assert before == (NOW - timedelta(days=1), NOW)
    assert first == (NOW, NOW)
    # Failures of the last ten seconds may still be retried.
    assert second == (NOW, NOW + timedelta(seconds=50))


def test_a_step_that_delivers_worse_is_rolled_back_and_worse_urls_stay_behind(world: World) -> None:
    old = planned(world, 40)
    watched = Watched(old, after_looks=5)
    assert world.apply(canary=watched.canary(10)) is ApplyOutcome.WENT_BACK
    assert world.url_source.urls() == old
    (worse,) = [news for news in world.news if isinstance(news, DeliveriesWorsened)]
    assert len(worse.behind) == 4
    states = list(world.states().values())
    assert (states.count(EditState.BEHIND), states.count(EditState.PENDING)) == (4, 36)


def test_a_single_url_that_delivers_worse_is_rolled_back_and_the_move_continues(
    world: World,
) -> None:
    old = planned(world, 40)
    first = sorted(name for name in old if UrlLocation(name, ACCOUNT) in _first(world, 10))[0]
    watched = Watched({first}, after_looks=5)
    assert world.apply(canary=watched.canary(10)) is ApplyOutcome.DONE
    assert world.url_source.urls() == {**moved(old), first: old[first]}
    assert world.states()[first] is EditState.BEHIND
    (worse,) = [news for news in world.news if isinstance(news, DeliveriesWorsened)]
    why = "1 of 1 fail (100.0 %); before: no attempts"
    assert (worse.share, list(worse.behind.values())) == (10, [why])


def test_the_next_apply_continues_without_those_that_stayed_behind(world: World) -> None:
    old = planned(world, 40)
    two = sorted(name for name in old if UrlLocation(name, ACCOUNT) in _first(world, 10))[:2]
    watched = Watched(two)
    assert world.apply(canary=watched.canary(10)) is ApplyOutcome.WENT_BACK
    assert world.url_source.urls() == old
    assert world.apply(canary=Watched().canary(10)) is ApplyOutcome.DONE
    assert world.url_source.urls() == {**moved(old), **{name: old[name] for name in two}}
    assert {world.states()[name] for name in two} == {EditState.BEHIND}


def _first(world: World, share: int) -> set[UrlLocation]:
    return up_to(share, world.plan.edits)


@pytest.mark.parametrize(("soak", "pause"), [(1, 1), (100, 5), (3600, 60)])
def test_a_soak_reads_the_results_about_twenty_times(soak: int, pause: int) -> None:
    canary = Watched().canary(10, soak=timedelta(seconds=soak))
    assert canary.pause == timedelta(seconds=pause)


def test_all_places_of_a_receiver_move_in_the_same_step(world: World) -> None:
    world.url_source.fill({f"fleet {n}": f"https://r{n // 10}.example/#rc=1" for n in range(40)})
    world.make_plan()
    world.apply(canary=Watched().canary(10))
    steps = [(news.share, news.count) for news in world.news if isinstance(news, CanaryStarted)]
    assert steps == [(10, 10), (100, 30)]


def test_urls_that_could_not_be_moved_are_not_monitored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned(world, 4)

    async def replace(edits: Sequence[UrlEdit]) -> Sequence[EditOutcome]:
        return [EditOutcome.CHANGED, *(EditOutcome.DONE for _ in edits[1:])]

    monkeypatch.setattr(world.url_source, "replace", replace)
    world.apply(canary=Watched().canary(50))
    assert [news.count for news in world.news if isinstance(news, CanaryStarted)] == [1, 2]


def test_a_step_that_was_cut_off_goes_on_with_its_own_share(world: World) -> None:
    planned(world, 200)
    with pytest.raises(KeyboardInterrupt):
        world.apply(canary=Watched().canary(50), checkpoint=_interrupt_at("replaced"))
    world.apply(canary=Watched().canary(90))
    steps = [(news.share, news.count) for news in world.news if isinstance(news, CanaryStarted)]
    assert steps == [(50, 100), (90, 80), (100, 20)]


@dataclass
class Few(Watched):
    """The same, but only these places have callbacks until the given number of reads."""

    called: Collection[str] = ()
    all_called_after: int = 3

    async def totals(self, *, since: datetime, until: datetime) -> Sequence[UrlDeliveryTotals]:
        totals = await super().totals(since=since, until=until)
        if self.looks > self.all_called_after:
            return totals
        early = {url for name, url in moved(urls(100)).items() if name in self.called}
        return [each for each in totals if each.url in early]


def test_two_bad_receivers_that_had_their_callbacks_first_do_not_stop_the_step(
    world: World,
) -> None:
    old = planned(world, 60)
    one, two, three, *_ = sorted(place.name for place in _first(world, 50))
    watched = Few({one, two}, called={one, two, three})
    assert world.apply(canary=watched.canary(50)) is ApplyOutcome.DONE
    assert world.url_source.urls() == {**moved(old), one: old[one], two: old[two]}


def test_the_same_stops_the_step_if_no_other_had_callbacks_at_its_end(world: World) -> None:
    old = planned(world, 60)
    one, two, three, *_ = sorted(place.name for place in _first(world, 50))
    watched = Few({one, two}, called={one, two, three}, all_called_after=999)
    assert world.apply(canary=watched.canary(50)) is ApplyOutcome.WENT_BACK
    assert world.url_source.urls() == old
    assert world.clock.now() - NOW == HOUR


@dataclass
class Unreadable(Watched):
    """The same, but so many reads fail first."""

    failures: list[Exception] = field(default_factory=list[Exception])

    async def totals(self, *, since: datetime, until: datetime) -> Sequence[UrlDeliveryTotals]:
        if self.failures:
            raise self.failures.pop(0)
        return await super().totals(since=since, until=until)


def test_deliveries_that_can_not_be_read_are_read_later(world: World) -> None:
    old = planned(world, 4)
    failures = [QueryTimeout("it takes too long"), StoreUnavailable("disk I/O error")] * 2
    watched = Unreadable(failures=failures)
    assert world.apply(canary=watched.canary(50)) is ApplyOutcome.DONE
    assert world.url_source.urls() == moved(old)
    assert watched.failures == []
    # The reads of what was before the step took four minutes, and it was watched for the rest.
    assert world.clock.now() - NOW == 2 * HOUR


def test_another_error_of_a_read_ends_the_apply(world: World) -> None:
    planned(world, 4)
    watched = Unreadable(failures=[ConfigurationError("the API answered 401")])
    with pytest.raises(ConfigurationError, match="the API answered 401"):
        world.apply(canary=watched.canary(50))


def least(canary: CanarySettings, callbacks: int, wait: timedelta = HOUR) -> CanarySettings:
    return replace(canary, least=callbacks, wait=wait)


def test_a_step_with_enough_callbacks_passes_without_waiting(world: World) -> None:
    planned(world, 4)
    assert world.apply(canary=least(Watched().canary(50), 2)) is ApplyOutcome.DONE
    assert world.clock.now() - NOW == 2 * HOUR
    assert not any(isinstance(news, CanaryWaits) for news in world.news)


def test_a_step_with_too_few_waits_and_is_then_unproven_or_probed(world: World) -> None:
    old = planned(world, 4)
    canary = least(Watched().canary(50), 3)
    assert world.apply(canary=canary) is ApplyOutcome.UNPROVEN
    (waits,) = [news for news in world.news if isinstance(news, CanaryWaits)]
    assert waits == CanaryWaits(50, 2, NOW + 2 * HOUR)
    assert world.clock.now() - NOW == 2 * HOUR
    assert len([name for name, url in world.url_source.urls().items() if url != old[name]]) == 2
    assert world.apply(canary=canary, readiness=Unready(set())) is ApplyOutcome.DONE
    tried = [news for news in world.news if isinstance(news, SilentReceiversTried)]
    # All of them had callbacks, so that none was left to probe.
    assert tried == [SilentReceiversTried(share, 2, 2, 0, 0, 0) for share in (50, 100)]
    assert world.url_source.urls() == moved(old)


@dataclass
class FewAtFirst(Watched):
    """Only some URLs have callbacks until a number of looks."""

    first: Collection[str] = ()
    until: int = 0

    async def totals(self, *, since: datetime, until: datetime) -> Sequence[UrlDeliveryTotals]:
        totals = await super().totals(since=since, until=until)
        urls_called = {moved(urls(100))[name] for name in self.first}
        return [each for each in totals if self.looks > self.until or each.url in urls_called]


def test_bad_urls_among_few_do_not_stop_a_step_that_waits_for_more_callbacks(world: World) -> None:
    planned(world, 100)
    step = sorted(place.name for place in _first(world, 50))
    watched = FewAtFirst(step[:3], first=step[:20], until=80)  # the soak has 61 looks
    assert world.apply(canary=least(watched.canary(50), 40)) is ApplyOutcome.DONE
    assert {name for name, state in world.states().items() if state is EditState.BEHIND} == {
        *step[:3]
    }


def test_a_wait_that_was_cut_off_ends_when_it_would_have(world: World) -> None:
    planned(world, 4)
    canary = least(Watched().canary(50), 3)
    with pytest.raises(KeyboardInterrupt):
        world.apply(canary=canary, checkpoint=_interrupt_at("waiting"))
    assert world.apply(canary=canary) is ApplyOutcome.UNPROVEN
    assert world.clock.now() - NOW == 2 * HOUR


def test_an_apply_of_an_unproven_step_waits_again(world: World) -> None:
    planned(world, 4)
    canary = least(Watched().canary(50), 3)
    assert world.apply(canary=canary) is ApplyOutcome.UNPROVEN
    assert world.apply(canary=canary) is ApplyOutcome.UNPROVEN
    settles = timedelta(seconds=10)
    assert world.clock.now() - NOW == 2 * HOUR + settles + HOUR
    assert world.apply(canary=least(canary, 0)) is ApplyOutcome.DONE


@dataclass
class Beside:
    """Implements `StepWatcher`: notes when it was to begin and to end."""

    clock: PassingClock
    asked: list[tuple[str, timedelta]] = field(default_factory=list[tuple[str, timedelta]])

    async def begin(self) -> None:
        self.asked.append(("begin", self.clock.now() - NOW))

    async def end(self) -> None:
        self.asked.append(("end", self.clock.now() - NOW))


def test_another_process_watches_each_step_just_as_long(world: World) -> None:
    planned(world, 4)
    beside = Beside(world.clock)
    with world.journal() as journal:
        executor = world.executor(journal)
        executor.watcher = beside
        apply = executor.apply(readiness=None, canary=Watched().canary(50))
        assert asyncio.run(apply) is ApplyOutcome.DONE
    assert beside.asked == [
        *(("begin", 0 * HOUR), ("end", HOUR)),
        *(("begin", HOUR), ("end", 2 * HOUR)),
    ]


def test_a_process_that_only_watches_lets_deliveries_settle_if_it_is_not_the_first(
    world: World,
) -> None:
    planned(world, 4)
    canary = Watched().canary(50)
    with pytest.raises(KeyboardInterrupt):
        world.apply(canary=canary, checkpoint=_interrupt_at("soaking"))
    for settles in (0, 10):
        before = world.clock.now()
        with world.journal() as journal, pytest.raises(KeyboardInterrupt):
            asyncio.run(world.executor(journal, _interrupt_at("looked")).watch(canary))
        assert world.clock.now() - before == timedelta(seconds=settles)
    with world.journal() as journal:
        assert asyncio.run(world.executor(journal).watch(canary)) is ApplyOutcome.DONE
    assert world.clock.now() - NOW == HOUR


def test_the_last_step_has_a_soak_too(world: World) -> None:
    old = planned(world, 10)
    watched = Watched(old, after_looks=70)  # the first soak has 61 reads
    assert world.apply(canary=watched.canary(10)) is ApplyOutcome.WENT_BACK
    assert len([name for name, url in world.url_source.urls().items() if url == old[name]]) == 9


# ---- revert


def test_revert_restores_the_exact_old_form_of_all_moved_urls(world: World) -> None:
    old = {"a": "https://a.example/#", "b": "HTTP://B.example/#cbs=twilio&x", "c": "http://c/"}
    world.url_source.fill(old)
    world.make_plan()
    world.apply()
    world.revert()
    assert world.url_source.urls() == old
    assert set(world.states().values()) == {EditState.RETURNED}


def test_revert_leaves_urls_that_somebody_changed_meanwhile(world: World) -> None:
    old = planned(world)
    world.apply()
    world.url_source.fill({**moved(old), "fleet 0": "https://other.example/"})
    world.revert()
    assert world.url_source.urls() == {**old, "fleet 0": "https://other.example/"}


def test_reverted_urls_can_be_moved_again(world: World) -> None:
    old = planned(world)
    world.apply()
    world.revert()
    world.apply()
    assert world.url_source.urls() == moved(old)


def test_urls_not_moved_before_apply_died_are_not_reverted_if_others_moved_them(
    world: World,
) -> None:
    old = planned(world, 1)
    with pytest.raises(KeyboardInterrupt):
        world.apply(checkpoint=_interrupt_at("moving"))
    world.revert()
    world.url_source.fill(moved(old))
    world.revert()
    assert world.url_source.urls() == moved(old)
    assert world.states() == {"fleet 0": EditState.THERE}


def test_an_apply_after_a_revert_begins_anew(world: World) -> None:
    planned(world, 4)
    with pytest.raises(KeyboardInterrupt):
        world.apply(canary=Watched().canary(50), checkpoint=_interrupt_at("looked"))
    world.revert()
    with world.journal() as journal:
        assert journal.summary.began is None
        assert journal.summary.step is None


def _interrupt_at(checkpoint: str) -> Callable[[str], None]:
    def pass_(name: str) -> None:
        if name == checkpoint:
            raise KeyboardInterrupt

    return pass_


def test_skipped_urls_do_not_join_a_step_during_its_soak(world: World) -> None:
    planned(world, 10)
    hosts = {edit.old.split("/")[2] for edit in world.plan.edits if edit.place in _first(world, 50)}
    with pytest.raises(KeyboardInterrupt):
        world.apply(
            readiness=Unready({min(hosts)}),
            canary=Watched().canary(50),
            checkpoint=_interrupt_at("looked"),
        )
    world.apply(readiness=Unready(set()), canary=Watched().canary(50))
    steps = [(news.share, news.count) for news in world.news if isinstance(news, CanaryStarted)]
    assert steps == [(50, 4), (50, 4), (100, 6)]


def test_a_line_deleted_after_its_url_moved_is_still_reverted(world: World) -> None:
    old = planned(world)
    world.apply()
    world.path.write_text(world.path.read_text().splitlines(keepends=True)[0])
    world.revert()
    assert world.url_source.urls() == old


# ---- the journal


def test_two_applies_of_one_plan_do_not_run_together(world: World) -> None:
    planned(world)
    with (
        world.journal(),
        pytest.raises(ConfigurationError, match="another `ringback migrate` works on"),
    ):
        world.apply()


def test_the_journal_of_another_plan_is_refused(world: World) -> None:
    planned(world)
    world.apply()
    path = journal_of(world.path)
    path.write_text(path.read_text().replace('"plan": "p1"', '"plan": "p0"'))
    with pytest.raises(ConfigurationError, match="is the journal of another plan"):
        world.apply()


def test_an_invalid_line_is_refused_by_its_number(world: World) -> None:
    planned(world)
    world.apply()
    path = journal_of(world.path)
    first, *rest = path.read_text().splitlines(keepends=True)
    path.write_text("".join([first, "{}\n", *rest]))
    with pytest.raises(
        ConfigurationError, match=r"move\.plan\.journal:2: this is not a journal line"
    ):
        world.apply()


def test_the_journal_records_what_was_done_and_when(world: World) -> None:
    planned(world, 1)
    world.apply()
    lines = [json.loads(line) for line in journal_of(world.path).read_text().splitlines()]
    assert [line["ringback_journal"] for line in lines] == [
        "began",
        "step",
        "moving",
        "moved",
        "passed",
    ]
    assert {line["at"] for line in lines} == {"2024-10-01T00:00:00+00:00"}
