"""Reads and changes the callback URLs in Ringback's own data, of one account or of all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ringback.core.accounts.account import Account
from ringback.core.audit import SERVER, Actor
from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import ConfigurationError, InvalidCallbackUrl
from ringback.migration.url_source import EditOutcome, UrlEdit, UrlEntry, UrlSourceSpec
from ringback.migration.url_sources.place_names import place_of, url_place_of
from ringback.operations.callback_urls import (
    FIRST,
    ConfiguredUrl,
    configured_urls,
    replace_callback_url,
)
from ringback.operations.delivery_totals import totals_of
from ringback.ports import Clock, Store, Transaction, UrlDeliveryTotals


def _no_guard(_: Transaction) -> None:
    """Allow all changes."""


_BATCH: Final = 100
"""The number of edits per transaction; few, because a server may be waiting to write."""


@dataclass(frozen=True, slots=True)
class OwnDataUrlSource:
    """The callback URLs in a Ringback's store; implements `UrlSource` and `UrlDeliveryHistory`."""

    store: Store
    folder: str = field(kw_only=True)
    """The data folder, which a plan stores to open the same data again."""
    clock: Clock = field(kw_only=True)
    account_sid: str | None = field(default=None, kw_only=True)
    """The account whose URLs are read; None for all accounts."""
    actor: Actor = field(default=SERVER, kw_only=True)
    """Who changes URLs, for the audit entries."""
    guard: Callable[[Transaction], object] = field(default=_no_guard, kw_only=True)
    """Called in each transaction that changes URLs; raises an exception if none may change."""

    @property
    def spec(self) -> UrlSourceSpec:
        """The data folder and the account, as a JSON object for the plan."""
        return {"kind": "store", "data": self.folder, "account": self.account_sid}

    async def entries(self) -> Sequence[UrlEntry]:
        """Return all configured URLs: first of fleets, then of SIMs, each newest first.

        Raises ConfigurationError if the data can't be read.
        """
        found, start = list[UrlEntry](), FIRST
        while start is not None:
            page = await self.store.read(
                lambda tx, start=start: configured_urls(tx, start, account_sid=self.account_sid)
            )
            found += map(_entry_of, page.found)
            start = page.next
        return found

    async def replace(self, edits: Sequence[UrlEdit]) -> Sequence[EditOutcome]:
        """Make these edits, and return the outcome of each.

        A URL is compared and changed in the same transaction. Raises ConfigurationError before any
        change if a new URL isn't valid. Also raises it if the data can't be written: then the edits
        of earlier transactions stay.
        """
        for edit in edits:
            try:
                _read_url(edit.new)
            except InvalidCallbackUrl as refused:
                raise ConfigurationError(f"{edit.place.name}: {refused.message}") from None
        endings = list[EditOutcome]()
        for start in range(0, len(edits), _BATCH):
            batch = edits[start : start + _BATCH]
            endings += await self.store.transact(lambda tx, batch=batch: self._make_all(tx, batch))
        return endings

    async def totals(self, *, since: datetime, until: datetime) -> Sequence[UrlDeliveryTotals]:
        """Return the totals of the callbacks created in this period."""
        return await totals_of(self.store, since=since, until=until, account_sid=self.account_sid)

    async def account(self, sid: str) -> Account | None:
        """Return the account with this SID and its secrets; None if it doesn't exist."""
        return await self.store.read(lambda tx: tx.accounts.get(sid))

    def _make_all(self, tx: Transaction, edits: Sequence[UrlEdit]) -> list[EditOutcome]:
        self.guard(tx)
        return [self._make(tx, edit) for edit in edits]

    def _make(self, tx: Transaction, edit: UrlEdit) -> EditOutcome:
        place, owner = url_place_of(edit.place), edit.place.account_sid
        if place is None or (
            self.account_sid is not None and owner not in (None, self.account_sid)
        ):
            return EditOutcome.GONE
        ending = replace_callback_url(
            tx,
            place,
            old=edit.old,
            new=edit.new,
            account_sid=owner or self.account_sid,
            read_url=_read_url,
            now=self.clock.now(),
            actor=self.actor,
        )
        return EditOutcome(ending)


def _read_url(text: str) -> CallbackUrl:
    # Accept any source: the server checks sources, and a plan names a valid one.
    return CallbackUrl.parse(text, sources=None)


def _entry_of(configured: ConfiguredUrl) -> UrlEntry:
    return UrlEntry(
        place_of(configured.place, configured.account_sid),
        configured.url.configured,
        configured.method,
        configured.warnings,
    )
