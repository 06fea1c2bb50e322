"""The last checks of receivers, in a plain dictionary."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from ringback.core.accounts.account import EVERY
from ringback.core.policy.receiver_evidence import ReceiverCheck


@dataclass
class MemoryReceiverChecks:
    """Implements `ports.ReceiverChecks`."""

    checks: dict[tuple[str, str, str], ReceiverCheck] = field(
        default_factory=dict[tuple[str, str, str], ReceiverCheck]
    )

    def save(self, check: ReceiverCheck) -> None:
        self.checks[check.account_sid, check.url, check.source] = check

    def of_url(self, account_sid: str, url: str) -> Sequence[ReceiverCheck]:
        return [one for key, one in sorted(self.checks.items()) if key[:2] == (account_sid, url)]

    def newest(self, account_sid: str, *, limit: int) -> Sequence[ReceiverCheck]:
        found = [one for key, one in sorted(self.checks.items()) if account_sid in (EVERY, key[0])]
        return sorted(found, key=lambda one: one.date, reverse=True)[:limit]

    def remove_before(self, instant: datetime, *, limit: int) -> int:
        old = [key for key, one in self.checks.items() if one.date < instant][:limit]
        for key in old:
            del self.checks[key]
        return len(old)
