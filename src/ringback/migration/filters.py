"""Select the URLs of a plan, by conditions and by a percentage."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

from ringback.core.callback_urls.callback_url import CallbackUrl
from ringback.core.errors import ConfigurationError
from ringback.migration.url_source import UrlEntry

_FORM: Final = re.compile(r"(?P<key>[a-z]+)(?P<sign>!?=)(?P<pattern>.+)")
_KEYS: Final[Mapping[str, Callable[[UrlEntry, CallbackUrl], str]]] = {
    "account": lambda entry, _: entry.place.account_sid or "",
    "place": lambda entry, _: entry.place.name,
    "url": lambda _, url: url.shown,
    "source": lambda _, url: url.source or "none",
    "service": lambda entry, _: (entry.service or "none").partition(":")[0],
}


@dataclass(frozen=True, slots=True)
class UrlFilter:
    """A condition like `url=https://a.example/*`, `account!=AC…`, `source=none`.

    `*` matches any text.
    """

    text: str
    key: str
    pattern: re.Pattern[str]
    is_meant: bool
    """True if matching URLs are selected (`=`); False if all others are (`!=`)."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a condition.

        Raises ConfigurationError if the text isn't a known key, followed by `=` or `!=` and a
        pattern.
        """
        match = _FORM.fullmatch(text)
        if match is None or match["key"] not in _KEYS:
            raise ConfigurationError(
                f"{text!r} is not a condition; write {', '.join(f'{key}=…' for key in _KEYS)},"
                " or != to exclude matches; * matches any text"
            )
        pattern = re.compile(".*".join(map(re.escape, match["pattern"].split("*"))), re.DOTALL)
        return cls(text, match["key"], pattern, is_meant=match["sign"] == "=")

    def covers(self, entry: UrlEntry, url: CallbackUrl) -> bool:
        """Return True if this filter selects the URL.

        >>> from ringback.migration.url_source import UrlLocation
        >>> url = "https://a.example/p#cbs=kore"
        >>> entry = UrlEntry(UrlLocation("fleet HF1"), url)
        >>> UrlFilter.parse("place=fleet*").covers(entry, CallbackUrl.parse(url, sources=None))
        True
        >>> UrlFilter.parse("source!=kore").covers(entry, CallbackUrl.parse(url, sources=None))
        False
        """
        found = self.pattern.fullmatch(_KEYS[self.key](entry, url)) is not None
        return found is self.is_meant

    def names_one(self, entry: UrlEntry) -> bool:
        """Return True if this filter asks for callbacks of this URL's service, or for its place.

        A pattern for places or URLs doesn't count: it may cover such a URL without any intention.
        """
        service = self.key == "service" and self.is_meant
        return service or (self.key == "place" and self.text == f"place={entry.place.name}")


def rank(url: CallbackUrl) -> float:
    """Return the position of a URL's receiver in the order of moves, as a number from 0 to 1.

    The number is a hash of the URL without its fragment, so a URL keeps its position when it moves.
    """
    return int.from_bytes(sha256(url.wire.encode()).digest()[:8]) / 2**64
