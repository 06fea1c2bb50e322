"""Finding a record of an account, by its SID or by its unique name."""

from ringback.core.errors import Invalid, NotFound
from ringback.ports import NamedRecords, Records
from ringback.ports.records import N, R


def fetch_named(records: NamedRecords[N], account_sid: str, sid_or_name: str, kind: str) -> N:
    """Return the account's record with this SID or name; raises NotFound, naming the kind."""
    record = records.find(account_sid, sid_or_name)
    if record is None:
        raise NotFound(f"there is no {kind} with the SID or unique name {sid_or_name!r}")
    return record


def fetch_owned(records: Records[R], account_sid: str, sid: str, kind: str) -> R:
    """Return the account's record with this SID; raises NotFound, naming the kind."""
    record = records.get(sid)
    if record is None or record.account_sid != account_sid:
        raise NotFound(f"there is no {kind} with the SID {sid!r}")
    return record


def named_in(
    records: NamedRecords[N], account_sid: str, given: tuple[str, str], kind: str, *, code: int
) -> N:
    """Return the account's record that a parameter names, which is given with its value.

    Raises Invalid with this code, naming the kind.
    """
    parameter, sid_or_name = given
    record = records.find(account_sid, sid_or_name)
    if record is None:
        raise Invalid(
            f"{parameter}={sid_or_name!r}: there is no {kind} with this SID or unique name",
            code=code,
        )
    return record
