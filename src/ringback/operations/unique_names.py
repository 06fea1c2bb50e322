"""Checks of names: unique names of records, and labels that only people read."""

from typing import Final

from ringback.core.errors import SUPER_SIM, ErrorCodes, InvalidParameter
from ringback.ports import N, NamedRecords

_LONGEST: Final = 64


def check_name_is_free(
    records: NamedRecords[N],
    account_sid: str,
    unique_name: str | None,
    own_sid: str | None = None,
    *,
    codes: ErrorCodes = SUPER_SIM,
) -> None:
    """Check that no other record of the account has this text as its unique name or its SID.

    Raises InvalidParameter (83011; 33101).
    """
    holder = records.find(account_sid, unique_name) if unique_name else None
    if holder is not None and holder.sid != own_sid:
        raise InvalidParameter(
            f"UniqueName {unique_name!r} already belongs to {holder.sid}", code=codes.name_taken
        )


def check_label(text: str, what: str, *, code: int = SUPER_SIM.invalid) -> None:
    """Raise InvalidParameter for an empty, overlong or unprintable name of `what`."""
    if not (1 <= len(text) <= _LONGEST and text.isprintable() and not text.isspace()):
        raise InvalidParameter(
            f"{text[:_LONGEST]!r} can't be {what}; that has 1 to {_LONGEST} printable characters",
            code=code,
        )
