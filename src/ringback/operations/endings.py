"""How the network ended a step, as far as it failed."""

from typing import assert_never

from ringback.core.scenario import CarriedOut, CarrierFailure, Ending, NoAnswer


def failure_in(ending: Ending, *, unanswered: int) -> CarrierFailure | None:
    """Return why a step failed, or None; no answer is a failure with this code.

    >>> failure_in(NoAnswer(), unanswered=83400)
    CarrierFailure(code=83400, message='the network did not answer')
    """
    match ending:
        case CarriedOut():
            return None
        case CarrierFailure():
            return ending
        case NoAnswer():
            return CarrierFailure(unanswered, "the network did not answer")
        case _:
            assert_never(ending)
