"""Creates the Programmable Wireless rate plan and SIM that `ringback dev` starts with."""

from dataclasses import replace
from typing import Final

from ringback.core.wireless.sim import WirelessSim, WirelessStatus, moved
from ringback.operations.context import OperationContext
from ringback.operations.wireless.rate_plans import RatePlanUpdateRequest, create_rate_plan
from ringback.operations.wireless.sim_lifecycle import follow
from ringback.ports import Transaction

# Made up, since KORE's notice has no such SIM; the ICCID has the form of a published sample.
SIM_SID: Final = "DEab3f06be8f5d32caecb91e8a306c6c08"
SIM_NAME: Final = "my_wireless_sim"
_ICCID: Final = "8901340000000000019"
_PLAN_NAME: Final = "my_rate_plan"


def seed_where_missing(tx: Transaction, account_sid: str, context: OperationContext) -> None:
    """Create the account's first SIM and rate plan, unless the SIM exists already.

    The account may have been created by an earlier Ringback, which did not create them.
    """
    if tx.wireless.sims.get(SIM_SID) is not None:
        return
    plans = tx.wireless.rate_plans
    plan = plans.find(account_sid, _PLAN_NAME) or create_rate_plan(
        tx, account_sid, RatePlanUpdateRequest(unique_name=_PLAN_NAME), {}, context
    )
    is_taken = tx.wireless.sims.find(account_sid, SIM_NAME) is not None
    new = WirelessSim(
        sid=SIM_SID,
        account_sid=account_sid,
        iccid=_ICCID,
        unique_name=None if is_taken else SIM_NAME,
        date_created=context.now,
        date_updated=context.now,
    )
    sim = replace(moved(new, WirelessStatus.ACTIVE, context.now), rate_plan_sid=plan.sid)
    tx.wireless.sims.add(sim)
    follow(tx, sim, context)
