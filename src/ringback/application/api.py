"""Builds the HTTP API of a server, with its health checks and metrics; a worker has only these."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.types import ASGIApp

from ringback.api.app import create_app, direct_handlers
from ringback.api.callback_url_reader import callback_url_parser
from ringback.api.dependencies import ApiDependencies, DestinationServices
from ringback.api.health import HealthChecks, health_routes, metrics_routes
from ringback.api.http.asgi_runner import DirectHandler
from ringback.api.http.open_connections import OpenConnections
from ringback.api.portal.clock import ClockEndpoints
from ringback.api.portal.pause import PauseEndpoints
from ringback.api.portal.plan_views import PlanViewEndpoints
from ringback.api.portal.policy import PolicyEndpoints
from ringback.api.portal.policy_changes import PolicyChangeEndpoints
from ringback.api.portal.policy_outlook import PolicyOutlookEndpoints
from ringback.api.portal.receiver_checks import CheckReceiver, ReceiverCheckEndpoints
from ringback.api.portal.workers import WorkerEndpoints
from ringback.api.rate_limit import AccountRateLimit
from ringback.api.single_flight import SingleFlight
from ringback.application.plan_desk import PlanDesk
from ringback.application.process_dependencies import ProcessDependencies
from ringback.application.receiver_checker import fix_of
from ringback.application.storage import OpenStorage
from ringback.console.console_app import Console
from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.shards import Role
from ringback.core.policy.source_policy import Policy
from ringback.delivery.destination_control import DestinationControl
from ringback.engine.clock_advancer import ClockAdvancer
from ringback.engine.pause_control import PauseControl
from ringback.policy.policy_monitor import PolicyMonitor
from ringback.policy.stored_policy import StoredPolicy
from ringback.ports import BulkCallbackQueue, Lane, LoopWaker, NewCallbackQueue
from ringback.runtime.system_clock import stopwatch

if TYPE_CHECKING:
    from ringback.api.metrics import PrometheusMetrics

_BETWEEN_PROBES: Final = 0.1
"""The shortest time, in seconds, between two test writes to the database for `/readyz`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerServicesForApi:
    """The workers' services that the API uses."""

    queue: NewCallbackQueue
    destinations: DestinationControl
    window_of: Callable[[Lane], int | None]
    unfinished_of: Callable[[str], int]
    """Returns the number of an account's unfinished callbacks."""
    are_callbacks_sent: Callable[[], bool]
    """Returns True while this process sends callbacks."""
    batch_queue: BulkCallbackQueue
    write_counters: Callable[[], Awaitable[None]]
    """Writes the counters of minutes that are over."""
    notifier: LoopWaker
    """Wakes the loop for scheduled tasks after each new task."""
    job_notifier: LoopWaker
    """Wakes the loop that works on jobs after each change of them."""
    policy_monitor: PolicyMonitor
    stored_policy: StoredPolicy
    pause_control: PauseControl
    retention: LoopWaker
    """Wakes the loop that deletes what has been kept for long enough."""
    check_receiver: CheckReceiver
    clock_advancer: ClockAdvancer | None = None
    """Advances the clock; None if the clock can't be advanced."""
    gateway: str | None = None
    """The `host:port` that devices send datagrams to; None without a UDP gateway."""
    is_running: Callable[[], bool] = lambda: True
    waiting: Callable[[], int] = lambda: 0
    under_way: Callable[[], int] = lambda: 0
    open_connections: Callable[[], int] = lambda: 0
    datagrams: Callable[[], Mapping[tuple[str, ...], int]] = dict[tuple[str, ...], int]


def _as_text(policy: Policy) -> str:
    """Return the text of a settings file that has only this policy."""
    # Imported late: few requests need it.
    from ringback.settings.policy_editor import as_text  # noqa: PLC0415 (see above)

    return as_text(policy)


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
            wake_jobs=ports.job_notifier.wake,
            read_url=callback_url_parser(settings.guard, settings.egresses, settings.sources),
            sources=settings.sources,
            unfinished_of=ports.unfinished_of,
            are_callbacks_sent=ports.are_callbacks_sent,
            skipped_copies=process.counters.skipped_copies,
            write_counters=ports.write_counters,
            response_storage=settings.storage_budget,
            retention_times=settings.retention,
            times_changed=ports.retention.wake,
            destinations=DestinationServices(
                ports.destinations, settings.egresses.named.keys(), ports.window_of
            ),
            policy=process.policy,
            rate_limit=AccountRateLimit(settings.rate_limit),
            gateway=ports.gateway,
            refused=storage.outage.refused,
        )
        policies = PolicyEndpoints(self.dependencies, ports.policy_monitor, ports.stored_policy)
        portal = policies.operations()
        changes = PolicyChangeEndpoints(
            self.dependencies, ports.policy_monitor, ports.stored_policy, _as_text
        )
        portal += changes.operations()
        desk = PlanDesk(storage.store, process.clock, process.random_source, ports.policy_monitor)
        portal += PlanViewEndpoints(self.dependencies, desk).operations()
        outlook = PolicyOutlookEndpoints(self.dependencies, ports.policy_monitor)
        portal += outlook.operations()
        checks = ReceiverCheckEndpoints(self.dependencies, ports.check_receiver, fix_of)
        portal += checks.operations()
        portal += WorkerEndpoints(self.dependencies, storage.cluster).operations()
        portal += PauseEndpoints(self.dependencies, ports.pause_control).operations()
        if ports.clock_advancer is not None:
            portal += ClockEndpoints(self.dependencies, ports.clock_advancer).operations()
        health = HealthChecks(
            commit=SingleFlight(storage.outage.commit, pause=_BETWEEN_PROBES),
            is_running=ports.is_running,
            silence=lambda: storage.outage.silence,
            clock_difference=lambda: storage.cluster.clock_difference,
            is_stopping=lambda: self.connections.is_retiring,
            pause=lambda: process.gate.pause,
        )
        metrics = partial(self._metrics, process, storage, ports)
        beside = [*health_routes(health), *metrics_routes(metrics)]
        self.console = Console(self.dependencies)
        """The pages; a worker has none."""
        self.direct = dict[tuple[str, bytes], DirectHandler]()
        """The handlers of requests that are answered without the ASGI application."""
        if settings.role is Role.WORKER:
            self.app: ASGIApp = Starlette(routes=beside)
        else:
            beside += self.console.routes()
            self.app = create_app(self.dependencies, portal=portal, beside=beside)
            self.console.parts.apis = self.app
            self.direct = direct_handlers(self.dependencies)

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
            destination_events=lambda: {
                (kind,): count for kind, count in ports.destinations.events.items()
            },
            damaged_secrets=lambda: len(store.damaged_secrets),
            stopped_lanes=ports.destinations.count_stopped,
            policy=ports.policy_monitor.figures,
            is_paused=lambda: not process.gate.is_open,
            is_store_up=lambda: storage.outage.is_over,
            of_clients=self.connections,
        )
