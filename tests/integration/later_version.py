"""A later version of Ringback, with one or two made-up migrations of PostgreSQL's schema.

The first one *expands* the schema, and this version uses the new column. The second one *contracts*
it: it removes what no version uses any more.
"""

import sys
from pathlib import Path
from typing import Any

from ringback.stores.postgres import schema
from ringback.stores.postgres.schema import PostgresMigration
from ringback.stores.sql import callback_rows

FOLDER = Path(__file__).with_name("later_migrations")
COUNTRY = "Utopia"
"""The value of the new column that only this version writes."""


def migrations(count: int) -> list[PostgresMigration]:
    """Return the real migrations, and this number of made-up ones after them."""
    known = [*schema._migrations()]
    for path in sorted(FOLDER.iterdir())[:count]:
        version = known[-1].version + 1
        text = path.read_text().replace("{before}", str(version - 1))
        known.append(PostgresMigration.read(version, text))
    return known


def use_the_new_column() -> None:
    """Before the modules are loaded that write callbacks, let them write one more column."""
    write = callback_rows.write_callback

    def write_with_country(*given: Any, **more: Any) -> Any:
        return *write(*given, **more), COUNTRY

    callback_rows.write_callback = write_with_country
    callback_rows.NEW_COLUMNS += ", country"  # pyright: ignore[reportConstantRedefinition] (the version to come has another)


if __name__ == "__main__":
    known_here = migrations(int(sys.argv.pop(1)))
    schema._migrations = lambda: iter(known_here)
    use_the_new_column()

    from ringback.cli.main import main

    main()
