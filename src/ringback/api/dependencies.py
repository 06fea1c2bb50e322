"""The parts of the server that the endpoints of every API use."""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from ringback.api.authentication import Authenticator
from ringback.api.cooperative_yield import CooperativeYield, rest_in_pages
from ringback.api.rate_limit import AccountRateLimit
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.response_storage import ResponseStorageBudget
from ringback.core.policy.source_policy import NOTICE
from ringback.core.retention import StoredTimes, TimeSubject
from ringback.core.retry_schedule import FAITHFUL
from ringback.core.sources.source_definition import BUILT_IN, Sources
from ringback.delivery.destination_book import DestinationBook
from ringback.delivery.destination_control import DestinationControl
from ringback.operations.context import OperationContext
from ringback.policy.active_policy import ActivePolicy
from ringback.ports import BulkCallbackQueue, Clock, Lane, LoopWaker, NewCallbackQueue, Store
from ringback.runtime.system_clock import SystemClock, SystemRandomSource, stopwatch


async def _write_nothing() -> None:
    """Do nothing; the default for `write_counters`."""


def _no_destinations() -> DestinationControl:
    book = DestinationBook((), FAITHFUL)
    return DestinationControl(book, clock=SystemClock(), random_source=SystemRandomSource())


@dataclass(frozen=True, slots=True)
class DestinationServices:
    """The parts of the running server that know what is set for destinations, and how they are."""

    control: DestinationControl = field(default_factory=_no_destinations)
    egress_names: Collection[str] = ()
    """The names of the egress routes in the settings."""
    window_of: Callable[[Lane], int | None] = lambda _: None
    """Returns how many callbacks of a lane may be under way; None if this process sends none."""

    @property
    def book(self) -> DestinationBook:
        """What is set."""
        return self.control.book


@dataclass(frozen=True, slots=True)
class ApiDependencies:
    """The parts of the running server that API endpoints use, such as its store and its clock."""

    store: Store
    clock: Clock
    context: Callable[[], OperationContext]
    """Returns an operation's context, which contains the current time and a random source."""
    task_runner: LoopWaker
    """Runs scheduled tasks; endpoints wake it after a change that has created tasks."""
    callback_queue: NewCallbackQueue
    batch_queue: BulkCallbackQueue
    wake_jobs: Callable[[], None] = lambda: None
    """Lets the loop that works on jobs look for new ones at once."""
    read_url: Callable[[str], CallbackUrl] = CallbackUrl.parse
    """Parses a callback URL by the operator's rules; raises InvalidCallbackUrl."""
    sources: Sources = field(default_factory=lambda: BUILT_IN)
    unfinished_of: Callable[[str], int] = lambda _: 0
    """Returns how many callbacks of an account this process has yet to deliver or to give up."""
    skipped_copies: Callable[[str], Mapping[str, int]] = lambda _: {}
    """Returns, by reason, how many shadow copies of an account weren't sent since the start."""
    write_counters: Callable[[], Awaitable[None]] = _write_nothing
    """Writes the counters of minutes that are over; raises StoreUnavailable."""
    response_storage: ResponseStorageBudget = field(default_factory=ResponseStorageBudget)
    """Limits how many bytes of receivers' long responses are stored."""
    slices: CooperativeYield = field(default_factory=lambda: CooperativeYield(stopwatch))
    """Splits the work on big batches into slices, so that other requests run in between."""
    are_callbacks_sent: Callable[[], bool] = lambda: False
    """Returns True while this process sends callbacks, which long pages must not delay."""
    gateway: str | None = None
    """The address to which devices send their UDP datagrams; None if there is no gateway."""
    retention_times: StoredTimes = field(default_factory=dict[TimeSubject, "timedelta | None"])
    """How long what is kept, as the settings say."""
    times_changed: Callable[[], None] = lambda: None
    """Called after a time was set at run time, so that what has expired goes."""
    destinations: DestinationServices = field(default_factory=DestinationServices)
    policy: ActivePolicy = field(default_factory=lambda: ActivePolicy(NOTICE))
    rate_limit: AccountRateLimit = field(default_factory=AccountRateLimit)
    """Limits the requests of each account."""
    refused: Callable[[], None] = lambda: None
    """Called for each request that gets a 503 because the database is unavailable."""
    arriving_of: Counter[str] = field(default_factory=Counter[str])
    """The number of callbacks in batches that are being processed, by account."""
    page_slices: CooperativeYield = field(init=False)
    """Splits the work on long pages of lists into slices, with pauses for others."""
    authenticator: Authenticator = field(init=False)

    def __post_init__(self) -> None:
        """Create the authenticator and the slices, which use the other parts."""
        slices = CooperativeYield(
            stopwatch, rest=lambda: rest_in_pages(are_callbacks_sent=self.are_callbacks_sent())
        )
        object.__setattr__(self, "page_slices", slices)
        authenticator = Authenticator(self.store, self.clock, rate_limit=self.rate_limit)
        object.__setattr__(self, "authenticator", authenticator)
