"""Puts callbacks into a data file or database, directly: `python -m benchmarks.filling PLACE ...`.

The callbacks are waiting or, with `--history`, were delivered long ago. The store writes only a few
delivered callbacks; SQL multiplies them.
"""

import argparse
import json
import sqlite3
import time
from contextlib import closing
from itertools import islice
from pathlib import Path

import uvloop

from benchmarks.engine import callbacks_to, delivered_to, fill, in_a_day, open_store

_SEED = 1_000
_MULTIPLY = "INSERT INTO {table} SELECT {values} FROM {table} ORDER BY id LIMIT :more"
_MULTIPLIED = {"callbacks": {"sid": "'CB' || printf('%032x', id + :further)"}, "outcomes": {}}
"""The tables whose rows are multiplied, and the columns that differ besides the id."""


async def remember(folder: Path, url: str, count: int) -> dict[str, object]:
    """Insert delivered callbacks; return how many were inserted a second."""
    store = open_store(folder)
    began = time.perf_counter()
    await fill(store, islice(delivered_to(url), min(count, _SEED)))
    await store.close()
    with closing(sqlite3.connect(folder / "ringback.db")) as connection, connection:
        _multiply(connection, count)
    return {"per_second": count / (time.perf_counter() - began)}


def _multiply(connection: sqlite3.Connection, count: int) -> None:
    (there,) = connection.execute("SELECT count(*) FROM callbacks").fetchone()
    while there < count:
        more = min(there, count - there)
        span = connection.execute("SELECT max(id) - min(id) + 1 FROM callbacks").fetchone()[0]
        for table, own in _MULTIPLIED.items():
            names = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
            changed = {"id": "id + :further", **own}
            values = ", ".join(changed.get(name, name) for name in names)
            statement = _MULTIPLY.format(table=table, values=values)
            connection.execute(statement, {"further": span, "more": more})
        there += more


async def run(given: argparse.Namespace) -> dict[str, object]:
    store, count = open_store(given.folder, given.seal_key), given.count
    began = time.perf_counter()
    due = None if given.due else in_a_day()
    urls = [given.url.format(number + 1) for number in range(given.destinations)]
    await fill(store, islice(callbacks_to(*urls, due=due), count))
    await store.close()
    return {"per_second": count / (time.perf_counter() - began)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", help="a data folder, or the URL of a PostgreSQL database")
    parser.add_argument("url", help="with {} for the number of the destination, if there are many")
    parser.add_argument("count", type=int)
    parser.add_argument("--due", action="store_true", help="due now, not in a day")
    parser.add_argument("--history", action="store_true", help="delivered, not waiting")
    parser.add_argument("--destinations", type=int, default=1)
    parser.add_argument("--seal-key")
    given = parser.parse_args()
    work = remember(Path(given.folder), given.url, given.count) if given.history else run(given)
    print(json.dumps(uvloop.run(work)))


if __name__ == "__main__":
    main()
