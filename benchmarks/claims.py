"""Claims and settles callbacks, without sending them: `python -m benchmarks.claims PLACE …`.

Each claim is of a few callbacks from each of several lanes, from where the last claim of the lane
ended, as the engine makes it. The results of a claim are saved by the next commit. Only the two
commits count. In each cycle, as many callbacks are added first.
"""

import argparse
import json
import time
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from typing import Final, TypeVar

import uvloop

from benchmarks.engine import (
    ACCOUNT_SID,
    callbacks_to,
    cluster_of,
    delivered_at_once,
    fill,
    open_store,
    share_lanes,
)
from benchmarks.figures import p50, p99
from benchmarks.processes import usage
from ringback.data_folder import OpenStore
from ringback.ports import BEGINNING, Lane, LaneQuota, Settlement, Transaction
from ringback.runtime.system_clock import SystemClock

T = TypeVar("T")
_LANES: Final = 200
_LANES_AT_ONCE: Final = 20
_FROM_EACH: Final = 10
_RENEW_EVERY: Final = 3.0
_CLOCK: Final = SystemClock()


class Cycle:
    """Claims and settles everything that waits, and notes how long that takes."""

    def __init__(
        self, store: OpenStore, server: int | None, *, marks: dict[Lane, datetime]
    ) -> None:
        self._store = store
        self._server = server
        self._marks = marks
        self._claims, self._settlements = list[float](), list[float]()
        self._count = 0
        self._cpu = 0.0

    async def run(self) -> dict[str, float]:
        server = self._server_cpu()
        renewed = time.monotonic()
        lanes, is_empty = list(self._marks), False
        while not is_empty:
            is_empty = True
            for at in range(0, _LANES, _LANES_AT_ONCE):
                is_empty &= not await self._pass(lanes[at : at + _LANES_AT_ONCE])
            if time.monotonic() > renewed + _RENEW_EVERY:
                await cluster_of(self._store).renew()
                renewed = time.monotonic()
        return {
            "count": self._count,
            "per_second": self._count / (sum(self._claims) + sum(self._settlements)) * 1e3,
            "cpu_us": self._cpu / self._count * 1e6,
            "server_us": (self._server_cpu() - server) / self._count * 1e6,
            "claim_p50": p50(self._claims),
            "claim_p99": p99(self._claims),
            "settlement_p50": p50(self._settlements),
            "settlement_p99": p99(self._settlements),
        }

    async def _pass(self, lanes: list[Lane]) -> int:
        now = _CLOCK.now()
        quotas = [LaneQuota(lane, _FROM_EACH, self._marks[lane]) for lane in lanes]
        claimed = await self._timed(self._claims, lambda tx: tx.callbacks.claim(quotas, now))
        results = list[Settlement]()
        for lane, (claims, next_due) in zip(lanes, claimed, strict=True):
            results += map(delivered_at_once, claims)
            if next_due is not None:
                self._marks[lane] = next_due
        if results:
            await self._timed(self._settlements, lambda tx: tx.callbacks.settle(results))
        else:
            self._claims.pop()
        self._count += len(results)
        return len(results)

    async def _timed(self, times: list[float], work: Callable[[Transaction], T]) -> T:
        began, cpu = time.perf_counter(), time.process_time()
        result = await self._store.transact(work, is_quick=True)
        self._cpu += time.process_time() - cpu
        times.append((time.perf_counter() - began) * 1e3)
        return result

    def _server_cpu(self) -> float:
        return 0.0 if self._server is None else usage(self._server).cpu_seconds


async def run(given: argparse.Namespace) -> list[dict[str, float]]:
    store = open_store(given.place, given.seal_key)
    await share_lanes(store, 1)
    urls = [f"http://10.1.0.{number}/hook?tenant=7" for number in range(_LANES)]
    marks = {Lane(ACCOUNT_SID, f"http://10.1.0.{number}:80"): BEGINNING for number in range(_LANES)}
    cycles = list[dict[str, float]]()
    for _ in range(given.cycles):
        await fill(store, islice(callbacks_to(*urls), given.count // given.cycles))
        await cluster_of(store).renew()
        cycles.append(await Cycle(store, given.server, marks=marks).run())
    await store.close()
    return cycles


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("place", help="a data folder, or the URL of a PostgreSQL database")
    parser.add_argument("count", type=int)
    parser.add_argument("--seal-key")
    parser.add_argument("--server", type=int, help="the first process of the database's server")
    parser.add_argument("--cycles", type=int, default=1)
    print(json.dumps({"cycles": uvloop.run(run(parser.parse_args()))}))


if __name__ == "__main__":
    main()
