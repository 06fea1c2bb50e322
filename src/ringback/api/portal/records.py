"""How callbacks and attempts stand in the portal's answers."""

from collections.abc import Sequence
from typing import Any

from ringback.core.callback import Attempt, Callback, RecordedRequest, RecordedResponse, Timings

Pairs = Sequence[tuple[str, str]]


def show_callback(callback: Callback, parameters: Pairs | None = None) -> dict[str, Any]:
    """Return a callback's record; whoever has its parameters at hand spares decoding them."""
    pairs = callback.parameters if parameters is None else parameters
    progress = callback.progress
    return {
        "sid": callback.sid,
        "account_sid": callback.account_sid,
        "url": callback.url.shown,
        "method": callback.method,
        "body": callback.body,
        "parameters": show_parameters(pairs),
        "source": callback.source,
        "source_asked": callback.source_asked,
        "source_reason": callback.source_reason,
        "warnings": callback.url.warnings,
        "idempotency_token": callback.idempotency_token,
        "idempotency_key": callback.idempotency_key,
        "replay_of": callback.replay_of,
        "is_test": callback.is_test,
        "secret_id": callback.secret_id,
        "status": progress.status,
        "status_reason": progress.status_reason,
        "attempt_count": progress.attempt_count,
        "round": progress.round_number,
        "date_next_attempt": progress.due,
        "date_created": callback.date_created,
        "date_updated": progress.date_updated,
    }


def show_parameters(pairs: Pairs) -> dict[str, str | list[str]]:
    """Return parameters by name; the values of a name that repeats are a list.

    >>> show_parameters([("a", "1"), ("b", "2"), ("a", "3")])
    {'a': ['1', '3'], 'b': '2'}
    """
    shown: dict[str, str | list[str]] = dict(pairs)
    if len(shown) < len(pairs):
        for name in shown:
            values = [value for other, value in pairs if other == name]
            shown[name] = values if len(values) > 1 else values[0]
    return shown


def show_attempt(attempt: Attempt) -> dict[str, Any]:
    """Return an attempt's record."""
    return {
        "callback_sid": attempt.callback_sid,
        "number": attempt.number,
        **show_ending(attempt),
        "request": attempt.request and _show_request(attempt.request),
        "response": attempt.response and show_response(attempt.response),
    }


def show_ending(attempt: Attempt) -> dict[str, Any]:
    """Return what the records of attempts and of copies have alike."""
    timings = attempt.timings
    return {
        "date_started": attempt.date_started,
        "duration_ms": timings and timings.total,
        "timings": timings and _show_timings(timings),
        "local_address": attempt.local_address,
        "proxy": attempt.proxy,
        "result": attempt.result,
        "status_code": attempt.status_code,
        "error_code": attempt.error_code,
        "failure": attempt.failure,
        "reason": attempt.reason,
    }


def _show_timings(timings: Timings) -> dict[str, float | None]:
    return {
        "look_up_ms": timings.look_up,
        "connect_ms": timings.connect,
        "tls_ms": timings.tls,
        "first_byte_ms": timings.first_byte,
        "total_ms": timings.total,
    }


def _show_request(request: RecordedRequest) -> dict[str, Any]:
    return {
        "method": request.method,
        "url": request.url,
        "headers": request.headers,
        "body": request.body,
    }


def show_response(response: RecordedResponse) -> dict[str, Any]:
    """Return what a receiver answered."""
    return {
        "status": response.status,
        "headers": response.headers,
        "body": response.body.decode("utf-8", "replace"),
        "is_cut": response.is_cut,
        "headers_left_out": response.headers_left_out,
        "body_left_out": response.body_left_out,
    }
