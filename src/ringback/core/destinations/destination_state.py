"""What has become of a lane's destination: its breaker, a hold, and whether it is disabled.

The process that sends to the destination changes the state, and stores it together with the result
of the attempt that changed it.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Self

from ringback.core.calendar import exact

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
    no_success_since: datetime | None = None
    """When the first attempt failed of those after the last success; kept only to disable it."""
    failing_since: datetime | None = None
    """Since when its breaker would open if a few more attempts failed."""
    disabled: datetime | None = None
    """Since when it is disabled; None if it is not."""
    disabled_why: str = ""
    gaps: tuple[Period, ...] = ()
    """Periods since its breaker opened in which time did not count: it was paused, or no process
    was there to send anything."""
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

    def given_up_at(self, waits_since: datetime, due: datetime, limit: timedelta) -> datetime:
        """Return from when on a failed probe ends a callback that waits behind the open breaker.

        It waits since `waits_since` for a round that is due at `due`, and may wait for `limit`
        while the breaker is open. That uses nothing of its schedule.
        """
        begin = waits_since if self.opened is None else max(waits_since, self.opened)
        end = max(due, begin) + limit
        for since, until in self.gaps:
            if until > begin and since < end:
                end += until - max(since, begin)
        return end


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
    "no_success_since": datetime.fromisoformat,
    "failing_since": datetime.fromisoformat,
    "disabled": datetime.fromisoformat,
    "disabled_why": str,
    "gaps": _gaps,
    "seen": datetime.fromisoformat,
    "told": _told,
}
WELL: Final = DestinationState()
"""The state of a destination that is well."""
