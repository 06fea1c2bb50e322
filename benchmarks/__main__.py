"""`make bench`: see `python -m benchmarks --help`, or `make bench ARGS=--quick`."""

import argparse
import platform
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import uvloop

from benchmarks import (
    against,
    backlog,
    command_line,
    console,
    end_to_end,
    footprint,
    harness,
    https,
    interpreter,
    isolation,
    latency,
    many_sims,
    postgres,
    protected,
    receiver_checks,
    restarts,
    streams,
    years,
)
from benchmarks.figures import REFERENCE, Figure, cost, table, to_json
from benchmarks.peers import contest
from benchmarks.peers.environment import PeersMissing
from benchmarks.processes import ROOT, BenchmarkFailed, Cores, Product, pinned
from benchmarks.receiving import a_receiver
from benchmarks.run import Run

BENCHMARKS: Final[Mapping[str, Callable[[Run], Awaitable[list[Figure]]]]] = {
    "T0": harness.measure,
    "T1": backlog.measure,
    "T2": end_to_end.singles,
    "T3": end_to_end.batches,
    "T4": latency.to_the_receiver,
    "T5": latency.to_acceptance,
    "T6": contest.measure,
    "T7": footprint.measure,
    "T8": receiver_checks.measure,
    "T9": postgres.measure,
    "T10": isolation.measure,
    "T11": many_sims.measure,
    "T12": https.measure,
    "T13": latency.cpu_at_low_rates,
    "T14": restarts.measure,
    "T15": command_line.measure,
    "T16": years.measure,
    "T17": protected.measure,
    "T18": console.measure,
    "T19": streams.measure,
}
_PEERS: Final = "T6"
_UNDISTURBED: Final = 0.85
_PROFILABLE: Final = ("T1", "T2", "T3", "T4", "T5", "T7", "T10")


def main() -> None:
    given = _arguments()
    if given.against:
        sys.exit(_is_slower(given))
    ids = list(given.only or (id_ for id_ in BENCHMARKS if id_ != _PEERS))
    if given.peers and _PEERS not in ids:
        ids.append(_PEERS)
    cores = Cores.of_this_machine()
    print(f"{interpreter.describe()}; {platform.machine()}; {cores}")
    with pinned(cores.load):
        figures, problems = uvloop.run(_measure(ids, cores, given))
    if given.json:
        print(*problems, sep="\n")
        print(to_json(figures))
        sys.exit(1 if problems else 0)
    if figures:
        print(f"\n{table(figures)}\n\n{cost(figures)}")
    if _PEERS not in ids:
        print("\nT6 was left out: `make bench ARGS=--peers` runs taskiq and Celery beside us")
    for problem in problems:
        print(f"\n{problem}")
    missed = [f for f in figures if f.target is not None and not f.target.is_met_by(f)]
    print(f"\n{len(missed)} targets missed, {len(problems)} benchmarks without figures")
    sys.exit(1 if problems else 0)


def _is_slower(given: argparse.Namespace) -> bool:
    ids = given.only or against.IDS
    try:
        return against.compare(given.against, ids, pairs=given.pairs)
    except BenchmarkFailed as failure:
        print(failure)
        return True


async def _measure(
    ids: Sequence[str], cores: Cores, given: argparse.Namespace
) -> tuple[list[Figure], list[str]]:
    figures, problems = list[Figure](), list[str]()
    async with a_receiver(cores.load) as receiver:
        rounds = given.rounds or (1 if given.quick else 3)
        product, profiled = Product(given.product or ROOT), frozenset[str](given.profile or ())
        run = Run(receiver, cores, given.quick, rounds, product, profiled)
        for id_ in ids:
            began = time.perf_counter()
            try:
                figures += await BENCHMARKS[id_](run)
            except (BenchmarkFailed, PeersMissing, TimeoutError) as failure:
                problems.append(f"{id_} has no figures: {failure or 'it took too long'}")
            print(f"{id_}: {time.perf_counter() - began:.1f} s", flush=True)
        return await _reference(run) + figures, problems


async def _reference(run: Run) -> list[Figure]:
    """Return the figures of the reference loop: the frozen one, and that of today's client."""
    if not run.plains:
        return []
    today = [await run.plain_today() for _ in range(run.rounds)]
    rate = median(plain.per_second for plain in run.plains)
    spread = " to ".join(f"{each(p.per_second for p in run.plains):,.0f}" for each in (min, max))
    share = min(plain.share_of_core for plain in run.plains)
    busy = "" if share > _UNDISTURBED else "; THE MACHINE WAS BUSY, see the CPU column instead"
    return [
        Figure(
            REFERENCE,
            "the reference: render and send as commit 7042b8b did",
            rate,
            "requests/s",
            1.0,
            cpu_us=median(plain.cpu_us for plain in run.plains),
            note=f"measured {len(run.plains)} times, {spread}; each ratio is to the nearest one;"
            f" it had {share:.0%} of its core at least{busy}",
        ),
        Figure(
            REFERENCE,
            "the same with today's client, for information",
            median(plain.per_second for plain in today),
            "requests/s",
            median(plain.per_second for plain in today) / rate,
            cpu_us=median(plain.cpu_us for plain in today),
        ),
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="take only a minute; less exact")
    parser.add_argument(
        "--only",
        metavar="T1,T4",
        type=_ids,
        help=f"which benchmarks to run, of {','.join(BENCHMARKS)}",
    )
    parser.add_argument(
        "--rounds",
        metavar="N",
        type=int,
        help="how often to measure each rate, for the median [default: 3, quick: 1]",
    )
    parser.add_argument(
        "--peers", action="store_true", help="also T6: taskiq and Celery, installed once for this"
    )
    parser.add_argument(
        "--profile",
        metavar="T1",
        type=_profilable,
        help="print where these benchmarks spend their time",
    )
    parser.add_argument(
        "--json", action="store_true", help="print the figures as one line of JSON at the end"
    )
    parser.add_argument(
        "--product",
        metavar="FOLDER",
        type=Path,
        help="measure the Ringback in this working tree, with its .venv; --against uses it",
    )
    parser.add_argument(
        "--against",
        metavar="COMMIT",
        help="alternate with a commit, and print ratios to it"
        f" [default of --only: {','.join(against.IDS)}]; fails if this one is slower",
    )
    parser.add_argument(
        "--pairs",
        metavar="N",
        type=int,
        default=against.PAIRS,
        help=f"how often the two run [default: {against.PAIRS}; up to {against.MOST_PAIRS}"
        " if undecided by then]",
    )
    given = parser.parse_args()
    if given.against or given.product:
        unfit = [id_ for id_ in given.only or () if id_ not in against.COMPARABLE]
        if unfit:
            parser.error(f"{unfit[0]} can't measure another commit")
    return given


def _ids(text: str) -> list[str]:
    ids = [id_.strip().upper() for id_ in text.split(",")]
    if unknown := [id_ for id_ in ids if id_ not in BENCHMARKS]:
        raise argparse.ArgumentTypeError(f"no benchmark {unknown[0]}: {', '.join(BENCHMARKS)}")
    return ids


def _profilable(text: str) -> list[str]:
    ids = _ids(text)
    if unfit := [id_ for id_ in ids if id_ not in _PROFILABLE]:
        raise argparse.ArgumentTypeError(f"{unfit[0]} can't be profiled")
    return ids


if __name__ == "__main__":
    main()
