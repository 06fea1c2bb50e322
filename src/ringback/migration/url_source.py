"""What a move works on: the place where callback URLs are configured, which is a URL source.

It is read, and changed edit by edit. An edit says what the URL has to be before: what
somebody changed in the meantime is left as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.ports import UrlDeliveryTotals

UrlSourceSpec = Mapping[str, Any]
"""Where the URLs are, as plans keep it."""


@dataclass(frozen=True, slots=True, order=True)
class UrlLocation:
    """Where one callback URL is configured."""

    name: str
    """For people, and to find it again: `fleet HF… SmsCommandsUrl`, `app.py:12`.

    No other URL of the same account has it.
    """
    account_sid: str | None = None
    """Whose URL it is; None where the URL source doesn't say."""


@dataclass(frozen=True, slots=True)
class UrlEntry:
    """A configured callback URL."""

    place: UrlLocation
    url: str
    """Exactly as configured, with fragment and credentials."""
    method: HttpMethod = HttpMethod.POST
    warnings: tuple[str, ...] = ()
    """Warnings that only the URL source can give, such as that the URL was cut off at an `&`."""
    fixed: str | None = None
    """Why no other URL can be written in this place; None where one can."""


@dataclass(frozen=True, slots=True)
class UrlEdit:
    """One URL that is to be another."""

    place: UrlLocation
    old: str
    new: str
    method: HttpMethod = HttpMethod.POST

    def back(self) -> "UrlEdit":
        """Return the edit that undoes this one."""
        return UrlEdit(self.place, self.new, self.old, self.method)

    def outcome(self, url: str | None) -> "EditOutcome":
        """Return what becomes of it where this URL is configured now; None where none is."""
        if url is None:
            return EditOutcome.GONE
        return EditOutcome.DONE if url in (self.old, self.new) else EditOutcome.CHANGED


class EditOutcome(StrEnum):
    """What became of an edit."""

    DONE = "done"
    """The URL is the new one, also where it was before."""
    CHANGED = "changed"
    """The URL is neither the old nor the new one: somebody else changed it."""
    GONE = "gone"
    """There is no URL in this place any more."""


class UrlSource(Protocol):
    """Where callback URLs are configured."""

    @property
    def spec(self) -> UrlSourceSpec:
        """What a plan keeps to open it again; no secrets."""
        ...

    async def entries(self) -> Sequence[UrlEntry]:
        """Return all configured callback URLs.

        Raises ConfigurationError where they can't be read.
        """
        ...

    async def replace(self, edits: Sequence[UrlEdit]) -> Sequence[EditOutcome]:
        """Make these edits, each wholly or not at all; what it returns is durable.

        Raises ConfigurationError where they can't be changed.
        """
        ...


class UrlDeliveryHistory(Protocol):
    """How the callbacks to a source's URLs went."""

    async def totals(self, *, since: datetime, until: datetime) -> Sequence[UrlDeliveryTotals]:
        """Return how those created in this time went, by account and URL."""
        ...
