"""The callback URLs in use: those that are stored now, and those that recent requests have given.

A stored URL is set on a fleet or a SIM. It counts as it is configured now, whatever was sent to it
earlier. A URL that a request gives, such as one that sends a Command, is stored nowhere, so only
callbacks show that it is in use.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self

from ringback.core.policy.source_policy import SourceName, source_named

RECENT: Final = timedelta(days=8)
"""The period before now whose callbacks count: each callback is stored for at least this long.

It is longer than a week, so that a URL that is called once a week always counts.
"""


class UrlDeliveryTotals(NamedTuple):
    """The numbers of callbacks to one URL of an account, by status.

    Callbacks are counted separately for each source, and for each source that the URL asks for.
    """

    account_sid: str
    url: str
    """The callback URL as records show it: with its fragment, without its credentials."""
    source: SourceName
    source_asked: SourceName | None
    delivered: int
    undelivered: int
    """The number of callbacks that failed or were discarded."""
    retried: int
    """The number of callbacks that have not ended yet, after at least one failed attempt."""
    waiting: int
    """The number of callbacks that have not ended yet, without a failed attempt."""
    last: datetime | None = None
    """When the newest of these callbacks was created; None if an older server doesn't say."""
    last_delivered: datetime | None = None
    """When the newest of those that were delivered was created; None if there is none."""

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Self:
        """Return the totals in an answer of the portal, whose fields have the same names."""
        at = (_instant(record.get(name)) for name in ("last", "last_delivered"))
        numbers = (record[name] for name in ("delivered", "undelivered", "retried", "waiting"))
        source, asked = source_named(record["source"]), _asked(record)
        return cls(record["account_sid"], record["url"], source, asked, *numbers, *at)

    @property
    def callbacks(self) -> int:
        """The total number of callbacks."""
        return self.delivered + self.undelivered + self.retried + self.waiting

    def with_more(self, other: "UrlDeliveryTotals") -> "UrlDeliveryTotals":
        """Return the sum of these totals and `other`, which are of the same URL and sources."""
        return UrlDeliveryTotals(
            self.account_sid,
            self.url,
            self.source,
            self.source_asked,
            self.delivered + other.delivered,
            self.undelivered + other.undelivered,
            self.retried + other.retried,
            self.waiting + other.waiting,
            _newer(self.last, other.last),
            _newer(self.last_delivered, other.last_delivered),
        )


DeliveryKey = tuple[str, str, SourceName]
"""An account, a URL without its fragment, and a source."""


def by_receiver(sent: Iterable[UrlDeliveryTotals]) -> dict[DeliveryKey, UrlDeliveryTotals]:
    """Return the totals of each receiver by source, whatever the fragments of its URLs ask for."""
    found = dict[DeliveryKey, UrlDeliveryTotals]()
    for row in sent:
        key = row.account_sid, wire_of(row.url), row.source
        found[key] = found[key].with_more(row) if key in found else row
    return found


class StoredUrl(NamedTuple):
    """A callback URL that an account has set on one or more fleets or SIMs."""

    account_sid: str
    url: str
    """The callback URL as records show it: with its fragment, without its credentials."""
    source_asked: SourceName | None
    """The source that the URL asks for; None if it asks for none."""
    places: int
    """The number of fields of fleets and SIMs that have this URL."""
    date_updated: datetime
    """When one of these fleets and SIMs was changed last, in any field."""

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Self:
        """Return the URL in an answer of the portal, whose fields have the same names."""
        updated = datetime.fromisoformat(record["date_updated"])
        url = record["account_sid"], record["url"], _asked(record)
        return cls(*url, record["places"], updated)

    def with_more(self, other: "StoredUrl") -> "StoredUrl":
        """Return this URL with the places of `other`, which is the same URL, added."""
        newest = max(self.date_updated, other.date_updated)
        return self._replace(places=self.places + other.places, date_updated=newest)


class UrlUse(StrEnum):
    """How a URL is in use."""

    STORED = "stored"
    """It is set on a fleet or a SIM now."""
    REQUESTS = "requests"
    """It is stored nowhere, and has had a callback recently: requests give it."""
    FORMER = "former"
    """It is an earlier form of a stored URL: the fragment was changed after its last callback."""


@dataclass(frozen=True, slots=True)
class UrlInUse:
    """A callback URL of an account, and the callbacks that were recently created for it."""

    account_sid: str
    url: str
    """The callback URL as records show it: with its fragment, without its credentials."""
    asked: SourceName | None
    """The source that the URL asks for; None if it asks for none."""
    use: UrlUse
    places: int = 0
    """The number of fields of fleets and SIMs that have the URL now; 0 if it is not stored."""
    sent: Mapping[SourceName, int] = field(default_factory=dict[SourceName, int])
    """The number of callbacks that each source has sent to the URL in the time of `RECENT`."""
    last: datetime | None = None
    """When the newest of these callbacks was created; None if there is none, or it is unknown."""

    @property
    def callbacks(self) -> int:
        """The total number of callbacks."""
        return sum(self.sent.values())

    @property
    def wire(self) -> str:
        """The URL as requested, without its fragment; holds are compared with this text."""
        return wire_of(self.url)


_Key = tuple[str, str, SourceName | None]


@dataclass(slots=True)
class _Sent:
    by_source: dict[SourceName, int] = field(default_factory=dict[SourceName, int])
    last: datetime | None = None

    def add(self, row: UrlDeliveryTotals) -> None:
        self.by_source[row.source] = self.by_source.get(row.source, 0) + row.callbacks
        self.last = _newer(self.last, row.last)


def urls_in_use(stored: Iterable[StoredUrl], sent: Iterable[UrlDeliveryTotals]) -> list[UrlInUse]:
    """Return all URLs that are stored or were sent callbacks, sorted by account and URL.

    Each of `stored` is another URL; `sent` has the callbacks in the time of `RECENT`. If only the
    fragment of a stored URL was changed, callbacks to the earlier form come from requests if one of
    them is newer than the change. Any other change of the fleet or SIM counts as one, too: then the
    next callback shows that requests give the URL.
    """
    known = {one[:3]: one for one in stored}
    changed = dict[tuple[str, str], datetime]()
    for one in known.values():
        target = one.account_sid, wire_of(one.url)
        changed[target] = max(one.date_updated, changed.get(target, one.date_updated))
    counted = dict[_Key, _Sent]()
    for row in sent:
        counted.setdefault((row.account_sid, row.url, row.source_asked), _Sent()).add(row)
    nothing = _Sent()
    found = [
        UrlInUse(*key, UrlUse.STORED, one.places, of_it.by_source, of_it.last)
        for key, one in known.items()
        for of_it in (counted.get(key, nothing),)
    ]
    for key, of_it in counted.items():
        if key not in known:
            since = changed.get((key[0], wire_of(key[1])))
            is_former = since is not None and (of_it.last is None or of_it.last <= since)
            use = UrlUse.FORMER if is_former else UrlUse.REQUESTS
            found.append(UrlInUse(*key, use, 0, of_it.by_source, of_it.last))
    return sorted(found, key=lambda one: (one.account_sid, one.url, one.asked or ""))


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _asked(record: Mapping[str, Any]) -> SourceName | None:
    return None if record["source_asked"] is None else source_named(record["source_asked"])


def _newer(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return max(one, other)


def wire_of(url: str) -> str:
    """Return a URL without its fragment.

    >>> wire_of("https://a.example/p#cbs=kore")
    'https://a.example/p'
    """
    return url.partition("#")[0]
