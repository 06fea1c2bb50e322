"""Puts waiting callbacks into a data file, directly: `python -m benchmarks.filling FOLDER ...`."""

import argparse
import json
import time
from itertools import islice
from pathlib import Path

import uvloop

from benchmarks.engine import callbacks_to, fill, in_a_day, open_store


async def run(folder: Path, url: str, count: int, *, is_due: bool) -> dict[str, object]:
    store = open_store(folder)
    began = time.perf_counter()
    due = None if is_due else in_a_day()
    await fill(store, islice(callbacks_to(url, due=due), count))
    await store.close()
    return {"per_second": count / (time.perf_counter() - began)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("url")
    parser.add_argument("count", type=int)
    parser.add_argument("--due", action="store_true", help="due now, not in a day")
    given = parser.parse_args()
    print(json.dumps(uvloop.run(run(given.folder, given.url, given.count, is_due=given.due))))


if __name__ == "__main__":
    main()
