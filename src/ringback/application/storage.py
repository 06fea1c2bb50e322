"""Opens the data file or database of a server, and notices when it can't be written to."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Self, TypeVar

from ringback.application.process_dependencies import ProcessDependencies
from ringback.core.errors import (
    ConfigurationError,
    DatabaseNotReady,
    StartStopped,
    StoreUnavailable,
)
from ringback.data_folder import DataFolder, OpenStore, StoreOptions
from ringback.engine.retention_worker import PassWork
from ringback.ports import Cluster, SoleProcess
from ringback.runtime.database_outage import DatabaseOutageMonitor
from ringback.runtime.system_clock import stopwatch

if TYPE_CHECKING:
    from ringback.postgres_database import PostgresStore

T = TypeVar("T")

_AGAIN: Final = 0.5
"""Seconds between two tries to use a database that is not ready."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DatabaseWait:
    """How a starting server waits for its database."""

    stop: asyncio.Event
    """Ends the wait when it is set."""
    not_ready: Callable[[str], None]
    """Called after each try in vain, with a reason that everybody may read."""

    began: float = field(default_factory=stopwatch)
    """When the wait began."""

    async def until_ready(self, begin: Callable[[], Awaitable[T]], most: timedelta) -> T:
        """Return the result of `begin` as soon as the database is ready.

        Raises ConfigurationError if that takes longer than `most`, and StartStopped if the server
        shall stop.
        """
        is_told = False
        while True:
            try:
                result = await begin()
            except (DatabaseNotReady, StoreUnavailable) as failure:
                told, reason = _words_for(failure)
                if stopwatch() - self.began >= most.total_seconds():
                    raise _too_late(told, most) from None
                self.not_ready(reason)
                if not is_told:
                    _log.warning("%s; waiting for it for up to %g s", told, most.total_seconds())
                    is_told = True
            else:
                if is_told:
                    _log.info("the database is ready after %.1f s", stopwatch() - self.began)
                return result
            await self._pause()

    async def _pause(self) -> None:
        """Wait until the next try; raises StartStopped if the server shall stop."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.stop.wait(), _AGAIN)
            raise StartStopped("stopped while the database was not ready")


def _words_for(failure: DatabaseNotReady | StoreUnavailable) -> tuple[str, str]:
    """Return the words for a failure: those for the operator, and those for everybody."""
    if isinstance(failure, DatabaseNotReady):
        return str(failure), failure.reason
    return failure.for_operator, str(failure)


def _too_late(told: str, most: timedelta) -> ConfigurationError:
    waited = f"; the server waited for {most.total_seconds():g} s (wait_for_database)"
    return ConfigurationError(f"{told}{waited if most else ''}")


@dataclass(frozen=True, slots=True)
class OpenStorage:
    """The open data file or database, and a monitor of whether it can be written to."""

    store: OpenStore
    cluster: Cluster
    """The other processes that use the same data."""
    outage: DatabaseOutageMonitor
    """Monitors database outages; the workers, or else the process, have to call its `run`."""
    retire_weeks: PassWork | None = None
    """Removes what has expired from whole weeks, if the database keeps them apart."""

    @classmethod
    async def open_when_ready(
        cls,
        process: ProcessDependencies,
        wait: DatabaseWait | None,
        *,
        accept_data_loss: bool = False,
        serve_copied: bool = False,
    ) -> Self:
        """Do the same as `open`, and wait for a database that is not ready, unless `wait` is None.

        Raises ConfigurationError if the data can't be used, or not within `wait_for_database`, and
        StartStopped if the server shall stop.
        """
        begin = partial(
            cls.open, process, accept_data_loss=accept_data_loss, serve_copied=serve_copied
        )
        if process.settings.database is None or wait is None:
            return begin()
        # In a thread, since a connection may take seconds to fail.
        return await wait.until_ready(
            partial(asyncio.to_thread, begin), process.settings.wait_for_database
        )

    @classmethod
    def open(
        cls,
        process: ProcessDependencies,
        *,
        accept_data_loss: bool = False,
        serve_copied: bool = False,
    ) -> Self:
        """Open the database, or else the data file, which no other server can use meanwhile.

        With `serve_copied`, data can be used again that was copied to another place.

        Raises ConfigurationError if the data can't be used.
        """
        settings = process.settings
        outage = DatabaseOutageMonitor(
            lambda: store.transact(lambda tx: tx.write_nothing()),
            clock=process.clock,
            stopwatch=stopwatch,
            silent_for=None if settings.database is None else lambda: database.silent_for(),  # noqa: PLW0108 (it is opened below)
        )
        if settings.database is not None:
            # `outage` uses it by this name.
            store = database = _open_database(
                process, settings.database, outage, serve_copied=serve_copied
            )
            return cls(store, store.cluster, outage, store.retire_weeks)
        folder = DataFolder(settings.data, settings.seal_key, settings.seal_key_file)
        options = StoreOptions(
            committed=process.counters.commit_seconds.add,
            unavailable=outage.failed,
            budget=settings.storage_budget,
        )
        store = folder.open_to_serve(
            options, accept_data_loss=accept_data_loss, serve_copied=serve_copied
        )
        return cls(store, SoleProcess(process.member), outage)


def _open_database(
    process: ProcessDependencies, url: str, outage: DatabaseOutageMonitor, *, serve_copied: bool
) -> "PostgresStore":
    # Imported late: without a database, its driver need not be installed.
    from ringback.postgres_database import PostgresDatabase, PostgresOptions  # noqa: PLC0415 (see above)

    settings = process.settings
    database = PostgresDatabase(url, settings.seal_key, settings.seal_key_file, settings.data)
    options = PostgresOptions(
        name=process.member.name,
        role=settings.role,
        committed=process.counters.commit_seconds.add,
        repeated=process.counters.repeated,
        unavailable=outage.failed,
        budget=settings.storage_budget,
        has_notifications=settings.database_notifications,
        serve_copied=serve_copied,
    )
    return database.open_to_serve(options)
