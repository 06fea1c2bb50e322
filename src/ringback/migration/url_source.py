"""The interface to a URL source: files or data in which callback URLs are configured.

A migration reads a URL source as a whole, and changes it edit by edit. Each edit contains the old
URL, so that a URL that somebody else has changed in the meantime stays as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.ports import UrlDeliveryTotals

UrlSourceSpec = Mapping[str, Any]
"""A JSON object without secrets, from which a plan opens its URL source again."""


@dataclass(frozen=True, slots=True, order=True)
class UrlLocation:
    """The place where one callback URL is configured."""

    name: str
    """A name like `fleet HF… SmsCommandsUrl` or `app.py:12`, unique within the account.

    The URL source finds the URL by this name.
    """
    account_sid: str | None = None
    """The account that the URL belongs to; None if the URL source doesn't say."""


class QuoteChange(StrEnum):
    """What an edit does to the quotation marks around a URL.

    A URL in a file such as `.env` needs them as soon as it has a fragment.
    """

    NONE = ""
    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class UrlEntry:
    """A configured callback URL."""

    place: UrlLocation
    url: str
    """The URL exactly as configured, with fragment and credentials."""
    method: HttpMethod = HttpMethod.POST
    warnings: tuple[str, ...] = ()
    """Warnings from the URL source, for example that the URL is cut off at an `&`."""
    fixed: str | None = None
    """Why the URL can't be changed where it is; None if it can be changed."""
    service: str | None = None
    """The service that this callback seems to belong to, with the sign of it, such as `GitHub: its
    name`; None if it is a SIM callback. Such a URL is moved only if the user selects it."""
    quotes: QuoteChange = QuoteChange.NONE
    """`ADD` if an edit has to put the URL in quotation marks."""


@dataclass(frozen=True, slots=True)
class UrlEdit:
    """A change of one configured URL from `old` to `new`."""

    place: UrlLocation
    old: str
    new: str
    method: HttpMethod = HttpMethod.POST
    quotes: QuoteChange = QuoteChange.NONE

    def back(self) -> "UrlEdit":
        """Return the edit that undoes this one."""
        added = self.quotes is QuoteChange.ADD
        quotes = QuoteChange.REMOVE if added else QuoteChange.NONE
        return UrlEdit(self.place, self.new, self.old, self.method, quotes)

    def outcome(self, url: str | None) -> "EditOutcome":
        """Return how this edit turned out, judging by the URL that is configured now.

        `url` is that URL, or None if no URL is configured in this place any more.
        """
        if url is None:
            return EditOutcome.GONE
        return EditOutcome.DONE if url in (self.old, self.new) else EditOutcome.CHANGED


class EditOutcome(StrEnum):
    """The outcome of an attempt to make an edit."""

    DONE = "done"
    """The configured URL is the new URL now, or was it before."""
    CHANGED = "changed"
    """The URL is neither the old nor the new one: somebody else changed it."""
    GONE = "gone"
    """There is no URL in this place any more."""
    BY_HAND = "by hand"
    """The URL is as it was, since what surrounds it doesn't allow the edit any more."""


class UrlSource(Protocol):
    """Files or data in which callback URLs are configured, such as code or an account's API."""

    @property
    def spec(self) -> UrlSourceSpec:
        """The JSON object from which a plan opens this URL source again; without secrets."""
        ...

    async def entries(self) -> Sequence[UrlEntry]:
        """Return all configured callback URLs.

        Raises ConfigurationError if they can't be read.
        """
        ...

    async def replace(self, edits: Sequence[UrlEdit]) -> Sequence[EditOutcome]:
        """Make these edits, each completely or not at all, and return the outcome of each.

        Edits with the outcome `DONE` are durable. Raises ConfigurationError if the URLs can't be
        changed.
        """
        ...


class UrlDeliveryHistory(Protocol):
    """Returns how many callbacks to a URL source's URLs were delivered, or failed."""

    async def totals(self, *, since: datetime, until: datetime) -> Sequence[UrlDeliveryTotals]:
        """Return the totals of callbacks created from `since` to `until`, by account and URL."""
        ...
