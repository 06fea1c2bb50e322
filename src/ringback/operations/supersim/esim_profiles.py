"""Order, find and list eSIM Profiles."""

from dataclasses import dataclass

from ringback.core.callback_urls.callback_target import NO_TARGET, CallbackTarget
from ringback.core.errors import InvalidParameter
from ringback.core.sids import SidKind
from ringback.core.sims.scenario import TaskKind
from ringback.core.supersim.esim_profile import EsimProfile, EsimStatus
from ringback.operations.context import OperationContext
from ringback.operations.lookups import fetch_owned
from ringback.ports import PageWindow, Transaction


@dataclass(frozen=True, slots=True)
class EsimProfileOrder:
    """The parameters of an order for an eSIM Profile."""

    eid: str | None = None
    generates_matching_id: bool = False
    callback: CallbackTarget = NO_TARGET


def order_esim_profile(
    tx: Transaction, account_sid: str, order: EsimProfileOrder, context: OperationContext
) -> EsimProfile:
    """Order an eSIM Profile, and return it.

    Raises InvalidParameter if the order has no EID and does not ask for a matching id (20002).
    """
    if order.eid is None and not order.generates_matching_id:
        raise InvalidParameter(
            "give Eid or GenerateMatchingId=true; without both, no device could"
            " download the profile",
            code=20002,
        )
    profile = EsimProfile(
        **context.record_fields(SidKind.ESIM_PROFILE, account_sid),
        created_by=context.actor.id,
        status=EsimStatus.NEW,
        eid=order.eid,
        has_matching_id=order.generates_matching_id,
        callback=order.callback,
    )
    tx.supersim.esim_profiles.add(profile)
    context.begin_step(tx, TaskKind.RESERVE_PROFILE, profile, None)
    return profile


def fetch_esim_profile(tx: Transaction, account_sid: str, sid: str) -> EsimProfile:
    """Return the account's eSIM Profile with this SID; raises NotFound if there is none."""
    return fetch_owned(tx.supersim.esim_profiles, account_sid, sid, "eSIM Profile")


def list_esim_profiles(
    tx: Transaction, account_sid: str, window: PageWindow, **given: str | None
) -> list[EsimProfile]:
    """Return one page of an account's eSIM Profiles, newest first.

    `given` has the field values to filter by.
    """
    return tx.supersim.esim_profiles.page(account_sid, given, window)
