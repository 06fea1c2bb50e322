"""The portal's operation that explains a callback's source, and shows its rounds of attempts."""

from typing import Any, Final

from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation
from ringback.api.portal.callback_json import CALLBACK_SID
from ringback.api.portal.callbacks import CALLBACKS
from ringback.api.portal.policy import HOLD, PHASE
from ringback.api.schema_pieces import (
    FLAG,
    INSTANT,
    SECONDS,
    SOURCE,
    TEXT,
    Schema,
    list_of,
    number,
    object_of,
    one_of,
    or_null,
)
from ringback.api.serializers import CustomJsonSerializer
from ringback.core.callbacks.callback import CallbackRecord
from ringback.core.callbacks.rounds import CallbackRound, in_words, retries_of, rounds_of
from ringback.core.policy.policy_json import hold_fields, phase_fields
from ringback.core.policy.source_explanation import ExplanationStepName, SourceExplanationStep
from ringback.core.retry_schedule import FAITHFUL
from ringback.operations.accounts import fetch_account
from ringback.operations.lookups import fetch_attempts, fetch_callback
from ringback.operations.source_explanation import FoundSourceExplanation, explain_source
from ringback.ports import Transaction

_STEP: Final = object_of(
    name=one_of(ExplanationStepName),
    text=TEXT,
    decides=FLAG,
    source=or_null(SOURCE),
    hold=or_null(HOLD),
    phase=or_null(PHASE),
)
_ROUND: Final = object_of(
    number=number(1), date=or_null(INSTANT), is_past=FLAG, seconds_after=or_null(SECONDS)
)


def _described(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


EXPLANATION: Final = CustomJsonSerializer(
    "callback_explanation",
    object_of(
        callback_sid=CALLBACK_SID.schema,
        source=SOURCE,
        source_asked=or_null(SOURCE),
        reason=TEXT,
        date_created=INSTANT,
        steps_are_known=_described(
            FLAG, "False if the policy that was in force then is not known any more."
        ),
        decides=or_null(one_of(ExplanationStepName)),
        policy_version=or_null(number(1)),
        steps=list_of(_STEP),
        schedule=TEXT,
        retries=_described(
            or_null(TEXT),
            "How the source of an event stream retries a batch within a round; null for a callback,"
            " whose retries the fragment of its URL decides.",
        ),
        rounds=_described(
            list_of(_ROUND),
            "The rounds since the creation or the last replay, also those to come. `seconds_after`"
            " is the wait that the schedule has before the round.",
        ),
    ),
)


class ExplanationEndpoints(EndpointGroup):
    """The operation that explains a callback."""

    def operations(self) -> list[ApiOperation]:
        """Return the operation that explains a callback."""
        return [
            self.answers(
                *(f"{CALLBACKS}/{{sid}}/explanation", "ExplainCallback"),
                "Explain step by step why a callback has its source, and show when its rounds of"
                " attempts were or will be.",
                *(EXPLANATION, self._explain),
            )
        ]

    async def _explain(self, call: ApiRequest) -> dict[str, Any]:
        policy, book = self._dependencies.policy, self._dependencies.destinations.book

        def work(tx: Transaction) -> dict[str, Any]:
            callback = fetch_callback(tx, call.account_sid, call.sid)
            attempts = fetch_attempts(tx, call.account_sid, call.sid)
            retries = retries_of(callback)
            schedule = book.schedule_of(fetch_account(tx, callback.account_sid))
            found = explain_source(tx, callback, policy.as_used)
            return {
                **_show_source(callback, found),
                "schedule": (FAITHFUL if callback.is_test else schedule).in_words,
                "retries": retries and in_words(retries),
                "rounds": [_show_round(one) for one in rounds_of(callback, attempts, schedule)],
            }

        return await self.read(call.account_sid, work)


def _show_source(
    callback: CallbackRecord, found: FoundSourceExplanation | None
) -> dict[str, object]:
    decides = found and found.explanation.decides
    return {
        "callback_sid": callback.sid,
        "source": callback.source,
        "source_asked": callback.source_asked,
        "reason": callback.source_reason,
        "date_created": callback.date_created,
        "steps_are_known": found is not None,
        "decides": decides,
        "policy_version": found and found.version,
        "steps": [
            _show_step(step, decides=step.name is decides)
            for step in (found.explanation.steps if found else ())
        ],
    }


def _show_step(step: SourceExplanationStep, *, decides: bool) -> dict[str, object]:
    return {
        "name": step.name,
        "text": step.text,
        "decides": decides,
        "source": step.source,
        "hold": step.hold and hold_fields(step.hold),
        "phase": step.phase and phase_fields(step.phase),
    }


def _show_round(one: CallbackRound) -> dict[str, object]:
    return {
        "number": one.number,
        "date": one.date,
        "is_past": one.is_past,
        "seconds_after": one.wait and one.wait.total_seconds(),
    }
