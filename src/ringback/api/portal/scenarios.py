"""How the simulated network behaves, over HTTP: towards one SIM, or the whole account."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from ringback.api.changes import change
from ringback.api.forms import read_form, read_query
from ringback.api.representation import json_answer, with_unknown
from ringback.api.services import Services
from ringback.api.sign_in import account_of
from ringback.core.scenario import SCENARIOS
from ringback.operations.moment import Moment
from ringback.operations.scenarios import Explained, choose_scenario, explain_scenario
from ringback.ports import Transaction

_TO_CHOOSE: Final = ("Scenario", "Sim")


class ScenarioResource:
    """The scenarios, and which one is in force."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def list(self, request: Request) -> Response:
        """Show all scenarios, and the one of a SIM or the account: 200."""
        account = await account_of(request, self._services.sign_ins)
        query = read_query(request, ("Sim",))
        moment, sim = self._services.moment(), query.text("Sim")
        explained = await self._services.store.read(
            lambda tx: explain_scenario(tx, account.sid, sim=sim, moment=moment),
            asked_by=account.sid,
        )
        known = [{"name": each.name, "meaning": each.meaning} for each in SCENARIOS.values()]
        return with_unknown(query, json_answer({**show_scenario(explained), "scenarios": known}))

    async def choose(self, request: Request) -> Response:
        """Choose a scenario for a SIM or the account, or take the choice back: 200."""
        account = await account_of(request, self._services.sign_ins)
        form = await read_form(request, _TO_CHOOSE)
        form.given("Scenario")
        sim, chosen = form.text("Sim"), form.meaning("Scenario", {**SCENARIOS, "": None})

        def choose(tx: Transaction, moment: Moment) -> Explained:
            choose_scenario(tx, account.sid, sim=sim, scenario=chosen)
            return explain_scenario(tx, account.sid, sim=sim, moment=moment)

        return with_unknown(form, json_answer(show_scenario(await change(self._services, choose))))


def show_scenario(explained: Explained) -> dict[str, Any]:
    """Return what is in force, and why."""
    scenario, reason = explained.in_force
    return {
        "scenario": scenario.name,
        "meaning": scenario.meaning,
        "reason": reason,
        "chosen": explained.chosen,
        "sim_sid": explained.sim_sid,
    }
