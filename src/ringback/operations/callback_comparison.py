"""Compares the requests of two callbacks, or of two sources for the same callback."""

from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.request_comparison import (
    ComparedRequest,
    RequestComparison,
    compared,
    compared_unsent,
)
from ringback.core.errors import Conflict, SecretNotFound
from ringback.core.policy.source_policy import SourceName
from ringback.core.sources.source_definition import CallbackSourceDefinition, Sources, other_than
from ringback.core.streams.kinesis_stream import SCHEME
from ringback.operations.accounts import fetch_account
from ringback.operations.lookups import fetch_callback
from ringback.operations.streams.batches import body_from
from ringback.ports import Transaction


def compare_two(
    tx: Transaction, account_sid: str, sid: str, other_sid: str, sources: Sources
) -> RequestComparison:
    """Compare the requests that were last sent for two callbacks.

    If a callback was not sent yet, its request is the one that its source would send now. The
    requests are in the order in which their sources are defined; if both have the same source, the
    older callback's request comes first.

    Raises NotFound if the account does not have both, and Conflict if a request can't be compared.
    """
    callbacks = [fetch_callback(tx, account_sid, each) for each in (sid, other_sid)]
    callbacks.sort(key=lambda callback: callback.date_created)
    return _in_order([_last_request(tx, callback, sources) for callback in callbacks], sources)


def compare_sources(
    tx: Transaction, account_sid: str, sid: str, source: SourceName | None, sources: Sources
) -> RequestComparison:
    """Compare a callback's request with the one that `source` would send for the callback.

    If `source` is None, the first of `sources` is used that is not the callback's own source.

    The other source's request for a batch of an event stream has the same events.

    Raises NotFound if the account has no such callback, and Conflict if the callback is a test
    event, if `source` is the callback's own source, or if a request can't be compared.
    """
    callback = fetch_callback(tx, account_sid, sid)
    other = source or other_than(callback.source, sources)
    if callback.is_test:
        raise Conflict(
            f"{sid} is a test event, which comes from {callback.source} alone; compare it with"
            " another callback"
        )
    if other == callback.source:
        raise Conflict(f"{sid} came from {other} itself; compare it with another source")
    own = _last_request(tx, callback, sources)
    return _in_order([own, _unsent(tx, callback, other, sources[other])], sources)


def _last_request(tx: Transaction, callback: CallbackRecord, sources: Sources) -> ComparedRequest:
    """Return the request that was sent last for a callback, or the one that would be sent now."""
    if callback.url.scheme == SCHEME:
        raise Conflict(
            f"{callback.sid} goes to a Kinesis stream; a record there has neither headers nor a"
            " signature to compare"
        )
    definition = sources.get(callback.source)
    if definition is None:
        raise Conflict(
            f"{callback.sid} came from the source {callback.source!r}, which"
            " the settings no longer define"
        )
    for attempt in reversed(tx.callbacks.attempts(callback.sid)):
        if attempt.request is not None:
            return compared(
                attempt.request,
                definition,
                source=callback.source,
                credentials=callback.url.credentials,
                callback_sid=callback.sid,
                date_sent=attempt.date_started,
            )
    return _unsent(tx, callback, callback.source, definition)


def _unsent(
    tx: Transaction,
    callback: CallbackRecord,
    source: SourceName,
    definition: CallbackSourceDefinition,
) -> ComparedRequest:
    account = fetch_account(tx, callback.account_sid)
    body = None if source == callback.source else body_from(tx, callback, source)
    try:
        return compared_unsent(callback, definition, source=source, account=account, body=body)
    except SecretNotFound as gone:
        raise Conflict(f"{callback.sid} can't be signed: {gone}") from gone


def _in_order(requests: list[ComparedRequest], sources: Sources) -> RequestComparison:
    names = list(sources)
    first, second = sorted(requests, key=lambda request: names.index(request.source))
    return RequestComparison(first, second)
