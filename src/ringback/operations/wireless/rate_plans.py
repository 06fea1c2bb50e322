"""Create, find, rename and delete rate plans."""

from dataclasses import replace
from typing import Any, NamedTuple

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.errors import WIRELESS, InvalidParameter
from ringback.core.sids import SidKind
from ringback.core.wireless.rate_plan import RatePlan
from ringback.operations.context import OperationContext
from ringback.operations.lookups import fetch_named, named_in
from ringback.operations.unique_names import check_name_is_free
from ringback.ports import PageWindow, Transaction


class RatePlanUpdateRequest(NamedTuple):
    """The fields of a rate plan that can be changed; None for those that a request leaves out."""

    unique_name: str | None = None
    """The new name; empty to remove the name."""
    friendly_name: str | None = None
    usage_notification_url: str | None = None
    usage_notification_method: HttpMethod | None = None


def create_rate_plan(
    tx: Transaction,
    account_sid: str,
    names: RatePlanUpdateRequest,
    allowed: dict[str, Any],
    context: OperationContext,
) -> RatePlan:
    """Create a rate plan; `allowed` has the fields of `RatePlan` that differ from their defaults.

    Raises InvalidParameter if the name is taken (33101).
    """
    check_name_is_free(tx.wireless.rate_plans, account_sid, names.unique_name, codes=WIRELESS)
    fields = context.record_fields(SidKind.RATE_PLAN, account_sid)
    plan = RatePlan(**fields, **allowed, **_changes(names))
    tx.wireless.rate_plans.add(plan)
    context.record_of(tx, "CreateRatePlan", after=plan)
    return plan


def list_rate_plans(tx: Transaction, account_sid: str, window: PageWindow) -> list[RatePlan]:
    """Return one page of an account's rate plans, newest first."""
    return tx.wireless.rate_plans.page(account_sid, {}, window)


def fetch_rate_plan(tx: Transaction, account_sid: str, sid_or_name: str) -> RatePlan:
    """Return the account's rate plan with this SID or unique name.

    Raises NotFound if there is no such plan.
    """
    return fetch_named(tx.wireless.rate_plans, account_sid, sid_or_name, "RatePlan")


def rate_plan_named(tx: Transaction, account_sid: str, sid_or_name: str) -> RatePlan:
    """Return the rate plan that a request parameter gives by its SID or unique name.

    Raises InvalidParameter if there is no such plan (33108).
    """
    plans, given = tx.wireless.rate_plans, ("RatePlan", sid_or_name)
    return named_in(plans, account_sid, given, "RatePlan", code=33108)


def rename_rate_plan(
    tx: Transaction,
    account_sid: str,
    sid_or_name: str,
    names: RatePlanUpdateRequest,
    context: OperationContext,
) -> RatePlan:
    """Change the names and the notification URL of a rate plan, and return it.

    Raises NotFound if there is no such plan, and InvalidParameter if the name is taken (33101).
    """
    plan = fetch_rate_plan(tx, account_sid, sid_or_name)
    plans, name = tx.wireless.rate_plans, names.unique_name
    check_name_is_free(plans, account_sid, name, plan.sid, codes=WIRELESS)
    renamed = replace(plan, **_changes(names), date_updated=context.now)
    plans.save(renamed)
    context.record_of(tx, "UpdateRatePlan", before=plan, after=renamed)
    return renamed


def delete_rate_plan(
    tx: Transaction, account_sid: str, sid_or_name: str, context: OperationContext
) -> None:
    """Delete a rate plan.

    Raises NotFound if there is no such plan, and InvalidParameter while SIMs have it (33201).
    """
    plan = fetch_rate_plan(tx, account_sid, sid_or_name)
    user = tx.wireless.sims.first({"rate_plan_sid": plan.sid})
    # A pending change must not give a SIM a deleted plan, either.
    coming = tx.wireless.sim_updates.first({"to_rate_plan_sid": plan.sid})
    holder = user.sid if user is not None else coming and coming.sim_sid
    if holder is not None:
        raise InvalidParameter(
            f"RatePlan {plan.sid} can't be deleted, because SIMs such as {holder}"
            " use it; give them another plan first",
            code=33201,
        )
    tx.wireless.rate_plans.remove(plan.sid)
    context.record_of(tx, "DeleteRatePlan", before=plan)


def _changes(names: RatePlanUpdateRequest) -> dict[str, Any]:
    """Return the fields to change; an empty text becomes None, which removes the value."""
    given = names._asdict().items()
    return {name: value or None for name, value in given if value is not None}
