"""An intake that sends nothing: it keeps what it is given, and notes what it was asked."""

from ringback.core.callback import Callback, Progress
from ringback.core.errors import Overloaded
from ringback.ports import Transaction


class KeepingIntake:
    """Answers `ports.Intake`; `room` is how many more callbacks may come."""

    def __init__(self, room: int = 1_000_000) -> None:
        self.room = room
        self.asked = list[tuple[str, int]]()
        self.taken = list[str]()
        """The SIDs of the callbacks that were taken, once that was durable."""
        self.changed = list[str]()

    def take(self, tx: Transaction, callback: Callback) -> None:
        tx.callbacks.add(callback)
        tx.afterwards(lambda: self.taken.append(callback.sid))

    def change(self, tx: Transaction, callback: Callback, progress: Progress) -> None:
        tx.callbacks.change(callback.having(progress))
        tx.afterwards(lambda: self.changed.append(callback.sid))

    def make_room(self, account_sid: str, count: int) -> None:
        self.asked.append((account_sid, count))
        if count > self.room:
            raise Overloaded("too many wait; ask again in 5 s", retry_after=5)
