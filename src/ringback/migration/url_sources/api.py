"""Reads and changes an account's callback URLs through its API, with Twilio's official client."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Self

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import ConfigurationError, InvalidCallbackUrl, missing_extra
from ringback.migration.url_source import (
    EditOutcome,
    UrlDeliveryHistory,
    UrlEdit,
    UrlEntry,
    UrlSourceSpec,
)
from ringback.migration.url_sources.place_names import url_place_of
from ringback.portal_client import PortalClient, RouteNotFound
from ringback.ports import UrlDeliveryTotals

if TYPE_CHECKING:
    from ringback.migration.url_sources.twilio_client import TwilioUrlClient

_AT_ONCE: Final = 8
"""The number of edits that are made at the same time."""


@dataclass(frozen=True, slots=True)
class ApiUrlSource:
    """The callback URLs of one account's fleets and Programmable Wireless SIMs.

    Implements `UrlSource` and `UrlDeliveryHistory`. The API has no compare-and-set: each URL is
    fetched and compared right before it is changed. If somebody else changes the URL in between,
    that change is lost.
    """

    account_sid: str
    server: str | None
    """The base URL of a Ringback; None for Twilio's hosts."""
    official: "TwilioUrlClient"

    @classmethod
    def open(cls, *, account_sid: str, auth_token: str, server: str | None = None) -> Self:
        """Return the URL source of this account; sends no request yet.

        Raises ConfigurationError if the official client isn't installed, or `server` isn't a valid
        URL.
        """
        try:
            # An optional dependency: only moves through the API need it.
            from ringback.migration.url_sources.twilio_client import TwilioUrlClient  # noqa: PLC0415 (see above)
        except ModuleNotFoundError as missing:
            raise ConfigurationError(str(missing_extra("`--api`", missing))) from None
        server = None if server is None else base_url(server)
        return cls(account_sid, server, TwilioUrlClient(account_sid, auth_token, server=server))

    @property
    def spec(self) -> UrlSourceSpec:
        """The account's SID and the server's URL, as a JSON object for the plan."""
        return {"kind": "api", "account": self.account_sid, "server": self.server}

    @property
    def deliveries(self) -> UrlDeliveryHistory | None:
        """The history of deliveries, which only a Ringback has; None for Twilio's hosts."""
        return None if self.server is None else self

    async def fingerprint(self) -> str | None:
        """Return the fingerprint of the server's data; None for Twilio's hosts.

        It is also None for a Ringback of an earlier version. No credentials are sent. Raises
        PortalClientError if the server can't be asked, and ConfigurationError if it isn't a
        Ringback.
        """
        if self.server is None:
            return None
        client = PortalClient(self.server, "", "", root="fingerprint")
        try:
            answer: object = await asyncio.to_thread(client.get)
        except RouteNotFound:
            return None
        match answer:
            case {"fingerprint": str(found)}:
                return found
            case _:
                raise ConfigurationError(
                    f"the server at {self.server} shows no fingerprint of its data, so it is not a"
                    " Ringback; name another one with --server"
                )

    async def entries(self) -> Sequence[UrlEntry]:
        """Return all configured URLs that the API shows: first of fleets, then of SIMs.

        Raises ConfigurationError if they can't be read.
        """
        return await asyncio.to_thread(lambda: list(self.official.urls()))

    async def replace(self, edits: Sequence[UrlEdit]) -> Sequence[EditOutcome]:
        """Make these edits, eight at the same time, and return the outcome of each.

        Raises ConfigurationError if an edit can't be made; others may have been made by then.
        """
        endings = list[EditOutcome]()
        for start in range(0, len(edits), _AT_ONCE):
            some = edits[start : start + _AT_ONCE]
            # Wait for all threads even if one fails: a thread can't be stopped, and must not
            # change URLs after this method has returned.
            made = await asyncio.gather(
                *(asyncio.to_thread(self._make, edit) for edit in some), return_exceptions=True
            )
            for ending in made:
                if isinstance(ending, BaseException):
                    raise ending
                endings.append(ending)
        return endings

    async def totals(self, *, since: datetime, until: datetime) -> Sequence[UrlDeliveryTotals]:
        """Return the totals of the callbacks created in this period, from a Ringback's portal."""
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
    """Return a server's URL as scheme, host and port, without a trailing slash.

    Raises ConfigurationError if the text has any other part.
    """
    try:
        url = CallbackUrl.parse(text)
    except InvalidCallbackUrl as refused:
        raise ConfigurationError(f"the server: {refused.message}") from None
    if url.credentials is not None or url.target != "/" or url.fragment is not None:
        raise ConfigurationError(
            f"{url.shown} is not the URL of a server; it must be like https://ringback.example:8080"
        )
    return f"{url.scheme}://{url.authority}"
