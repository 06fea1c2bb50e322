"""Moving SIMs between an account and its subaccounts."""

from ringback.core.errors import Invalid
from ringback.ports import Transaction


def check_target(tx: Transaction, owner_sid: str, account_sid: str, *, code: int) -> None:
    """See that a SIM of one account can be moved to another; else raises Invalid with this code."""
    target = tx.accounts.get(account_sid)
    if target is None or target.parent_sid != owner_sid:
        raise Invalid(
            f"AccountSid={account_sid!r}: a SIM can be moved only to {owner_sid} or one of its"
            " subaccounts",
            code=code,
        )


def check_is_new(sid: str, status: str, *, code: int) -> None:
    """See that a SIM was never used; else raises Invalid with this code."""
    if status != "new":
        raise Invalid(
            f"SIM {sid} is {status}; only one that is new can be moved to another account",
            code=code,
        )
