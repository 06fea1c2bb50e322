"""`python -m tests.fuzz`: send inputs to the receiver, and count the results."""

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable

from tests.fuzz.parts import PARTS
from tests.fuzz.runner import Outcome, chunks_of, run_all

_EVERY = 5.0
_SHOWN = 5


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, metavar="COUNT")
    parser.add_argument("--seed", type=int, default=0, help="of the first chunk")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, metavar="COUNT")
    asked = parser.parse_args()
    chunks = chunks_of(asked.inputs, first_seed=asked.seed)
    began = time.perf_counter()
    outcomes = _watched(
        run_all(chunks, processes=asked.processes), of=sum(chunk.inputs for chunk in chunks)
    )
    for name in PARTS:
        _show(name, [outcome for outcome in outcomes if outcome.part == name])
    took = time.perf_counter() - began
    inputs = sum(outcome.inputs for outcome in outcomes)
    failing = sum(outcome.failure is not None for outcome in outcomes)
    print(f"\n{inputs} inputs in {took:.0f} s ({inputs / took:.0f} a second),", end=" ")
    print(f"in {len(chunks)} chunks, {failing} of them failing")
    return 1 if failing else 0


def _watched(outcomes: Iterable[Outcome], *, of: int) -> list[Outcome]:
    """Yield all outcomes, and meanwhile print failures and the progress."""
    done, failing, inputs = list[Outcome](), 0, 0
    began = shown = time.perf_counter()
    for outcome in outcomes:
        done.append(outcome)
        inputs += outcome.inputs
        if outcome.failure is not None and (failing := failing + 1) <= _SHOWN:
            print(f"{outcome.part}: {outcome.failure}", flush=True)
        if (now := time.perf_counter()) - shown > _EVERY:
            shown = now
            rate = inputs / (now - began)
            print(f"{inputs} of {of} inputs, {rate:.0f} a second, {failing} failing", flush=True)
    return done


def _show(name: str, outcomes: list[Outcome]) -> None:
    """Print the results of a part's inputs, the most frequent first."""
    counted = sum((outcome.counted for outcome in outcomes), Counter())
    inputs = sum(outcome.inputs for outcome in outcomes)
    rate = inputs / sum(outcome.took for outcome in outcomes)
    print(f"\n{name}: {inputs} inputs, {rate:.0f} a second in one process")
    print("  " + ", ".join(f"{what} {times}" for what, times in counted.most_common()))


if __name__ == "__main__":
    sys.exit(main())
