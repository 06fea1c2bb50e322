"""The reference of every ratio: one process that renders and sends, and does nothing else.

It has the same requests, client and receiver as the engine, but no database, queue or retries.

    python -m benchmarks.plain_loop URL --count N               as fast as possible
    python -m benchmarks.plain_loop URL --rate R --seconds S    at a steady rate, each one stamped
"""

import argparse
import asyncio
import gc
import json
import os
import time
from itertools import islice

import uvloop

from benchmarks.engine import AT_ONCE, a_sender, callbacks_to, send, stamped
from benchmarks.pacing import paced
from benchmarks.processes import usage


async def as_fast_as_it_goes(url: str, count: int) -> dict[str, object]:
    sender = a_sender()
    rss_mb = usage(os.getpid()).rss_mb
    waiting = list(islice(callbacks_to(url), count))

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


async def at_a_rate(url: str, rate: float, seconds: float) -> dict[str, object]:
    sender, due_times, sending = a_sender(), list[int](), set[asyncio.Task[None]]()
    callbacks = callbacks_to(url)
    await send(sender, next(callbacks))  # opens a connection, and warms up

    def fire(number: int, due: int) -> None:
        due_times.append(due)
        task = asyncio.create_task(send(sender, stamped(next(callbacks), number)))
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
    given = parser.parse_args()
    if given.count:
        work = as_fast_as_it_goes(given.url, given.count)
    else:
        work = at_a_rate(given.url, given.rate, given.seconds)
    print(json.dumps(uvloop.run(work)))


if __name__ == "__main__":
    main()
