"""Opens the data file of a server, and notices when it can't be written to."""

from dataclasses import dataclass
from typing import Self

from ringback.application.process_dependencies import ProcessDependencies
from ringback.data_folder import DataFolder, StoreOptions
from ringback.ports import Cluster, SoleProcess
from ringback.runtime.database_outage import DatabaseOutageMonitor
from ringback.runtime.system_clock import stopwatch
from ringback.stores.sqlite.store import SqliteStore


@dataclass(frozen=True, slots=True)
class OpenStorage:
    """The open data file, and a monitor of whether it can be written to."""

    store: SqliteStore
    cluster: Cluster
    """The other processes that use the same data."""
    outage: DatabaseOutageMonitor
    """Monitors database outages; the workers, or else the process, have to call its `run`."""

    @classmethod
    def open(cls, process: ProcessDependencies, *, accept_data_loss: bool = False) -> Self:
        """Open the data file, which no other server can use until this one closes it.

        Raises ConfigurationError if the data file can't be used.
        """
        settings = process.settings
        outage = DatabaseOutageMonitor(
            lambda: store.transact(lambda tx: tx.write_nothing()),
            clock=process.clock,
            stopwatch=stopwatch,
        )
        folder = DataFolder(settings.data, settings.seal_key, settings.seal_key_file)
        options = StoreOptions(
            committed=process.counters.commit_seconds.add,
            unavailable=outage.failed,
            budget=settings.storage_budget,
        )
        store = folder.open_to_serve(options, accept_data_loss=accept_data_loss)
        return cls(store, SoleProcess(process.member), outage)
