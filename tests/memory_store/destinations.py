"""What is set for destinations, and the states of lanes, in plain dictionaries."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ringback.core.accounts.account import EVERY
from ringback.core.callbacks.shards import shard_of
from ringback.core.destinations.destination_state import DestinationState
from ringback.core.destinations.effective_settings import SettingsOwner
from ringback.ports import (
    Lane,
    LanePlace,
    StoredDestinationSettings,
    WaitingCallback,
    WaitingTotals,
    lane_of,
)
from tests.memory_store.callbacks import MemoryCallbacks

_Key = tuple[SettingsOwner, str, str]


@dataclass
class MemoryDestinations:
    """Implements `ports.Destinations`."""

    callbacks: MemoryCallbacks
    settings: dict[_Key, StoredDestinationSettings] = field(
        default_factory=dict[_Key, StoredDestinationSettings]
    )
    kept: dict[Lane, DestinationState] = field(default_factory=dict[Lane, DestinationState])
    revisions: dict[str, int] = field(default_factory=lambda: {"last": 0})
    """A row of its own, so that no other transaction changes it meanwhile."""

    def revision(self) -> int:
        return self.revisions["last"]

    def changed_since(self, revision: int) -> list[StoredDestinationSettings]:
        changed = [one for one in self.settings.values() if one.revision > revision]
        return sorted(changed, key=lambda one: one.revision)

    def find(
        self, owner: SettingsOwner, account_sid: str, pattern: str
    ) -> StoredDestinationSettings | None:
        return self.settings.get((owner, account_sid, pattern))

    def save(self, settings: StoredDestinationSettings) -> StoredDestinationSettings:
        self.revisions["last"] += 1
        saved = replace(settings, revision=self.revisions["last"])
        self.settings[settings.owner, settings.account_sid, settings.pattern] = saved
        return saved

    def number_set(self, owner: SettingsOwner, account_sid: str) -> int:
        own = [
            one
            for one in self.settings.values()
            if (one.owner, one.account_sid) == (owner, account_sid)
        ]
        return sum(not one.is_empty for one in own)

    def forget_empty(self, before: datetime, *, limit: int) -> int:
        empty = [
            key for key, one in self.settings.items() if one.is_empty and one.date_updated < before
        ]
        for key in empty[:limit]:
            del self.settings[key]
        return len(empty[:limit])

    def forget_states(self, used_since: datetime, *, limit: int) -> int:
        last_used = self._last_used(used_since)
        unused = [
            lane
            for lane, state in self.kept.items()
            if not state.disabled and last_used.get(lane, used_since) < used_since
        ]
        for lane in unused[:limit]:
            del self.kept[lane]
        return len(unused[:limit])

    def state_of(self, lane: Lane) -> DestinationState | None:
        return self.kept.get(lane)

    def states(self, shards: Collection[int] | None = None) -> list[tuple[Lane, DestinationState]]:
        return [
            (lane, state)
            for lane, state in self.kept.items()
            if shards is None or shard_of(lane.destination) in shards
        ]

    def save_state(self, lane: Lane, state: DestinationState) -> None:
        if not self.callbacks.may_change(lane):
            return
        if state.is_plain:
            self.kept.pop(lane, None)
        else:
            self.kept[lane] = state

    def lanes(
        self,
        account_sid: str,
        *,
        after: Lane | None,
        used_since: datetime,
        limit: int,
        examining: int,
    ) -> tuple[list[Lane], Lane | None]:
        last_used = self._last_used(used_since)
        own = [lane for lane in last_used if account_sid in (EVERY, lane.account_sid)]
        following = [lane for lane in sorted(own) if after is None or lane > after][:examining]
        found = list[Lane]()
        for lane in following:
            if last_used[lane] >= used_since or lane in self.kept:
                found.append(lane)
            if len(found) == limit:
                return found, lane
        return found, following[-1] if len(following) == examining else None

    def _last_used(self, waiting: datetime) -> dict[Lane, datetime]:
        """Return when the last callback of each lane came; `waiting` for those that wait."""
        last_used = dict[Lane, datetime]()
        for one in self.callbacks.callbacks.values():
            lane = lane_of(one)
            used = one.date_created if one.progress.is_ended else waiting
            last_used[lane] = max(used, last_used.get(lane, used))
        return last_used

    def has_lane(self, lane: Lane) -> bool:
        return any(lane_of(one) == lane for one in self.callbacks.callbacks.values())

    def waiting_totals(self, lane: Lane, *, limit: int) -> WaitingTotals:
        waiting = self.callbacks.in_lane(lane)
        oldest = min((due for due, _ in waiting), default=None)
        return WaitingTotals(min(len(waiting), limit), len(waiting) > limit, oldest)

    def waiting_in(
        self, lane: Lane, *, due_by: datetime, after: LanePlace | None, limit: int
    ) -> Sequence[WaitingCallback]:
        waiting = [
            WaitingCallback(one.sid, LanePlace(due, self.callbacks.places[one.sid]))
            for due, one in self.callbacks.in_lane(lane)
            if due <= due_by
        ]
        in_order = sorted(waiting, key=lambda one: one.place)
        return [one for one in in_order if after is None or one.place > after][:limit]
