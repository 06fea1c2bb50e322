"""The objects that all parts of a server process share: settings, clock, policy and counters."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from socket import gethostname
from typing import Final

from ringback.core.http.descriptor_shares import DescriptorShares, divide
from ringback.core.policy.urls_in_use import StoredUrl
from ringback.core.sims.simulated_network import SimulationSettings
from ringback.core.streams.sink import StreamSettings
from ringback.delivery.counters import DeliveryCounters
from ringback.delivery.current_signing_keys import CurrentSigningKeys
from ringback.delivery.destination_book import DestinationBook
from ringback.operations.context import OperationContext
from ringback.operations.delivery_totals import count_recent
from ringback.policy.active_policy import ActivePolicy
from ringback.policy.policy_monitor import PolicyMonitor
from ringback.policy.stored_policy import StoredPolicy
from ringback.ports import (
    Clock,
    ClusterMember,
    NewCallbackQueue,
    RandomSource,
    Store,
    no_checkpoint,
)
from ringback.runtime.open_files import open_files_limit
from ringback.runtime.sending_gate import SendingGate
from ringback.runtime.system_clock import SystemClock, SystemRandomSource
from ringback.settings.settings import Settings

SYSTEM_CLOCK: Final = SystemClock()
SYSTEM_RANDOM_SOURCE: Final = SystemRandomSource()


@dataclass(slots=True, eq=False)
class ProcessDependencies:
    """The objects that all parts of a server process share."""

    settings: Settings
    clock: Clock = SYSTEM_CLOCK
    random_source: RandomSource = SYSTEM_RANDOM_SOURCE
    checkpoint: Callable[[str], None] = no_checkpoint
    policy: ActivePolicy = field(init=False)
    shares: DescriptorShares = field(init=False)
    """The maximum numbers of incoming and outgoing connections, given the limit on open files."""
    signing_keys: CurrentSigningKeys = field(init=False, default_factory=CurrentSigningKeys)
    counters: DeliveryCounters = field(init=False, default_factory=DeliveryCounters)
    book: DestinationBook = field(init=False)
    """What is set for destinations."""
    gate: SendingGate = field(init=False, default_factory=SendingGate)
    """Closed while the server is paused."""
    member: ClusterMember = field(init=False)
    """This process as `ringback workers` shows it."""
    _simulation: SimulationSettings = field(init=False)
    _streams: StreamSettings = field(init=False)

    def __post_init__(self) -> None:
        """Compute from the settings what does not change later, and the active policy."""
        settings = self.settings
        self.shares = divide(open_files_limit(), settings.connections_wanted)
        ahead = timedelta(0) if settings.at is None else settings.at - self.clock.now()
        policy = replace(settings.policy, ahead=ahead)
        self.policy = ActivePolicy(policy, phase=settings.phase)
        name = f"{gethostname()}:{os.getpid()}"
        self.member = ClusterMember(name, settings.role, self.clock.now())
        self.book = DestinationBook(
            settings.destinations, settings.schedule, settings.stopped_at_most
        )
        self._simulation = settings.simulation
        self._streams = settings.streams

    def context(self, queue: NewCallbackQueue) -> OperationContext:
        """Return the dependencies of an operation that runs now; new callbacks go into `queue`."""
        return OperationContext(
            self.clock.now(),
            self.random_source,
            self.signing_keys,
            self.policy.policy,
            queue,
            self._simulation,
            self.settings.sources,
            streams=self._streams,
        )

    def stored_policy(self, store: Store) -> StoredPolicy:
        """Return the versions of the policy in a store; the caller has to call `offer` first."""
        return StoredPolicy(store, self.policy, clock=self.clock, sources=self.settings.sources)

    def policy_monitor(self, store: Store) -> PolicyMonitor:
        """Return a monitor of the active policy; the caller has to call its `run`."""

        async def stored() -> Sequence[StoredUrl]:
            # The parts of the SIM APIs, which servers read after they have started.
            from ringback.operations.callback_urls import stored_urls  # noqa: PLC0415 (see above)

            return await stored_urls(store)

        return PolicyMonitor(
            self.policy,
            stored=stored,
            count=partial(count_recent, store),
            clock=self.clock,
            before=self.settings.warn_before,
        )
