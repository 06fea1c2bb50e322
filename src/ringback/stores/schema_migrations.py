"""Schema migrations: numbered SQL files, each applied once and in order."""

import re
from dataclasses import dataclass
from importlib.resources.abc import Traversable

from ringback.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class SchemaMigration:
    """One step of the schema; its file is named `NNNN_what_it_does.sql`."""

    version: int
    sql: str


def pending(folder: Traversable, *, version: int) -> list[SchemaMigration]:
    """Return the steps that a schema of this version has yet to take, in order.

    Raises ConfigurationError for a schema that is newer than this Ringback.
    """
    steps = sorted(_read(folder), key=lambda step: step.version)
    newest = steps[-1].version
    if version > newest:
        raise ConfigurationError(
            f"the data file has schema {version}, but this Ringback knows only {newest};"
            " use the newer Ringback that wrote it"
        )
    return [step for step in steps if step.version > version]


def _read(folder: Traversable) -> list[SchemaMigration]:
    named = ((re.match(r"(\d{4})_\w+\.sql$", file.name), file) for file in folder.iterdir())
    return [SchemaMigration(int(name[1]), file.read_text("utf-8")) for name, file in named if name]
