"""`/metrics`: the counts of this process in Prometheus' text format.

Nobody signs in for it, as usual for exporters; it belongs behind the operator's firewall. All of it
is kept as it changes, but for the callbacks that are overdue: those are counted now and then. It is
written twice a second at the most, for all who wait for it: asking without end costs little.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

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
from ringback.api.shared_work import SharedWork
from ringback.core.account import EVERY
from ringback.core.errors import StoreUnavailable
from ringback.engine.tally import Histogram, Tally
from ringback.policy.policy_monitor import PolicyMetrics
from ringback.ports import Clock

_PAUSE: Final = 0.5
"""Seconds between two times that they are collected: writing them costs milliseconds."""
_OVERDUE_SECONDS: Final = (0, 1, 10, 60, 600, 3600, 86400)
_COUNTED_FOR: Final = 10.0
"""How many seconds a count of what is overdue stands at least."""
_OF_THE_TIME: Final = 100
"""It also stands so many times as long as it took, so that most of the time nobody counts."""
_AGAIN_AFTER: Final = 1.0
"""After how many seconds it is tried again where the database could not be used."""

KeptBytes = Callable[[], Awaitable[int]]
"""Returns how many bytes are kept of long answers."""


class ClientConnections(NamedTuple):
    """How many connections of clients there are, and how many had to go for others."""

    open: int
    evicted: int


NO_POLICY: Final = PolicyMetrics({}, {}, refusals=0, is_current=True)

Counts = Mapping[tuple[str, ...], int]
"""How many of each; the key holds the values of the labels."""

DueBefore = Callable[[Sequence[datetime]], Awaitable[Sequence[int]]]
"""Returns for each instant how many callbacks wait that are due before it."""


class Metrics:
    """What Prometheus asks.

    `waiting`, `under_way` and `open_connections` return how many callbacks wait and how many
    attempts and connections there are now, `datagrams` how many datagrams of devices ended how,
    `refusals` how many requests had to wait and why, `policy` what is ahead of the policy;
    `is_store_up` says whether the database can be written to, `of_clients` the connections of
    those who ask.
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
        kept_bytes: KeptBytes,
        datagrams: Callable[[], Counts] = dict[tuple[str, ...], int],
        refusals: Callable[[], Counts] = dict[tuple[str, ...], int],
        policy: Callable[[], PolicyMetrics] = lambda: NO_POLICY,
        is_store_up: Callable[[], bool] = lambda: True,
        of_clients: Callable[[], ClientConnections] = lambda: ClientConnections(0, 0),
        pause: float = _PAUSE,
    ) -> None:
        self._tally = tally
        self._stored = _Stored(clock, stopwatch, due_before, kept_bytes)
        self._waiting = waiting
        self._under_way = under_way
        self._open_connections = open_connections
        self._datagrams = datagrams
        self._refusals = refusals
        self._policy = policy
        self._is_store_up = is_store_up
        self._of_clients = of_clients
        self._collected = SharedWork(self._collect, pause=pause)
        self._written = _Written(CollectorRegistry())

    async def show(self, request: Request) -> Response:
        """Answer with all metrics, in the format that is asked for."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        registry = await self._collected()
        if self._written.registry is not registry:
            self._written = _Written(registry)
        texts = self._written.texts
        if content_type not in texts:
            texts[content_type] = encode(registry)
        return Response(texts[content_type], headers={"Content-Type": content_type})

    async def _collect(self) -> CollectorRegistry:
        stored = await self._stored.counts()
        registry = CollectorRegistry(auto_describe=False)
        registry.register(
            _Snapshot(
                self._tally,
                stored,
                waiting=self._waiting(),
                under_way=self._under_way(),
                open_connections=self._open_connections(),
                datagrams=self._datagrams(),
                refusals=self._refusals(),
                policy=self._policy(),
                is_store_up=self._is_store_up(),
                of_clients=self._of_clients(),
            )
        )
        ProcessCollector(registry=registry)
        return registry


@dataclass(frozen=True, slots=True)
class _Written:
    """What was collected last, as it was written in each format that was asked for."""

    registry: CollectorRegistry
    texts: dict[str, bytes] = field(default_factory=dict[str, bytes])


class _Counts(NamedTuple):
    """What is counted in the store."""

    overdue: Sequence[int]
    """How many callbacks are overdue by each age."""
    kept_bytes: int


class _Stored:
    """What is counted in the store; once for all who ask within a time."""

    def __init__(
        self,
        clock: Clock,
        stopwatch: Callable[[], float],
        due_before: DueBefore,
        kept_bytes: KeptBytes,
    ) -> None:
        self._clock = clock
        self._stopwatch = stopwatch
        self._due_before = due_before
        self._kept_bytes = kept_bytes
        self._one_at_a_time = asyncio.Lock()
        self._counts: _Counts | None = None
        self._until = stopwatch()

    async def counts(self) -> _Counts | None:
        """Return what there is of each; None in an outage of the store."""
        async with self._one_at_a_time:
            began = self._stopwatch()
            if began < self._until:
                return self._counts
            self._counts = await self._count()
            ended = self._stopwatch()
            stands = max(_COUNTED_FOR, _OF_THE_TIME * (ended - began))
            self._until = ended + (_AGAIN_AFTER if self._counts is None else stands)
            return self._counts

    async def _count(self) -> _Counts | None:
        now = self._clock.now()
        ages = [now - timedelta(seconds=seconds) for seconds in _OVERDUE_SECONDS]
        try:
            return _Counts(await self._due_before(ages), await self._kept_bytes())
        except StoreUnavailable:
            return None


def metrics_routes(metrics: Metrics) -> list[BaseRoute]:
    """Return the route for Prometheus."""
    return [resource("/metrics", get=metrics.show)]


@dataclass(frozen=True, slots=True, eq=False)  # a registry keys its collectors by identity
class _Snapshot(Collector):
    """All metrics at one moment."""

    tally: Tally
    stored: _Counts | None
    waiting: int
    under_way: int
    open_connections: int
    datagrams: Counts
    refusals: Counts
    policy: PolicyMetrics
    is_store_up: bool
    of_clients: ClientConnections

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
        yield _counter(
            "client_connections_evicted",
            "Connections of clients that had to go for others",
            (),
            {(): self.of_clients.evicted},
        )
        yield _counter("datagrams", "Datagrams to and from devices", ("ending",), self.datagrams)
        yield _counter("requests_refused", "Requests that had to wait", ("reason",), self.refusals)

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
            "client_connections_open", "Connections of clients", (), {(): self.of_clients.open}
        )
        yield _gauge(
            "callbacks_waiting", "Callbacks that wait, also for later", (), {(): self.waiting}
        )
        is_up = self.is_store_up and self.stored is not None
        yield _gauge("store_up", "Whether the database can be written to", (), {(): is_up})
        if self.stored is not None:
            overdue, kept_bytes = self.stored
            yield _gauge("kept_response_bytes", "Bytes kept of long answers", (), {(): kept_bytes})
            ages = map(str, _OVERDUE_SECONDS)
            by_age = {(age,): count for age, count in zip(ages, overdue, strict=True)}
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
            {(change,): seconds for change, seconds in policy.seconds_to_changes.items()},
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
