"""The policy over HTTP: which source sends what, and what is ahead."""

from collections.abc import Callable
from typing import Any, Final

from starlette.responses import Response

from ringback.api.operation import Operation
from ringback.api.resource import Call, Resource
from ringback.api.schemas import (
    FLAG,
    INSTANT,
    SECONDS,
    SOURCE,
    TEXT,
    list_of,
    number,
    object_of,
    or_null,
)
from ringback.api.services import Services
from ringback.api.shown import JsonObject, json_answer
from ringback.core.account import EVERY
from ringback.core.borders import CHANGES, sources_that_end
from ringback.core.source import Hold
from ringback.engine.foresight import Foresight
from ringback.operations.policy_record import policy_record

_PHASE: Final = object_of(
    name=TEXT, since=or_null(INSTANT), default=SOURCE, may_ask=list_of(SOURCE)
)
_HOLD: Final = object_of(
    phase=TEXT,
    account_sid=or_null(TEXT),
    url_prefix=or_null(TEXT),
    until=or_null(INSTANT),
    has_ended=FLAG,
)
_BORDER: Final = object_of(
    date=INSTANT,
    change={"type": "string", "enum": [change.label for change in CHANGES]},
    meaning=TEXT,
    seconds_left=SECONDS,
)
_DEPENDENTS: Final = object_of(
    source=SOURCE, accounts=number(0), urls=number(0), callbacks=number(0)
)
POLICY: Final = JsonObject(
    "policy",
    object_of(
        date=INSTANT,
        phase=TEXT,
        phases=list_of(_PHASE),
        holds=list_of(_HOLD),
        borders=list_of(_BORDER),
        warnings=list_of(TEXT),
        counted=or_null(INSTANT),
        dependents=list_of(_DEPENDENTS),
        problem=or_null(TEXT),
    ),
)


class PolicyResource(Resource):
    """The policy in force."""

    def __init__(self, services: Services, foresight: Foresight) -> None:
        super().__init__(services)
        self._foresight = foresight

    def operations(self) -> list[Operation]:
        """Return the operation that shows it."""
        return [
            self.operation(
                "GET",
                "/portal/v1/policy",
                "FetchPolicy",
                "Show which source sends what, and what is ahead.",
                self._fetch,
                answers={200: POLICY},
                for_all=True,
            )
        ]

    async def _fetch(self, call: Call) -> Response:
        account_sid = None if call.account_sid == EVERY else call.account_sid
        foresight = self._foresight
        record = policy_record(
            foresight.in_force.transition.policy,
            date=foresight.date,
            before=foresight.before,
            concerns=self._concern_of(account_sid),
        )
        return json_answer({**record, **self._counted(account_sid)})

    def _counted(self, account_sid: str | None) -> dict[str, Any]:
        foresight, known = self._foresight, self._foresight.dependents
        policy = foresight.in_force.transition.policy
        ending = [] if known is None else sources_that_end(policy, at=foresight.date)
        return {
            "counted": None if known is None else known.counted,
            "dependents": [
                {"source": source, **known.on(source, account_sid)._asdict()}
                for source in ending
                if known is not None
            ],
            # The file is the operator's.
            "problem": foresight.in_force.problem if account_sid is None else None,
        }

    def _concern_of(self, account_sid: str | None) -> Callable[[Hold], bool]:
        """Return what says whether a hold is any business of an account: others' URLs are not."""
        if account_sid is None:
            return lambda _: True
        known = self._foresight.dependents
        deciding = frozenset[Hold | None]() if known is None else known.holding(account_sid)

        def concerns(hold: Hold) -> bool:
            is_for_all = hold.account_sid is None and hold.url_prefix is None
            return hold.account_sid == account_sid or is_for_all or hold in deciding

        return concerns
