"""How callbacks, their attempts and their copies stand in the portal's answers."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final

from ringback.api.schemas import (
    FLAG,
    INSTANT,
    METHOD,
    SECONDS,
    SOURCE,
    TEXT,
    Schema,
    list_of,
    number,
    one_of,
    or_null,
    sid_of,
)
from ringback.api.shown import (
    ACCOUNT_SID,
    DATE_CREATED,
    Field,
    Shown,
    field,
    maybe,
    nested,
    worked_out,
)
from ringback.core.callback import Attempt, Callback, CallbackStatus
from ringback.core.sids import Kind

CALLBACK_SID: Final = field("callback_sid", sid_of(Kind.CALLBACK))
MILLISECONDS: Final = or_null(SECONDS)
HEADERS: Final = list_of({"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2})
RESULT: Final[Schema] = {
    "type": "string",
    "enum": ["open", "delivered", "refused", "unreachable", "unknown"],
}


def show_parameters(pairs: Sequence[tuple[str, str]]) -> dict[str, str | list[str]]:
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


CALLBACK: Final = Shown[Callback](
    "callback",
    "callbacks",
    field("sid", sid_of(Kind.CALLBACK)),
    ACCOUNT_SID,
    field("url", attribute="url.shown"),
    field("method", METHOD),
    field("body"),
    worked_out(
        "parameters",
        {"type": "object", "additionalProperties": {"type": ["string", "array"]}},
        lambda callback: show_parameters(callback.parameters),
    ),
    field("source", SOURCE),
    maybe("source_asked", SOURCE),
    field("source_reason"),
    field("warnings", list_of(TEXT)),
    field("idempotency_token"),
    maybe("idempotency_key"),
    maybe("replay_of", sid_of(Kind.CALLBACK)),
    field("is_test", FLAG),
    maybe("secret_id"),
    field("status", one_of(CallbackStatus), "progress.status"),
    maybe("status_reason", attribute="progress.status_reason"),
    field("attempt_count", number(0), "progress.attempt_count"),
    field("round", number(0), "progress.round_number"),
    maybe("date_next_attempt", INSTANT, "progress.due"),
    DATE_CREATED,
    field("date_updated", INSTANT, "progress.date_updated"),
)

_TIMINGS: Final = Shown[Any](
    "timings",
    "",
    *(
        field(f"{step}_ms", MILLISECONDS, step)
        for step in ("look_up", "connect", "tls", "first_byte", "total")
    ),
)
_REQUEST: Final = Shown[Any](
    "request", "", field("method", METHOD), field("url"), field("headers", HEADERS), field("body")
)
_CUT: Final = "Whether there was more of the body than was read."
_HEADERS_LEFT_OUT: Final = "How many more headers were read, and are not kept."
_BODY_LEFT_OUT: Final = "How many more bytes of the body were read, and are not kept."
_RESPONSE: Final = Shown[Any](
    "response",
    "",
    field("status", number()),
    field("headers", HEADERS),
    worked_out("body", TEXT, lambda response: response.body.decode("utf-8", "replace")),
    field("is_cut", {**FLAG, "description": _CUT}),
    field("headers_left_out", {**number(0), "description": _HEADERS_LEFT_OUT}),
    field("body_left_out", {**number(0), "description": _BODY_LEFT_OUT}),
)


def exchange(request: Field[Any], of: str = "") -> list[Field[Any]]:
    """Return the fields of a request that left, with this one for the request itself.

    They are of the record, or of what stands in it at `of`, as in `shadow.`.
    """
    timings = attrgetter(f"{of}timings")
    return [
        field("date_started", INSTANT, f"{of}date_started"),
        worked_out("duration_ms", MILLISECONDS, lambda one: (it := timings(one)) and it.total),
        nested("timings", _TIMINGS, f"{of}timings"),
        maybe("local_address", attribute=f"{of}local_address"),
        maybe("proxy", attribute=f"{of}proxy"),
        field("result", RESULT, f"{of}result"),
        maybe("status_code", number(), f"{of}status_code"),
        maybe("error_code", number(), f"{of}error_code"),
        maybe("failure", attribute=f"{of}failure"),
        maybe("reason", attribute=f"{of}reason"),
        request,
        nested("response", _RESPONSE, f"{of}response"),
    ]


ATTEMPT: Final = Shown[Attempt](
    "attempt",
    "attempts",
    CALLBACK_SID,
    field("number", number(1)),
    *exchange(nested("request", _REQUEST)),
)
