"""Looking at callbacks and their attempts over HTTP."""

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.forms import Parameters, read_query
from ringback.api.paging import PAGING, page_of, read_paging, whole_list
from ringback.api.portal.filters import FILTERS, STATUSES, read_filter
from ringback.api.portal.records import show_attempt, show_callback
from ringback.api.representation import json_answer, with_unknown
from ringback.api.services import Services
from ringback.api.sign_in import account_of, reach_of
from ringback.core.callback import UNDELIVERED, CallbackStatus
from ringback.operations.lookups import fetch_attempts, fetch_callback


class CallbackResource:
    """What is known of callbacks."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._store = services.store

    async def list(self, request: Request) -> Response:
        """List callbacks, newest first."""
        reach = await reach_of(request, self._services.sign_ins)
        query = read_query(request, ("Status", *FILTERS, *PAGING))
        statuses = query.meaning("Status", STATUSES)
        return await self._page(request, reach, query, statuses)

    async def undelivered(self, request: Request) -> Response:
        """List the callbacks that ended without a delivery, newest first."""
        reach = await reach_of(request, self._services.sign_ins)
        query = read_query(request, (*FILTERS, *PAGING))
        return await self._page(request, reach, query, UNDELIVERED)

    async def fetch(self, request: Request) -> Response:
        """Fetch one callback."""
        account = await account_of(request, self._services.sign_ins)
        sid = request.path_params["sid"]
        callback = await self._store.read(
            lambda tx: fetch_callback(tx, account.sid, sid), asked_by=account.sid
        )
        return json_answer(show_callback(callback))

    async def attempts(self, request: Request) -> Response:
        """List all attempts of a callback, in the order in which they were made."""
        account = await account_of(request, self._services.sign_ins)
        sid = request.path_params["sid"]
        attempts = await self._store.read(
            lambda tx: fetch_attempts(tx, account.sid, sid), asked_by=account.sid
        )
        shown = [show_attempt(attempt) for attempt in attempts]
        return json_answer(whole_list("attempts", shown, request=request))

    async def _page(
        self,
        request: Request,
        reach: str,
        query: Parameters,
        statuses: frozenset[CallbackStatus] | None,
    ) -> Response:
        which, paging = (
            read_filter(query, statuses=statuses, sources=self._services.sources),
            read_paging(query),
        )
        callbacks = await self._store.read(
            lambda tx: tx.callbacks.page(reach, which, paging.window), asked_by=reach
        )
        page = page_of("callbacks", callbacks, show_callback, paging=paging, request=request)
        return with_unknown(query, json_answer(page))
