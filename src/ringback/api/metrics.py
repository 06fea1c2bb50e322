"""`/metrics`: the counts of this process in Prometheus' text format.

Nobody signs in for it, as usual for exporters; it belongs behind the operator's firewall. All of it
is kept as it changes, but for the callbacks that are overdue: those are counted now and then, so
that asking often costs little.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ringback import __version__
from ringback.api.routing import resource
from ringback.core.account import EVERY
from ringback.core.errors import StoreUnavailable
from ringback.engine.foresight import Figures
from ringback.engine.tally import Histogram, Tally
from ringback.ports import Clock

_OVERDUE_SECONDS: Final = (0, 1, 10, 60, 600, 3600, 86400)
_COUNTED_FOR: Final = 10.0
"""How many seconds a count of what is overdue stands at least."""
_OF_THE_TIME: Final = 100
"""It also stands so many times as long as it took, so that most of the time nobody counts."""
_AGAIN_AFTER: Final = 1.0
"""After how many seconds it is tried again where the database could not be used."""

NO_POLICY: Final = Figures({}, {}, refusals=0, is_current=True)

Counts = Mapping[tuple[str, ...], int]
"""How many of each; the key holds the values of the labels."""

DueBefore = Callable[[Sequence[datetime]], Awaitable[Sequence[int]]]
"""Returns for each instant how many callbacks wait that are due before it."""


class Metrics:
    """What Prometheus asks.

    `waiting`, `under_way` and `open_connections` return how many callbacks wait and how many
    attempts and connections there are now, `datagrams` how many datagrams of devices ended how,
    `policy` what is ahead of the policy.
    """

    def __init__(
        self,
        tally: Tally,
        *,
        clock: Clock,
        stopwatch: Callable[[], float],
        due_before: DueBefore,
        waiting: Callable[[], int],
        under_way: Callable[[], int],
        open_connections: Callable[[], int],
        datagrams: Callable[[], Counts] = dict[tuple[str, ...], int],
        policy: Callable[[], Figures] = lambda: NO_POLICY,
    ) -> None:
        self._tally = tally
        self._overdue = _Overdue(clock, stopwatch, due_before)
        self._waiting = waiting
        self._under_way = under_way
        self._open_connections = open_connections
        self._datagrams = datagrams
        self._policy = policy

    async def show(self, request: Request) -> Response:
        """Answer with all metrics, in the format that is asked for."""
        registry = CollectorRegistry(auto_describe=False)
        registry.register(
            _Snapshot(
                self._tally,
                await self._overdue.counts(),
                waiting=self._waiting(),
                under_way=self._under_way(),
                open_connections=self._open_connections(),
                datagrams=self._datagrams(),
                policy=self._policy(),
            )
        )
        ProcessCollector(registry=registry)
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"Content-Type": content_type})


class _Overdue:
    """How many callbacks are overdue by each age; counted once for all who ask within a time."""

    def __init__(self, clock: Clock, stopwatch: Callable[[], float], due_before: DueBefore) -> None:
        self._clock = clock
        self._stopwatch = stopwatch
        self._due_before = due_before
        self._one_at_a_time = asyncio.Lock()
        self._counts: Sequence[int] | None = None
        self._until = stopwatch()

    async def counts(self) -> Sequence[int] | None:
        """Return the count for each age; None in an outage of the store."""
        async with self._one_at_a_time:
            began = self._stopwatch()
            if began < self._until:
                return self._counts
            self._counts = await self._count()
            ended = self._stopwatch()
            stands = max(_COUNTED_FOR, _OF_THE_TIME * (ended - began))
            self._until = ended + (_AGAIN_AFTER if self._counts is None else stands)
            return self._counts

    async def _count(self) -> Sequence[int] | None:
        now = self._clock.now()
        try:
            return await self._due_before(
                [now - timedelta(seconds=seconds) for seconds in _OVERDUE_SECONDS]
            )
        except StoreUnavailable:
            return None


def metrics_routes(metrics: Metrics) -> list[BaseRoute]:
    """Return the route for Prometheus."""
    return [resource("/metrics", get=metrics.show)]


@dataclass(frozen=True, slots=True, eq=False)  # a registry keys its collectors by identity
class _Snapshot(Collector):
    """All metrics at one moment."""

    tally: Tally
    overdue: Sequence[int] | None
    waiting: int
    under_way: int
    open_connections: int
    datagrams: Counts
    policy: Figures

    def collect(self) -> Iterable[Metric]:
        """Yield each metric with its samples."""
        yield _gauge("info", "The version that runs", ("version",), {(__version__,): 1})
        yield from self._counters()
        yield from self._histograms()
        yield from self._gauges()
        yield from self._of_policy()

    def _counters(self) -> Iterator[Metric]:
        tally = self.tally
        accepted = {(source,): count for source, count in tally.acceptances.items()}
        yield _counter("callbacks_accepted", "Callbacks taken in", ("source",), accepted)
        yield _counter(
            "attempts", "Attempts that ended", ("source", "result", "failure"), tally.attempts
        )
        yield _counter(
            "callbacks_ended", "Callbacks that ended", ("source", "status"), tally.endings
        )
        yield _counter(
            "shadows", "Copies of callbacks that ended", ("source", "result"), tally.shadows
        )
        skipped = {(why,): count for why, count in tally.skipped_copies(EVERY).items()}
        yield _counter("shadows_skipped", "Copies that were not made", ("reason",), skipped)
        yield _counter("datagrams", "Datagrams to and from devices", ("ending",), self.datagrams)

    def _histograms(self) -> Iterator[Metric]:
        tally = self.tally
        yield _histogram(
            "attempt_duration_seconds", "How long attempts took", tally.attempt_seconds
        )
        yield _histogram("delivery_seconds", "From acceptance to delivery", tally.delivery_seconds)
        yield _histogram(
            "first_attempt_seconds",
            "From acceptance to the first attempt",
            {None: tally.first_attempt_seconds},
        )
        yield _histogram(
            "store_commit_seconds", "How long commits took", {None: tally.commit_seconds}
        )

    def _gauges(self) -> Iterator[Metric]:
        yield _gauge("callbacks_under_way", "Attempts under way", (), {(): self.under_way})
        yield _gauge(
            "connections_open", "Connections to receivers", (), {(): self.open_connections}
        )
        yield _gauge(
            "callbacks_waiting", "Callbacks that wait, also for later", (), {(): self.waiting}
        )
        yield _gauge("store_up", "Whether the database answers", (), {(): self.overdue is not None})
        if self.overdue is not None:
            ages = map(str, _OVERDUE_SECONDS)
            by_age = {(age,): count for age, count in zip(ages, self.overdue, strict=True)}
            yield _gauge(
                "callbacks_overdue",
                "Callbacks due for at least so many seconds",
                ("seconds",),
                by_age,
            )

    def _of_policy(self) -> Iterator[Metric]:
        policy = self.policy
        yield _counter(
            "policy_reload_failures",
            "How often a changed settings file could not be used",
            (),
            {(): policy.refusals},
        )
        yield _gauge(
            "policy_current",
            "Whether the policy of the settings file is in force",
            (),
            {(): policy.is_current},
        )
        yield _gauge(
            "policy_seconds_to_next_border",
            "Until the policy changes by its dates",
            ("change",),
            {(change,): seconds for change, seconds in policy.seconds_to_borders.items()},
        )
        yield _gauge(
            "policy_dependent_callbacks",
            "Callbacks of the last week that a source sends now which ends",
            ("source",),
            {(source,): count for source, count in policy.dependents.items()},
        )


def _counter(name: str, help_: str, labels: Sequence[str], counts: Counts) -> Metric:
    family = CounterMetricFamily(f"ringback_{name}", help_, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def _gauge(
    name: str, help_: str, labels: Sequence[str], values: Mapping[tuple[str, ...], float]
) -> Metric:
    family = GaugeMetricFamily(f"ringback_{name}", help_, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family


def _histogram(name: str, help_: str, of_source: Mapping[Any, Histogram]) -> Metric:
    """Return a histogram for each source, or one without a label, under None."""
    labels = () if None in of_source else ("source",)
    family = HistogramMetricFamily(f"ringback_{name}", help_, labels=labels)
    for source, histogram in of_source.items():
        buckets = [(str(bound).replace("inf", "+Inf"), count) for bound, count in histogram.up_to()]
        family.add_metric([source] if source else [], buckets, histogram.total)
    return family
