"""The interface of the audit table: who changed what."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from ringback.core.audit import ActorKind, AuditEntry
from ringback.ports.record_tables import PageWindow, RecordPage


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """A filter for lists of audit entries; a field that is None matches all entries."""

    actor: str | None = None
    """List changes made with the credentials that have this SID or id."""
    actor_kind: ActorKind | None = None
    action: str | None = None
    subject: str | None = None
    since: datetime | None = None
    """List changes at this instant or later."""
    until: datetime | None = None
    """List changes before this instant."""


class AuditLog(Protocol):
    """The table of audit entries, which never change."""

    def add(self, entry: AuditEntry) -> None:
        """Save an entry; the store gives it its `seq`."""
        ...

    def page(
        self, account_sid: str, which: AuditFilter, window: PageWindow
    ) -> RecordPage[AuditEntry]:
        """Return one page of the entries about an account that match a filter, newest first.

        Entries that are not about one account are listed only for EVERY. A page may begin at an
        entry that has been removed.
        """
        ...

    def remove_sign_ins_before(self, instant: datetime, *, limit: int) -> int:
        """Do the same as `remove_before`, but only for entries of sign-ins and sign-outs."""
        ...

    def remove_before(self, instant: datetime, *, limit: int) -> int:
        """Remove at most `limit` entries from before this instant; return their number."""
        ...
