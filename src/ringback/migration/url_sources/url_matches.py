"""A URL that was found in a text, and its position, like `app.py:12`."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.migration.url_source import QuoteChange, UrlEntry, UrlLocation
from ringback.migration.url_sources.url_escaping import ESCAPED, UrlEscaping

PLACEHOLDER: Final = re.compile(r"""[{}]|\$(?:[\w(]|\Z)|%(?:s|d(?![0-9A-Fa-f])|\()|<\w""")
FILLED_LATER: Final = (
    "the URL has a placeholder that is filled when the program runs; change it by hand"
)
NOT_WHOLE: Final = "the URL is built when the program runs; change the code that builds it"


class NotListed(StrEnum):
    """Why a URL in a text is not listed as a callback URL."""

    NOT_NAMED = "no parameter or variable of a callback URL is named beside it"
    COMMENT = "in a comment"


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
    key: str = ""
    """The parameter or variable that the URL is the value of."""
    needs_quotes: bool = False
    """True if the URL has no quotation marks, and needs them as soon as it has a fragment."""
    may_be_bare: bool = False
    """True if the URL has quotation marks, and could do without them if it had no fragment."""
    service: str | None = None
    """The service that this callback seems to belong to; None if it is a SIM callback."""

    @property
    def url(self) -> str:
        """The URL, with the text's escapes resolved."""
        return self.notation.url(self.raw)

    @property
    def end(self) -> int:
        """The position after the URL."""
        return self.start + len(self.raw)

    def moved(self, distance: int) -> Self:
        """Return the same URL in a text that has `distance` more characters before it."""
        return replace(self, start=self.start + distance)

    def by_hand(self, why: str) -> Self:
        """Return the same URL as one that can't be edited; an earlier reason stays."""
        return self if self.fixed else replace(self, fixed=why, needs_quotes=False)

    def entry(self, place: UrlLocation) -> UrlEntry:
        """Return the URL and its place as the entry that a URL source returns."""
        quotes = QuoteChange.ADD if self.needs_quotes else QuoteChange.NONE
        return UrlEntry(
            place, self.url, self.method, self.warnings, self.fixed, self.service, quotes
        )

    def edited(self, text: str, new: str, quotes: QuoteChange) -> tuple[int, str, int]:
        """Return the start and the end of the text to replace, and between them its new form."""
        written = self.notation.edited(self.raw, new)
        start, end = self.start, self.end
        if self.needs_quotes and quotes is not QuoteChange.REMOVE and "#" in new:
            return start, f'"{written}"', end
        is_quoted = text[start - 1 : start] == text[end : end + 1] == '"'
        if self.may_be_bare and is_quoted and quotes is QuoteChange.REMOVE:
            return start - 1, written, end + 1
        return start, written, end


def found_url(
    start: int, raw: str, notation: UrlEscaping, *, key: str = "", fixed: str | None = None
) -> UrlInText:
    """Return a URL that was found in a text; one with a placeholder can't be changed."""
    if PLACEHOLDER.search(raw):
        fixed = FILLED_LATER
    return UrlInText(start, raw, notation, fixed=fixed, key=key)


def without_repeats(matches: Iterable[UrlInText]) -> list[UrlInText]:
    """Return the URLs in the order of the text; the first one found at a position counts.

    A URL that is built when the program runs, such as `get("X", "https://…")`, is left out if a
    URL inside this expression was found.
    """
    found = dict[int, UrlInText]()
    for match in matches:
        found.setdefault(match.start, match)
    in_order = sorted(found.values(), key=lambda match: (match.start, -match.end))
    kept = list[UrlInText]()
    for match in in_order:
        if kept and match.start < kept[-1].end:
            if kept[-1].fixed != NOT_WHOLE:
                continue
            kept.pop()
        kept.append(match)
    return kept


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
