"""Begins Billing Periods when SIMs become ready or active, and renews them every month."""

from dataclasses import replace
from datetime import datetime

from ringback.core.calendar import months_after
from ringback.core.sids import SidKind
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.core.supersim.usage import BillingPeriod, BillingPeriodType
from ringback.operations.context import OperationContext
from ringback.ports import PageWindow, Transaction


def list_billing_periods(
    tx: Transaction, account_sid: str, sim_sid: str, window: PageWindow
) -> list[BillingPeriod]:
    """Return one page of a SIM's Billing Periods, newest first."""
    return tx.supersim.billing_periods.page(account_sid, {"sim_sid": sim_sid}, window)


def current_period(tx: Transaction, sim: SuperSim, now: datetime) -> BillingPeriod | None:
    """Return the Billing Period that a SIM is in, or None if no period is running."""
    last = _last_period(tx, sim)
    return last if last is not None and last.end_time > now else None


def begin_period(tx: Transaction, sim: SuperSim, context: OperationContext) -> None:
    """Begin a Billing Period if a SIM is connected, unless one for its status is running.

    A Billing Period lasts a month, even if the SIM's status changes. Only the period of a SIM that
    is ready ends early, when the SIM becomes active.
    """
    if not sim.is_connected:
        return
    running = current_period(tx, sim, context.now)
    if running is not None:
        if running.period_type is _type_of(sim):
            return
        tx.supersim.billing_periods.save(
            replace(running, end_time=context.now, date_updated=context.now)
        )
    _add_period(tx, sim, context.now, context)


def renew_period(tx: Transaction, sim: SuperSim, context: OperationContext) -> None:
    """Begin the Billing Period that follows the SIM's last one, if the SIM is still connected."""
    last = _last_period(tx, sim)
    if sim.is_connected:
        _add_period(tx, sim, context.now if last is None else last.end_time, context)


def _add_period(tx: Transaction, sim: SuperSim, start: datetime, context: OperationContext) -> None:
    period = BillingPeriod(
        **context.record_fields(SidKind.BILLING_PERIOD, sim.account_sid),
        sim_sid=sim.sid,
        period_type=_type_of(sim),
        start_time=start,
        end_time=months_after(start),
    )
    tx.supersim.billing_periods.add(period)
    context.put_off(tx, TaskKind.RENEW_PERIOD, sim, period.end_time)


def _last_period(tx: Transaction, sim: SuperSim) -> BillingPeriod | None:
    newest = tx.supersim.billing_periods.page(sim.account_sid, {"sim_sid": sim.sid}, PageWindow(1))
    return newest[0] if newest else None


def _type_of(sim: SuperSim) -> BillingPeriodType:
    return BillingPeriodType.READY if sim.status is SimStatus.READY else BillingPeriodType.ACTIVE
