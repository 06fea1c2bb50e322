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
    """Renews leases in one thread, which lives only while there are claims to renew.

    After each pause, the thread renews all claims that it finds. So most quick work costs nothing:
    it begins and ends during a pause.
    """

    def __init__(self, renew: Callable[[DedupeClaimRequest], bool], lease: timedelta) -> None:
        self._renew = renew
        self._pause = _pause_of(lease)
        self.begin_as_child()
        if hasattr(os, "register_at_fork"):
            renewal: weakref.ref[ThreadLeaseRenewal] = weakref.ref(self)
            os.register_at_fork(after_in_child=lambda: _begin_as_child(renewal))

    def begin_as_child(self) -> None:
        """Reset the renewal in a child process, which has no claims yet, and no thread."""
        self._lock = threading.Lock()
        self._held = dict[str, DedupeClaimRequest]()
        self._is_running = False

    def begin(self, visit: DedupeClaimRequest) -> None:
        """Renew the lease of this claim from now on; see `LeaseRenewal.begin`."""
        with self._lock:
            self._held[visit.owner] = visit
            must_start, self._is_running = not self._is_running, True
        if must_start:
            try:
                threading.Thread(target=self._run, name="ringback-leases", daemon=True).start()
            except RuntimeError:  # the process may not start another thread
                self._is_running = False
                log.exception("the lease of a callback can't be renewed; its work goes on")

    def end(self, visit: DedupeClaimRequest) -> None:
        """Stop renewing the lease of this claim; see `LeaseRenewal.end`."""
        with self._lock:
            self._held.pop(visit.owner, None)

    def _run(self) -> None:
        while True:
            time.sleep(self._pause)
            with self._lock:
                held = [*self._held.values()]
                if not held:
                    self._is_running = False
                    return
            for visit in held:
                with _failures_logged(visit):
                    if not self._renew(visit):
                        self._lose(visit)

    def _lose(self, visit: DedupeClaimRequest) -> None:
        with self._lock:
            is_lost = self._held.pop(visit.owner, None) is not None
        if is_lost:  # otherwise its work has ended during the renewal
            _log_loss(visit)


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


def _begin_as_child(renewal: weakref.ref[ThreadLeaseRenewal]) -> None:
    if (found := renewal()) is not None:
        found.begin_as_child()
