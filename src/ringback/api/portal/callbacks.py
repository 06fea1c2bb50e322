"""Callbacks and their attempts over HTTP: `/portal/v1/callbacks`."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ringback.api.forms import read_query
from ringback.api.paging import PAGING, page_of, read_paging, whole_list
from ringback.api.representation import shown_date, with_unknown
from ringback.api.services import Services
from ringback.api.sign_in import account_of
from ringback.core.callback import (
    Attempt,
    Callback,
    CallbackStatus,
    RecordedRequest,
    RecordedResponse,
)
from ringback.core.source import Source
from ringback.operations.callbacks import fetch_attempts, fetch_callback
from ringback.ports import CallbackFilter

_FILTERS: Final = ("Status", "Source", "IdempotencyToken")


class CallbackResource:
    """The operations on callbacks."""

    def __init__(self, services: Services) -> None:
        self._store = services.store

    async def list(self, request: Request) -> Response:
        """List callbacks, newest first."""
        account = await account_of(request, self._store)
        query = read_query(request, (*_FILTERS, *PAGING))
        which = CallbackFilter(
            status=query.choice("Status", CallbackStatus),
            source=query.choice("Source", Source),
            idempotency_token=query.text("IdempotencyToken"),
        )
        paging = read_paging(query)
        callbacks = await self._store.transact(
            lambda tx: tx.callbacks.page(account.sid, which, paging.window)
        )
        page = page_of("callbacks", callbacks, _show, paging=paging, request=request)
        return with_unknown(query, JSONResponse(page))

    async def fetch(self, request: Request) -> Response:
        """Fetch one callback."""
        account = await account_of(request, self._store)
        sid = request.path_params["sid"]
        callback = await self._store.transact(lambda tx: fetch_callback(tx, account.sid, sid))
        return JSONResponse(_show(callback))

    async def attempts(self, request: Request) -> Response:
        """List all attempts of a callback, in the order in which they were made."""
        account = await account_of(request, self._store)
        sid = request.path_params["sid"]
        attempts = await self._store.transact(lambda tx: fetch_attempts(tx, account.sid, sid))
        shown = [_show_attempt(attempt) for attempt in attempts]
        return JSONResponse(whole_list("attempts", shown, request=request))


def _show(callback: Callback) -> dict[str, Any]:
    return {
        "sid": callback.sid,
        "account_sid": callback.account_sid,
        "url": callback.url.shown,
        "method": callback.method,
        "body": callback.body,
        "parameters": dict(callback.parameters),
        "source": callback.source,
        "source_asked": callback.source_asked,
        "source_reason": callback.source_reason,
        "warnings": callback.warnings,
        "idempotency_token": callback.idempotency_token,
        "status": callback.status,
        "status_reason": callback.status_reason,
        "attempt_count": callback.attempt_count,
        "date_next_attempt": callback.due and shown_date(callback.due),
        "date_created": shown_date(callback.date_created),
        "date_updated": shown_date(callback.date_updated),
    }


def _show_attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "callback_sid": attempt.callback_sid,
        "number": attempt.number,
        "date_started": shown_date(attempt.date_started),
        "duration_ms": attempt.duration_ms,
        "result": attempt.result,
        "status_code": attempt.status_code,
        "error_code": attempt.error_code,
        "failure": attempt.failure,
        "reason": attempt.reason,
        "request": attempt.request and _show_request(attempt.request),
        "response": attempt.response and _show_response(attempt.response),
    }


def _show_request(request: RecordedRequest) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.url,
        "headers": request.headers,
        "body": request.body,
    }


def _show_response(response: RecordedResponse) -> dict[str, Any]:
    return {
        "status": response.status,
        "headers": response.headers,
        "body": response.body.decode("utf-8", "replace"),
        "is_cut": response.is_cut,
    }
