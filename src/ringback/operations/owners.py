"""Whose a record is, for whoever may see all of them."""

from collections.abc import Mapping
from typing import Any

from ringback.core.sids import Kind
from ringback.ports import Records, Transaction
from ringback.ports.records import Owned


def owner_of(tx: Transaction, sid: str) -> str | None:
    """Return the SID of the account that has this record, or None where there is no such record."""
    kind = sid[:2]
    if kind == Kind.CALLBACK:
        callback = tx.callbacks.find(sid)
        return None if callback is None else callback.account_sid
    if kind == Kind.DATA_SESSION:
        session = tx.wireless.sessions.get(sid)
        return None if session is None else session.account_sid
    records = _tables(tx).get(kind)
    record: Owned | None = None if records is None else records.get(sid)
    return None if record is None else record.account_sid


def _tables(tx: Transaction) -> Mapping[str, Records[Any]]:
    supersim, wireless = tx.supersim, tx.wireless
    return {
        Kind.NETWORK_ACCESS_PROFILE: supersim.access_profiles,
        Kind.FLEET: supersim.fleets,
        Kind.SIM: supersim.sims,
        Kind.SMS_COMMAND: supersim.sms_commands,
        Kind.IP_COMMAND: supersim.ip_commands,
        Kind.ESIM_PROFILE: supersim.esim_profiles,
        Kind.SETTINGS_UPDATE: supersim.settings_updates,
        Kind.BILLING_PERIOD: supersim.billing_periods,
        Kind.RATE_PLAN: wireless.rate_plans,
        Kind.WIRELESS_SIM: wireless.sims,
        Kind.COMMAND: wireless.commands,
    }
