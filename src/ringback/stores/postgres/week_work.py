"""What the modules that remove old weeks hand to each other.

`retired_weeks` says by a `WeekWork` what is kept of some weeks, and `week_exchange` returns what it
has done for each as a `RetiredWeek`. A `Leaf` is the partition of one table for one week.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple


class WeeksBusy(Exception):
    """Others need the tables, or do the same work."""


class WeeklyTable(NamedTuple):
    """A table that has a partition for each week."""

    name: str
    key: str = "id"
    """The column by which `kept` names its rows."""
    is_part: bool = False
    """True if only the rows stay that `kept` names with `has_part`."""
    primary: tuple[str, ...] = ("id",)
    """The columns of its primary key."""


ATTEMPTS: Final = WeeklyTable(
    "attempts", "callback_id", is_part=True, primary=("callback_id", "number")
)
"""The attempts of callbacks."""
OUTCOMES: Final = WeeklyTable("outcomes")
"""How callbacks have ended."""
CALLBACKS: Final = (WeeklyTable("callbacks"), OUTCOMES, ATTEMPTS)
"""The tables of callbacks, which are exchanged together."""


class Leaf(NamedTuple):
    """The partition of a table for a week."""

    table: WeeklyTable
    begins: datetime

    @property
    def name(self) -> str:
        """The name of the partition."""
        return f"{self.table.name}_{self.begins:%Y%m%d}"


class WeekWork(NamedTuple):
    """Weeks to look at, and what to keep of them."""

    tables: tuple[WeeklyTable, ...]
    weeks: Sequence[datetime]
    keep: str
    """The query for the ids to keep, each with whether its part is kept as well."""
    is_of_callbacks: bool = False
    """True if others may change the rows: these belong to callbacks."""
    stays: bool = False
    """True if the partition stays even if it is empty."""


class RetiredWeek(NamedTuple):
    """A week from which everything that had expired was removed."""

    tables: tuple[str, ...]
    """The tables whose partitions were replaced or dropped."""
    begins: datetime
    kept: int
    """The number of rows that were kept, of the first of these tables; 0 if nothing was."""
    freed: int
    """The number of bytes that the partitions now take less."""
    locked: float
    """Seconds for which nobody else could use the tables."""

    def __str__(self) -> str:
        """Say what was done."""
        return (
            f"removed {self.freed / 1e6:.1f} MB from {', '.join(self.tables)} of the week from"
            f" {self.begins:%Y-%m-%d}; {self.kept} rows were kept, and others waited for up to"
            f" {self.locked * 1000:.0f} ms"
        )
