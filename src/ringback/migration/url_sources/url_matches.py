"""A callback URL that was found in a text, and its position, like `app.py:12`."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.migration.url_source import UrlEntry, UrlLocation
from ringback.migration.url_sources.url_escaping import ESCAPED, UrlEscaping


@dataclass(frozen=True, slots=True)
class UrlInText:
    """One callback URL that was found in a text."""

    start: int
    raw: str
    """The URL exactly as it is written in the text, with escapes."""
    notation: UrlEscaping = ESCAPED
    fixed: str | None = None
    """Why the URL can't be changed; None if it can."""
    warnings: tuple[str, ...] = ()
    account_sid: str | None = None
    method: HttpMethod = HttpMethod.POST
    name: str = ""
    """The name of the URL in the text, which is shown as part of its place."""

    @property
    def url(self) -> str:
        """The URL, with the text's escapes resolved."""
        return self.notation.url(self.raw)

    def entry(self, place: UrlLocation) -> UrlEntry:
        """Return the URL and its place as the entry that a URL source returns."""
        return UrlEntry(place, self.url, self.method, self.warnings, self.fixed)


def placed(
    matches: Iterable[UrlInText], text: str, file: str
) -> Iterator[tuple[UrlInText, UrlLocation]]:
    """Yield each URL in a file with its place, like `app.py:12`.

    The second URL on a line has a place like `app.py:12 (2)`.
    """
    seen = Counter[int]()
    line, at = 1, 0
    for match in sorted(matches, key=lambda match: match.start):
        line, at = line + text.count("\n", at, match.start), match.start
        seen[line] += 1
        number = f" ({seen[line]})" if seen[line] > 1 else ""
        name = f" {match.name}" if match.name else ""
        yield match, UrlLocation(f"{file}:{line}{number}{name}", match.account_sid)
