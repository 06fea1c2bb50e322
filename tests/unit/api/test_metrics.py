"""Metrics, parsed by the official parser."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from ringback import __version__
from ringback.api.health import metrics_routes
from ringback.api.http.open_connections import OpenConnections
from ringback.api.metrics import PrometheusMetrics
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.errors import StoreUnavailable
from ringback.core.policy.policy_impact import SelectionReason
from ringback.core.policy.source_policy import Source
from ringback.core.policy.urls_in_use import UrlUse
from ringback.delivery.counters import DeliveryCounters
from ringback.policy.policy_monitor import PolicyMetrics
from tests.fakes import NOW, FakeClock
from tests.memory_store import MemoryStore
from tests.unit.api.caller import Caller
from tests.unit.api.world import app_on

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Backlog:
    """Waiting callbacks, each with the instant at which it is due."""

    def __init__(self, *due: datetime) -> None:
        self.due = due
        self.is_writable = True
        self.failure: Exception | None = None
        self.kept = 0
        self.asked = 0
        self.collected = 0
        self.answers = asyncio.Event()
        """Cleared while the database is silent."""
        self.answers.set()
        self.takes = 0.0
        """Seconds that counting them takes."""
        self.time = 0.0

    async def due_before(self, instants: Sequence[datetime]) -> list[int]:
        self.asked += 1
        await asyncio.sleep(0)
        await self.answers.wait()
        self.time += self.takes
        if self.failure is not None:
            raise self.failure
        return [sum(due < instant for due in self.due) for instant in instants]

    def waiting(self) -> int:
        self.collected += 1
        return 5

    async def kept_bytes(self) -> int:
        if self.failure is not None:
            raise self.failure
        return self.kept


class ClientConnections(OpenConnections):
    """Seven open connections of clients, after forty were closed to make room."""

    def __init__(self) -> None:
        super().__init__(most=10)
        self.evicted = 40

    def __len__(self) -> int:
        return 7


@pytest.fixture
def counters() -> DeliveryCounters:
    return DeliveryCounters()


@pytest.fixture
def backlog() -> Backlog:
    return Backlog()


@pytest.fixture
def caller(counters: DeliveryCounters, backlog: Backlog) -> Caller:
    """A client without credentials, whose requests never share a collection."""
    return caller_of(counters, backlog, pause=0)


def caller_of(counters: DeliveryCounters, backlog: Backlog, *, pause: float) -> Caller:
    metrics = PrometheusMetrics(
        counters,
        clock=FakeClock(),
        stopwatch=lambda: backlog.time,
        pause=pause,
        due_before=backlog.due_before,
        waiting=backlog.waiting,
        under_way=lambda: 3,
        open_connections=lambda: 17,
        kept_bytes=backlog.kept_bytes,
        datagrams=lambda: {("received",): 5, ("dropped",): 2},
        refusals=lambda: {("sign_in",): 2, ("rate_limit",): 3},
        destination_events=lambda: {("destination.opened",): 2},
        stopped_lanes=lambda: {"open": 3, "held": 0},
        is_paused=lambda: True,
        is_store_up=lambda: backlog.is_writable,
        policy=lambda: PolicyMetrics(
            {"source_ends": 86400.0},
            {Source.TWILIO: 12},
            refusals=2,
            stored_urls={(Source.KORE, SelectionReason.ASKED): 7},
            dependent_urls={(Source.TWILIO, UrlUse.STORED): 4},
            ends={Source.TWILIO: 1730505600.0},
            is_current=False,
        ),
        of_clients=ClientConnections(),
    )
    return Caller(app_on(MemoryStore(), beside=metrics_routes(lambda: metrics)), credentials=None)


async def samples(caller: Caller) -> Samples:
    text = (await caller.get("/metrics")).body.decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in read_text(text)
        for sample in family.samples
    }


def named(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return f"ringback_{name}", frozenset(labels.items())


async def test_destinations_are_reported(caller: Caller) -> None:
    found = await samples(caller)
    assert found[named("destination_events_total", event="destination.opened")] == 2
    assert found[named("destinations_stopped", state="open")] == 3
    assert found[named("destinations_stopped", state="held")] == 0


async def test_future_changes_of_the_policy_are_reported(caller: Caller) -> None:
    found = await samples(caller)
    assert found[named("policy_seconds_to_next_border", change="source_ends")] == 86400
    assert found[named("policy_dependent_callbacks", source="twilio")] == 12
    assert found[named("policy_urls", source="kore", reason="asked")] == 7
    assert found[named("policy_dependent_urls", source="twilio", use="stored")] == 4
    ends = found[named("policy_source_ends_timestamp_seconds", source="twilio")]
    assert datetime.fromtimestamp(ends, UTC) == datetime(2024, 11, 2, tzinfo=UTC)
    assert found[named("policy_reload_failures_total")] == 2
    assert found[named("policy_current")] == 0


async def test_open_connections_of_clients_and_closed_ones_are_reported(caller: Caller) -> None:
    found = await samples(caller)
    assert found[named("client_connections_open")] == 7
    assert found[named("client_connections_evicted_total")] == 40


async def test_counters_are_reported(caller: Caller, counters: DeliveryCounters) -> None:
    for _ in range(5):
        counters.accepted(Source.KORE)
    counters.attempts[Source.KORE, "delivered", ""] += 1
    counters.attempts[Source.KORE, "unreachable", "tls"] += 1
    counters.ended(CallbackStatus.FAILED, Source.TWILIO, 1.0)
    counters.repeated("deadlock")
    told = await samples(caller)
    for reason, count in (("deadlock", 1), ("lock_timeout", 0), ("serialization_failure", 0)):
        assert told[named("store_transactions_repeated_total", reason=reason)] == count
    assert told[named("callbacks_accepted_total", source="kore")] == 5
    assert told[named("callbacks_accepted_total", source="twilio")] == 0
    delivered = named("attempts_total", source="kore", result="delivered", failure="")
    unreachable = named("attempts_total", source="kore", result="unreachable", failure="tls")
    assert told[delivered] == told[unreachable] == 1
    assert told[named("callbacks_ended_total", source="twilio", status="failed")] == 1


async def test_copies_are_reported_by_source_and_result_and_skipped_ones_by_reason(
    caller: Caller, counters: DeliveryCounters
) -> None:
    counters.shadows[Source.KORE, "refused"] += 3
    counters.shadows_skipped["AC1", "full"] += 1
    counters.shadows_skipped["AC2", "full"] += 2
    told = await samples(caller)
    assert told[named("shadows_total", source="kore", result="refused")] == 3
    assert told[named("shadows_skipped_total", reason="full")] == 3


async def test_requests_that_had_to_wait_are_reported_by_reason(caller: Caller) -> None:
    told = await samples(caller)
    assert told[named("requests_refused_total", reason="sign_in")] == 2
    assert told[named("requests_refused_total", reason="rate_limit")] == 3


async def test_durations_are_reported_by_source(caller: Caller, counters: DeliveryCounters) -> None:
    for seconds in (0.02, 0.04):
        counters.attempt_seconds[Source.KORE].add(seconds)
    counters.ended(CallbackStatus.DELIVERED, Source.TWILIO, 0.3)
    told = await samples(caller)
    assert told[named("attempt_duration_seconds_bucket", source="kore", le="0.025")] == 1
    assert told[named("attempt_duration_seconds_bucket", source="kore", le="0.05")] == 2
    assert told[named("attempt_duration_seconds_bucket", source="kore", le="+Inf")] == 2
    assert told[named("attempt_duration_seconds_count", source="kore")] == 2
    assert told[named("attempt_duration_seconds_sum", source="kore")] == pytest.approx(0.06)
    assert told[named("delivery_seconds_sum", source="twilio")] == pytest.approx(0.3)


async def test_durations_are_reported_for_all_sources_together(
    caller: Caller, counters: DeliveryCounters
) -> None:
    counters.first_attempt_seconds.add(0.02)
    counters.commit_seconds.add(0.003)
    told = await samples(caller)
    assert told[named("first_attempt_seconds_bucket", le="0.025")] == 1
    assert told[named("first_attempt_seconds_sum")] == pytest.approx(0.02)
    assert told[named("store_commit_seconds_bucket", le="0.005")] == 1
    assert told[named("store_commit_seconds_count")] == 1


async def test_current_activity_is_reported(caller: Caller) -> None:
    told = await samples(caller)
    assert told[named("callbacks_under_way")] == 3
    assert told[named("paused")] == 1
    assert told[named("connections_open")] == 17
    assert told[named("info", version=__version__)] == 1


async def test_the_backlog_is_reported_by_age(caller: Caller, backlog: Backlog) -> None:
    ages = [-86400 * 400, 5, 30, 5000, 100_000]
    backlog.due = tuple(NOW - timedelta(seconds=age) for age in ages)
    told = await samples(caller)
    assert told[named("callbacks_waiting")] == 5
    overdue = {
        seconds: told[named("callbacks_overdue", seconds=seconds)]
        for seconds in ("0", "1", "10", "60", "600", "3600", "86400")
    }
    assert overdue == {"0": 4, "1": 4, "10": 3, "60": 2, "600": 2, "3600": 2, "86400": 1}


async def test_overdue_callbacks_are_counted_once_in_ten_seconds_for_all_requests(
    caller: Caller, backlog: Backlog
) -> None:
    for _ in range(5):
        await asyncio.gather(*(samples(caller) for _ in range(4)))
        backlog.time += 1.9
    assert backlog.asked == 1
    backlog.due = (NOW - timedelta(seconds=5),)
    backlog.time += 0.5
    assert (await samples(caller))[named("callbacks_overdue", seconds="1")] == 1
    assert backlog.asked == 2


async def test_simultaneous_requests_share_one_collection_each_in_its_own_format(
    counters: DeliveryCounters,
) -> None:
    backlog = Backlog()
    caller = caller_of(counters, backlog, pause=3600)
    one, other, in_another_format = await asyncio.gather(
        caller.get("/metrics"),
        caller.get("/metrics"),
        caller.get("/metrics", accept="application/openmetrics-text"),
    )
    assert one.body == other.body
    assert backlog.collected == 1
    assert in_another_format.headers["content-type"].startswith("application/openmetrics-text")


async def test_counting_takes_at_most_a_hundredth_of_the_time(
    caller: Caller, backlog: Backlog
) -> None:
    backlog.takes = 0.5
    for _ in range(300):
        await samples(caller)
        backlog.time += 1
    assert backlog.asked == 6


async def test_a_failed_count_is_tried_again_soon(caller: Caller, backlog: Backlog) -> None:
    backlog.failure = StoreUnavailable("the disk is full")
    assert (await samples(caller))[named("store_up")] == 0
    backlog.failure = None
    assert (await samples(caller))[named("store_up")] == 0
    backlog.time += 1
    assert (await samples(caller))[named("store_up")] == 1


async def test_an_outage_of_the_store_hides_only_the_overdue_count(
    caller: Caller, backlog: Backlog, counters: DeliveryCounters
) -> None:
    counters.accepted(Source.KORE)
    assert (await samples(caller))[named("store_up")] == 1
    backlog.failure = StoreUnavailable("the disk is full")
    backlog.time += 10
    told = await samples(caller)
    assert told[named("store_up")] == 0
    assert told[named("callbacks_accepted_total", source="kore")] == 1
    assert told[named("callbacks_waiting")] == 5
    assert named("callbacks_overdue", seconds="0") not in told
    assert named("kept_response_bytes") not in told


async def test_a_silent_database_delays_no_answer(caller: Caller, backlog: Backlog) -> None:
    backlog.due = (NOW - timedelta(days=2),)
    overdue = named("callbacks_overdue", seconds="86400")
    backlog.answers.clear()
    async with asyncio.timeout(1):
        told = await samples(caller)
    assert told[named("store_up")] == 1
    assert overdue not in told
    backlog.is_writable = False
    for _ in range(3):
        async with asyncio.timeout(1):
            told = await samples(caller)
        assert told[named("store_up")] == 0
        assert told[named("callbacks_waiting")] == 5
        assert overdue not in told
    backlog.is_writable = True
    backlog.answers.set()
    assert (await samples(caller))[overdue] == 1
    assert backlog.asked == 1
    backlog.time += 10
    backlog.answers.clear()
    assert (await samples(caller))[overdue] == 1
    backlog.answers.set()


async def test_stored_responses_are_reported(caller: Caller, backlog: Backlog) -> None:
    backlog.kept = 7 << 20
    assert (await samples(caller))[named("kept_response_bytes")] == 7 << 20


async def test_a_read_only_store_is_not_up(caller: Caller, backlog: Backlog) -> None:
    backlog.is_writable = False
    told = await samples(caller)
    assert told[named("store_up")] == 0
    assert named("callbacks_waiting") in told


async def test_the_datagrams_of_devices_are_counted_by_result(caller: Caller) -> None:
    told = await samples(caller)
    assert told[named("datagrams_total", ending="received")] == 5
    assert told[named("datagrams_total", ending="dropped")] == 2


async def test_each_name_belongs_to_ringback_or_the_process(caller: Caller) -> None:
    names = {name for name, _ in await samples(caller)}
    assert {name.partition("_")[0] for name in names} == {"ringback", "process"}


async def test_reading_twice_counts_nothing_twice(
    caller: Caller, counters: DeliveryCounters
) -> None:
    counters.accepted(Source.KORE)
    await samples(caller)
    assert (await samples(caller))[named("callbacks_accepted_total", source="kore")] == 1


async def test_the_text_format_is_the_default(caller: Caller) -> None:
    plain = await caller.get("/metrics")
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    accept = "application/openmetrics-text; version=1.0.0"
    open_metrics = await caller.get("/metrics", accept=accept)
    assert open_metrics.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name for family in read_openmetrics(open_metrics.body.decode())}
    assert "ringback_attempts" in families
