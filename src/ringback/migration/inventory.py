"""List the configured callback URLs, each with its source in every phase and its warnings."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, Final

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import InvalidCallbackUrl
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.core.policy.source_policy import Policy, SourceName
from ringback.migration.redaction import shown
from ringback.migration.url_source import UrlEntry

_BEFORE_ALL: Final = datetime.min.replace(tzinfo=UTC)
_PUBLIC: Final = SsrfGuard()
_INWARD_NAMES: Final = re.compile(
    r"(.*\.)?(localhost|local|internal|lan|home\.arpa)\.?", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class InventoryLine:
    """One configured URL, as `migrate inventory` shows it."""

    entry: UrlEntry
    url: str
    """The URL without its credentials."""
    fragment: str | None
    asked: SourceName | None
    """The source that the URL's fragment asks for; None if it asks for none."""
    sources: Mapping[str, SourceName]
    """For each phase, by name, the source of the URL's callbacks; empty if the URL is invalid, or
    if another service sends them."""
    warnings: tuple[str, ...]

    @property
    def record(self) -> dict[str, Any]:
        """This line of the inventory as a JSON object."""
        return {
            "place": self.entry.place.name,
            "account_sid": self.entry.place.account_sid,
            "method": self.entry.method,
            "url": self.url,
            "fragment": self.fragment,
            "source_asked": self.asked,
            "sources": dict(self.sources),
            "service": self.entry.service,
            "warnings": list(self.warnings),
        }


def inventory(entries: Sequence[UrlEntry], policy: Policy) -> list[InventoryLine]:
    """Return an inventory line for each configured URL, in the order of the entries."""
    return [_line(entry, policy) for entry in entries]


def _line(entry: UrlEntry, policy: Policy) -> InventoryLine:
    beside = (*_of_another(entry), *entry.warnings, *([entry.fixed] if entry.fixed else []))
    try:
        url = CallbackUrl.parse(entry.url, policy.sources)
    except InvalidCallbackUrl as refusal:
        warnings = beside if entry.fixed else (*beside, refusal.message)
        return InventoryLine(entry, shown(entry.url), None, None, {}, warnings)
    oddities = (look(url) for look in _LOOKS)
    return InventoryLine(
        entry=entry,
        url=url.shown,
        fragment=url.fragment,
        asked=url.source,
        sources={}
        if entry.service
        else sources_by_phase(url, policy, account_sid=entry.place.account_sid),
        # A store keeps the warnings that it gave when the URL was saved, so some come twice.
        warnings=tuple(dict.fromkeys((*beside, *url.warnings, *filter(None, oddities)))),
    )


def _of_another(entry: UrlEntry) -> Iterator[str]:
    """Yield why the URL is not moved, if it is a callback of another service."""
    if entry.service:
        service, _, sign = entry.service.partition(": ")
        yield (
            f"it seems to be a callback of {service} ({sign}), and is moved only if you select it:"
            f" --select 'service={service}'"
        )


def sources_by_phase(
    url: CallbackUrl, policy: Policy, *, account_sid: str | None
) -> dict[str, SourceName]:
    """Return the source of a URL's callbacks in each phase, by the phase's name.

    A hold on the URL keeps its source the same in all phases.
    """
    found = dict[str, SourceName]()
    for phase in policy.phases:
        at = phase.since or _BEFORE_ALL
        choice = policy.choose(url.source, at=at, account_sid=account_sid or "", url=url.wire)
        found[phase.name] = choice.source
    return found


# ---- what is odd about a URL ---------------------------------------------------------------------


def _without_tls(url: CallbackUrl) -> str | None:
    if url.uses_tls:
        return None
    return "it is called without TLS: anyone on the network path can read and change its callbacks"


def _inward(url: CallbackUrl) -> str | None:
    if _INWARD_NAMES.fullmatch(url.hostname):
        return (
            f"{url.hostname} is a name that is valid only inside a machine or"
            " a network; callbacks can't reach it"
        )
    try:
        ip_address(url.hostname)
    except ValueError:
        return None
    return _PUBLIC.refusal_at(url.hostname)


def _several_parameters(url: CallbackUrl) -> str | None:
    if len([pair for pair in (url.query or "").split("&") if pair]) < 2:
        return None
    return (
        "its query has several parameters: Twilio signs them in their order, so no proxy may sort"
        " them, and KORE signs the URL without them"
    )


def _escaped_too_often(url: CallbackUrl) -> str | None:
    wire = url.wire.lower()
    if "%23cbs=" in wire or "%23rc=" in wire:
        return "its # is written %23, so the text after it isn't a fragment and has no effect"
    if "&amp;" in wire:
        return "its & is written &amp;, as in HTML; in a URL, write &"
    return None


_LOOKS: Final[Sequence[Callable[[CallbackUrl], str | None]]] = (
    _without_tls,
    _inward,
    _several_parameters,
    _escaped_too_often,
)
