"""A change of a SIM that the network has to carry out, and what its ending does."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from ringback.core.callback import Method
from ringback.core.callback_url import CallbackUrl
from ringback.core.events import SimUpdated
from ringback.core.sim import Sim, SimStatus


@dataclass(frozen=True, slots=True)
class SimUpdate:
    """An accepted change: where the SIM comes from, where it goes, and whom to tell."""

    sim_sid: str
    account_sid: str
    from_status: SimStatus
    to_status: SimStatus
    to_fleet_sid: str | None
    callback_url: CallbackUrl | None
    callback_method: Method
    due: datetime


@dataclass(frozen=True, slots=True)
class CarriedOut:
    """The network did as asked."""


@dataclass(frozen=True, slots=True)
class CarrierFailure:
    """The network could not; the code is one of the 83xxx family."""

    code: int
    message: str


UpdateEnding = CarriedOut | CarrierFailure


def finish(
    sim: Sim, update: SimUpdate, ending: UpdateEnding, now: datetime
) -> tuple[Sim, SimUpdated]:
    """Return the SIM after its change, and what its customer is told of it.

    A failed change leaves the SIM as it was before.
    """
    match ending:
        case CarriedOut():
            status, fleet_sid = update.to_status, update.to_fleet_sid
            error_code, error_message = None, None
        case CarrierFailure(code, message):
            status, fleet_sid = update.from_status, sim.fleet_sid
            error_code, error_message = code, message
        case _:
            assert_never(ending)
    finished = replace(sim, status=status, fleet_sid=fleet_sid, date_updated=now)
    return finished, event_of(finished, error_code=error_code, error_message=error_message)


def event_of(
    sim: Sim, *, error_code: int | None = None, error_message: str | None = None
) -> SimUpdated:
    """Return what a customer is told of a SIM's present state."""
    return SimUpdated(
        account_sid=sim.account_sid,
        sim_sid=sim.sid,
        sim_unique_name=sim.unique_name,
        sim_status=sim.status,
        error_code=error_code,
        error_message=error_message,
    )
