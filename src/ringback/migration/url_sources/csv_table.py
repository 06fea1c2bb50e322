"""Find the callback URLs in a CSV file.

The `csv` module loses a file's exact quoting and line endings. This parser keeps each cell's
position in the text, so that an edit changes the URL and no other byte.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.errors import ConfigurationError
from ringback.migration.url_sources.url_escaping import UrlEscaping
from ringback.migration.url_sources.url_matches import UrlInText

_DELIMITERS: Final = ",;\t|"
_URL: Final = ("url", "callback_url")
_NAME: Final = ("name", "place")
_METHOD: Final = ("method", "callback_method")
_ACCOUNT: Final = ("account_sid",)
_BYTE_ORDER_MARK: Final = "\ufeff"
CELL: Final = UrlEscaping(
    re.compile(r'""|.', re.DOTALL),
    lambda token: token[0],
    lambda text: text.replace('"', '""'),
    marks='"',
)
"""How a URL is written in a cell: a quotation mark within quotes is doubled."""


@dataclass(frozen=True, slots=True)
class _Cell:
    start: int
    raw: str

    @property
    def inner(self) -> "_Cell":
        """The part of the cell within its quotation marks."""
        is_quoted = len(self.raw) > 1 and self.raw[0] == self.raw[-1] == '"'
        return _Cell(self.start + 1, self.raw[1:-1]) if is_quoted else self

    @property
    def text(self) -> str:
        raw = self.inner.raw
        return CELL.url(raw) if '"' in raw else raw


def matches_in_table(text: str, file: str) -> list[UrlInText]:
    """Return the callback URLs in a CSV table whose first row names the columns.

    Raises ConfigurationError if no column is named `url` or `callback_url`.
    """
    for delimiter in _DELIMITERS:
        header, *rows = list(_rows(text, delimiter)) or [[]]
        columns = {
            cell.text.strip(f" {_BYTE_ORDER_MARK}").lower(): at for at, cell in enumerate(header)
        }
        urls, *others = (
            [columns[name] for name in names if name in columns]
            for names in (_URL, _NAME, _METHOD, _ACCOUNT)
        )
        if urls:
            return list(_matches(rows, urls, *others))
    raise ConfigurationError(
        f"{file}:1: no column is named {' or '.join(_URL)}; name the column"
        " with the URLs so (account_sid, name and method are optional)"
    )


def _matches(
    rows: Sequence[list[_Cell]],
    urls: Sequence[int],
    names: Sequence[int],
    methods: Sequence[int],
    accounts: Sequence[int],
) -> Iterator[UrlInText]:
    """Yield the URL of each row; of several columns for the same thing, the first one counts."""
    for row in rows:
        url = _find(row, urls)
        if url is None or not url.text.strip():
            continue
        method, warnings = _method(_find(row, methods))
        name, account, inner = _find(row, names), _find(row, accounts), url.inner
        yield UrlInText(
            start=inner.start,
            raw=inner.raw,
            notation=CELL,
            warnings=warnings,
            account_sid=(account and account.text) or None,
            method=method,
            name=name.text if name else "",
        )


def _method(cell: _Cell | None) -> tuple[HttpMethod, tuple[str, ...]]:
    if cell is None or not cell.text:
        return HttpMethod.POST, ()
    try:
        return HttpMethod(cell.text.upper()), ()
    except ValueError:
        return HttpMethod.POST, (f"its method is {cell.text!r}; callbacks are sent by POST or GET",)


def _find(row: list[_Cell], columns: Sequence[int]) -> _Cell | None:
    for at in columns:
        if at < len(row):
            return row[at]
    return None


def _rows(text: str, delimiter: str) -> Iterator[list[_Cell]]:
    cell = re.compile(rf'("(?:[^"]|"")*"|[^{re.escape(delimiter)}\r\n]*)(\r?\n|\r|.|$)', re.DOTALL)
    row, at = list[_Cell](), 0
    while at < len(text) and (match := cell.match(text, at)):
        row.append(_Cell(at, match[1]))
        at = match.end()
        if match[2] != delimiter:
            yield row
            row = []
    if row:
        yield row
