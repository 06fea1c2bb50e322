"""Lists the callback URLs that accounts have configured, and replaces one by another.

A configured URL is set on a fleet or a Programmable Wireless SIM, and gets callbacks until it is
changed. The URL that a SIM keeps for the callback about its final status counts as configured, too.
A URL in a single request, such as one that sends a Command, does not count.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from ringback.core.accounts.account import EVERY
from ringback.core.audit import SERVER, Actor, audit_entry
from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.policy.source_policy import SourceName
from ringback.core.policy.urls_in_use import StoredUrl
from ringback.core.sids import SidKind
from ringback.core.supersim.fleet import Fleet
from ringback.core.wireless.sim import WirelessSim
from ringback.ports import PageWindow, Records, Store, Transaction

PAGE_SIZE: Final = 1000
"""How many fleets, or SIMs, one page reads."""

Replaced = Literal["done", "changed", "gone"]
"""The result of replacing a URL: `changed` if another URL is configured now, `gone` if none is."""


class CallbackUrlSetting(NamedTuple):
    """The place of a configured callback URL: a record, and the API parameter that sets the URL."""

    sid: str
    """The SID of the fleet or the SIM."""
    parameter: str
    """The API parameter that sets the URL, such as `SmsCommandsUrl`."""


@dataclass(frozen=True, slots=True)
class ConfiguredUrl:
    """A configured callback URL, and the place where it is configured."""

    place: CallbackUrlSetting
    account_sid: str
    url: CallbackUrl
    method: HttpMethod
    date_updated: datetime
    """When the fleet or the SIM was changed last, in any field."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """The warnings given when the URL was set, without those that its text alone causes.

        An example is the warning that an egress in the URL is not defined in the settings.
        """
        if not self.url.warnings:
            return ()
        # Parsing the text again gives the warnings about the text; a new URL doesn't need them.
        read_anew = CallbackUrl.read_back(self.url.configured).warnings
        return tuple(each for each in self.url.warnings if each not in read_anew)


class UrlPageStart(NamedTuple):
    """The record at which a page of URLs starts: the first of a kind, or the next after `after`."""

    kind: SidKind
    after: str | None = None


FIRST: Final = UrlPageStart(SidKind.FLEET)


class ConfiguredUrlPage(NamedTuple):
    """A page of configured URLs, and the start of the next page; None after the last page."""

    found: list[ConfiguredUrl]
    next: UrlPageStart | None


def configured_urls(
    tx: Transaction,
    start: UrlPageStart = FIRST,
    *,
    account_sid: str | None = None,
    size: int = PAGE_SIZE,
) -> ConfiguredUrlPage:
    """Return a page of the configured URLs of an account, or of all accounts if none is given."""
    owner = EVERY if account_sid is None else account_sid
    records = _records(tx, start.kind).page(owner, {}, PageWindow(size, after=start.after))
    found = [url for record in records for url in _urls_of(record)]
    if len(records) == size:
        return ConfiguredUrlPage(found, start._replace(after=records[-1].sid))
    return ConfiguredUrlPage(found, _NEXT[start.kind])


class StoredUrlPage(NamedTuple):
    """The URLs of a page, each once, and the start of the next page; None after the last page.

    The same URL may be in other pages, too.
    """

    found: list[StoredUrl]
    next: UrlPageStart | None


def stored_url_page(
    tx: Transaction,
    start: UrlPageStart = FIRST,
    *,
    account_sid: str | None = None,
    size: int = PAGE_SIZE,
) -> StoredUrlPage:
    """Return the URLs in a page of the fleets and SIMs of an account, or of all accounts."""
    page = configured_urls(tx, start, account_sid=account_sid, size=size)
    each = (
        StoredUrl(one.account_sid, one.url.shown, one.url.source, 1, one.date_updated)
        for one in page.found
    )
    return StoredUrlPage(merged(each), page.next)


async def stored_urls(
    store: Store, *, account_sid: str | None = None, size: int = PAGE_SIZE
) -> list[StoredUrl]:
    """Return all stored URLs of an account, or of all accounts, each once, in several reads.

    A URL that changes meanwhile may be missing, or be there in both forms. Raises StoreUnavailable.
    """
    found, start = list[StoredUrl](), FIRST
    while start is not None:
        page = await store.read(
            lambda tx, start=start: stored_url_page(tx, start, account_sid=account_sid, size=size),
            asked_by=account_sid or EVERY,
        )
        found += page.found
        start = page.next
    # In a thread, since there may be very many URLs, and others are sent meanwhile.
    return await asyncio.to_thread(merged, found)


def merged(urls: Iterable[StoredUrl]) -> list[StoredUrl]:
    """Return each of these URLs once, with all its places."""
    found = dict[tuple[str, str, SourceName | None], StoredUrl]()
    for one in urls:
        known = found.get(one[:3])
        found[one[:3]] = one if known is None else known.with_more(one)
    return list(found.values())


def replace_callback_url(
    tx: Transaction,
    place: CallbackUrlSetting,
    *,
    old: str,
    new: str,
    account_sid: str | None = None,
    read_url: Callable[[str], CallbackUrl],
    now: datetime,
    actor: Actor = SERVER,
) -> Replaced:
    """Replace the URL `old` at this place by `new`; both include fragment and credentials.

    The method and the stored warnings (`ConfiguredUrl.warnings`) stay. If `account_sid` is given,
    records of other accounts count as gone. Raises InvalidCallbackUrl if `new` is invalid.
    """
    records = _records(tx, place.sid[:2])
    record: _Configuring | None = records.get(place.sid)
    if record is None or account_sid not in (None, record.account_sid):
        return "gone"
    found = {each.place: each for each in _urls_of(record)}.get(place)
    if found is None:
        return "gone"
    text = found.url.configured
    if text not in (old, new):
        return "changed"
    if text != new:
        url = read_url(new)
        url = url.with_warnings(*(each for each in found.warnings if each not in url.warnings))
        field = _FIELDS[place.sid[:2]][place.parameter]
        target = replace(getattr(record, field), url=url)
        changed = replace(record, **{field: target}, date_updated=now)
        records.save(changed)
        entry = audit_entry(
            *(actor, now, "ReplaceCallbackUrl", record.sid),
            account_sid=record.account_sid,
            before=record,
            after=changed,
        )
        if entry is not None:
            tx.audit.add(entry)
    return "done"


_Configuring = Fleet | WirelessSim


_FIELDS: Final[Mapping[str, Mapping[str, str]]] = {
    SidKind.FLEET: {"SmsCommandsUrl": "sms_commands", "IpCommandsUrl": "ip_commands"},
    SidKind.WIRELESS_SIM: {"CommandsCallbackUrl": "commands_to", "CallbackUrl": "final_to"},
}
"""For each kind of record: the API parameters that set a URL, and the fields that store it."""
_NEXT: Final = {SidKind.FLEET: UrlPageStart(SidKind.WIRELESS_SIM), SidKind.WIRELESS_SIM: None}


def _records(tx: Transaction, kind: str) -> Records[Any]:
    return tx.supersim.fleets if kind == SidKind.FLEET else tx.wireless.sims


def _urls_of(record: _Configuring) -> Iterator[ConfiguredUrl]:
    for parameter, field in _FIELDS[record.sid[:2]].items():
        target: CallbackTarget = getattr(record, field)
        if target.url is not None:
            place = CallbackUrlSetting(record.sid, parameter)
            yield ConfiguredUrl(
                place, record.account_sid, target.url, target.method, record.date_updated
            )
