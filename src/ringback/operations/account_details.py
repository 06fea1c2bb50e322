"""What is known about an account and its credentials, for those who look after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ringback.core.accounts.account import Account, ApiKey
from ringback.core.accounts.client_credentials import ClientCredentials
from ringback.core.audit import AUDIT_KEPT
from ringback.ports import AuditFilter, PageWindow, Transaction

_EXAMINED: Final = 1000


@dataclass(frozen=True, slots=True)
class AccountDetails:
    """An account, its credentials, and since when it has its Auth Tokens."""

    account: Account
    keys: Sequence[ApiKey]
    """The API keys that have not ended."""
    clients: Sequence[ClientCredentials]
    token_since: datetime | None
    """Since when the primary Auth Token is the primary one; None if that is unknown."""
    secondary_since: datetime | None
    """When the secondary Auth Token was created; None if there is none, or that is unknown."""


def account_details(tx: Transaction, account: Account, now: datetime) -> AccountDetails:
    """Return an account, its credentials, and since when it has its Auth Tokens."""
    promoted = _last(tx, account, "PromoteSecondaryToken")
    secondary = _last(tx, account, "CreateSecondaryToken")
    is_young = account.date_created > now - AUDIT_KEPT
    return AccountDetails(
        account,
        keys=[key for key in tx.accounts.keys.of(account.sid) if key.date_ended is None],
        clients=tx.api_clients.of(account.sid),
        token_since=promoted or (account.date_created if is_young else None),
        secondary_since=None if account.secondary_auth_token is None else secondary,
    )


def _last(tx: Transaction, account: Account, action: str) -> datetime | None:
    """Return when this action last changed the account, if the audit knows it."""
    which = AuditFilter(subject=account.sid, action=action)
    found = tx.audit.page(account.sid, which, PageWindow(1, examining=_EXAMINED))
    return found[0].date_created if found else None
