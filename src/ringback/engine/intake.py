"""Takes new callbacks in: a transaction keeps them, and sends off those for which there is a slot.

The row of such a callback's first attempt is opened by the very transaction that keeps it, so that
writing ahead costs no commit of its own. All others wait in the store until they are claimed.
What is called within a transaction runs in the thread of the store.
"""

from collections.abc import Callable

from ringback.core.callback import Callback, Progress, begin
from ringback.core.errors import StoreUnavailable
from ringback.engine.backlog import Backlog
from ringback.engine.lanes import Lanes
from ringback.engine.tally import Tally
from ringback.ports import Claim, Clock, Transaction, Wakeup, lane_of


class Intake:
    """Answers `ports.Intake`."""

    def __init__(
        self,
        *,
        lanes: Lanes,
        backlog: Backlog,
        send_off: Callable[[Claim], None],
        bell: Wakeup,
        clock: Clock,
        tally: Tally,
    ) -> None:
        self._lanes = lanes
        self._backlog = backlog
        self._send_off = send_off
        self._bell = bell
        self._clock = clock
        self._tally = tally
        self._is_closed = False
        self._is_paused = False

    def close(self) -> None:
        """Send nothing off any more; what comes is kept and waits."""
        self._is_closed = True

    def pause(self) -> None:
        """Take nothing in, until `resume`: the database is away."""
        self._is_paused = True

    def resume(self) -> None:
        """Take callbacks in again."""
        self._is_paused = False

    def make_room(self, account_sid: str, count: int) -> None:
        """See that so many new callbacks may wait; see `ports.Intake`."""
        self._backlog.check(account_sid, count)

    def take(self, tx: Transaction, callback: Callback) -> None:
        """Keep a new callback, and send it off at once where it may go.

        Raises StoreUnavailable while paused.
        """
        if self._is_paused:
            raise StoreUnavailable(
                "the database can't be used just now: what was left open at the last stop is not"
                " settled yet"
            )
        account = tx.accounts.get(callback.account_sid)
        now = self._clock.now()
        if account is not None and self._may_go(callback):
            limit = callback.url.connection.total_timeout
            claim = Claim(callback, begin(callback.progress, now, total_timeout=limit), account)
            # First, so that the slot comes back where the callback can't be kept.
            tx.afterwards(lambda: self._taken(claim), undone=lambda: self._free(callback))
            tx.callbacks.add(callback.having(claim.progress))
        else:
            tx.callbacks.add(callback)
            tx.afterwards(lambda: self._kept(callback))

    def change(self, tx: Transaction, callback: Callback, progress: Progress) -> None:
        """Keep the new progress of a callback that has no attempt under way."""
        tx.callbacks.change(callback.having(progress))
        tx.afterwards(lambda: self._changed(callback, progress))

    def _may_go(self, callback: Callback) -> bool:
        due, now = callback.progress.due, self._clock.now()
        is_due = due is not None and due <= now
        return is_due and not self._is_closed and self._lanes.try_take(lane_of(callback), now)

    def _taken(self, claim: Claim) -> None:
        self._accepted(claim.callback)
        self._send_off(claim)

    def _free(self, callback: Callback) -> None:
        self._lanes.give_back(lane_of(callback))
        self._bell.wake()

    def _kept(self, callback: Callback) -> None:
        self._accepted(callback)
        self._expect(callback, callback.progress)

    def _changed(self, callback: Callback, progress: Progress) -> None:
        by = callback.progress.is_ended - progress.is_ended
        if by < 0:
            took = (progress.date_updated - callback.date_created).total_seconds()
            self._tally.ended(progress.status, callback.source, took)
        self._backlog.change(callback.account_sid, by)
        self._expect(callback, progress)

    def _accepted(self, callback: Callback) -> None:
        self._tally.accepted(callback.source, 1)
        self._backlog.change(callback.account_sid, 1)

    def _expect(self, callback: Callback, progress: Progress) -> None:
        if progress.due is not None:
            self._lanes.expect(lane_of(callback), progress.due)
            self._bell.wake()
