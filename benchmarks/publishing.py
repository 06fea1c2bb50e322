"""An engine that publishes events and delivers them: `python -m benchmarks.publishing FOLDER …`.

The time runs from the first event until all batches are settled in the store.
"""

import argparse
import asyncio
import gc
import json
import time
from pathlib import Path
from typing import Final

import uvloop

from benchmarks.engine import engine_on, is_settled, open_store, publish, subscribe, waiting_events
from benchmarks.processes import BenchmarkFailed
from benchmarks.receiving import Counter
from ringback.data_folder import OpenStore

_AT_ONCE: Final = 250
"""How many events one transaction publishes."""
_MOST_WAITING: Final = 10_000
_LOOK_AFTER: Final = 20
"""After how many transactions the number of waiting events is looked at."""


async def at_most_waiting(store: OpenStore, most: int) -> None:
    """Wait until no more than `most` events are in no batch yet."""
    while await waiting_events(store, limit=most + 1) > most:  # noqa: ASYNC110 (as an operator would)
        await asyncio.sleep(0.01)


async def run(given: argparse.Namespace) -> dict[str, float]:
    counter = await Counter.at(given.control)
    store = open_store(given.folder)
    await subscribe(store, given.url)
    gc.collect()
    gc.freeze()
    async with engine_on(store) as queue:
        began, cpu = time.perf_counter(), time.process_time()
        for first in range(0, given.count, _AT_ONCE):
            sims = (number % given.sims for number in range(first, first + _AT_ONCE))
            await publish(store, queue, given.url, sims)
            if first // _AT_ONCE % _LOOK_AFTER == 0:
                await at_most_waiting(store, _MOST_WAITING)
        await at_most_waiting(store, 0)
        while not await is_settled(store):  # noqa: ASYNC110 (as an operator would)
            await asyncio.sleep(0.01)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
    requests = (await counter.count()).count
    await store.close()
    counter.close()
    if not requests:
        raise BenchmarkFailed("no batch has arrived")
    return {
        "per_second": given.count / took,
        "cpu_us": cpu / given.count * 1e6,
        "in_a_batch": given.count / requests,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("url")
    parser.add_argument("control", help="host:port of the receiver's control port")
    parser.add_argument("count", type=int)
    parser.add_argument("sims", type=int)
    print(json.dumps(uvloop.run(run(parser.parse_args()))))


if __name__ == "__main__":
    main()
