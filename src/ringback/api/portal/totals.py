"""How the callbacks of a time went, over HTTP."""

from datetime import timedelta
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.forms import read_query
from ringback.api.representation import json_answer, with_unknown
from ringback.api.services import Services
from ringback.api.sign_in import reach_of
from ringback.core.account import EVERY
from ringback.operations.totals import totals_of

SINCE: Final = "Since"
UNTIL: Final = "Until"
_DAY: Final = timedelta(days=1)
_INSTANT: Final = timedelta(microseconds=1)


class TotalsResource:
    """The totals of one account, or for an operator's key of all."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def list(self, request: Request) -> Response:
        """List the totals of what was created in a time, by account, URL and sources."""
        reach = await reach_of(request, self._services.sign_ins)
        query = read_query(request, (SINCE, UNTIL))
        now = self._services.clock.now()
        found = await totals_of(
            self._services.store,
            since=query.instant(SINCE) or now - _DAY,
            until=query.instant(UNTIL) or now + _INSTANT,  # so that this one counts
            account_sid=None if reach == EVERY else reach,
        )
        shown = [totals._asdict() for totals in found]
        return with_unknown(query, json_answer({"totals": shown}))
