"""A worker that T9 starts and stops: `python -m benchmarks.worker PLACE …`.

It prints a line when it is ready: it has its share of all lanes, if other processes share the
store. It delivers what is due from the next line of its input until the one after that. All
results are stored then, and the last line that it prints says what it has used.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import sys
import time

import uvloop

from benchmarks.engine import cluster_of, engine_on, open_store, share_lanes
from benchmarks.profiling import profiled

_RENEW_EVERY = 1.0


async def run(place: str, seal_key: str | None, workers: int) -> dict[str, float]:
    store = open_store(place, seal_key)
    await share_lanes(store, workers)
    gc.collect()
    gc.freeze()
    print("{}", flush=True)
    told = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
    while not told.done():
        await asyncio.wait([told], timeout=_RENEW_EVERY)
        await cluster_of(store).renew()
    cpu = time.process_time()
    async with engine_on(store):
        await asyncio.to_thread(sys.stdin.readline)
    cpu = time.process_time() - cpu
    print(json.dumps({"cpu_seconds": cpu}), flush=True)
    await store.close()
    return {"cpu_seconds": cpu}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("place", help="a data folder, or the URL of a PostgreSQL database")
    parser.add_argument("--seal-key")
    parser.add_argument("--workers", type=int, default=1, help="how many processes share the lanes")
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    with profiled(sys.stderr) if given.profile else contextlib.nullcontext():
        uvloop.run(run(given.place, given.seal_key, given.workers))


if __name__ == "__main__":
    main()
