"""The life cycle of Super SIMs as a table of moves, and what an update of one leads to.

Source of the moves: the Super SIM documentation. `ready → inactive` is our decision; there is no
`new → inactive`, and no way back to `new`.
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
"""The statuses that an update may ask for."""


@dataclass(frozen=True, slots=True)
class SuperSim:
    """A Super SIM as its account sees it."""

    sid: str
    account_sid: str
    iccid: str
    unique_name: str | None
    status: SimStatus
    fleet_sid: str | None
    date_created: datetime
    date_updated: datetime
    device_ip: str | None = None
    """The address of its device, for IP Commands."""
    ready_since: datetime | None = None
    """Since when it has been `ready`; None in other statuses."""
    sms_while_ready: int = 0
    """SMS Commands sent or received while it has been `ready`."""

    @property
    def is_connected(self) -> bool:
        """Whether its device can use the network."""
        return self.status in (SimStatus.READY, SimStatus.ACTIVE)


@dataclass(frozen=True, slots=True)
class FleetAssigned:
    """A new SIM gets its fleet at once, without the network and without a callback."""

    fleet_sid: str


@dataclass(frozen=True, slots=True)
class SuperSimAlreadyInState:
    """The SIM is already as asked; the callback is sent at once."""


@dataclass(frozen=True, slots=True)
class SuperSimUpdateRequired:
    """The network has to carry the change out; the SIM is `scheduled` until then."""

    status: SimStatus
    fleet_sid: str | None


Change = FleetAssigned | SuperSimAlreadyInState | SuperSimUpdateRequired


def plan_change(sim: SuperSim, *, status: SimStatus | None, fleet_sid: str | None) -> Change | None:
    """Return what an update that asks for this status and this fleet leads to.

    None where it asks for neither, and causes no callback.

    Raises Conflict while an earlier change is being carried out (83009, 83010), and
    InvalidParameter where the life cycle has no such move (83010) or the SIM would be without a
    fleet (83007).
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
        f"SIM {sim.sid} is scheduled: wait for its running change before changing its {what}",
        code=code,
    )
