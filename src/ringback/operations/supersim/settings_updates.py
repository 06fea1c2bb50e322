"""Schedules Settings Updates for SIMs that are connected for the first time, and lists them."""

from dataclasses import replace

from ringback.core.sids import SidKind
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.settings_update import OtaSettingsUpdate, OtaSettingsUpdateStatus
from ringback.core.supersim.sim import SuperSim
from ringback.operations.context import OperationContext
from ringback.operations.lookups import list_of
from ringback.ports import PageWindow, Transaction


def schedule_settings(tx: Transaction, sim: SuperSim, context: OperationContext) -> None:
    """Schedule the Settings Update that writes the base settings, unless the SIM card had one."""
    if tx.supersim.settings_updates.page(sim.account_sid, {"sim_sid": sim.sid}, PageWindow(1)):
        return
    update = _update_of(sim, OtaSettingsUpdateStatus.SCHEDULED, context)
    tx.supersim.settings_updates.add(update)
    context.begin_step(tx, TaskKind.BEGIN_SETTINGS, update, sim)


def add_written_settings(tx: Transaction, sim: SuperSim, context: OperationContext) -> None:
    """Save a Settings Update as successful at once, so that none is scheduled for the SIM card."""
    update = _update_of(sim, OtaSettingsUpdateStatus.SUCCESSFUL, context)
    tx.supersim.settings_updates.add(replace(update, date_completed=context.now))


def list_settings_updates(
    tx: Transaction, account_sid: str, window: PageWindow, **given: str | None
) -> list[OtaSettingsUpdate]:
    """Return one page of an account's Settings Updates, newest first.

    `given` has the field values to filter by, and `sim`, the SID or unique name of a SIM. For an
    unknown SIM, the page is empty.
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
