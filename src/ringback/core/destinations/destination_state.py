"""What has become of a lane's destination: its breaker, a hold, and whether it is disabled.

The process that sends to the destination changes the state, and stores it together with the result
of the attempt that changed it.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Self

from ringback.core.calendar import exact

_MOST_REMEMBERED: Final = 1000
"""Of how many callbacks a state remembers how long they have waited; the longest waits stay."""
_WORTH_REMEMBERING: Final = timedelta(minutes=1)
_MOST_GAPS: Final = 20
"""The most periods that are told apart; beyond that, the oldest ones are joined."""

Period = tuple[datetime, datetime]
"""From one instant to another."""


class DestinationState(NamedTuple):
    """The state of a lane's destination; the default is that of one that is well."""

    opened: datetime | None = None
    """Since when its breaker is open; None if it is closed."""
    probe_at: datetime | None = None
    """When the open breaker lets the next probe pass."""
    failed_probes: int = 0
    """How many probes have failed since the breaker opened."""
    held_until: datetime | None = None
    """Until when nothing is sent, because an answer asked for it."""
    held_since: datetime | None = None
    """Since when each answer has asked to wait; None unless `held_until` is set."""
    no_success_since: datetime | None = None
    """When the first attempt failed of those after the last success; kept only to disable it."""
    failing_since: datetime | None = None
    """Since when its breaker would open if a few more attempts failed."""
    disabled: datetime | None = None
    """Since when it is disabled; None if it is not."""
    disabled_why: str = ""
    gaps: tuple[Period, ...] = ()
    """Periods since it was stopped in which time did not count: it was paused, or no process was
    there to send anything."""
    waited_before: Mapping[str, float] = {}
    """How many seconds callbacks that were tried since it was stopped had waited for that, by SID.
    Their wait for the next round of their schedule is not in it."""
    seen: datetime | None = None
    """When the state was last stored."""
    told: Mapping[str, datetime] = {}
    """When the last event of each kind was sent about it."""

    @property
    def is_plain(self) -> bool:
        """True if there is nothing to remember."""
        return self == DestinationState(seen=self.seen)

    def write(self) -> str:
        """Return the state as JSON, without what has its default."""
        fields = self._asdict().items()
        told = {name: value for name, value in fields if value != self._field_defaults[name]}
        return json.dumps(told, default=exact)

    @classmethod
    def read(cls, text: str) -> Self:
        """Return the state from a text of `write`; what is not known any more is left out."""
        given: dict[str, Any] = json.loads(text)
        return cls(**{name: _READ[name](value) for name, value in given.items() if name in _READ})

    def with_gap(self, since: datetime, until: datetime) -> Self:
        """Return the state after a period in which no time counted."""
        if until <= since:
            return self
        gaps = sorted((*self.gaps, (since, until)))
        while len(gaps) > _MOST_GAPS:
            # What lies between is left out as well: nothing is given up too early by that.
            first, second, *rest = gaps
            gaps = [(first[0], max(first[1], second[1])), *rest]
        return self._replace(gaps=tuple(gaps))

    @property
    def stopped_since(self) -> datetime | None:
        """Since when its breaker is open, or it has asked to wait; None if neither is so."""
        return min((one for one in (self.opened, self.held_since) if one), default=None)

    def waited(self, callback_sid: str, due: datetime, now: datetime) -> timedelta:
        """Return how long a callback that is due since `due` has waited for a stop, in all."""
        if self.stopped_since is None:
            return timedelta(0)
        begin = max(due, self.stopped_since)
        lost = (min(until, now) - max(since, begin) for since, until in self.gaps)
        time = now - begin - sum((one for one in lost if one > timedelta(0)), timedelta(0))
        before = timedelta(seconds=self.waited_before.get(callback_sid, 0.0))
        return before + max(time, timedelta(0))

    def remembering(self, callback_sid: str, due: datetime, now: datetime) -> Self:
        """Return the state after an attempt of a callback that was due since `due`."""
        waited = self.waited(callback_sid, due, now)
        if waited < _WORTH_REMEMBERING:
            return self
        all_ = {**self.waited_before, callback_sid: waited.total_seconds()}
        if len(all_) > _MOST_REMEMBERED:
            del all_[min(all_, key=all_.__getitem__)]
        return self._replace(waited_before=all_)

    def waited_too_long(self, limit: timedelta) -> bool:
        """Return True if a callback that was tried had waited for this time before."""
        return max(self.waited_before.values(), default=0.0) >= limit.total_seconds()

    def forgetting(self, *callback_sids: str) -> Self:
        """Return the state after the end of callbacks."""
        if self.waited_before.keys().isdisjoint(callback_sids):
            return self
        rest = {sid: time for sid, time in self.waited_before.items() if sid not in callback_sids}
        return self._replace(waited_before=rest)


def _gaps(value: list[list[str]]) -> tuple[Period, ...]:
    return tuple(
        (datetime.fromisoformat(since), datetime.fromisoformat(until)) for since, until in value
    )


def _told(value: dict[str, str]) -> dict[str, datetime]:
    return {name: datetime.fromisoformat(instant) for name, instant in value.items()}


_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    "opened": datetime.fromisoformat,
    "probe_at": datetime.fromisoformat,
    "failed_probes": int,
    "held_until": datetime.fromisoformat,
    "held_since": datetime.fromisoformat,
    "no_success_since": datetime.fromisoformat,
    "failing_since": datetime.fromisoformat,
    "disabled": datetime.fromisoformat,
    "disabled_why": str,
    "gaps": _gaps,
    "waited_before": dict,
    "seen": datetime.fromisoformat,
    "told": _told,
}
WELL: Final = DestinationState()
"""The state of a destination that is well."""
