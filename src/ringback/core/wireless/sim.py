"""The life cycle of Programmable Wireless SIMs, and the effect of an update.

The allowed changes of status are from the documentation. A deactivated SIM is canceled 72 hours
later; it is our decision that it can become `active` again before that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from ringback.core.callback_urls.callback_target import NO_TARGET, CallbackTarget
from ringback.core.errors import Conflict, InvalidParameter


class WirelessStatus(StrEnum):
    """The statuses of a SIM; `scheduled` means that a change waits, `updating` that it runs."""

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
"""The changes of status that an update can ask for."""

FINAL: Final[Mapping[WirelessStatus, WirelessStatus]] = {
    _READY: _ACTIVE,
    _DEACTIVATED: WirelessStatus.CANCELED,
}
"""The statuses that change by themselves, each with the one that follows; a callback reports it."""

CANCELED_AFTER: Final = timedelta(hours=72)
"""The time after which a deactivated SIM is canceled."""

CHANGING: Final = (WirelessStatus.SCHEDULED, WirelessStatus.UPDATING)
CONNECTED: Final = (_READY, _ACTIVE)
DELETABLE: Final = (_NEW, _SUSPENDED, _DEACTIVATED, WirelessStatus.CANCELED)
"""The statuses in which a SIM can be deleted: by our choice, those without network access."""


@dataclass(frozen=True, slots=True)
class WirelessSim:
    """A Programmable Wireless SIM, with the fields that its account can see."""

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
    registration_code: str | None = field(default=None, repr=False)
    is_narrowband: bool = False
    """True for a Narrowband (NB-IoT) SIM, which has data but no SMS."""
    commands_to: CallbackTarget = NO_TARGET
    """The URL that gets a callback for each Command from the SIM's device."""
    handlers: Mapping[str, str] = field(default_factory=dict[str, str])
    """The deprecated URLs and methods for SMS and calls, by their field names in API responses."""
    is_resetting: bool = False
    reset_to: CallbackTarget = NO_TARGET
    """The URL that gets a callback when a reset of the SIM's connectivity has ended."""
    final_to: CallbackTarget = NO_TARGET
    """The URL that gets a callback when the SIM changes to its final status by itself."""
    status_since: datetime | None = None
    """When the SIM became ready or deactivated; stays the same while a change is carried out."""
    commands_while_ready: int = 0
    """The number of Commands sent to the SIM since it became `ready`."""
    metered_since: datetime | None = None
    """When the SIM was first connected, which is when its first usage month began."""
    update_asked: datetime | None = None
    """When a request updated the SIM last; None if none has."""
    update_asked_by: str | None = None
    """Whose request that was: an `Actor.id`."""

    @property
    def is_connected(self) -> bool:
        """True if the SIM's status lets its device use the network."""
        return self.status in CONNECTED


@dataclass(frozen=True, slots=True)
class WirelessSimAlreadyInState:
    """Effect of an update: the network has nothing to do, and the callback is sent now."""

    rate_plan_sid: str | None


@dataclass(frozen=True, slots=True)
class WirelessSimUpdateRequired:
    """Effect of an update: the network has to carry out the change."""

    status: WirelessStatus
    rate_plan_sid: str | None


Change = WirelessSimAlreadyInState | WirelessSimUpdateRequired


def make_iccid(random_bytes: bytes) -> str:
    """Return an ICCID (card number) made from 8 random bytes, in the form of a published sample.

    >>> make_iccid(bytes(8))
    '8901340000000000000'
    """
    return f"890134{int.from_bytes(random_bytes) % 10**13:013}"


def plan_change(
    sim: WirelessSim, *, status: WirelessStatus | None, rate_plan_sid: str | None
) -> Change | None:
    """Return the effect of a request to give a SIM this status and this rate plan.

    An empty `rate_plan_sid` removes the SIM's rate plan. Returns None if the request gives neither
    a status nor a rate plan: it then has no effect and causes no callback.

    Raises Conflict while an earlier change has not ended (33010), and InvalidParameter if the life
    cycle does not allow the change (33105), the SIM would be connected without a rate plan (33104),
    or one update asks to suspend the SIM and to remove its plan (33121).
    """
    if status is None and rate_plan_sid is None:
        return None
    if sim.status in CHANGING:
        raise Conflict(
            f"SIM {sim.sid} is {sim.status}: wait until its current change is done before"
            " you change its status or rate plan",
            code=33010,
        )
    if status is _SUSPENDED and rate_plan_sid == "":
        raise InvalidParameter(
            "Status=suspended and an empty RatePlan can't be given together; change one"
            " after the other",
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
    """Raise InvalidParameter (33105) unless a SIM has this status or may change to it."""
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
    """Return a SIM with another status; `before` is the status it had when its change began.

    A new status restarts the time and the count of Commands (`status_since`,
    `commands_while_ready`).
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
