"""Looks SIMs up in two data files of its own: `python -m benchmarks.looking_up FOLDER FEW MANY`.

The files are queried alternately, so that a disturbance of the machine affects both, and their
answers hold the same number of SIMs. The time is that of the operation with its reads, but not of
the surrounding transaction, which is the same for both.
"""

import argparse
import gc
import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

import uvloop

from benchmarks.engine import ACCOUNT_SID, fill_with_sims, iccid_of, open_store, sim_called, sim_sid
from ringback.core.supersim.sim import SimStatus
from ringback.data_folder import OpenStore
from ringback.operations.supersim.sims import fetch_sim, list_sims
from ringback.ports import PageWindow, Transaction

Look = Callable[[Transaction, int], list[Any]]
Took = dict[str, list[list[float]]]

_PAGE: Final = 50
_IN_A_ROW: Final = 20
"""How many lookups there are in one transaction."""


def _list(tx: Transaction, window: PageWindow, **which: Any) -> list[Any]:
    return list_sims(tx, ACCOUNT_SID, window, **which)


def _page_after(tx: Transaction, number: int) -> list[Any]:
    after = fetch_sim(tx, ACCOUNT_SID, sim_called(max(number, _PAGE)))
    return _list(tx, PageWindow(_PAGE, after=after.sid))


_NEWEST: Final = PageWindow(_PAGE)
LOOKS: Final[Mapping[str, Look]] = {
    "list": lambda tx, _: _list(tx, _NEWEST),
    "list, a page anywhere": _page_after,
    "list by status": lambda tx, _: _list(tx, _NEWEST, status=SimStatus.READY),
    "list by fleet": lambda tx, _: _list(tx, _NEWEST, fleet="few"),
    "list by status and fleet": lambda tx, _: _list(
        tx, _NEWEST, status=SimStatus.INACTIVE, fleet="most"
    ),
    "list by ICCID": lambda tx, number: _list(tx, _NEWEST, iccid=iccid_of(number)),
    "fetch by unique name": lambda tx, number: [fetch_sim(tx, ACCOUNT_SID, sim_called(number))],
    "fetch by SID": lambda tx, number: [fetch_sim(tx, ACCOUNT_SID, sim_sid(number))],
}
"""The timed operations; those on a single SIM get one drawn at random."""


async def run(folder: Path, counts: Sequence[int], *, rounds: int, times: int) -> Took:
    """Return, for each operation, its time in each round: in one file, and in the other."""
    stores = [(open_store(folder / str(count)), count) for count in counts]
    for store, count in stores:
        await fill_with_sims(store, count)
    gc.collect()
    gc.freeze()
    lot = random.Random(0)
    took: Took = {name: [] for name in LOOKS}
    for _ in range(rounds):
        for name, look in LOOKS.items():
            samples = [
                [await _time(store, look, lot, n) for store, n in stores] for _ in range(times)
            ]
            took[name].append([median(each) for each in zip(*samples, strict=True)])
    for store, _ in stores:
        await store.close()
    return took


async def _time(store: OpenStore, look: Look, lot: random.Random, count: int) -> float:
    """Return how many µs one lookup takes."""
    numbers = [lot.randrange(count) for _ in range(_IN_A_ROW)]

    def work(tx: Transaction) -> float:
        began = perf_counter()
        found = [look(tx, number) for number in numbers]
        took = perf_counter() - began
        assert all(found)
        return took / _IN_A_ROW * 1e6

    return await store.transact(work)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("few", type=int)
    parser.add_argument("many", type=int)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--times", type=int, default=50, help="in each round")
    given = parser.parse_args()
    counts = given.few, given.many
    for count in counts:
        (given.folder / str(count)).mkdir()
    print(json.dumps(uvloop.run(run(given.folder, counts, rounds=given.rounds, times=given.times))))


if __name__ == "__main__":
    main()
