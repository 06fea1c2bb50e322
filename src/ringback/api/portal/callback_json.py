"""Serializes callbacks, their attempts and their shadow copies to the portal's JSON."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final

import orjson

from ringback.api.schema_pieces import (
    FLAG,
    INSTANT,
    METHOD,
    SECONDS,
    SOURCE,
    STREAM_SID,
    TEXT,
    Schema,
    list_of,
    number,
    object_of,
    one_of,
    or_null,
    sid_of,
)
from ringback.api.serializers import (
    CustomJsonSerializer,
    SerializedField,
    Serializer,
    field,
    maybe,
    nested,
    worked_out,
)
from ringback.core.callbacks.callback import Attempt, CallbackRecord, CallbackStatus
from ringback.core.sids import SidKind
from ringback.ports import ListedCallback

CALLBACK_SID: Final = field("callback_sid", sid_of(SidKind.CALLBACK))
MILLISECONDS: Final = or_null(SECONDS)
HEADERS: Final = list_of({"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2})
RESULT: Final[Schema] = {
    "type": "string",
    "enum": ["open", "delivered", "refused", "unreachable", "unknown"],
}


Pairs = Sequence[tuple[str, str]]


def show_parameters(pairs: Pairs) -> dict[str, str | list[str]]:
    """Return parameters as an object; a name that repeats gets a list of its values.

    >>> show_parameters([("a", "1"), ("b", "2"), ("a", "3")])
    {'a': ['1', '3'], 'b': '2'}
    """
    shown: dict[str, str | list[str]] = dict(pairs)
    if len(shown) < len(pairs):
        for name in shown:
            values = [value for other, value in pairs if other == name]
            shown[name] = values if len(values) > 1 else values[0]
    return shown


def show_callback(callback: CallbackRecord, parameters: Pairs | None = None) -> dict[str, Any]:
    """Return a callback as a JSON object.

    `parameters` are its decoded parameters, if the caller has them already.
    """
    pairs = callback.parameters if parameters is None else parameters
    stream = callback.stream
    progress = callback.progress
    # Not by a table of fields: that would take 1.5 times as long for each new callback.
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
        "ordering_key": callback.order_key,
        "replay_of": callback.replay_of,
        "is_test": callback.is_test,
        "stream_sid": None if stream is None else stream.stream_sid,
        "events": _show_events(callback.body) if callback.has_events else (),
        "secret_id": callback.secret_id,
        "status": progress.status,
        "status_reason": progress.status_reason,
        "attempt_count": progress.attempt_count,
        "round": progress.round_number,
        "date_next_attempt": progress.due,
        "waits_because": None,
        "date_created": callback.date_created,
        "date_updated": progress.date_updated,
    }


def _show_events(body: str) -> list[dict[str, Any]]:
    """Return the id, type, time and SIM of each event in a body."""
    found = orjson.loads(body)
    events: list[dict[str, Any]] = found if body.startswith("[") else [found]
    return [
        {
            **{name: event[name] for name in ("id", "type", "time")},
            "sim_sid": event["data"].get("sim_sid"),
        }
        for event in events
    ]


def _described(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


CALLBACK: Final = CustomJsonSerializer(
    "callback",
    object_of(
        sid=sid_of(SidKind.CALLBACK),
        account_sid=sid_of(SidKind.ACCOUNT),
        url=TEXT,
        method=METHOD,
        body=TEXT,
        parameters={"type": "object", "additionalProperties": {"type": ["string", "array"]}},
        source=SOURCE,
        source_asked=or_null(SOURCE),
        source_reason=TEXT,
        warnings=list_of(TEXT),
        idempotency_token=TEXT,
        idempotency_key=or_null(TEXT),
        ordering_key=or_null(TEXT),
        replay_of=or_null(sid_of(SidKind.CALLBACK)),
        is_test=FLAG,
        stream_sid=_described(
            or_null(STREAM_SID),
            "For a batch of an event stream: its subscription, or KORE's streaming rule. For a test"
            " event of a stream: its sink, or KORE's destination. Null for a callback.",
        ),
        events=_described(
            list_of(object_of(id=TEXT, type=TEXT, time=TEXT, sim_sid=or_null(sid_of(SidKind.SIM)))),
            "The events in the body of a batch or a test event, which has no parameters; empty for"
            " a callback.",
        ),
        secret_id=or_null(TEXT),
        status=one_of(CallbackStatus),
        status_reason=or_null(TEXT),
        attempt_count=number(0),
        round=number(0),
        date_next_attempt=or_null(INSTANT),
        waits_because=or_null(TEXT),
        date_created=INSTANT,
        date_updated=INSTANT,
    ),
    plural="callbacks",
    show=show_callback,
)

_TIMINGS: Final = Serializer[Any](
    "timings",
    "",
    *(
        field(f"{step}_ms", MILLISECONDS, step)
        for step in ("look_up", "connect", "tls", "first_byte", "total")
    ),
)
_REQUEST: Final = Serializer[Any](
    "request", "", field("method", METHOD), field("url"), field("headers", HEADERS), field("body")
)
_CUT: Final = "True if the body was longer than the part that was read."
_HEADERS_LEFT_OUT: Final = "The number of headers that were read but not stored."
_BODY_LEFT_OUT: Final = "The number of bytes of the body that were read but not stored."
_RESPONSE: Final = Serializer[Any](
    "response",
    "",
    field("status", number()),
    field("headers", HEADERS),
    worked_out("body", TEXT, lambda response: response.body.decode("utf-8", "replace")),
    field("is_cut", {**FLAG, "description": _CUT}),
    field("headers_left_out", {**number(0), "description": _HEADERS_LEFT_OUT}),
    field("body_left_out", {**number(0), "description": _BODY_LEFT_OUT}),
)


def _duration(of: str = "") -> SerializedField[Any]:
    timings = attrgetter(f"{of}timings")
    return worked_out("duration_ms", MILLISECONDS, lambda one: (it := timings(one)) and it.total)


def _ending(of: str = "") -> list[SerializedField[Any]]:
    return [
        field("result", RESULT, f"{of}result"),
        maybe("status_code", number(), f"{of}status_code"),
        maybe("error_code", number(), f"{of}error_code"),
        maybe("failure", attribute=f"{of}failure"),
        maybe("reason", attribute=f"{of}reason"),
    ]


def exchange(request: SerializedField[Any], of: str = "") -> list[SerializedField[Any]]:
    """Return the fields that show one attempt; `request` is the field that shows its request.

    `of` is the path of attributes from the record to the attempt, such as `shadow.attempt.`.
    """
    return [
        field("date_started", INSTANT, f"{of}date_started"),
        _duration(of),
        nested("timings", _TIMINGS, f"{of}timings"),
        maybe("local_address", attribute=f"{of}local_address"),
        maybe("proxy", attribute=f"{of}proxy"),
        *_ending(of),
        request,
        nested("response", _RESPONSE, f"{of}response"),
    ]


ATTEMPT: Final = Serializer[Attempt](
    "attempt",
    "attempts",
    CALLBACK_SID,
    field("number", number(1)),
    *exchange(nested("request", _REQUEST)),
)


_OUTCOME: Final = Serializer[Attempt](
    "last_attempt",
    "",
    field("number", number(1)),
    field("date_started", INSTANT),
    _duration(),
    *_ending(),
)
_show_outcome: Final = _OUTCOME.show_by(str)


def _show_listed(listed: ListedCallback) -> dict[str, Any]:
    outcome = listed.last_attempt and _show_outcome(listed.last_attempt)
    shown = show_callback(listed.callback)
    return shown | {"waits_because": listed.waits_because, "last_attempt": outcome}


LISTED_CALLBACK: Final = CustomJsonSerializer(
    "listed_callback",
    object_of(**CALLBACK.schema["properties"], last_attempt=or_null(_OUTCOME.schema)),
    plural="callbacks",
    show=_show_listed,
)
