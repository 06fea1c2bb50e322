"""Who asks, once they are signed in, and what they may ask for."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ringback.core.account import Account
from ringback.core.api_client import EVERYTHING, Area


@dataclass(frozen=True, slots=True)
class Caller:
    """An account's own credentials, or the operator's."""

    account: Account | None
    """None for the operator, who sees every account."""
    areas: frozenset[Area] = EVERYTHING
    until: datetime | None = None
    """When the credentials end; None for those that don't by themselves."""

    def may(self, area: Area) -> bool:
        """Whether the credentials are good for this."""
        return area in self.areas


OPERATOR: Final = Caller(None)
"""Whoever has an operator's key."""
