"""What the watches know of callbacks with the same order key: whose turn it is.

They don't read this from the store: they conclude it from what each commit has added, ended and
replayed. If a commit does several of these at once, their order is not seen. Then it may be the
turn of one of several callbacks, until the request of one of them shows which.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from ringback.core.callbacks.callback import CallbackRecord
from ringback.ports import Lane, lane_of

OrderKey = tuple[Lane, str]
"""A lane, and the key of callbacks in it."""
_BEFORE_ALL = -(10**30)


@dataclass(eq=False, slots=True)
class _Queue:
    """The callbacks of one key that have not ended."""

    places: dict[str, int] = field(default_factory=dict[str, int])
    """Their places, by their SIDs: the lowest is next."""
    turns: dict[str, float] = field(default_factory=dict[str, float])
    """Those of which it may be the turn, and since when."""
    last: int = 0


@dataclass(eq=False, slots=True)
class _Commit:
    """What a commit does with the callbacks of one key."""

    added: list[str] = field(default_factory=list[str])
    replayed: dict[str, int] = field(default_factory=dict[str, int])
    """The replayed callbacks, and their ages."""
    ended: set[str] = field(default_factory=set[str])


class Turns:
    """Whose turn it is, of all callbacks with an order key."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._queues = dict[OrderKey, _Queue]()
        self._commit = dict[OrderKey, _Commit]()

    def changed(
        self, callback: CallbackRecord, *, was_ended: bool | None, is_ended: bool, age: int
    ) -> None:
        """Note that the present commit has changed a callback.

        `was_ended` is None if it has added the callback. The one with the higher `age` is younger.
        """
        key = key_of(callback)
        if key is None or was_ended is is_ended:
            return
        commit = self._commit.setdefault(key, _Commit())
        if was_ended is None and not is_ended:
            commit.added.append(callback.sid)
        elif is_ended:
            commit.ended.add(callback.sid)
        else:
            commit.replayed[callback.sid] = age

    def may_have_ended_and_been_replayed(self, callback: CallbackRecord, age: int) -> None:
        """Note that the present commit may have ended a callback, and then replayed it."""
        key = key_of(callback)
        if key is not None:
            self._commit.setdefault(key, _Commit()).replayed[callback.sid] = age

    def committed(self) -> list[str]:
        """Conclude from the commit whose turn it is; return those of which it may be the turn now.

        The others of which it was the turn before are left out.
        """
        noted, self._commit = self._commit, {}
        return [sid for key, commit in noted.items() for sid in self._conclude(key, commit)]

    def is_turn_of(self, callback: CallbackRecord) -> bool:
        """Return True if it may be a callback's turn."""
        key = key_of(callback)
        return key is None or callback.sid in self._turns(key)

    def since(self, callback: CallbackRecord) -> float | None:
        """Return since when it is a callback's turn; None if that is not sure."""
        key = key_of(callback)
        if key is None:
            return 0.0
        turns = self._turns(key)
        return turns.get(callback.sid) if len(turns) == 1 else None

    def left(self, callback: CallbackRecord) -> None:
        """Note that it is a callback's turn, since its request has left."""
        key = key_of(callback)
        if key is not None and callback.sid in (turns := self._turns(key)):
            self._queues[key].turns = {callback.sid: turns[callback.sid]}

    def _turns(self, key: OrderKey) -> dict[str, float]:
        queue = self._queues.get(key)
        return {} if queue is None else queue.turns

    def _conclude(self, key: OrderKey, commit: _Commit) -> list[str]:
        queue = self._queues.setdefault(key, _Queue())
        before, turns = dict(queue.places), queue.turns
        for sid in commit.added:
            queue.last += 1
            queue.places[sid] = queue.last
        for sid, age in commit.replayed.items():
            queue.places[sid] = _BEFORE_ALL + age
        for sid in commit.ended:
            queue.places.pop(sid, None)
        if not queue.places:
            del self._queues[key]
            return []
        gone = [sid for sid in turns if sid in commit.ended or sid in commit.replayed]
        following = set(turns) - commit.ended
        if gone or not turns:
            following |= self._next_of(queue, commit, before)
        queue.turns = {sid: turns.get(sid, self._now()) for sid in following}
        return [sid for sid in following if sid not in turns]

    def _next_of(self, queue: _Queue, commit: _Commit, before: dict[str, int]) -> set[str]:
        """Return those of which one may have followed another that this commit has ended."""
        waiting = [sid for sid in before if sid in queue.places and sid not in queue.turns]
        joined = [sid for sid in commit.added if sid in queue.places]
        first = min(waiting, key=lambda sid: before[sid]) if waiting else next(iter(joined), None)
        return {sid for sid in (first, *commit.replayed) if sid in queue.places}


def key_of(callback: CallbackRecord) -> OrderKey | None:
    """Return the lane and the order key of a callback; None if it has no key."""
    return None if callback.order_key is None else (lane_of(callback), callback.order_key)
