"""Checks that unique names of records are not taken, and that labels are printable."""

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
    """Raise InvalidParameter if another record of the account has `unique_name` as name or SID.

    The error has the code `codes.name_taken`. `own_sid` is the SID of the record that gets the
    name; None for a new record.
    """
    holder = records.find(account_sid, unique_name) if unique_name else None
    if holder is not None and holder.sid != own_sid:
        raise InvalidParameter(
            f"UniqueName {unique_name!r} already belongs to {holder.sid}", code=codes.name_taken
        )


def check_label(text: str, what: str, *, code: int = SUPER_SIM.invalid) -> None:
    """Raise InvalidParameter if `text` is not 1 to 64 printable characters.

    The error message says that the text can't be `what`, such as "a key's name".
    """
    if not (1 <= len(text) <= _LONGEST and text.isprintable() and not text.isspace()):
        raise InvalidParameter(
            f"{text[:_LONGEST]!r} can't be {what}; it must have 1 to {_LONGEST}"
            " printable characters",
            code=code,
        )
