"""Opens the data file or database of a server, and notices when it can't be written to."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from ringback.application.process_dependencies import ProcessDependencies
from ringback.data_folder import DataFolder, OpenStore, StoreOptions
from ringback.engine.retention_worker import PassWork
from ringback.ports import Cluster, SoleProcess
from ringback.runtime.database_outage import DatabaseOutageMonitor
from ringback.runtime.system_clock import stopwatch

if TYPE_CHECKING:
    from ringback.postgres_database import PostgresStore


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
        )
        if settings.database is not None:
            # `outage` uses it by this name.
            store = _open_database(process, settings.database, outage, serve_copied=serve_copied)
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
        unavailable=outage.failed,
        budget=settings.storage_budget,
        has_notifications=settings.database_notifications,
        serve_copied=serve_copied,
    )
    return database.open_to_serve(options)
