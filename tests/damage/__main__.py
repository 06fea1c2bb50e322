"""`make damage`: damage data files in many seeded ways, and count the results."""

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from tests.damage.trial import drop, make_base, try_one


def main() -> None:
    """Run the trials of all seeds, or of one."""
    parser = argparse.ArgumentParser(prog="make damage")
    parser.add_argument("--seeds", type=int, default=2000, help="how many trials")
    parser.add_argument("--seed", type=int, help="run only this seed")
    asked = parser.parse_args()
    seeds = range(asked.seeds) if asked.seed is None else [asked.seed]
    counts = Counter[tuple[str, str]]()
    with tempfile.TemporaryDirectory() as name:
        base, expected = make_base(Path(name))
        for seed in seeds:
            folder = Path(name) / "trial"
            trial, ending = try_one(seed, base, folder, expected)
            drop(folder)
            counts[trial.file, ending] += 1
            if asked.seed is not None:
                print(trial.file, trial.what, ending, sep=": ")
    for (file, ending), count in sorted(counts.items()):
        print(f"{file:<16} {ending:<26} {count}")


if __name__ == "__main__":
    main()
