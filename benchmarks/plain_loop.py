"""The reference of every ratio: one process that renders and sends, and does nothing else.

It has the same requests and receiver as the engine, but no database, queue or retries. Its client
and rendering are frozen: those of an old commit, see `frozen_plain_loop`. With `--today` it uses
the present ones, for information.

    python -m benchmarks.plain_loop URL --count N               as fast as possible
    python -m benchmarks.plain_loop URL --rate R --seconds S    at a steady rate, each one stamped
"""

import argparse
import asyncio
import gc
import importlib
import json
import os
import time
from itertools import islice
from typing import Any, Final

import uvloop

from benchmarks.pacing import paced
from benchmarks.processes import usage

AT_ONCE: Final = 64
"""The maximum number of requests that the loop has in flight."""
_FROZEN: Final = "benchmarks.frozen_plain_loop"
_TODAY: Final = "benchmarks.engine"

Parts = Any
"""The module that makes and sends the callbacks. Only the one in use is imported."""


async def as_fast_as_it_goes(parts: Parts, url: str, count: int) -> dict[str, object]:
    sender, send = parts.a_sender(), parts.send
    rss_mb = usage(os.getpid()).rss_mb
    waiting = list(islice(parts.callbacks_to(url), count))

    async def worker() -> None:
        while waiting:
            await send(sender, waiting.pop())

    gc.collect()
    gc.freeze()
    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE)))
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    await sender.close()
    return {"per_second": count / took, "cpu_us": cpu / count * 1e6, "rss_mb": rss_mb}


async def at_a_rate(parts: Parts, url: str, rate: float, seconds: float) -> dict[str, object]:
    sender, due_times, sending = parts.a_sender(), list[int](), set[asyncio.Task[None]]()
    callbacks = parts.callbacks_to(url)
    await parts.send(sender, next(callbacks))  # opens a connection, and warms up

    def fire(number: int, due: int) -> None:
        due_times.append(due)
        task = asyncio.create_task(parts.send(sender, parts.stamped(next(callbacks), number)))
        sending.add(task)
        task.add_done_callback(sending.discard)

    await paced(fire, rate=rate, count=int(rate * seconds))
    await asyncio.gather(*sending)
    await sender.close()
    return {"due": due_times}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--count", type=int)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--today", action="store_true", help="with the present client")
    given = parser.parse_args()
    parts = importlib.import_module(_TODAY if given.today else _FROZEN)
    if given.count:
        work = as_fast_as_it_goes(parts, given.url, given.count)
    else:
        work = at_a_rate(parts, given.url, given.rate, given.seconds)
    print(json.dumps(uvloop.run(work)))


if __name__ == "__main__":
    main()
