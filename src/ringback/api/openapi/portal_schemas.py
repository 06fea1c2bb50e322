"""What the portal takes and answers, as schemas; its handlers write records by hand, for speed."""

from collections.abc import Mapping
from typing import Any, Final

from ringback.api.portal.new_callbacks import MAX_KEY, MOST_AT_ONCE
from ringback.api.schemas import (
    FLAG,
    INSTANT,
    METHOD,
    TEXT,
    URL,
    Schema,
    list_of,
    number,
    object_of,
    one_of,
    or_null,
    sid_of,
    text,
)
from ringback.api.wireless.commands import COMMAND
from ringback.api.wireless.sims import SIM
from ringback.core.callback import CallbackStatus
from ringback.core.policy.policy_changes import POLICY_CHANGE_KINDS
from ringback.core.policy.source_policy import Source
from ringback.core.scenario import SCENARIOS
from ringback.core.sids import Kind

_SOURCE: Final[Schema] = {"type": "string", "examples": [source.value for source in Source]}
_SCENARIO: Final[Schema] = {"type": "string", "enum": list(SCENARIOS)}
_MILLISECONDS: Final = or_null({"type": "number", "minimum": 0})
_SIM_SID: Final[Schema] = {"type": "string", "pattern": "^(HS|DE)[0-9a-fA-F]{32}$"}
"""Of a SIM of either product."""
_SCALAR: Final[Schema] = {"type": ["string", "number", "boolean"]}
_HEADERS: Final = list_of({"type": "array", "items": TEXT, "minItems": 2, "maxItems": 2})

_CALLBACK: Final = object_of(
    sid=sid_of(Kind.CALLBACK),
    account_sid=sid_of(Kind.ACCOUNT),
    url=TEXT,
    method=METHOD,
    body=TEXT,
    parameters={"type": "object", "additionalProperties": {"type": ["string", "array"]}},
    source=_SOURCE,
    source_asked=or_null(_SOURCE),
    source_reason=TEXT,
    warnings=list_of(TEXT),
    idempotency_token=TEXT,
    idempotency_key=or_null(TEXT),
    replay_of=or_null(sid_of(Kind.CALLBACK)),
    is_test=FLAG,
    secret_id=or_null(TEXT),
    status=one_of(CallbackStatus),
    status_reason=or_null(TEXT),
    attempt_count=number(0),
    round=number(0),
    date_next_attempt=or_null(INSTANT),
    date_created=INSTANT,
    date_updated=INSTANT,
)

_RESULT: Final[Schema] = {
    "type": "string",
    "enum": ["open", "delivered", "refused", "unreachable", "unknown"],
}
_SENT: Final[dict[str, Schema]] = {
    "date_started": INSTANT,
    "duration_ms": _MILLISECONDS,
    "timings": or_null(
        object_of(
            look_up_ms=_MILLISECONDS,
            connect_ms=_MILLISECONDS,
            tls_ms=_MILLISECONDS,
            first_byte_ms=_MILLISECONDS,
            total_ms=_MILLISECONDS,
        )
    ),
    "local_address": or_null(TEXT),
    "proxy": or_null(TEXT),
    "result": _RESULT,
    "status_code": or_null(number()),
    "error_code": or_null(number()),
    "failure": or_null(TEXT),
    "reason": or_null(TEXT),
    "response": or_null(
        object_of(
            status=number(),
            headers=_HEADERS,
            body=TEXT,
            is_cut={**FLAG, "description": "Whether there was more of the body than was read."},
            headers_left_out={
                **number(0),
                "description": "How many more headers were read, and are not kept.",
            },
            body_left_out={
                **number(0),
                "description": "How many more bytes of the body were read, and are not kept.",
            },
        )
    ),
}
"""What is known of any request that left."""

_ATTEMPT: Final = object_of(
    callback_sid=sid_of(Kind.CALLBACK),
    number=number(1),
    **_SENT,
    request=or_null(object_of(method=METHOD, url=TEXT, headers=_HEADERS, body=TEXT)),
)

_ANSWER: Final = object_of(
    source=_SOURCE,
    result=_RESULT,
    status_code=or_null(number()),
    failure=or_null(TEXT),
    duration_ms=_MILLISECONDS,
    body_excerpt=or_null(TEXT),
)
_COMPARISON: Final = object_of(
    callback_sid=sid_of(Kind.CALLBACK),
    shadow_sid=sid_of(Kind.SHADOW),
    url=TEXT,
    first=_ANSWER,
    copy=_ANSWER,
    is_known=FLAG,
    is_same=FLAG,
    meaning=TEXT,
)
_PERCENTILES: Final = or_null(object_of(p50_ms=_MILLISECONDS, p95_ms=_MILLISECONDS))

_SHADOW: Final = object_of(
    sid=sid_of(Kind.SHADOW),
    callback_sid=sid_of(Kind.CALLBACK),
    account_sid=sid_of(Kind.ACCOUNT),
    source=_SOURCE,
    idempotency_token=TEXT,
    url=TEXT,
    **_SENT,
    request=or_null(object_of(line=TEXT, headers=_HEADERS)),
    comparison={"$ref": "#/components/schemas/comparison"},
)
_SHADOW_REPORT: Final = object_of(
    since=or_null(INSTANT),
    pairs=number(0),
    same=number(0),
    differing=number(0),
    unknown=number(0),
    skipped={"type": "object", "additionalProperties": number(0)},
    urls_left_out=number(0),
    urls=list_of(
        object_of(
            url=TEXT,
            pairs=number(0),
            same=number(0),
            differing=number(0),
            unknown=number(0),
            times=object_of(first=_PERCENTILES, copy=_PERCENTILES),
            differences=list_of(
                object_of(
                    first=TEXT,
                    copy=TEXT,
                    meaning=TEXT,
                    count=number(1),
                    example={"$ref": "#/components/schemas/comparison"},
                )
            ),
        )
    ),
)

_NEW_CALLBACK: Final[Schema] = {
    "type": "object",
    "properties": {
        "url": {**URL, "description": "A callback URL, with its fragment."},
        "parameters": {
            "type": "object",
            "additionalProperties": {"anyOf": [_SCALAR, {**list_of(_SCALAR), "minItems": 1}]},
            "description": "What to tell. At most 200 values and 64 KiB when encoded.",
        },
        "method": METHOD,
        "idempotency_key": {
            **or_null(text(shortest=1, longest=MAX_KEY)),
            "description": "One that was used before makes no second callback.",
        },
        "deliver_at": {**or_null(INSTANT), "description": "Not before; up to 366 days ahead."},
    },
    "required": ["url", "parameters"],
    "additionalProperties": False,
}


def _refer(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _page(key: str, name: str) -> Schema:
    return object_of(**{key: list_of(_refer(name)), "meta": _refer("meta")})


_IN_FORCE: Final[dict[str, Schema]] = {
    "scenario": _SCENARIO,
    "meaning": TEXT,
    "reason": TEXT,
    "chosen": or_null(TEXT),
    "sim_sid": or_null(_SIM_SID),
}

PORTAL_SCHEMAS: Final[Mapping[str, Any]] = {
    "callback": _CALLBACK,
    "callback_page": _page("callbacks", "callback"),
    "attempt": _ATTEMPT,
    "attempt_page": _page("attempts", "attempt"),
    "comparison": _COMPARISON,
    "shadow": _SHADOW,
    "shadow_page": _page("shadows", "shadow"),
    "shadow_report": _SHADOW_REPORT,
    "new_callback": _NEW_CALLBACK,
    "new_callbacks": {
        "anyOf": [
            _refer("new_callback"),
            object_of(
                callbacks={
                    **list_of(_refer("new_callback")),
                    "minItems": 1,
                    "maxItems": MOST_AT_ONCE,
                }
            ),
        ]
    },
    "sent_callbacks": {
        "anyOf": [_refer("callback"), object_of(callbacks=list_of(_refer("callback")))]
    },
    "replays": object_of(
        dry_run=FLAG,
        matched=number(0),
        replayed=number(0),
        skipped={"type": "object", "additionalProperties": number(0)},
        next=or_null(object_of(After=or_null(TEXT), Until=or_null(INSTANT))),
    ),
    "totals": object_of(
        totals=list_of(
            object_of(
                account_sid=sid_of(Kind.ACCOUNT),
                url=TEXT,
                source=_SOURCE,
                source_asked=or_null(_SOURCE),
                delivered=number(0),
                undelivered=number(0),
                retried=number(0),
                waiting=number(0),
            )
        )
    ),
    "response_storage": object_of(
        bytes=number(0),
        budget=number(0),
        accounts=list_of(object_of(account_sid=sid_of(Kind.ACCOUNT), bytes=number(1))),
    ),
    "rehearsal": object_of(secret_id=TEXT, callbacks=list_of(_refer("callback"))),
    "device": object_of(
        product={"type": "string", "enum": ["supersim", "wireless"]},
        sim_sid=_SIM_SID,
        sim_unique_name=or_null(TEXT),
        sim_status=TEXT,
        device_ip=or_null(TEXT),
        gateway=or_null(TEXT),
        fleet_sid=or_null(sid_of(Kind.FLEET)),
        rate_plan_sid=or_null(sid_of(Kind.RATE_PLAN)),
        ip_commands_url=or_null(TEXT),
        sms_commands_url=or_null(TEXT),
        commands_callback_url=or_null(TEXT),
        scenario=_SCENARIO,
        scenario_reason=TEXT,
    ),
    "used_data": object_of(
        sim_sid=_SIM_SID,
        data_upload=number(0),
        data_download=number(0),
        data_total=number(0),
    ),
    "inbox": object_of(
        messages=list_of(object_of(sid=TEXT, date=INSTANT, hex=text(pattern="^([0-9a-f]{2})*$")))
    ),
    "command": COMMAND.schema,
    "wireless_sim": SIM.schema,
    "scenario": object_of(**_IN_FORCE),
    "scenarios": object_of(**_IN_FORCE, scenarios=list_of(object_of(name=_SCENARIO, meaning=TEXT))),
    "policy": object_of(
        date=INSTANT,
        phase=TEXT,
        phases=list_of(
            object_of(name=TEXT, since=or_null(INSTANT), default=_SOURCE, may_ask=list_of(_SOURCE))
        ),
        holds=list_of(
            object_of(
                phase=TEXT,
                account_sid=or_null(TEXT),
                url_prefix=or_null(TEXT),
                until=or_null(INSTANT),
                has_ended=FLAG,
            )
        ),
        borders=list_of(
            object_of(
                date=INSTANT,
                change={"type": "string", "enum": [change.label for change in POLICY_CHANGE_KINDS]},
                meaning=TEXT,
                seconds_left={"type": "number", "minimum": 0},
            )
        ),
        warnings=list_of(TEXT),
        counted=or_null(INSTANT),
        dependents=list_of(
            object_of(source=_SOURCE, accounts=number(0), urls=number(0), callbacks=number(0))
        ),
        problem=or_null(TEXT),
    ),
    "clock": object_of(now=INSTANT, ahead_seconds={"type": "number", "minimum": 0}),
}
"""By their names in the document."""
