"""The interface to the other processes that use the same store.

Destinations are divided into shards (`core.callbacks.shards`). Each shard belongs to one process,
which has a lease on it: for a limited time, which it keeps extending. Only the owner of a shard
claims and sends callbacks to its destinations. Only the store's clock decides when a lease ends.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from ringback.core.callbacks.shards import SHARDS, Role

NONE_OPEN: Final[Mapping[str, int]] = MappingProxyType({})
ALL_SHARDS: Final = frozenset(range(SHARDS))


class LeaseChange(NamedTuple):
    """How the shards of a process have changed."""

    gained: frozenset[int] = frozenset()
    """Shards in which it may claim callbacks now, and could not before."""
    lost: frozenset[int] = frozenset()
    """Shards whose leases ended before they were extended."""
    still_open: Mapping[str, int] = NONE_OPEN
    """How many attempts of earlier owners of its shards have no result yet, by destination.

    Their requests may still be under way, so they count towards the limit of the destination.
    """
    is_unbalanced: bool = False
    """True if it has more or fewer shards than its share, so that some should move soon."""


class News(NamedTuple):
    """What another process has announced."""

    shards: frozenset[int] = frozenset()
    """Shards in which callbacks wait."""
    has_tasks: bool = False
    """True if there are new scheduled tasks."""
    has_changes: bool = False
    """True if the policy, or an account's secrets, have changed."""


class ClusterMember(NamedTuple):
    """A process that uses the store."""

    name: str
    """A name for people, such as the machine's name and the process's number."""
    role: Role
    started: datetime
    is_alive: bool = True
    """False if its lease has ended, so that others take over its shards."""
    shards: frozenset[int] = frozenset()
    """The shards that the process owns."""


class Cluster(Protocol):
    """The processes that use the same store, as one of them sees them."""

    @property
    def is_shared(self) -> bool:
        """True if other processes may use the store at the same time."""
        ...

    @property
    def clock_difference(self) -> timedelta:
        """How far this machine's clock is ahead of the database's; negative if it is behind."""
        ...

    def lease_on(self, destination: str) -> int | None:
        """Return the number of the lease for claims to a destination (scheme, host and port).

        It is None if this process may not claim callbacks to the destination. Each lease on a shard
        has a higher number than those before, whoever had them.
        """
        ...

    def may_send(self, destination: str, lease: int) -> bool:
        """Return True if a request for a callback claimed under this lease may begin now.

        It is False once the lease may have ended, even if the process has another one by then: the
        callback may have been taken over in between. It is also False while the process can't know
        whether others take it for dead.
        """
        ...

    async def renew(self) -> LeaseChange:
        """Extend the leases, take shards that nobody owns, and return those beyond the share.

        A process has too many shards if others have fewer than their equal share. It then claims
        nothing more in some of them, and gives each back once it has no attempt under way there:
        the next call of `renew` does so, and nothing is sent there from its beginning on.

        Raises StoreUnavailable if the database can't be used at the moment.
        """
        ...

    async def end_dead(self) -> bool:
        """Free the shards of processes that begin no requests any more, before their leases end.

        Returns True if `renew` should follow at once: it may take shards that are free, for
        whatever reason, or others do not know yet what shows them that this process lives.
        Raises StoreUnavailable if the database can't be used at the moment.
        """
        ...

    async def hold(self, what: str) -> bool:
        """Take or extend the lease on something that only one process may have at a time.

        Returns True if this process has it now, until its next call or the end of its leases.
        Raises StoreUnavailable if the database can't be used at the moment.
        """
        ...

    async def leave(self) -> None:
        """Give all leases back, because this process stops; its attempts under way may still end.

        Nothing is claimed or sent from the beginning of this call on.
        """
        ...

    def announce(self, news: News) -> None:
        """Notify other processes of something that was saved; this may come late or get lost."""
        ...

    def listen(self, listener: Callable[[News], None]) -> None:
        """Call `listener` in the event loop with each announcement of another process."""
        ...

    async def members(self) -> Sequence[ClusterMember]:
        """Return all processes that use the store: first those that live, the oldest first.

        Raises StoreUnavailable if the database can't be used at the moment.
        """
        ...


class SoleProcess:
    """Implements `Cluster` for a process that has the store to itself.

    In the role API, it leaves the callbacks to a later process.
    """

    is_shared = False
    clock_difference = timedelta(0)

    def __init__(self, me: ClusterMember | None = None) -> None:
        self._me = me
        self._is_sending = me is None or me.role is not Role.API

    def lease_on(self, destination: str) -> int | None:  # noqa: ARG002 (the port's signature)
        """Return 0 if this process sends callbacks, since every shard belongs to it for ever."""
        return 0 if self._is_sending else None

    def may_send(self, destination: str, lease: int) -> bool:  # noqa: ARG002 (as above)
        """Return True, since no other process can take a callback over."""
        return True

    async def renew(self) -> LeaseChange:
        """Return that nothing has changed, since there are no leases."""
        return LeaseChange()

    async def end_dead(self) -> bool:
        """Return False, since there is no other process."""
        return False

    async def hold(self, what: str) -> bool:  # noqa: ARG002 (the port's signature)
        """Return True, since there is no other process."""
        return True

    async def leave(self) -> None:
        """Do nothing, since there are no leases."""

    def announce(self, news: News) -> None:
        """Do nothing, since there is nobody to notify."""

    def listen(self, listener: Callable[[News], None]) -> None:
        """Do nothing, since nobody announces anything."""

    async def members(self) -> Sequence[ClusterMember]:
        """Return this process, which sends to all destinations, or to none."""
        shards = ALL_SHARDS if self._is_sending else frozenset[int]()
        return [] if self._me is None else [self._me._replace(shards=shards)]
