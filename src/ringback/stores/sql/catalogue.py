"""Compares what the catalogue of a database says about its tables with what the schema makes.

The comparison is by properties, not by the text of statements: an upgrade, a dump and each version
of a database write them in another way.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ringback.core.errors import ConfigurationError

_MOST_NAMED: Final = 5
"""The most things that a message names."""
_ACTING: Final = frozenset({
    *("trigger", "disabled trigger", "rule", "view", "policy", "row-level security"),
    *("generated column", "child table"),
})  # fmt: skip
"""The kinds that change, copy, hide or show data by themselves."""


class CatalogueEntry(NamedTuple):
    """Something that a table has, or the table itself."""

    kind: str
    """Such as `column` or `index`."""
    table: str
    """The table that it belongs to; of a function, the function itself."""
    name: str
    """What messages call it."""
    properties: str
    """What is compared. Where the name matters, it is a part of this."""

    @property
    def shown(self) -> str:
        """What messages say of it, such as `column sid of callbacks`."""
        if self.name == self.table:
            return f"{self.kind} {self.name}"
        return f"{self.kind} {self.name} of {self.table}"


class CatalogueDifference(NamedTuple):
    """How a database differs from what the schema makes; each as messages say it."""

    missing: Sequence[str]
    """What is not there, or is not as it has to be."""
    foreign: Sequence[str]
    """What acts on the tables, but was not made by Ringback."""
    additional: Sequence[str]
    """What is there as well and does no harm, such as an index."""

    def refuse(self, place: str) -> None:
        """Raise ConfigurationError about this place if something is missing or foreign."""
        if self.missing:
            raise ConfigurationError(
                f"{place} is not whole: {_listed(self.missing)}. If it was restored from a backup,"
                " that did not end, or reported errors: restore it again, into an empty place"
            )
        if self.foreign:
            raise ConfigurationError(
                f"{place} has what Ringback has not made, and what acts on its data:"
                f" {_listed(self.foreign)}. Find out who made it; then remove it, or restore the"
                " data from a backup of before"
            )

    @property
    def shown(self) -> str:
        """The result in one line."""
        parts = (
            ("not whole: ", self.missing),
            ("not made by Ringback: ", self.foreign),
            ("additional: ", self.additional),
        )
        return "; ".join(f"{what}{_listed(named)}" for what, named in parts if named) or "whole"


def compare(
    wanted: Iterable[CatalogueEntry], found: Iterable[CatalogueEntry]
) -> CatalogueDifference:
    """Return how what was found differs from what is wanted."""
    wanted = [*wanted]
    left = Counter(_compared(entry) for entry in wanted)
    more = list[CatalogueEntry]()
    for entry in found:
        if left[_compared(entry)]:
            left[_compared(entry)] -= 1
        else:
            more.append(entry)
    others = {entry[:3]: entry for entry in more}
    missing, changed = list[str](), set[CatalogueEntry]()
    for entry in wanted:
        if not left[_compared(entry)]:
            continue
        left[_compared(entry)] -= 1
        other = others.get(entry[:3])
        if other is None:
            missing.append(f"{entry.shown} is missing")
        else:
            changed.add(other)
            missing.append(f"{entry.shown} is not as Ringback makes it")
    more = [entry for entry in more if entry not in changed]
    return CatalogueDifference(
        missing,
        [entry.shown for entry in more if entry.kind in _ACTING],
        [entry.shown for entry in more if entry.kind not in _ACTING],
    )


def _compared(entry: CatalogueEntry) -> tuple[str, str, str]:
    return entry.kind, entry.table, entry.properties


def _listed(named: Sequence[str]) -> str:
    more = len(named) - _MOST_NAMED
    return ", ".join(named[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
