"""Callback URLs that were found in a text, and their places."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.migration.url_source import UrlEntry, UrlLocation
from ringback.migration.url_sources.url_escaping import ESCAPED, UrlEscaping


@dataclass(frozen=True, slots=True)
class UrlInText:
    """One URL in a text."""

    start: int
    raw: str
    """As it is written there."""
    notation: UrlEscaping = ESCAPED
    fixed: str | None = None
    warnings: tuple[str, ...] = ()
    account_sid: str | None = None
    method: HttpMethod = HttpMethod.POST
    name: str = ""
    """What it is called there, for people."""

    @property
    def url(self) -> str:
        """The URL itself."""
        return self.notation.url(self.raw)

    def entry(self, place: UrlLocation) -> UrlEntry:
        """Return it as an entry of a URL source."""
        return UrlEntry(place, self.url, self.method, self.warnings, self.fixed)


def placed(
    matches: Iterable[UrlInText], text: str, file: str
) -> Iterator[tuple[UrlInText, UrlLocation]]:
    """Yield a file's matches with their places: file and line, and a number beyond the first."""
    seen = Counter[int]()
    line, at = 1, 0
    for match in sorted(matches, key=lambda match: match.start):
        line, at = line + text.count("\n", at, match.start), match.start
        seen[line] += 1
        number = f" ({seen[line]})" if seen[line] > 1 else ""
        name = f" {match.name}" if match.name else ""
        yield match, UrlLocation(f"{file}:{line}{number}{name}", match.account_sid)
