"""The notation of an API's table: every path, method, parameter and field, with their kinds.

A kind is the two letters of a SID; `text`, `flag`, `number`, `amount`, `time`, `url`, `list`; the
options with `|` between them; or the names in an object with `,` between them, and a `,` after a
single one. A `?` after it means that null is possible, a `~` that the empty text is.

After a parameter, `*` means required, `+` that no file declares it, and `+*` that it is required
though no file says so.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

META: Final = {
    "first_page_url": "url",
    "key": "text",
    "next_page_url": "url?",
    "page": "number",
    "page_size": "number",
    "previous_page_url": "url?",
    "url": "url",
}
PAGES: Final = ("PageSize", "Page", "PageToken")
TOLD: Final = ("CallbackUrl", "CallbackMethod")


class Row(NamedTuple):
    """A method on a path."""

    verb: str
    path: str
    statuses: tuple[int, ...]
    fields: dict[str, str]
    """Fields of the record in the answer, or of each record in the list."""
    key: str | None = None
    """The key of the list in the answer; None if the answer is one record."""
    parameters: tuple[str, ...] = ()
    meta: Mapping[str, str] = META
    """The fields of the list's `meta`."""

    @property
    def asked(self) -> str:
        """Return the method and the path."""
        return f"{self.verb} {self.path}"


def made(path: str, fields: dict[str, str], *parameters: str, status: int = 201) -> Row:
    return Row("POST", path, (status,), fields, parameters=parameters)


def updated(path: str, fields: dict[str, str], *parameters: str) -> Row:
    return Row("POST", path, (200,), fields, parameters=parameters)


def listed(
    path: str, fields: dict[str, str], key: str, *filters: str, meta: Mapping[str, str] = META
) -> Row:
    return Row("GET", path, (200,), fields, key, (*filters, *PAGES), meta)


def fetched(path: str, fields: dict[str, str]) -> Row:
    return Row("GET", path, (200,), fields)


def deleted(path: str) -> Row:
    return Row("DELETE", path, (204,), {})
