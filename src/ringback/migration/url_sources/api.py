"""An account's API as a URL source, read and changed through the official client."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Self

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import ConfigurationError, InvalidCallbackUrl
from ringback.migration.url_source import (
    EditOutcome,
    UrlDeliveryHistory,
    UrlEdit,
    UrlEntry,
    UrlSourceSpec,
)
from ringback.migration.url_sources.place_names import url_place_of
from ringback.ports import UrlDeliveryTotals

if TYPE_CHECKING:
    from ringback.migration.url_sources.twilio_client import TwilioUrlClient

_AT_ONCE: Final = 8
"""Edits that are made at the same moment."""


@dataclass(frozen=True, slots=True)
class ApiUrlSource:
    """Answers `UrlSource` and `UrlDeliveryHistory`: fleets and Wireless SIMs of one account.

    The API has no compare-and-set: each URL is fetched and compared right before it is changed, and
    what somebody else changes in between is lost.
    """

    account_sid: str
    server: str | None
    """The base URL of a Ringback; None for Twilio's hosts."""
    official: "TwilioUrlClient"

    @classmethod
    def open(cls, *, account_sid: str, auth_token: str, server: str | None = None) -> Self:
        """Return the URLs of this account; nothing is asked yet.

        Raises ConfigurationError where the official client isn't installed, or the server is no
        URL.
        """
        try:
            # An optional dependency: only moves through the API need it.
            from ringback.migration.url_sources.twilio_client import TwilioUrlClient  # noqa: PLC0415
        except ModuleNotFoundError as missing:
            raise ConfigurationError(
                f"to move URLs through the API, the package {missing.name} is needed, which is not"
                " installed: pip install 'ringback[migrate]'"
            ) from None
        server = None if server is None else base_url(server)
        return cls(account_sid, server, TwilioUrlClient(account_sid, auth_token, server=server))

    @property
    def spec(self) -> UrlSourceSpec:
        """The account, and the server."""
        return {"kind": "api", "account": self.account_sid, "server": self.server}

    @property
    def deliveries(self) -> UrlDeliveryHistory | None:
        """How the callbacks went, which a Ringback knows; None at Twilio's hosts."""
        return None if self.server is None else self

    async def entries(self) -> Sequence[UrlEntry]:
        """Return all configured URLs that the API shows: of fleets and then of SIMs.

        Raises ConfigurationError where they can't be read.
        """
        return await asyncio.to_thread(lambda: list(self.official.urls()))

    async def replace(self, edits: Sequence[UrlEdit]) -> Sequence[EditOutcome]:
        """Make these edits, some at a time.

        Raises ConfigurationError where one can't be made; others may have been made by then.
        """
        endings = list[EditOutcome]()
        for start in range(0, len(edits), _AT_ONCE):
            some = edits[start : start + _AT_ONCE]
            # Waits for all, also where one fails: a thread can't be stopped, and must not change
            # URLs after this has returned.
            made = await asyncio.gather(
                *(asyncio.to_thread(self._make, edit) for edit in some), return_exceptions=True
            )
            for ending in made:
                if isinstance(ending, BaseException):
                    raise ending
                endings.append(ending)
        return endings

    async def totals(self, *, since: datetime, until: datetime) -> Sequence[UrlDeliveryTotals]:
        """Ask the portal of a Ringback how the callbacks created in this time went."""
        return await asyncio.to_thread(self.official.totals, since=since, until=until)

    def _make(self, edit: UrlEdit) -> EditOutcome:
        place = url_place_of(edit.place)
        if place is None or edit.place.account_sid not in (None, self.account_sid):
            return EditOutcome.GONE
        url = self.official.url_at(place)
        outcome = edit.outcome(url)
        if outcome is EditOutcome.DONE and url != edit.new:
            self.official.set_url(place, edit.new)
        return outcome


def base_url(text: str) -> str:
    """Return how the URL of a server is written, whatever it ends with.

    Raises ConfigurationError for what is no such URL.
    """
    try:
        url = CallbackUrl.parse(text)
    except InvalidCallbackUrl as refused:
        raise ConfigurationError(f"the server: {refused.message}") from None
    if url.credentials is not None or url.target != "/" or url.fragment is not None:
        raise ConfigurationError(
            f"{url.shown} is no server; it must be like https://ringback.example:8080"
        )
    return f"{url.scheme}://{url.authority}"
