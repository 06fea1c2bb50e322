"""What a table of an API says: every path, verb, parameter and field, and what each can be.

A kind is the two letters of a SID; `text`, `flag`, `number`, `amount`, `time`, `url`, `list`; the
options with `|` between them; or the names in an object with `,` between them, and a `,` behind a
single one. `?` behind it stands for null, `~` for the empty text.

Behind a parameter, `*` stands for required, `+` for one that no file declares, and `+*` for one
that is required though no file says so.
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
    """A verb on a path."""

    verb: str
    path: str
    statuses: tuple[int, ...]
    fields: dict[str, str]
    """Of the record that is answered, or of each in the list."""
    key: str | None = None
    """Of the list; None where one record is answered."""
    parameters: tuple[str, ...] = ()
    meta: Mapping[str, str] = META
    """Of the list."""

    @property
    def asked(self) -> str:
        """Verb and path."""
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
