"""The policy over HTTP: which source sends what, and what is ahead."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from ringback.api.representation import json_answer
from ringback.api.routing import resource
from ringback.api.sign_in import SignIns, reach_of
from ringback.core.account import EVERY
from ringback.core.policy.policy_json import policy_record
from ringback.core.policy.source_policy import Hold
from ringback.policy.policy_monitor import PolicyMonitor


class PolicyResource:
    """The policy in force."""

    def __init__(self, sign_ins: SignIns, monitor: PolicyMonitor) -> None:
        self._sign_ins = sign_ins
        self._monitor = monitor

    async def fetch(self, request: Request) -> Response:
        """Show the policy, as far as it concerns who asks: 200."""
        reach = await reach_of(request, self._sign_ins)
        account_sid = None if reach == EVERY else reach
        monitor, concerns = self._monitor, self._concern_of(account_sid)
        record = policy_record(
            monitor.policy, date=monitor.date, before=monitor.before, concerns=concerns
        )
        return json_answer({**record, **self._counted(account_sid)})

    def _counted(self, account_sid: str | None) -> dict[str, Any]:
        monitor, known = self._monitor, self._monitor.dependents
        return {
            "counted": None if known is None else known.counted,
            "dependents": [
                {"source": source, **impact._asdict()}
                for source, impact in monitor.depending_on_ends(account_sid).items()
            ],
            # The file is the operator's.
            "problem": monitor.active.problem if account_sid is None else None,
        }

    def _concern_of(self, account_sid: str | None) -> Callable[[Hold], bool]:
        """Return whether a hold concerns an account, as a function: others' URLs don't."""
        if account_sid is None:
            return lambda _: True
        known = self._monitor.dependents
        deciding = frozenset[Hold | None]() if known is None else known.holding(account_sid)
        return lambda hold: hold.account_sid == account_sid or hold.is_for_all or hold in deciding


def policy_routes(sign_ins: SignIns, monitor: PolicyMonitor) -> list[BaseRoute]:
    """Return the route of the policy."""
    return [resource("/portal/v1/policy", get=PolicyResource(sign_ins, monitor).fetch)]
