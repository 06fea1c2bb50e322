"""The portal's operations on scenarios, which determine how the simulated network behaves."""

from typing import Any, Final

from ringback.api.endpoint_group import ApiRequest, Change, EndpointGroup
from ringback.api.operation_definition import ApiOperation, OperationParameter, required
from ringback.api.schema_pieces import SIM_SID, TEXT, Schema, list_of, object_of
from ringback.api.serializers import CustomJsonSerializer, Serializer, field, maybe
from ringback.core.sims.scenario import SCENARIOS, scenario_called
from ringback.operations.context import OperationContext
from ringback.operations.scenario_selection import (
    ScenarioAssignment,
    choose_scenario,
    explain_scenario,
)
from ringback.ports import Transaction

_PATH: Final = "/portal/v1/scenarios"
NAME_OF_SCENARIO: Final[Schema] = {"type": "string", "enum": list(SCENARIOS)}

SCENARIO: Final = Serializer[ScenarioAssignment](
    "scenario",
    "scenarios",
    field("scenario", NAME_OF_SCENARIO, "in_force.scenario.name"),
    field("meaning", attribute="in_force.scenario.meaning"),
    field("reason", attribute="in_force.reason"),
    maybe("chosen"),
    maybe("sim_sid", SIM_SID),
)
_KNOWN: Final = list_of(object_of(name=NAME_OF_SCENARIO, meaning=TEXT))
ALL_SCENARIOS: Final = CustomJsonSerializer(
    "scenarios", object_of(**SCENARIO.schema["properties"], scenarios=_KNOWN)
)
_FOR_SIM: Final = (
    OperationParameter("Sim", TEXT, "The SID or unique name of a SIM (default: the account)."),
)
_CHOICE: Final = (
    required(
        "Scenario",
        {"type": "string", "enum": [*SCENARIOS, ""]},
        "The name of the scenario; empty to remove the choice.",
    ),
    *_FOR_SIM,
)


class ScenarioEndpoints(EndpointGroup):
    """The operations that list the scenarios and choose one."""

    def operations(self) -> list[ApiOperation]:
        """Return the operations on scenarios."""
        lists = "List the scenarios of the simulated network, and show the one in force."
        chooses = "Choose a scenario for a SIM or for the account."
        return [
            self.answers(
                *(_PATH, "ListScenario", lists, ALL_SCENARIOS, self._list), takes=_FOR_SIM
            ),
            self.changes(_PATH, "ChooseScenario", chooses, SCENARIO, _choose, takes=_CHOICE),
        ]

    async def _list(self, call: ApiRequest) -> dict[str, Any]:
        context, sim = self._dependencies.context(), call.given.text("Sim")
        explained = await self.read(
            call.account_sid,
            lambda tx: explain_scenario(tx, call.account_sid, sim=sim, context=context),
        )
        known = [{"name": each.name, "meaning": each.meaning} for each in SCENARIOS.values()]
        return {**SCENARIO.at(call.request)(explained), "scenarios": known}


def _choose(call: ApiRequest) -> Change[ScenarioAssignment]:
    call.given.given("Scenario")
    sim, name = call.given.text("Sim"), call.given.text("Scenario")
    try:
        chosen = scenario_called(name) if name else None
    except ValueError as problem:
        raise call.given.wrong(f"Scenario: {problem}") from None

    def choose(tx: Transaction, context: OperationContext) -> ScenarioAssignment:
        choose_scenario(tx, call.account_sid, sim=sim, scenario=chosen, context=context)
        return explain_scenario(tx, call.account_sid, sim=sim, context=context)

    return choose
