"""The clock over HTTP, where it is one that can be put forward."""

from datetime import timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ringback.api.forms import Parameters, read_form
from ringback.api.representation import json_answer, with_unknown
from ringback.api.routing import resource
from ringback.api.sign_in import SignIns, caller_of
from ringback.core.calendar import read_duration
from ringback.core.errors import Invalid
from ringback.engine.timelapse import Timelapse
from ringback.engine.virtual_clock import MOST_AHEAD

_INVALID_VALUE: Final = 83600


class ClockResource:
    """What time it is, and how it is made later."""

    def __init__(self, sign_ins: SignIns, timelapse: Timelapse) -> None:
        self._sign_ins = sign_ins
        self._timelapse = timelapse

    async def fetch(self, request: Request) -> Response:
        """Say what time it is: 200."""
        await caller_of(request, self._sign_ins)
        return self._answer()

    async def advance(self, request: Request) -> Response:
        """Let time pass, and answer when all that came due has been worked through: 200."""
        await caller_of(request, self._sign_ins)
        form = await read_form(request, ("Advance",))
        await self._timelapse.advance(self._read(form))
        return with_unknown(form, self._answer())

    def _read(self, form: Parameters) -> timedelta:
        text = form.required("Advance")
        try:
            by = read_duration(text)
        except ValueError as problem:
            raise Invalid(f"Advance: {problem}", code=_INVALID_VALUE) from None
        if not by:
            raise Invalid(f"Advance={text!r}: time has to pass, 1s say", code=_INVALID_VALUE)
        if self._timelapse.clock.ahead + by > MOST_AHEAD:
            raise Invalid(
                f"Advance={text!r}: the clock can be {MOST_AHEAD.days}d ahead at most",
                code=_INVALID_VALUE,
            )
        return by

    def _answer(self) -> Response:
        clock = self._timelapse.clock
        return json_answer({"now": clock.now(), "ahead_seconds": clock.ahead.total_seconds()})


def clock_routes(sign_ins: SignIns, timelapse: Timelapse) -> list[BaseRoute]:
    """Return the route of the clock."""
    clock = ClockResource(sign_ins, timelapse)
    return [resource("/portal/v1/clock", get=clock.fetch, post=clock.advance)]
