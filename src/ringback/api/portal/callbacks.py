"""Looking at callbacks and their attempts over HTTP."""

from typing import Final

from starlette.responses import Response

from ringback.api.operation import Many, Operation
from ringback.api.paging import whole_list
from ringback.api.portal.filters import FILTERS, STATUS, STATUSES, read_filter
from ringback.api.portal.records import ATTEMPT, CALLBACK
from ringback.api.representation import json_answer
from ringback.api.resource import Call, Listing, Resource
from ringback.core.callback import UNDELIVERED, Callback, CallbackStatus
from ringback.operations.callbacks import fetch_attempts, fetch_callback

CALLBACKS: Final = "/portal/v1/callbacks"


class CallbackResource(Resource):
    """What is known of callbacks."""

    def operations(self) -> list[Operation]:
        """Return the operations that look."""
        callbacks = self.on(CALLBACKS, "Callback", CALLBACK)
        undelivered = self.on("/portal/v1/undelivered", "Undelivered", CALLBACK)
        return [
            callbacks.lists_for(
                "List callbacks, newest first.", self._list, takes=(STATUS, *FILTERS)
            ),
            callbacks.fetches("Fetch a callback.", fetch_callback),
            undelivered.lists_for(
                "List callbacks that failed or were discarded, newest first.",
                lambda call: self._listing(call, UNDELIVERED),
                takes=FILTERS,
            ),
            self.operation(
                "GET",
                f"{CALLBACKS}/{{sid}}/attempts",
                "ListAttempt",
                "List a callback's attempts, oldest first, with requests and answers.",
                self._attempts,
                answers={200: Many(ATTEMPT)},
            ),
        ]

    def _list(self, call: Call) -> Listing[Callback]:
        return self._listing(call, call.given.meaning("Status", STATUSES))

    def _listing(self, call: Call, statuses: frozenset[CallbackStatus] | None) -> Listing[Callback]:
        which = read_filter(call.given, statuses=statuses, sources=self._services.sources)
        return lambda tx, reach, window: tx.callbacks.page(reach, which, window)

    async def _attempts(self, call: Call) -> Response:
        attempts = await self.read(
            call.account_sid, lambda tx: fetch_attempts(tx, call.account_sid, call.sid)
        )
        shown = list(map(ATTEMPT.at(call.request), attempts))
        return json_answer(whole_list("attempts", shown, request=call.request))
