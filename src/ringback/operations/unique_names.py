"""Names: unique ones, of which an account has one for each record of a kind, and labels."""

from typing import Final

from ringback.core.errors import SUPER_SIM, ErrorCodes, InvalidParameter
from ringback.ports import NamedRecords
from ringback.ports.records import N

_LONGEST: Final = 64


def check_name_is_free(
    records: NamedRecords[N],
    account_sid: str,
    unique_name: str | None,
    own_sid: str | None = None,
    *,
    codes: ErrorCodes = SUPER_SIM,
) -> None:
    """See that no other record of the account has this name, or this SID.

    Raises InvalidParameter (83011; 33101).
    """
    holder = records.find(account_sid, unique_name) if unique_name else None
    if holder is not None and holder.sid != own_sid:
        raise InvalidParameter(
            f"UniqueName {unique_name!r} already belongs to {holder.sid}", code=codes.name_taken
        )


def check_label(text: str, what: str, *, code: int = SUPER_SIM.invalid) -> None:
    """Raise InvalidParameter for a name that nobody could read; `what` says whose it would be."""
    if not (1 <= len(text) <= _LONGEST and text.isprintable() and not text.isspace()):
        raise InvalidParameter(
            f"{text[:_LONGEST]!r} can't be {what}; that has 1 to {_LONGEST} printable characters",
            code=code,
        )
