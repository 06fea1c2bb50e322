"""Builds and starts a server process: storage, workers and API, as its role says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from ringback.application.api import HttpApi, WorkerServicesForApi
from ringback.application.background_workers import BackgroundWorkers, JobRunners, OpenTransports
from ringback.application.process_dependencies import (
    SYSTEM_CLOCK,
    SYSTEM_RANDOM_SOURCE,
    ProcessDependencies,
)
from ringback.application.storage import DatabaseWait, OpenStorage
from ringback.core.errors import ConfigurationError, StartStopped
from ringback.core.policy.source_policy import Phase
from ringback.ports import Clock, RandomSource, no_checkpoint
from ringback.runtime.undo import on_failure
from ringback.settings.settings import Settings
from ringback.settings.settings_reloader import SettingsReloader


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A running server process, with its storage, workers and API."""

    process: ProcessDependencies
    storage: OpenStorage
    workers: BackgroundWorkers
    api: HttpApi
    phase: Phase
    """The policy's phase when the server started."""

    @classmethod
    async def start(
        cls,
        settings: Settings,
        *,
        clock: Clock = SYSTEM_CLOCK,
        random_source: RandomSource = SYSTEM_RANDOM_SOURCE,
        checkpoint: Callable[[str], None] = no_checkpoint,
        origin: SettingsReloader | None = None,
        accept_data_loss: bool = False,
        serve_copied: bool = False,
        wait: DatabaseWait | None = None,
    ) -> Self:
        """Open the data file and start the workers.

        If `clock` is a VirtualClock, it can be advanced over HTTP. If `origin` is given, the policy
        is reloaded when the settings file changes. With `accept_data_loss`, the server starts even
        if the data file is missing or has lost data; with `serve_copied`, even if the data was
        copied to another place. `wait` says how to wait for a database that is not ready yet.

        Raises StartStopped if `wait` ends the start, and ConfigurationError if the data folder, a
        certificate or the gateway's address can't be used, or if the policy in force names a source
        that the settings lack.
        """
        process = ProcessDependencies(settings, clock, random_source, checkpoint)
        network = OpenTransports.open(process)
        with on_failure(network.close_gateway):
            storage = await OpenStorage.open_when_ready(
                process, wait, accept_data_loss=accept_data_loss, serve_copied=serve_copied
            )
        workers = BackgroundWorkers(process, storage, network, origin=origin)
        api = HttpApi(process, storage, services_of(workers))
        workers.add_loop(api.dependencies.authenticator.run)
        try:
            if wait is None or settings.database is None:
                await workers.start()
            else:
                # It may go away again just now.
                await wait.until_ready(workers.start, settings.wait_for_database)
        except (ConfigurationError, StartStopped):
            network.close_gateway()
            await storage.store.close()
            raise
        monitor = workers.policy_monitor
        phase = monitor.policy.general_phase(monitor.date)
        return cls(process, storage, workers, api, phase)

    async def stop(self) -> None:
        """Stop the workers, letting requests under way end, and close the data file."""
        await self.workers.stop()
        await self.storage.store.close()


def services_of(workers: BackgroundWorkers) -> WorkerServicesForApi:
    """Return the services of the workers that the API uses."""
    delivery, network = workers.delivery, workers.network
    return WorkerServicesForApi(
        queue=delivery.queue,
        destinations=delivery.destinations,
        window_of=delivery.window_of,
        unfinished_of=delivery.unfinished_of,
        are_callbacks_sent=lambda: delivery.is_used,
        batch_queue=workers.batch_queue,
        write_counters=workers.counter_writer.write,
        notifier=workers.notifier,
        job_notifier=JobRunners((workers.job_runner, workers.plan_runner)),
        policy_monitor=workers.policy_monitor,
        stored_policy=workers.stored_policy,
        pause_control=workers.pause_control,
        retention=workers.retention,
        check_receiver=workers.receiver_checker.check_asked,
        clock_advancer=workers.clock_advancer,
        gateway=workers.gateway_address,
        is_running=lambda: workers.supervisor.is_running,
        waiting=lambda: delivery.waiting,
        under_way=lambda: delivery.under_way,
        open_connections=lambda: network.sender.open_connections,
        datagrams=lambda: {} if (open_ := workers.open_gateway) is None else open_.counts,
    )
