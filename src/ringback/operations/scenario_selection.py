"""Chooses how the simulated network behaves for one SIM or a whole account."""

from typing import NamedTuple

from ringback.core.sims.scenario import NetworkScenario
from ringback.operations.any_sim import any_sim_named
from ringback.operations.context import AccountOperationContext, EffectiveScenario, OperationContext
from ringback.ports import Transaction


class ScenarioAssignment(NamedTuple):
    """The scenario that was chosen for a SIM or an account, and the one that applies to it."""

    sim_sid: str | None
    """The SID of the SIM; None for the account."""
    chosen: str | None
    """The name of the scenario that was chosen for the SIM or account; None if none was."""
    in_force: EffectiveScenario


def choose_scenario(
    tx: Transaction,
    account_sid: str,
    *,
    sim: str | None,
    scenario: NetworkScenario | None,
    context: AccountOperationContext,
) -> str:
    """Choose the simulated network's scenario for a SIM, or for the account if `sim` is None.

    With `scenario=None`, an earlier choice is removed. Returns the SID of the SIM or account.
    Raises InvalidParameter if there is no such SIM (83005).
    """
    subject = account_sid if sim is None else any_sim_named(tx, account_sid, sim).sid
    before, after = tx.scenarios.get(subject), None if scenario is None else scenario.name
    tx.scenarios.put(subject, after)
    context.record(
        *(tx, "ChooseScenario", subject),
        account_sid=account_sid,
        before={"scenario": before},
        after={"scenario": after},
    )
    return subject


def explain_scenario(
    tx: Transaction, account_sid: str, *, sim: str | None, context: OperationContext
) -> ScenarioAssignment:
    """Return the scenario for a SIM, or for the account if `sim` is None, and why it applies.

    Raises InvalidParameter if there is no such SIM (83005).
    """
    found = None if sim is None else any_sim_named(tx, account_sid, sim)
    chosen = tx.scenarios.get(account_sid if found is None else found.sid)
    return ScenarioAssignment(found and found.sid, chosen, context.in_force(tx, account_sid, found))
