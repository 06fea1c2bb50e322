"""Choosing how the simulated network behaves, towards one SIM or a whole account."""

from typing import NamedTuple

from ringback.core.sims.scenario import NetworkScenario
from ringback.operations.any_sim import any_sim_named
from ringback.operations.context import EffectiveScenario, OperationContext
from ringback.ports import Transaction


class ScenarioAssignment(NamedTuple):
    """The scenario of a SIM, or of an account."""

    sim_sid: str | None
    """None for the account's."""
    chosen: str | None
    """What was chosen for it, which can be taken back."""
    in_force: EffectiveScenario


def choose_scenario(
    tx: Transaction, account_sid: str, *, sim: str | None, scenario: NetworkScenario | None
) -> str:
    """Choose a scenario for a SIM of the account, or for the account; None takes the choice back.

    Returns the SID that it is for. Raises InvalidParameter where there is no such SIM (83005).
    """
    subject = account_sid if sim is None else any_sim_named(tx, account_sid, sim).sid
    tx.scenarios.put(subject, None if scenario is None else scenario.name)
    return subject


def explain_scenario(
    tx: Transaction, account_sid: str, *, sim: str | None, context: OperationContext
) -> ScenarioAssignment:
    """Return which scenario a SIM or the account has, and why."""
    found = None if sim is None else any_sim_named(tx, account_sid, sim)
    chosen = tx.scenarios.get(account_sid if found is None else found.sid)
    return ScenarioAssignment(found and found.sid, chosen, context.in_force(tx, account_sid, found))
