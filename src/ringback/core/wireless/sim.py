"""The life cycle of Programmable Wireless SIMs, and what an update of one leads to.

Source of the moves: the documentation of SIM statuses. It says that a SIM never returns to `new`,
that only a new SIM becomes `ready`, and that any SIM can be `deactivated`; 72 hours later it is
`canceled`. That it can become `active` again within them is our decision.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from ringback.core.callback_urls.callback_target import NO_TARGET, CallbackTarget
from ringback.core.errors import Conflict, InvalidParameter


class WirelessStatus(StrEnum):
    """The statuses of a SIM; in the last two a change is waiting or being carried out."""

    NEW = "new"
    READY = "ready"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    DEACTIVATED = "deactivated"
    CANCELED = "canceled"
    SCHEDULED = "scheduled"
    UPDATING = "updating"


_NEW, _READY, _ACTIVE = WirelessStatus.NEW, WirelessStatus.READY, WirelessStatus.ACTIVE
_SUSPENDED, _DEACTIVATED = WirelessStatus.SUSPENDED, WirelessStatus.DEACTIVATED
_NONE: Final = frozenset[WirelessStatus]()

MOVES: Final[Mapping[WirelessStatus, frozenset[WirelessStatus]]] = {
    _NEW: frozenset({_READY, _ACTIVE, _DEACTIVATED}),
    _READY: frozenset({_ACTIVE, _SUSPENDED, _DEACTIVATED}),
    _ACTIVE: frozenset({_SUSPENDED, _DEACTIVATED}),
    _SUSPENDED: frozenset({_ACTIVE, _DEACTIVATED}),
    _DEACTIVATED: frozenset({_ACTIVE}),
    WirelessStatus.CANCELED: _NONE,
    WirelessStatus.SCHEDULED: _NONE,
    WirelessStatus.UPDATING: _NONE,
}
"""The moves that an update can ask for."""

FINAL: Final[Mapping[WirelessStatus, WirelessStatus]] = {
    _READY: _ACTIVE,
    _DEACTIVATED: WirelessStatus.CANCELED,
}
"""The status that follows by itself; whoever asked for the first gets callbacks about both."""

CANCELED_AFTER: Final = timedelta(hours=72)
"""How long a SIM is deactivated before it is canceled."""

CHANGING: Final = (WirelessStatus.SCHEDULED, WirelessStatus.UPDATING)
CONNECTED: Final = (_READY, _ACTIVE)
DELETABLE: Final = (_NEW, _SUSPENDED, _DEACTIVATED, WirelessStatus.CANCELED)
"""The statuses in which a SIM can be deleted; no source says which, so those without network."""


@dataclass(frozen=True, slots=True)
class WirelessSim:
    """A Programmable Wireless SIM as its account sees it."""

    sid: str
    account_sid: str
    iccid: str
    date_created: datetime
    date_updated: datetime
    status: WirelessStatus = _NEW
    unique_name: str | None = None
    friendly_name: str | None = None
    rate_plan_sid: str | None = None
    eid: str | None = None
    registration_code: str | None = None
    is_narrowband: bool = False
    """Whether it is a Narrowband (NB-IoT) SIM: data, but no SMS."""
    commands_to: CallbackTarget = NO_TARGET
    """Gets a callback for each Command from its device."""
    handlers: Mapping[str, str] = field(default_factory=dict[str, str])
    """The deprecated URLs and methods for SMS and calls, by their names in answers."""
    is_resetting: bool = False
    reset_to: CallbackTarget = NO_TARGET
    """Gets a callback when the reset of its connectivity is over."""
    final_to: CallbackTarget = NO_TARGET
    """Gets a callback when it gets its final status by itself."""
    status_since: datetime | None = None
    """Since when it has been ready or deactivated; kept while a change is carried out."""
    commands_while_ready: int = 0
    """Commands sent to it since it became `ready`."""
    metered_since: datetime | None = None
    """When it was first connected: its months are counted from then."""

    @property
    def is_connected(self) -> bool:
        """Whether its device can use the network."""
        return self.status in CONNECTED


@dataclass(frozen=True, slots=True)
class WirelessSimAlreadyInState:
    """The network has nothing to do; the callback is sent at once."""

    rate_plan_sid: str | None


@dataclass(frozen=True, slots=True)
class WirelessSimUpdateRequired:
    """The network has to carry the change out."""

    status: WirelessStatus
    rate_plan_sid: str | None


Change = WirelessSimAlreadyInState | WirelessSimUpdateRequired


def make_iccid(random_bytes: bytes) -> str:
    """Return the number of a card, from 8 random bytes, in the form of a published sample.

    >>> make_iccid(bytes(8))
    '8901340000000000000'
    """
    return f"890134{int.from_bytes(random_bytes) % 10**13:013}"


def plan_change(
    sim: WirelessSim, *, status: WirelessStatus | None, rate_plan_sid: str | None
) -> Change | None:
    """Return what an update that asks for this status and this rate plan leads to.

    An empty rate plan takes the SIM's away. None where it asks for neither, and causes no callback.

    Raises Conflict while an earlier change is not over (33010), and InvalidParameter where the life
    cycle has no such move (33105), the SIM would be connected without a rate plan (33104), or the
    plan is to be removed from a SIM as it is suspended (33121).
    """
    if status is None and rate_plan_sid is None:
        return None
    if sim.status in CHANGING:
        raise Conflict(
            f"SIM {sim.sid} is {sim.status}: wait for its running change before changing its status"
            " or rate plan",
            code=33010,
        )
    if status is _SUSPENDED and rate_plan_sid == "":
        raise InvalidParameter(
            "Status=suspended can't come with an empty RatePlan; give one after the other",
            code=33121,
        )
    status = status or sim.status
    plan = sim.rate_plan_sid if rate_plan_sid is None else rate_plan_sid or None
    check_move(sim, status)
    if status in CONNECTED and plan is None:
        raise InvalidParameter(
            f"SIM {sim.sid} can't be {status} without a rate plan; give RatePlan too", code=33104
        )
    is_at_rest = status in (_NEW, WirelessStatus.CANCELED)
    if status is sim.status and (plan == sim.rate_plan_sid or is_at_rest):
        return WirelessSimAlreadyInState(plan)
    return WirelessSimUpdateRequired(status, plan)


def check_move(sim: WirelessSim, status: WirelessStatus) -> None:
    """Raise InvalidParameter (33105) unless a SIM has this status or can be asked to become it."""
    allowed = MOVES[sim.status]
    if status is not sim.status and status not in allowed:
        moves = ", ".join(sorted(allowed)) or "nothing else"
        raise InvalidParameter(
            f"SIM {sim.sid} is {sim.status} and can't become {status}; it can become: {moves}",
            code=33105,
        )


def moved(
    sim: WirelessSim, status: WirelessStatus, now: datetime, *, before: WirelessStatus | None = None
) -> WirelessSim:
    """Return a SIM in another status; `before` is the one that it had when its change began.

    The time and the Commands that count towards its final status start at zero in a new status.
    """
    stays = status is (before or sim.status)
    since = now if status in FINAL else None
    return replace(
        sim,
        status=status,
        date_updated=now,
        status_since=sim.status_since if stays else since,
        commands_while_ready=sim.commands_while_ready if stays else 0,
        metered_since=sim.metered_since or (now if status in CONNECTED else None),
    )
