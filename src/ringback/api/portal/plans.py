"""The portal's operations on plans of a migration: carry one out by a job, and read its journal."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, cast

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.authentication import reach_of, signed_in
from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter
from ringback.api.portal.jobs import JOB, who_created
from ringback.api.schema_pieces import FLAG, SECONDS, TEXT, list_of, number, object_of, one_of, text
from ringback.api.serializers import CustomJsonSerializer, json_answer
from ringback.api.strict_json import Json, check_names, parse_json, read_json_body, refuse_deep
from ringback.core.errors import SUPER_SIM, InvalidParameter, NotFound
from ringback.operations.plan_jobs import PlanAction, PlanOrder, PlanWork
from ringback.ports import Transaction

PLANS: Final = "/portal/v1/plans"
MAX_BODY: Final = 16 * 1024 * 1024
"""The most bytes of a plan; a URL takes about 300."""
_SHOWN: Final = 80
_MOST_LINES: Final = 100
"""The most lines of a journal in one answer."""
_HIGHEST: Final = 2**31
_LONGEST: Final = 1000

_SHARES: Final = {**list_of(number(1, 99)), "description": "The shares of the canary, in percent."}
NEW_PLAN: Final = CustomJsonSerializer(
    "new_plan",
    {
        "type": "object",
        "properties": {
            "plan": {**list_of(TEXT), "minItems": 1, "description": "The lines of the plan."},
            "action": one_of(PlanAction),
            "canary": _SHARES,
            "soak_seconds": SECONDS,
            "least": number(0),
            "wait_seconds": SECONDS,
            "probe": FLAG,
            "test_events": FLAG,
            "replay": FLAG,
            "go_back": {**text(longest=_LONGEST), "description": "The command that goes back."},
            "journal": {**list_of(TEXT), "description": "The journal of an earlier version."},
        },
        "required": ["plan", "action"],
        "additionalProperties": False,
    },
)
JOURNAL: Final = CustomJsonSerializer(
    "plan_journal", object_of(lines=list_of(TEXT), last=number(0))
)


class PlanEndpoints(EndpointGroup):
    """The operations on plans."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on plans."""
        carries_out = (
            "Create a job that moves the URLs of a plan, or moves them back. `ringback migrate"
            " plan` writes plans. An operator's key moves the URLs of all accounts."
        )
        return [
            ApiOperation(
                *("POST", PLANS, "CarryOutPlan", carries_out, self.carry_out, {201: JOB}),
                conflicts=True,
                takes_json=NEW_PLAN,
            ),
            self.answers(
                *(f"{PLANS}/{{plan_id}}/journal", "FetchPlanJournal"),
                "Fetch the lines that the jobs of a plan have written, oldest first.",
                *(JOURNAL, self._journal),
                takes=(
                    OperationParameter(
                        "After", number(0, _HIGHEST), "Only lines after the one with this number."
                    ),
                ),
                for_all=True,
            ),
        ]

    async def carry_out(self, request: Request) -> Response:
        """Create the job, and respond 201 while it runs."""
        account_sid = await reach_of(request, self._dependencies.authenticator)
        body = await read_json_body(request, most=MAX_BODY)
        # In a thread, since there may be thousands of lines.
        order = await asyncio.to_thread(_read, body)
        by = who_created(signed_in(request))
        job = await self.change(
            request,
            lambda tx, context: order.create(tx, context, account_sid=account_sid, created_by=by),
        )
        self._dependencies.wake_jobs()
        return json_answer(JOB.at(request)(job), 201)

    async def _journal(self, call: ApiRequest) -> dict[str, Any]:
        after = call.given.number("After", 0, _HIGHEST, default=0)

        def read(tx: Transaction) -> list[str]:
            plan = call.account_sid, call.sid
            lines = tx.plans.after(*plan, after, limit=_MOST_LINES)
            if not lines and not tx.plans.last(*plan):
                raise NotFound(f"there is no plan with the id {call.sid!r}")
            return lines

        lines = await self.read(call.account_sid, read)
        return {"lines": lines, "last": after + len(lines)}


def _read(body: bytes) -> PlanOrder:
    """Return the order in a body; raises InvalidParameter if it is not valid."""
    document = parse_json(body)
    if not isinstance(document, dict):
        raise _wrong("the body must be an object with plan and action")
    known = NEW_PLAN.schema["properties"]
    if unknown := next((name for name in document if name not in known), None):
        raise _wrong(f"{unknown[:_SHOWN]!a} is not a field of a plan to carry out")
    refuse_deep(document)
    check_names(body, document)
    lines, journal, action = (
        _lines(document, "plan"),
        _lines(document, "journal"),
        _action(document),
    )
    plan_id = _plan_id(lines)
    if action is PlanAction.WATCH:
        # Each step is watched by a job of its own, which begins with the journal of the command.
        plan_id = f"{plan_id}.watch.{len(journal)}"
    return PlanOrder(
        plan_id=plan_id,
        lines=lines,
        edits=len([line for line in lines[1:] if line.strip()]),
        work=PlanWork(
            action=action,
            shares=_shares(document),
            soak=_seconds(document, "soak_seconds"),
            least=_field(document, "least", 0, "a whole number of 0 or more", _is_count),
            wait=_seconds(document, "wait_seconds"),
            is_probed=_flag(document, "probe", default=True),
            sends_test_events=_flag(document, "test_events"),
            is_all_sent_again=_flag(document, "replay"),
            go_back=_field(document, "go_back", "", f"{_LONGEST} characters at most", _is_short),
        ),
        journal=journal,
    )


def _plan_id(lines: list[str]) -> str:
    """Return the id in a plan's first line."""
    header = parse_json(lines[0].encode()) if lines else None
    made = header.get("ringback_plan") if isinstance(header, dict) else None
    plan_id = made.get("id") if isinstance(made, dict) else None
    if not isinstance(plan_id, str) or not 1 <= len(plan_id) <= _SHOWN:
        raise _wrong("the first line of plan is not that of a plan; `migrate plan` writes one")
    return plan_id


def _action(document: dict[str, Json]) -> PlanAction:
    try:
        return PlanAction(str(document.get("action")))
    except ValueError:
        raise _wrong(f"action must be one of {', '.join(PlanAction)}") from None


def _shares(document: dict[str, Json]) -> tuple[int, ...]:
    shares = _field(document, "canary", [], "shares from 1 to 99, ascending", _is_list_of_counts)
    if list(shares) != sorted(set(shares)) or not all(1 <= share <= 99 for share in shares):
        raise _wrong("canary must be shares from 1 to 99, ascending")
    return tuple(shares)


def _lines(document: dict[str, Json], name: str) -> list[str]:
    return _field(document, name, [], "a list of lines", _is_list_of_texts)


def _seconds(document: dict[str, Json], name: str) -> timedelta:
    return timedelta(seconds=_field(document, name, 0, "seconds, of 0 or more", _is_seconds))


def _flag(document: dict[str, Json], name: str, *, default: bool = False) -> bool:
    return _field(document, name, default, "true or false", lambda one: isinstance(one, bool))


def _field(
    document: dict[str, Json],
    name: str,
    default: Any,
    meaning: str,
    is_right: Callable[[Any], bool],
) -> Any:
    value = document.get(name, default)
    if not is_right(value):
        raise _wrong(f"{name} must be {meaning}")
    return value


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _HIGHEST


def _is_list_of_counts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_count, cast("list[Any]", value)))


def _is_short(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST


def _is_seconds(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value <= _HIGHEST


def _is_list_of_texts(value: Any) -> bool:
    lines = cast("list[Any]", value)
    return isinstance(value, list) and all(isinstance(one, str) for one in lines)


def _wrong(message: str) -> InvalidParameter:
    return InvalidParameter(message, code=SUPER_SIM.invalid)
