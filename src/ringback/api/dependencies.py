"""The parts of the server that the resources of every API work with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ringback.api.authentication import Authenticator
from ringback.api.cooperative_yield import CooperativeYield
from ringback.api.rate_limit import AccountRateLimit
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.core.sources.source_definition import BUILT_IN, Sources
from ringback.operations.context import OperationContext
from ringback.ports import BulkCallbackQueue, Clock, LoopWaker, NewCallbackQueue, Store
from ringback.runtime.system_clock import stopwatch


@dataclass(frozen=True, slots=True)
class ApiDependencies:
    """The running parts behind the APIs."""

    store: Store
    clock: Clock
    context: Callable[[], OperationContext]
    """Gives what an operation works with now."""
    task_runner: LoopWaker
    """Woken when a change has made tasks."""
    callback_queue: NewCallbackQueue
    batch_queue: BulkCallbackQueue
    read_url: Callable[[str], CallbackUrl] = CallbackUrl.parse
    """Reads a callback URL by the operator's rules; raises InvalidCallbackUrl."""
    sources: Sources = field(default_factory=lambda: BUILT_IN)
    skipped_copies: Callable[[str], Mapping[str, int]] = lambda _: {}
    """Says how many copies of an account's callbacks were not made since the start, by reason."""
    response_storage: ResponseStorageBudget = field(default_factory=ResponseStorageBudget)
    """How much may be kept of long answers."""
    slices: CooperativeYield = field(default_factory=lambda: CooperativeYield(stopwatch))
    """Shares the event loop out to big batches."""
    gateway: str | None = None
    """Where devices send datagrams to; None without a gateway."""
    rate_limit: AccountRateLimit = field(default_factory=AccountRateLimit)
    """How much each account may ask for."""
    refused: Callable[[], None] = lambda: None
    """Called for each request that is answered 503, since the database is away."""
    authenticator: Authenticator = field(init=False)

    def __post_init__(self) -> None:
        """Sign requests in by the same store."""
        authenticator = Authenticator(self.store, self.clock, rate_limit=self.rate_limit)
        object.__setattr__(self, "authenticator", authenticator)
