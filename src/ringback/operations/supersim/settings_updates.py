"""Settings Updates: the network begins them when a SIM is connected for the first time."""

from dataclasses import replace

from ringback.core.sids import SidKind
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.settings_update import OtaSettingsUpdate, OtaSettingsUpdateStatus
from ringback.core.supersim.sim import SuperSim
from ringback.operations.context import OperationContext
from ringback.operations.lookups import list_of
from ringback.ports import PageWindow, Transaction


def schedule_settings(tx: Transaction, sim: SuperSim, context: OperationContext) -> None:
    """Schedule writing the base settings to a card that has none yet."""
    if tx.supersim.settings_updates.page(sim.account_sid, {"sim_sid": sim.sid}, PageWindow(1)):
        return
    update = _update_of(sim, OtaSettingsUpdateStatus.SCHEDULED, context)
    tx.supersim.settings_updates.add(update)
    context.begin_step(tx, TaskKind.BEGIN_SETTINGS, update, sim)


def add_written_settings(tx: Transaction, sim: SuperSim, context: OperationContext) -> None:
    """Record that a card has the base settings already."""
    update = _update_of(sim, OtaSettingsUpdateStatus.SUCCESSFUL, context)
    tx.supersim.settings_updates.add(replace(update, date_completed=context.now))


def list_settings_updates(
    tx: Transaction, account_sid: str, window: PageWindow, **given: str | None
) -> list[OtaSettingsUpdate]:
    """Return one page of an account's Settings Updates, newest first; an unknown SIM has none.

    `given` has values of their fields, and a `sim` by its SID or unique name.
    """
    return list_of(tx.supersim.settings_updates, account_sid, window, given, sim=tx.supersim.sims)


def _update_of(
    sim: SuperSim, status: OtaSettingsUpdateStatus, context: OperationContext
) -> OtaSettingsUpdate:
    return OtaSettingsUpdate(
        **context.record_fields(SidKind.SETTINGS_UPDATE, sim.account_sid),
        iccid=sim.iccid,
        sim_sid=sim.sid,
        status=status,
    )
