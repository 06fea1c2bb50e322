"""The portal's operations that show the server's clock and advance it."""

from datetime import timedelta
from typing import Final

from ringback.api.dependencies import ApiDependencies
from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation, required
from ringback.api.request_parameters import RequestParameters
from ringback.api.schema_pieces import INSTANT, SECONDS, object_of, text
from ringback.api.serializers import CustomJsonSerializer
from ringback.core.calendar import read_duration
from ringback.engine.clock_advancer import ClockAdvancer
from ringback.runtime.virtual_clock import MOST_AHEAD

_PATH: Final = "/portal/v1/clock"

CLOCK: Final = CustomJsonSerializer("clock", object_of(now=INSTANT, ahead_seconds=SECONDS))
_ADVANCE: Final = (
    required("Advance", text(pattern="^[0-9]+(ms|s|m|h|d)$"), "A duration such as 90s, 2h or 3d."),
)


class ClockEndpoints(EndpointGroup):
    """The operations that show the clock and advance it."""

    def __init__(self, dependencies: ApiDependencies, clock_advancer: ClockAdvancer) -> None:
        super().__init__(dependencies)
        self._clock_advancer = clock_advancer

    def operations(self) -> list[ApiOperation]:
        """Return the operations on the clock."""
        fetches = "Show the server's time, and how far it is ahead of real time."
        advances = "Advance the clock; responds when everything that became due meanwhile is done."
        return [
            self.answers(*(_PATH, "FetchClock", fetches, CLOCK, self._fetch), for_all=True),
            self.answers(
                *(_PATH, "AdvanceClock", advances, CLOCK, self._advance),
                verb="POST",
                takes=_ADVANCE,
                for_all=True,
            ),
        ]

    async def _fetch(self, call: ApiRequest) -> dict[str, object]:
        clock = self._clock_advancer.clock
        return {"now": clock.now(), "ahead_seconds": clock.ahead.total_seconds()}

    async def _advance(self, call: ApiRequest) -> dict[str, object]:
        by, ahead = self._read_advance(call.given), self._clock_advancer.clock.ahead
        # The entry comes first: much happens while the clock advances.
        await self.change(
            call.request,
            lambda tx, context: context.record(
                *(tx, "AdvanceClock", "clock"),
                account_sid=None,
                before={"ahead_seconds": ahead},
                after={"ahead_seconds": ahead + by},
            ),
        )
        await self._clock_advancer.advance(by)
        return await self._fetch(call)

    def _read_advance(self, form: RequestParameters) -> timedelta:
        text = form.required("Advance")
        try:
            by = read_duration(text)
        except ValueError as problem:
            raise form.wrong(f"Advance: {problem}") from None
        if not by:
            raise form.wrong(f"Advance={text!r}: the duration must be above 0, such as 1s")
        if self._clock_advancer.clock.ahead + by > MOST_AHEAD:
            raise form.wrong(f"Advance={text!r}: the clock can be at most {MOST_AHEAD.days}d ahead")
        return by
