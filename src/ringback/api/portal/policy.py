"""The portal's operation that shows the source policy: which source sends callbacks, and when."""

from collections.abc import Callable
from typing import Any, Final

from ringback.api.dependencies import ApiDependencies
from ringback.api.endpoint_group import ApiRequest, EndpointGroup
from ringback.api.operation_definition import ApiOperation
from ringback.api.schema_pieces import (
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
from ringback.api.serializers import CustomJsonSerializer
from ringback.core.accounts.account import EVERY
from ringback.core.policy.dated_changes import POLICY_CHANGE_KINDS
from ringback.core.policy.policy_json import policy_record
from ringback.core.policy.source_policy import PhaseHold
from ringback.policy.policy_monitor import PolicyMonitor

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
_CHANGE: Final = object_of(
    date=INSTANT,
    change={"type": "string", "enum": [change.label for change in POLICY_CHANGE_KINDS]},
    meaning=TEXT,
    seconds_left=SECONDS,
)
_DEPENDENTS: Final = object_of(
    source=SOURCE, accounts=number(0), urls=number(0), callbacks=number(0)
)
POLICY: Final = CustomJsonSerializer(
    "policy",
    object_of(
        date=INSTANT,
        phase=TEXT,
        phases=list_of(_PHASE),
        holds=list_of(_HOLD),
        borders=list_of(_CHANGE),
        warnings=list_of(TEXT),
        counted=or_null(INSTANT),
        dependents=list_of(_DEPENDENTS),
        problem=or_null(TEXT),
    ),
)


class PolicyEndpoints(EndpointGroup):
    """The operation that shows the policy in force."""

    def __init__(self, dependencies: ApiDependencies, monitor: PolicyMonitor) -> None:
        super().__init__(dependencies)
        self._monitor = monitor

    def operations(self) -> list[ApiOperation]:
        """Return the operation that shows the policy."""
        return [
            self.answers(
                *("/portal/v1/policy", "FetchPolicy"),
                "Show the phases of the source policy, its holds, and its next changes.",
                *(POLICY, self._fetch),
                for_all=True,
            )
        ]

    async def _fetch(self, call: ApiRequest) -> dict[str, Any]:
        account_sid = None if call.account_sid == EVERY else call.account_sid
        monitor, concerns = self._monitor, self._concern_of(account_sid)
        record = policy_record(
            monitor.policy, date=monitor.date, before=monitor.before, concerns=concerns
        )
        return {**record, **self._counted(account_sid)}

    def _counted(self, account_sid: str | None) -> dict[str, Any]:
        monitor, known = self._monitor, self._monitor.dependents
        return {
            "counted": None if known is None else known.counted,
            "dependents": [
                {"source": source, **impact._asdict()}
                for source, impact in monitor.depending_on_ends(account_sid).items()
            ],
            # Problems of the policy file are shown to the operator only.
            "problem": monitor.active.problem if account_sid is None else None,
        }

    def _concern_of(self, account_sid: str | None) -> Callable[[PhaseHold], bool]:
        """Return a function that returns True if this account may see a given hold.

        Holds for other accounts stay hidden, since they contain URLs. If `account_sid` is None, the
        function returns True for all holds.
        """
        if account_sid is None:
            return lambda _: True
        known = self._monitor.dependents
        deciding = frozenset[PhaseHold | None]() if known is None else known.holding(account_sid)
        return lambda hold: hold.account_sid == account_sid or hold.is_for_all or hold in deciding
