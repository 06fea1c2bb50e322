"""What storage, workers and API have in common when they run in one process."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import Final

from ringback.core.http.descriptor_shares import DescriptorShares, divide
from ringback.delivery.counters import DeliveryCounters
from ringback.delivery.current_signing_keys import CurrentSigningKeys
from ringback.operations.context import OperationContext
from ringback.operations.delivery_totals import count_last_week
from ringback.policy.active_policy import ActivePolicy
from ringback.policy.policy_monitor import PolicyMonitor
from ringback.ports import Clock, NewCallbackQueue, RandomSource, Store, no_checkpoint
from ringback.runtime.open_files import open_files_limit
from ringback.runtime.system_clock import SystemClock, SystemRandomSource
from ringback.settings.settings import Settings

SYSTEM_CLOCK: Final = SystemClock()
SYSTEM_RANDOM_SOURCE: Final = SystemRandomSource()


@dataclass(slots=True, eq=False)
class ProcessDependencies:
    """What all that runs in one process shares."""

    settings: Settings
    clock: Clock = SYSTEM_CLOCK
    random_source: RandomSource = SYSTEM_RANDOM_SOURCE
    checkpoint: Callable[[str], None] = no_checkpoint
    policy: ActivePolicy = field(init=False)
    shares: DescriptorShares = field(init=False)
    """How many connections there may be, of clients and to receivers."""
    signing_keys: CurrentSigningKeys = field(init=False, default_factory=CurrentSigningKeys)
    counters: DeliveryCounters = field(init=False, default_factory=DeliveryCounters)

    def __post_init__(self) -> None:
        """Share out what files may be open, and begin the calendar at the date asked for."""
        settings = self.settings
        self.shares = divide(open_files_limit(), settings.connections_wanted)
        ahead = timedelta(0) if settings.at is None else settings.at - self.clock.now()
        self.policy = ActivePolicy(replace(settings.effective_policy, ahead=ahead))

    def context(self, queue: NewCallbackQueue) -> OperationContext:
        """Return what an operation works with now; its callbacks go into this queue."""
        settings, policy = self.settings, self.policy.policy
        now, simulation, sources = self.clock.now(), settings.simulation, settings.sources
        return OperationContext(
            now, self.random_source, self.signing_keys, policy, queue, simulation, sources
        )

    def policy_monitor(self, store: Store) -> PolicyMonitor:
        """Return a monitor of the policy, which counts and warns while it is run."""
        return PolicyMonitor(
            self.policy,
            count=partial(count_last_week, store),
            clock=self.clock,
            before=self.settings.warn_before,
        )
