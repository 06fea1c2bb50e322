"""The life cycle of Super SIMs: the allowed changes of status, and the effect of an update.

The changes are from the Super SIM documentation, except that `ready → inactive` is our decision.
There is no `new → inactive`, and no way back to `new`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from ringback.core.errors import Conflict, InvalidParameter


class SimStatus(StrEnum):
    """The statuses of a Super SIM; `scheduled` means that a change is being carried out."""

    NEW = "new"
    READY = "ready"
    ACTIVE = "active"
    INACTIVE = "inactive"
    SCHEDULED = "scheduled"


MOVES: Final[Mapping[SimStatus, frozenset[SimStatus]]] = {
    SimStatus.NEW: frozenset({SimStatus.READY, SimStatus.ACTIVE}),
    SimStatus.READY: frozenset({SimStatus.ACTIVE, SimStatus.INACTIVE}),
    SimStatus.ACTIVE: frozenset({SimStatus.INACTIVE}),
    SimStatus.INACTIVE: frozenset({SimStatus.ACTIVE}),
    SimStatus.SCHEDULED: frozenset(),
}

REQUESTABLE: Final = (SimStatus.READY, SimStatus.ACTIVE, SimStatus.INACTIVE)
"""The statuses that a client may ask for in an update of a SIM."""


@dataclass(frozen=True, slots=True)
class SuperSim:
    """A Super SIM, with the fields that its account can see."""

    sid: str
    account_sid: str
    iccid: str
    unique_name: str | None
    status: SimStatus
    fleet_sid: str | None
    date_created: datetime
    date_updated: datetime
    device_ip: str | None = None
    """The IP address of the SIM's device, for IP Commands."""
    ready_since: datetime | None = None
    """When the SIM became `ready`; None in other statuses."""
    sms_while_ready: int = 0
    """The number of SMS Commands sent or received since the SIM became `ready`."""
    update_asked: datetime | None = None
    """When a request updated the SIM last; None if none has."""
    update_asked_by: str | None = None
    """Whose request that was: an `Actor.id`."""

    @property
    def is_connected(self) -> bool:
        """True if the SIM's status lets its device use the network."""
        return self.status in (SimStatus.READY, SimStatus.ACTIVE)


@dataclass(frozen=True, slots=True)
class FleetAssigned:
    """Effect of an update: a new SIM gets its Fleet at once, without a callback."""

    fleet_sid: str


@dataclass(frozen=True, slots=True)
class SuperSimAlreadyInState:
    """Effect of an update: the SIM is already in the requested state; the callback is sent now."""


@dataclass(frozen=True, slots=True)
class SuperSimUpdateRequired:
    """Effect of an update: the SIM is `scheduled` until the network has carried out the change."""

    status: SimStatus
    fleet_sid: str | None


Change = FleetAssigned | SuperSimAlreadyInState | SuperSimUpdateRequired


def plan_change(sim: SuperSim, *, status: SimStatus | None, fleet_sid: str | None) -> Change | None:
    """Return the effect of a request to give a SIM this status and this Fleet.

    Returns None if the request gives neither: it then has no effect and causes no callback.

    Raises Conflict while an earlier change is being carried out (83009, 83010), and
    InvalidParameter if the life cycle does not allow the change (83010) or the SIM would have no
    Fleet (83007).
    """
    if status is None and fleet_sid is None:
        return None
    if sim.status is SimStatus.SCHEDULED:
        raise _still_scheduled(sim, changes_fleet=fleet_sid is not None)
    fleet_stays = fleet_sid in (None, sim.fleet_sid)
    if fleet_sid is not None and status is None and sim.status is SimStatus.NEW:
        return FleetAssigned(fleet_sid)
    if status in (None, sim.status):
        return (
            SuperSimAlreadyInState()
            if fleet_stays
            else SuperSimUpdateRequired(sim.status, fleet_sid)
        )
    _check_move(sim, status)
    target = fleet_sid or sim.fleet_sid
    if target is None:
        raise InvalidParameter(
            f"SIM {sim.sid} has no Fleet, so it can't become {status}; give Fleet too", code=83007
        )
    return SuperSimUpdateRequired(status, target)


def _check_move(sim: SuperSim, status: SimStatus) -> None:
    if status not in MOVES[sim.status]:
        moves = ", ".join(sorted(MOVES[sim.status]))
        raise InvalidParameter(
            f"SIM {sim.sid} is {sim.status} and can't become {status}; it can become: {moves}",
            code=83010,
        )


def _still_scheduled(sim: SuperSim, *, changes_fleet: bool) -> Conflict:
    what, code = ("Fleet", 83009) if changes_fleet else ("status", 83010)
    return Conflict(
        f"SIM {sim.sid} is scheduled: wait until its current change is done before"
        f" you change its {what}",
        code=code,
    )
