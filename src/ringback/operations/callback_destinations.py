"""Lists an account's callback destinations: its configured URLs and those of recent callbacks."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Final, NamedTuple

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.ports import CallbackFilter, PageWindow, Transaction

MOST: Final = 100
"""The most destinations that are listed."""
_NEWEST: Final = PageWindow(1000)
"""How many of the newest fleets, SIMs and callbacks are searched for destinations."""


class CallbackUrlAndMethod(NamedTuple):
    """A callback URL, and the HTTP method that it is called with."""

    url: CallbackUrl
    method: HttpMethod

    @property
    def called(self) -> tuple[str, str | None, HttpMethod]:
        """The identity of a destination: its URL without fragment, its credentials, its method."""
        return self.url.wire, self.url.credentials, self.method


def destinations_of(tx: Transaction, account_sid: str) -> list[CallbackUrlAndMethod]:
    """Return the destinations of an account's callbacks without duplicates, at most `MOST`.

    The URLs configured for its newest fleets and SIMs come first, then those of its newest
    callbacks. Test events are left out, since they may go to URLs that somebody only tries out, and
    so are the batches of event streams.
    """
    found = chain(
        _of_fleets(tx, account_sid), _of_wireless(tx, account_sid), _of_callbacks(tx, account_sid)
    )
    each = (CallbackUrlAndMethod(to.url, to.method) for to in found if to.url is not None)
    return list(islice(_once(each), MOST))


def named(
    urls: Sequence[CallbackUrl], known: Sequence[CallbackUrlAndMethod]
) -> list[CallbackUrlAndMethod]:
    """Return the destinations in `known` that have these URLs; for other URLs, one with POST.

    A URL without credentials also matches known URLs that differ only in having credentials.
    """
    found = chain.from_iterable(
        [each for each in known if _is_meant(each, url)]
        or [CallbackUrlAndMethod(url, HttpMethod.POST)]
        for url in urls
    )
    return list(_once(found))


def _is_meant(known: CallbackUrlAndMethod, url: CallbackUrl) -> bool:
    is_same = known.url.wire == url.wire
    return is_same and url.credentials in (None, known.url.credentials)


def _once(destinations: Iterable[CallbackUrlAndMethod]) -> Iterator[CallbackUrlAndMethod]:
    seen = set[tuple[str, str | None, HttpMethod]]()
    for each in destinations:
        if each.called not in seen:
            seen.add(each.called)
            yield each


def _of_fleets(tx: Transaction, account_sid: str) -> Iterator[CallbackTarget]:
    for fleet in tx.supersim.fleets.page(account_sid, {}, _NEWEST):
        yield from (fleet.sms_commands, fleet.ip_commands)


def _of_wireless(tx: Transaction, account_sid: str) -> Iterator[CallbackTarget]:
    for sim in tx.wireless.sims.page(account_sid, {}, _NEWEST):
        yield from (sim.commands_to, sim.reset_to, sim.final_to)


def _of_callbacks(tx: Transaction, account_sid: str) -> Iterator[CallbackTarget]:
    for callback in tx.callbacks.page(account_sid, CallbackFilter(), _NEWEST):
        if not callback.has_events:
            yield CallbackTarget(callback.url, callback.method)
