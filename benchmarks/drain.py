"""An engine that delivers the due callbacks of a data file: `python -m benchmarks.drain FOLDER …`.

The time runs from the engine's start until every callback is settled in the store. The data file is
already open at the start, but none of it has been read.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import sys
import time
from pathlib import Path

import uvloop

from benchmarks.engine import engine_on, is_settled, open_store
from benchmarks.profiling import profiled
from benchmarks.receiving import Counter

_LONGEST = 600.0


async def run(
    folder: Path, control: str, count: int, *, ca_file: Path | None = None
) -> dict[str, float]:
    counter = await Counter.at(control)
    store = open_store(folder)
    gc.collect()
    gc.freeze()
    began, cpu = time.perf_counter(), time.process_time()
    async with engine_on(store, ca_file=ca_file):
        await counter.until(count, within=_LONGEST)
        while not await is_settled(store):  # noqa: ASYNC110 (as an operator would)
            await asyncio.sleep(0.002)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
    await store.close()
    counter.close()
    return {"per_second": count / took, "seconds": took, "cpu_us": cpu / count * 1e6}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("control", help="host:port of the receiver's control port")
    parser.add_argument("count", type=int)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--ca-file", type=Path, help="authority of the receiver's certificate")
    given = parser.parse_args()
    with profiled(sys.stdout) if given.profile else contextlib.nullcontext():
        result = uvloop.run(run(given.folder, given.control, given.count, ca_file=given.ca_file))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
