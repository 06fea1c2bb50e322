"""Builds the HTTP API of a server, with its health checks and metrics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Self

from ringback.api.app import create_app, direct_handlers
from ringback.api.callback_url_reader import callback_url_parser
from ringback.api.dependencies import ApiDependencies
from ringback.api.health import HealthChecks, health_routes, metrics_routes
from ringback.api.http.open_connections import OpenConnections
from ringback.api.portal.clock import ClockEndpoints
from ringback.api.portal.policy import PolicyEndpoints
from ringback.api.rate_limit import AccountRateLimit
from ringback.api.single_flight import SingleFlight
from ringback.application.process_dependencies import ProcessDependencies
from ringback.application.storage import OpenStorage
from ringback.core.accounts.account import EVERY
from ringback.delivery.enqueue import StoreOnlyQueue
from ringback.engine.clock_advancer import ClockAdvancer
from ringback.operations.create_callbacks import send_callbacks
from ringback.policy.policy_monitor import PolicyMonitor
from ringback.policy.stored_policy import StoredPolicy
from ringback.ports import BulkCallbackQueue, LoopWaker, NewCallbackQueue
from ringback.runtime.system_clock import stopwatch
from ringback.runtime.wakeup import Wakeup

if TYPE_CHECKING:
    from ringback.api.metrics import PrometheusMetrics

_BETWEEN_PROBES: Final = 0.1
"""The shortest time, in seconds, between two test writes to the database for `/readyz`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerServicesForApi:
    """The workers' services that the API uses; the defaults are for a process without workers."""

    queue: NewCallbackQueue
    batch_queue: BulkCallbackQueue
    notifier: LoopWaker
    """Wakes the loop for scheduled tasks after each new task."""
    policy_monitor: PolicyMonitor
    stored_policy: StoredPolicy
    clock_advancer: ClockAdvancer | None = None
    """Advances the clock; None if the clock can't be advanced."""
    gateway: str | None = None
    """The `host:port` that devices send datagrams to; None without a UDP gateway."""
    is_running: Callable[[], bool] = lambda: True
    waiting: Callable[[], int] = lambda: 0
    under_way: Callable[[], int] = lambda: 0
    open_connections: Callable[[], int] = lambda: 0
    datagrams: Callable[[], Mapping[tuple[str, ...], int]] = dict[tuple[str, ...], int]

    @classmethod
    def without_workers(cls, process: ProcessDependencies, storage: OpenStorage) -> Self:
        """Return services that only store callbacks and tasks; workers find them in the store."""
        queue = StoreOnlyQueue(storage.store, process.counters, add=send_callbacks)
        return cls(
            queue=queue,
            batch_queue=queue,
            notifier=Wakeup(process.clock),
            policy_monitor=process.policy_monitor(storage.store),
            stored_policy=process.stored_policy(storage.store),
        )


class HttpApi:
    """Builds the ASGI application that serves all APIs, and the dependencies of its endpoints."""

    def __init__(
        self, process: ProcessDependencies, storage: OpenStorage, ports: WorkerServicesForApi
    ) -> None:
        settings = process.settings
        self.connections = OpenConnections(process.shares.incoming)
        """The open connections of clients."""
        self.dependencies = ApiDependencies(
            store=storage.store,
            clock=process.clock,
            context=partial(process.context, ports.queue),
            task_runner=ports.notifier,
            callback_queue=ports.queue,
            batch_queue=ports.batch_queue,
            read_url=callback_url_parser(settings.guard, settings.egresses, settings.sources),
            sources=settings.sources,
            skipped_copies=process.counters.skipped_copies,
            response_storage=settings.storage_budget,
            rate_limit=AccountRateLimit(settings.rate_limit),
            gateway=ports.gateway,
            refused=storage.outage.refused,
        )
        policies = PolicyEndpoints(self.dependencies, ports.policy_monitor, ports.stored_policy)
        portal = policies.operations()
        if ports.clock_advancer is not None:
            portal += ClockEndpoints(self.dependencies, ports.clock_advancer).operations()
        health = HealthChecks(
            commit=SingleFlight(storage.outage.commit, pause=_BETWEEN_PROBES),
            is_running=ports.is_running,
        )
        metrics = partial(self._metrics, process, storage, ports)
        beside = [*health_routes(health), *metrics_routes(metrics)]
        self.app = create_app(self.dependencies, portal=portal, beside=beside)
        self.direct = direct_handlers(self.dependencies)
        """The handlers of requests that are answered without the ASGI application."""

    def _metrics(
        self, process: ProcessDependencies, storage: OpenStorage, ports: WorkerServicesForApi
    ) -> "PrometheusMetrics":
        # Imported late: the library of Prometheus would make the start slower.
        from ringback.api.metrics import PrometheusMetrics  # noqa: PLC0415 (see above)

        store = storage.store
        return PrometheusMetrics(
            process.counters,
            clock=process.clock,
            stopwatch=stopwatch,
            due_before=lambda instants: store.read(lambda tx: tx.callbacks.due_before(instants)),
            waiting=ports.waiting,
            under_way=ports.under_way,
            open_connections=ports.open_connections,
            kept_bytes=lambda: store.read(lambda tx: tx.kept_responses.bytes_of(EVERY)),
            datagrams=ports.datagrams,
            refusals=lambda: self.dependencies.authenticator.refusals,
            policy=ports.policy_monitor.figures,
            is_store_up=lambda: storage.outage.is_over,
            of_clients=self.connections,
        )
