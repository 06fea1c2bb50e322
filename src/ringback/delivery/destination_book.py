"""What is set for destinations, as this process knows it: from its settings, and from the store.

Nothing is read from the store while callbacks are sent. Each change in the store has a revision, by
which `refresh` finds what others have changed.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from ringback.core.accounts.account import EVERY, Account
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.shards import origin_of
from ringback.core.destinations.destination_pattern import ALL, parsed_pattern
from ringback.core.destinations.destination_settings import DestinationOrder
from ringback.core.destinations.effective_settings import (
    DestinationRule,
    EffectiveSettings,
    SettingsOwner,
    effective_settings,
)
from ringback.core.retry_schedule import RetrySchedule
from ringback.ports import (
    DestinationPause,
    Lane,
    Store,
    StoredDestinationSettings,
    Transaction,
    nothing,
)

STOPPED_AT_MOST: Final = timedelta(days=3)
_MOST_PLACES: Final = 10_000
_Key = tuple[SettingsOwner, str, str]


class LanePause(NamedTuple):
    """A pause of a lane, and the side that has begun it."""

    owner: SettingsOwner
    pause: DestinationPause
    pattern: str = ALL
    """The pattern of the destinations that are paused."""

    @property
    def why(self) -> str:
        """The side that has paused it, and its reason, in words."""
        because = f": {self.pause.reason}" if self.pause.reason else ""
        return f"paused by the {self.owner}{because}"


class _Place(NamedTuple):
    """The part of its destination that a URL belongs to, and in which order callbacks go there."""

    part: str
    is_by_sim: bool


class DestinationBook:
    """What is set for destinations, and which of it is in force for a lane."""

    def __init__(
        self,
        in_file: Iterable[DestinationRule],
        schedule: RetrySchedule,
        stopped_at_most: timedelta = STOPPED_AT_MOST,
    ) -> None:
        """Begin with the rules of the settings file; `schedule` is that of most accounts."""
        self.schedule = schedule
        self.stopped_at_most = stopped_at_most
        """How long a callback waits behind an open breaker or a hold before it is given up."""
        self.revision = 0
        """The revision of the last change that is known."""
        self.announce: Callable[[], None] = nothing
        """Called after each change of this process, to notify other processes."""
        self._in_file = tuple(in_file)
        self._stored = dict[_Key, StoredDestinationSettings]()
        self._by_origin = defaultdict[str, dict[_Key, DestinationRule]](dict)
        """The rules whose pattern matches only one destination, by its origin."""
        self._general = dict[_Key, DestinationRule]()
        self._places = dict[tuple[str, CallbackUrl], _Place]()
        self.are_any = bool(self._in_file)
        """True if anything is set, or was."""
        self._listeners = list[Callable[[Sequence[StoredDestinationSettings]], None]]()
        for number, rule in enumerate(self._in_file):
            self._put((rule.owner, f"{rule.account_sid} {number}", rule.pattern.text), rule)

    def listen(self, changed: Callable[[Sequence[StoredDestinationSettings]], None]) -> None:
        """Call `changed` in the event loop with all that has been set anew."""
        self._listeners.append(changed)

    async def refresh(self, store: Store) -> None:
        """Learn what has been changed in the store; raises StoreUnavailable."""
        self.learn(await store.read(self.changes_in))

    def changes_in(self, tx: Transaction) -> list[StoredDestinationSettings]:
        """Return the changes in the store since the last revision that is known."""
        destinations, known = tx.destinations, self.revision
        return destinations.changed_since(known) if destinations.revision() > known else []

    def use_from(self, tx: Transaction) -> None:
        """Use what is in the store after a change, once it is durable, and announce the change.

        It also has the changes of other processes that came before it.
        """
        changed = self.changes_in(tx)

        def use() -> None:
            self.learn(changed)
            self.announce()

        tx.on_commit(use)

    def learn(self, changed: Sequence[StoredDestinationSettings]) -> None:
        """Use what has been set anew, in the order of the revisions."""
        new = [one for one in changed if one.revision > self.revision]
        if not new:
            return
        for one in new:
            key = one.owner, one.account_sid, one.pattern
            self._stored[key] = one
            pattern = parsed_pattern(one.pattern)
            self._put(key, DestinationRule(one.owner, one.account_sid, pattern, one.given))
            self.revision = one.revision
        self.are_any = True
        self._places.clear()
        for listener in self._listeners:
            listener(new)

    def place(self, callback: CallbackRecord) -> CallbackRecord:
        """Return a new callback in its part of the destination, and with its order key."""
        if not self.are_any:
            return callback
        place = self._place(callback.account_sid, callback.url)
        if place.part:
            callback = callback._replace(part=place.part)
        if place.is_by_sim and callback.order_key is None:
            callback = callback._replace(order_key=callback.sim_sid)
        return callback

    def lane_of(self, account_sid: str, url: CallbackUrl) -> Lane:
        """Return the lane of an account's callbacks to a URL."""
        part = self._place(account_sid, url).part if self.are_any else ""
        return Lane(account_sid, url.destination + part)

    def schedule_of(self, account: Account | None) -> RetrySchedule:
        """Return the retry schedule of an account: its own, or that of most accounts."""
        return (account and account.schedule) or self.schedule

    def settings_of(self, lane: Lane, schedule: RetrySchedule | None = None) -> EffectiveSettings:
        """Return the settings in force for a lane; `schedule` is that of its account."""
        return effective_settings(self.rules_of(lane), schedule or self.schedule)

    def rules_of(self, lane: Lane) -> list[DestinationRule]:
        """Return all rules that cover a lane."""
        return [rule for _, rule in self._about(lane.destination) if rule.covers(*lane)]

    def pauses_of(self, lane: Lane) -> list[LanePause]:
        """Return the pauses of a lane, those of the operator first; some may be over."""
        return [
            LanePause(one.owner, one.pause, one.pattern)
            for one in self._of(lane)
            if one.pause is not None
        ]

    def damage_of(self, lane: Lane) -> str | None:
        """Return why nothing may be sent in a lane, if secret values set for it are damaged."""
        damaged = [one.pattern for one in self._of(lane) if one.unopened is not None]
        if not damaged:
            return None
        return (
            f"the headers, certificates or URLs set for {damaged[0]} can't be decrypted; set them"
            " anew with --unset-all (UnsetAll)"
        )

    def all_set(self, account_sid: str) -> list[StoredDestinationSettings]:
        """Return the settings at run time for an account, by itself or by the operator.

        For EVERY, it is what the operator has set for all accounts.
        """
        found = [
            one
            for one in self._stored.values()
            if one.account_sid == account_sid and not one.is_empty
        ]
        return sorted(found, key=lambda one: (one.pattern, one.owner))

    def resumed_at(self, lane: Lane) -> datetime | None:
        """Return when somebody last resumed a lane; None if nobody has."""
        return max((one.resumed for one in self._of(lane) if one.resumed), default=None)

    def is_about(self, stored: StoredDestinationSettings, lane: Lane) -> bool:
        """Return True if what is stored is about a lane."""
        is_for_account = stored.account_sid in (EVERY, lane.account_sid)
        return is_for_account and parsed_pattern(stored.pattern).matches(lane.destination)

    def _of(self, lane: Lane) -> list[StoredDestinationSettings]:
        """Return the stored settings whose patterns match the lane, the operator's first."""
        found = [
            self._stored[key]
            for key, rule in self._about(lane.destination)
            if key in self._stored and rule.covers(*lane)
        ]
        return sorted(found, key=lambda one: one.owner is not SettingsOwner.OPERATOR)

    def _put(self, key: _Key, rule: DestinationRule) -> None:
        rules = self._by_origin[rule.pattern.origin] if rule.pattern.is_exact else self._general
        rules[key] = rule

    def _place(self, account_sid: str, url: CallbackUrl) -> _Place:
        key = account_sid, url
        place = self._places.get(key)
        if place is None:
            if len(self._places) >= _MOST_PLACES:
                self._places.clear()
            self._places[key] = place = self._place_of(*key)
        return place

    def _place_of(self, account_sid: str, url: CallbackUrl) -> _Place:
        parts = [
            rule.pattern
            for key, rule in self._about(url.destination)
            if rule.account_sid in (EVERY, account_sid)
            and rule.pattern.splits_off(url)
            and not (key in self._stored and self._stored[key].is_empty)
        ]
        part = max(parts, key=lambda pattern: pattern.specificity).path if parts else ""
        settings = self.settings_of(Lane(account_sid, url.destination + part))
        return _Place(part, settings.order is DestinationOrder.SIM)

    def _about(self, destination: str) -> Iterator[tuple[_Key, DestinationRule]]:
        """Yield all rules that may be about a destination, with their keys."""
        yield from self._by_origin.get(origin_of(destination), {}).items()
        yield from self._general.items()
