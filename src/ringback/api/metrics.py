"""`/metrics`: the metrics of this process in Prometheus' text format.

The route needs no credentials, so the operator's firewall should block it from outside. All
requests that wait share one answer, so frequent requests cost little.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timedelta
from math import inf
from typing import Any, Final, NamedTuple

from prometheus_client import PROCESS_COLLECTOR
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

from ringback import __version__
from ringback.api.http.open_connections import OpenConnections
from ringback.api.single_flight import SingleFlight
from ringback.core.accounts.account import EVERY
from ringback.core.errors import StoreUnavailable
from ringback.delivery.counters import DeliveryCounters, Histogram
from ringback.policy.policy_monitor import PolicyMetrics
from ringback.ports import Clock

_PAUSE: Final = 0.5
"""Minimum seconds from one collection of the metrics to the next."""
_OVERDUE_SECONDS: Final = (0, 1, 10, 60, 600, 3600, 86400)
_COUNTED_FOR: Final = 10.0
"""Minimum seconds for which figures counted in the database are reused."""
_OF_THE_TIME: Final = 100
"""Figures are reused for 100 times as long as counting took, so counting takes 1 % of the time."""
_PATIENCE: Final = 0.2
"""Most seconds to wait for a count in the database: an answer must come within a second."""
_AGAIN_AFTER: Final = 1.0
"""Seconds to wait before counting again after the database was unavailable."""

_REPEATED: Final = ("serialization_failure", "deadlock", "lock_timeout")
_OF_COPIES: Final = ("source", "result")


Counts = Mapping[tuple[str, ...], int]
"""Maps the values of a metric's labels to a count."""

DueBefore = Callable[[Sequence[datetime]], Awaitable[Sequence[int]]]
"""Returns, for each given time, how many waiting callbacks should have been sent before it."""


class _StoredCounts(NamedTuple):
    """The metrics that have to be counted in the database."""

    overdue: Sequence[int]
    """For each value of `_OVERDUE_SECONDS`, the number of callbacks overdue by at least that."""
    kept_bytes: int


@dataclass(slots=True, eq=False)
class PrometheusMetrics:
    """Collects the metrics, and answers Prometheus' requests for them."""

    counters: DeliveryCounters
    _: KW_ONLY
    clock: Clock
    stopwatch: Callable[[], float]
    due_before: DueBefore
    waiting: Callable[[], int]
    """Returns the number of callbacks that wait for an attempt."""
    under_way: Callable[[], int]
    """Returns the number of attempts in progress."""
    open_connections: Callable[[], int]
    """Returns the number of open connections to receivers."""
    kept_bytes: Callable[[], Awaitable[int]]
    """Returns how many bytes of receivers' long responses are stored."""
    datagrams: Callable[[], Counts]
    """Returns the number of datagrams to and from devices, for each result."""
    refusals: Callable[[], Counts]
    """Returns how many requests the rate limits have refused, for each of the limits."""
    destination_events: Callable[[], Counts]
    """Returns how many events about destinations there were, for each kind."""
    stopped_lanes: Callable[[], Mapping[str, int]]
    """Returns for how many lanes nothing may be sent, by what stops them."""
    policy: Callable[[], PolicyMetrics]
    """Returns the metrics of the source policy."""
    is_paused: Callable[[], bool]
    """Returns True while the server sends nothing, until an operator resumes it."""
    is_store_up: Callable[[], bool]
    """Returns True if the database can be written to."""
    of_clients: OpenConnections
    """The open connections of API clients."""
    damaged_secrets: Callable[[], int] = lambda: 0
    """Returns the number of records with secrets that can't be decrypted."""
    pause: float = _PAUSE
    _stored: _StoredCounts | None = field(init=False, default=None)
    _stored_until: float = field(init=False, default=-inf)
    """The stopwatch time until which `_stored` is reused."""
    _counting: asyncio.Task[None] | None = field(init=False, default=None)
    """The count in the database that was begun last."""
    _is_readable: bool = field(init=False, default=True)
    """False if that count failed."""
    _collected: "SingleFlight[_Collected]" = field(init=False)

    def __post_init__(self) -> None:
        """Create the function that collects the metrics once for all waiting requests."""
        self._collected = SingleFlight(self._collect, pause=self.pause)

    async def show(self, request: Request) -> Response:
        """Respond with all metrics, in the format that the Accept header asks for."""
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        collected = await self._collected()
        if content_type not in collected.texts:
            collected.texts[content_type] = encode(collected)
        return Response(collected.texts[content_type], headers={"Content-Type": content_type})

    async def _collect(self) -> "_Collected":
        stored = await self._stored_counts()
        ours = (*self._counts(), *self._gauges(stored), *self._of_policy())
        return _Collected([*ours, *PROCESS_COLLECTOR.collect()])

    async def _stored_counts(self) -> _StoredCounts | None:
        """Return the counts from the database, reused for a while; None if it is unavailable.

        If counting takes longer than a moment, it goes on, and these are the counts before.
        This needs no lock, since the metrics are never collected twice at the same time.
        """
        counting = self._counting
        if counting is None and self.stopwatch() >= self._stored_until:
            self._counting = counting = asyncio.create_task(self._count_anew())
        if counting is not None:
            await asyncio.wait({counting}, timeout=_PATIENCE)
            if counting.done():
                counting.result()
            elif not self.is_store_up():
                return None
        return self._stored

    async def _count_anew(self) -> None:
        began = self.stopwatch()
        try:
            self._stored = await self._count_stored()
        finally:
            self._counting = None
        ended = self.stopwatch()
        usable_for = max(_COUNTED_FOR, _OF_THE_TIME * (ended - began))
        self._is_readable = self._stored is not None
        self._stored_until = ended + (usable_for if self._is_readable else _AGAIN_AFTER)

    async def _count_stored(self) -> _StoredCounts | None:
        now = self.clock.now()
        ages = [now - timedelta(seconds=seconds) for seconds in _OVERDUE_SECONDS]
        try:
            return _StoredCounts(await self.due_before(ages), await self.kept_bytes())
        except StoreUnavailable:
            return None

    def _counts(self) -> Iterator[Metric]:
        counters, evicted = self.counters, self.of_clients.evicted
        accepted, attempts = counters.acceptances, counters.attempts
        skipped = counters.skipped_copies(EVERY)
        yield _gauge("info", "The running version", {__version__: 1}, "version")
        yield _counter("callbacks_accepted", "Callbacks accepted", accepted, "source")
        yield _counter("attempts", "Attempts that ended", attempts, "source", "result", "failure")
        yield _counter(
            "callbacks_ended", "Callbacks that ended", counters.endings, "source", "status"
        )
        again = "Transactions run again, since those of others disturbed them"
        repeated = {reason: counters.repeated_transactions[reason] for reason in _REPEATED}
        yield _counter("store_transactions_repeated", again, repeated, "reason")
        outdated = "Results not stored, since another process had taken the callbacks over"
        yield _counter("results_outdated", outdated, counters.outdated_results)
        yield _counter("shadows", "Shadow copies that ended", counters.shadows, *_OF_COPIES)
        yield _counter("shadows_skipped", "Shadow copies not made", skipped, "reason")
        gone = "Client connections closed to make room for others"
        yield _counter("client_connections_evicted", gone, evicted)
        yield _counter("datagrams", "Datagrams to and from devices", self.datagrams(), "ending")
        limited = "Requests refused by a rate limit"
        yield _counter("requests_refused", limited, self.refusals(), "reason")
        of_events = "Events about destinations"
        yield _counter("destination_events", of_events, self.destination_events(), "event")
        took, delivery = "How long attempts took", "From acceptance to delivery"
        first, commits = "From acceptance to the first attempt", "How long commits took"
        yield _histogram("attempt_duration_seconds", took, counters.attempt_seconds)
        yield _histogram("delivery_seconds", delivery, counters.delivery_seconds)
        yield _histogram("first_attempt_seconds", first, {None: counters.first_attempt_seconds})
        yield _histogram("store_commit_seconds", commits, {None: counters.commit_seconds})

    def _gauges(self, stored: _StoredCounts | None) -> Iterator[Metric]:
        open_connections, of_clients = self.open_connections(), len(self.of_clients)
        yield _gauge("callbacks_under_way", "Attempts under way", self.under_way())
        yield _gauge("connections_open", "Connections to receivers", open_connections)
        yield _gauge("client_connections_open", "Connections of API clients", of_clients)
        queued = "Callbacks that wait for an attempt, due now or later"
        yield _gauge("callbacks_waiting", queued, self.waiting())
        stopped = "Destinations of accounts to which nothing may be sent"
        yield _gauge("destinations_stopped", stopped, self.stopped_lanes(), "state")
        damaged = "Accounts and settings with secrets that can't be decrypted"
        yield _gauge("damaged_secrets", damaged, self.damaged_secrets())
        paused = "1 while nothing is sent, until `ringback resume`; else 0"
        yield _gauge("paused", paused, self.is_paused())
        is_up = self.is_store_up() and self._is_readable
        yield _gauge("store_up", "1 if the database can be written to, else 0", is_up)
        if stored is not None:
            overdue, kept_bytes = stored
            by_age = dict(zip(map(str, _OVERDUE_SECONDS), overdue, strict=True))
            due = "Callbacks overdue for at least this number of seconds"
            kept = "Bytes stored of receivers' long responses"
            yield _gauge("kept_response_bytes", kept, kept_bytes)
            yield _gauge("callbacks_overdue", due, by_age, "seconds")

    def _of_policy(self) -> Iterator[Metric]:
        policy = self.policy()
        refused = "Changed settings files that could not be used"
        in_force = "1 if the policy of the settings file is in force, else 0"
        dependents = "Recent callbacks to URLs that depend on a source which ends or has ended"
        stored = "Stored callback URLs by the source that sends to them now"
        left = "Callback URLs that depend on a source which ends or has ended"
        ends = "When the source ends or has ended, as a Unix time"
        ahead, changes = policy.seconds_to_changes, "Seconds until the policy changes by its dates"
        yield _counter("policy_reload_failures", refused, policy.refusals)
        yield _gauge("policy_current", in_force, policy.is_current)
        yield _gauge("policy_seconds_to_next_border", changes, ahead, "change")
        yield _gauge("policy_dependent_callbacks", dependents, policy.dependents, "source")
        yield _gauge("policy_urls", stored, policy.stored_urls, "source", "reason")
        yield _gauge("policy_dependent_urls", left, policy.dependent_urls, "source", "use")
        yield _gauge("policy_source_ends_timestamp_seconds", ends, policy.ends, "source")


@dataclass(frozen=True, slots=True)
class _Collected(Collector):
    """All metrics as they were at one moment, in the form of a Prometheus collector."""

    metrics: Sequence[Metric]
    texts: dict[str, bytes] = field(default_factory=dict[str, bytes])
    """The metrics as text, by content type; each format is written when it is first requested."""

    def collect(self) -> Iterable[Metric]:
        """Return each metric with its samples."""
        return self.metrics


_Values = Mapping[tuple[str, ...], float] | Mapping[str, float] | float
"""The values of a metric: a single number, or one for each value of its label (or labels)."""


def _counter(name: str, help_: str, counts: _Values, *labels: str) -> Metric:
    return _filled(CounterMetricFamily(f"ringback_{name}", help_, labels=labels), counts)


def _gauge(name: str, help_: str, values: _Values, *labels: str) -> Metric:
    return _filled(GaugeMetricFamily(f"ringback_{name}", help_, labels=labels), values)


def _filled(family: CounterMetricFamily | GaugeMetricFamily, values: _Values) -> Metric:
    by_label = values if isinstance(values, Mapping) else {(): values}
    for label, value in by_label.items():
        family.add_metric((label,) if isinstance(label, str) else label, value)
    return family


def _histogram(name: str, help_: str, of_source: Mapping[Any, Histogram]) -> Metric:
    """Return a metric with one histogram for each source; the key None means without a label."""
    labels = () if None in of_source else ("source",)
    family = HistogramMetricFamily(f"ringback_{name}", help_, labels=labels)
    for source, histogram in of_source.items():
        buckets = [(str(bound).replace("inf", "+Inf"), count) for bound, count in histogram.up_to()]
        family.add_metric([source] if source else [], buckets, histogram.total)
    return family
