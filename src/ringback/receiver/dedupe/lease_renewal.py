"""Renews the leases of claims while their work goes on.

A lease is renewed three times in its length, so that the store may fail once in between. If the
process dies, nobody renews the lease any more, and it ends.
"""

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from ringback.receiver.dedupe.dedupe_store import (
    AsyncDedupeStore,
    DedupeClaimRequest,
    DedupeStore,
    DedupeUnavailable,
    asynchronous,
    blocking,
)

if TYPE_CHECKING:
    from asyncio import Task

log: Final = logging.getLogger("ringback.receiver")

_RENEWALS: Final = 3
"""How often a lease is renewed in its length."""
_SHORTEST_PAUSE: Final = 0.01  # seconds


class LeaseRenewal(Protocol):
    """Renews the lease of each claim, from `begin` to `end`."""

    def begin(self, visit: DedupeClaimRequest) -> None:
        """Renew the lease of this claim from now on."""
        ...

    def end(self, visit: DedupeClaimRequest) -> None:
        """Stop renewing the lease of this claim; one renewal may still be on its way."""
        ...


def lease_renewal(
    store: DedupeStore | AsyncDedupeStore | None, lease: timedelta
) -> LeaseRenewal | None:
    """Return the renewal of the claims of a store; None if there is no store."""
    if store is None:
        return None
    if (waiting := asynchronous(store)) is not None:
        return TaskLeaseRenewal(waiting.renew, lease)
    return ThreadLeaseRenewal(blocking(store).renew, lease)


class ThreadLeaseRenewal:
    """Renews the leases in a store by threads, which live only while there are claims to renew.

    One thread of the process waits for all stores whose leases are equally long. If a store still
    has claims after a pause, another thread renews them, so that a store that does not answer
    delays no other. So most quick work costs nothing: it begins and ends during a pause.
    """

    def __init__(self, renew: Callable[[DedupeClaimRequest], bool], lease: timedelta) -> None:
        self._renew = renew
        self.pause: Final = _pause_of(lease)
        """How long to wait between two renewals, in seconds."""
        self.begin_as_child()
        _all.add(self)

    def begin_as_child(self) -> None:
        """Reset the renewal in a child process, which has no claims yet, and no thread."""
        self._lock = threading.Lock()
        self._held = dict[str, DedupeClaimRequest]()
        self._is_renewing = False

    @property
    def has_claims(self) -> bool:
        """True if there are claims to renew."""
        return bool(self._held)

    def begin(self, visit: DedupeClaimRequest) -> None:
        """Renew the lease of this claim from now on; see `LeaseRenewal.begin`."""
        with self._lock:
            self._held[visit.owner] = visit
        try:
            _pauses.begin(self)
        except RuntimeError:  # the process may not start another thread
            log.exception("the lease of a callback can't be renewed; its work goes on")

    def end(self, visit: DedupeClaimRequest) -> None:
        """Stop renewing the lease of this claim; see `LeaseRenewal.end`."""
        with self._lock:
            self._held.pop(visit.owner, None)

    def renew_all(self) -> None:
        """Begin to renew all claims in a thread, unless the last renewal is still under way."""
        with self._lock:
            if self._is_renewing:
                return
            self._is_renewing = True
        try:
            threading.Thread(target=self._run, name="ringback-lease-renewal", daemon=True).start()
        except RuntimeError:
            self._is_renewing = False
            log.exception("leases were not renewed; the next renewal may succeed")

    def _run(self) -> None:
        with self._lock:
            held = [*self._held.values()]
        for visit in held:
            with _failures_logged(visit):
                if not self._renew(visit):
                    self._lose(visit)
        self._is_renewing = False

    def _lose(self, visit: DedupeClaimRequest) -> None:
        with self._lock:
            is_lost = self._held.pop(visit.owner, None) is not None
        if is_lost:  # otherwise its work has ended during the renewal
            _log_loss(visit)


class _Pauses:
    """The threads that wait until leases have to be renewed: one for each length of pause."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting = dict[float, set[ThreadLeaseRenewal]]()
        """The renewals that have had claims since the last pause, by its length in seconds."""

    def begin(self, renewal: ThreadLeaseRenewal) -> None:
        """Let a thread wait for a renewal; raises RuntimeError if none can be started."""
        run, pause = self._run, renewal.pause
        with self._lock:
            waiting = self._waiting.get(pause)
            if waiting is not None:
                waiting.add(renewal)
                return
            self._waiting[pause] = {renewal}
        try:
            name = f"ringback-leases-{pause:g}s"
            threading.Thread(target=run, args=(pause,), name=name, daemon=True).start()
        except RuntimeError:
            with self._lock:
                del self._waiting[pause]
            raise

    def _run(self, pause: float) -> None:
        while True:
            time.sleep(pause)
            with self._lock:
                # A renewal whose next claim begins now is added again, after this.
                waiting = {renewal for renewal in self._waiting[pause] if renewal.has_claims}
                if not waiting:
                    del self._waiting[pause]
                    return
                self._waiting[pause] = waiting
                due = [*waiting]
            for renewal in due:
                renewal.renew_all()


_all: Final = weakref.WeakSet[ThreadLeaseRenewal]()
_pauses = _Pauses()


def _begin_as_child() -> None:
    global _pauses  # noqa: PLW0603 (the threads of the parent process are not there)
    _pauses = _Pauses()
    for renewal in _all:
        renewal.begin_as_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_as_child)


class TaskLeaseRenewal:
    """Renews leases in the event loop, with a task for each claim."""

    def __init__(
        self, renew: Callable[[DedupeClaimRequest], Coroutine[Any, Any, bool]], lease: timedelta
    ) -> None:
        self._renew = renew
        self._pause = _pause_of(lease)
        self._tasks = dict[str, "Task[None]"]()

    def begin(self, visit: DedupeClaimRequest) -> None:
        """Renew the lease of this claim from now on; see `LeaseRenewal.begin`."""
        from asyncio import create_task  # noqa: PLC0415 (synchronous receivers need no asyncio)

        self._tasks[visit.owner] = create_task(self._run(visit))

    def end(self, visit: DedupeClaimRequest) -> None:
        """Stop renewing the lease of this claim; see `LeaseRenewal.end`."""
        self._tasks.pop(visit.owner).cancel()

    async def _run(self, visit: DedupeClaimRequest) -> None:
        from asyncio import sleep  # noqa: PLC0415 (as above)

        is_held = True
        while is_held:
            await sleep(self._pause)
            with _failures_logged(visit):
                is_held = await self._renew(visit)
        _log_loss(visit)


def _pause_of(lease: timedelta) -> float:
    return max(lease.total_seconds() / _RENEWALS, _SHORTEST_PAUSE)


@contextmanager
def _failures_logged(visit: DedupeClaimRequest) -> Generator[None]:
    """Log an exception in the `with` block: the next renewal may succeed."""
    try:
        yield
    except DedupeUnavailable as unavailable:
        log.warning("the lease of %s was not renewed: %s", _named(visit), unavailable)
    except Exception:
        log.exception("the lease of %s was not renewed", _named(visit))


def _log_loss(visit: DedupeClaimRequest) -> None:
    log.warning(
        "the lease of %s has ended during the work, and another delivery may do the work, too",
        _named(visit),
    )


def _named(visit: DedupeClaimRequest) -> str:
    return f"the callback with the token {visit.token!r} from {visit.source}"
