"""Finds records of an account by SID or unique name, and a record's owner and author."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from ringback.core.accounts.account import EVERY, AccountOwnedRecord
from ringback.core.audit import ActorKind, AuditEntry
from ringback.core.callbacks.callback import Attempt, CallbackRecord
from ringback.core.errors import InvalidParameter, NotFound
from ringback.core.sids import SidKind
from ringback.ports import N, NamedRecords, PageWindow, R, Records, Transaction

_UPDATE: Final = "UpdateSim"
_DONE_TO: Final = {
    SidKind.CALLBACK: "CreateCallback",
    SidKind.SMS_COMMAND: "CreateSmsCommand",
    SidKind.IP_COMMAND: "CreateIpCommand",
    SidKind.COMMAND: "CreateCommand",
    SidKind.ESIM_PROFILE: "CreateEsimProfile",
    SidKind.SIM: _UPDATE,
    SidKind.WIRELESS_SIM: _UPDATE,
}
"""The kinds of records that have their author in their rows, and what the author did."""


def fetch_named(records: NamedRecords[N], account_sid: str, sid_or_name: str, kind: str) -> N:
    """Return the account's record with this SID or unique name; raises NotFound if there is none.

    The error message names the `kind` of record.
    """
    record = records.find(account_sid, sid_or_name)
    if record is None:
        raise NotFound(f"there is no {kind} with the SID or unique name {sid_or_name!r}")
    return record


def fetch_owned(records: Records[R], account_sid: str, sid: str, kind: str) -> R:
    """Return the account's record with this SID; raises NotFound if there is none.

    The error message names the `kind` of record.
    """
    record = records.get(sid)
    if record is None or record.account_sid != account_sid:
        raise NotFound(f"there is no {kind} with the SID {sid!r}")
    return record


def list_of(
    records: Records[R],
    account_sid: str,
    window: PageWindow,
    given: Mapping[str, str | None],
    **others: NamedRecords[N],
) -> list[R]:
    """Return one page of an account's records with these field values, newest first.

    In `given`, None stands for any value. Each of `others` is a table of related records: with
    `sim=SIMS`, the value of `sim` in `given` is the SID or unique name of a SIM, and only records
    of this SIM are returned. If there is no such SIM, the page is empty.
    """
    which = dict(given)
    for name, table in others.items():
        sid_or_name = which.pop(name, None)
        if sid_or_name is not None:
            other = table.find(account_sid, sid_or_name)
            if other is None:
                return []
            which[f"{name}_sid"] = other.sid
    return records.page(account_sid, which, window)


def named_in(
    records: NamedRecords[N], account_sid: str, given: tuple[str, str], kind: str, *, code: int
) -> N:
    """Return the record whose SID or unique name a request parameter gives.

    `given` is the parameter's name and value. Raises InvalidParameter, with this code, if the
    account has no such record; the message names the `kind` of record.
    """
    parameter, sid_or_name = given
    record = records.find(account_sid, sid_or_name)
    if record is None:
        raise InvalidParameter(
            f"{parameter}={sid_or_name!r}: there is no {kind} with this SID or unique name",
            code=code,
        )
    return record


def fetch_callback(tx: Transaction, account_sid: str, sid: str) -> CallbackRecord:
    """Return the account's callback with this SID; raises NotFound if there is none."""
    callback = tx.callbacks.get(account_sid, sid)
    if callback is None:
        raise NotFound(f"there is no callback with the SID {sid!r}")
    return callback


def fetch_attempts(tx: Transaction, account_sid: str, sid: str) -> list[Attempt]:
    """Return all attempts of a callback, oldest first.

    Raises NotFound if the account has no such callback.
    """
    return tx.callbacks.attempts(fetch_callback(tx, account_sid, sid).sid)


def owner_of(tx: Transaction, sid: str) -> str | None:
    """Return the SID of the account that owns a record, or None if there is none.

    An API key of the operator has no account, and an account belongs to itself.
    """
    if sid.startswith(SidKind.API_KEY):
        key = tx.accounts.keys.get(sid)
        return key and key.account_sid
    if sid.startswith(SidKind.ACCOUNT):
        account = tx.accounts.get(sid)
        return account and account.sid
    get = _by_kind(tx).get(sid[:2])
    record = None if get is None else get(sid)
    return None if record is None else record.account_sid


def author_of(tx: Transaction, account_sid: str, sid: str) -> AuditEntry:
    """Return the author of a callback, message or eSIM Profile, or of a SIM's last update.

    These leave no audit entry, but their own rows have what it would say. The server itself is the
    author of what no request has created, and of rows from before the author was stored. For
    `account_sid`, EVERY is any account. Raises NotFound if the account has no such record, or if no
    request has updated the SIM.
    """
    get = _by_kind(tx).get(sid[:2]) if sid[:2] in _DONE_TO else None
    record = None if get is None else get(sid)
    if record is None or account_sid not in (EVERY, record.account_sid):
        raise NotFound(f"there is no callback, message, eSIM Profile or SIM with the SID {sid!r}")
    when, by = _authorship(record)
    if when is None:
        raise NotFound(f"no request has updated the SIM {sid}, as far as is known")
    kind, name = ActorKind.SERVER, None
    if by is not None:
        kind, name = _credentials(tx, by)
    return AuditEntry(
        *(when, record.account_sid, kind, by, name),
        address=None,
        action=_DONE_TO[SidKind(sid[:2])],
        subject=sid,
        before=None,
        after=None,
    )


def _authorship(record: Any) -> tuple[datetime | None, str | None]:
    if _DONE_TO[SidKind(record.sid[:2])] == _UPDATE:
        return record.update_asked, record.update_asked_by
    return record.date_created, record.created_by


def _credentials(tx: Transaction, actor: str) -> tuple[ActorKind, str | None]:
    """Return the kind and the name of the credentials with this id; the name may be unknown."""
    if actor.startswith(SidKind.API_KEY):
        key = tx.accounts.keys.get(actor)
        is_operators = key is not None and key.account_sid is None
        return ActorKind.OPERATOR_KEY if is_operators else ActorKind.API_KEY, key and key.name
    if actor.startswith(SidKind.ACCOUNT):
        account = tx.accounts.get(actor)
        return ActorKind.AUTH_TOKEN, account and account.name
    client = tx.api_clients.get(actor)
    return ActorKind.API_CLIENT, client and client.name


def is_operators_key(tx: Transaction, sid: str) -> bool:
    """Return True if this is the SID of an API key of the operator."""
    key = tx.accounts.keys.get(sid)
    return key is not None and key.account_sid is None


def _by_kind(tx: Transaction) -> Mapping[str, Callable[[str], AccountOwnedRecord | None]]:
    supersim, wireless = tx.supersim, tx.wireless
    return {
        SidKind.CALLBACK: tx.callbacks.find,
        SidKind.JOB: tx.jobs.get,
        SidKind.SHARED_LINK: tx.shared_links.get,
        SidKind.NETWORK_ACCESS_PROFILE: supersim.access_profiles.get,
        SidKind.FLEET: supersim.fleets.get,
        SidKind.SIM: supersim.sims.get,
        SidKind.SMS_COMMAND: supersim.sms_commands.get,
        SidKind.IP_COMMAND: supersim.ip_commands.get,
        SidKind.ESIM_PROFILE: supersim.esim_profiles.get,
        SidKind.SETTINGS_UPDATE: supersim.settings_updates.get,
        SidKind.BILLING_PERIOD: supersim.billing_periods.get,
        SidKind.RATE_PLAN: wireless.rate_plans.get,
        SidKind.WIRELESS_SIM: wireless.sims.get,
        SidKind.COMMAND: wireless.commands.get,
        SidKind.DATA_SESSION: wireless.sessions.get,
    }
