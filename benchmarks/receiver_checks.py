"""T8: what it costs a receiver to verify a request of 1 KiB, beside the libraries used today.

The ratios are to the time of the library that verifies the same kind of signature, in the same
round. No library verifies KORE's plain hash, so its reference is the nearest, `standardwebhooks`:
one hash of the body. Twilio's JSON takes two hashes, one of them for the body.
"""

from statistics import median
from typing import Final

from benchmarks.figures import Figure, Target, ratio_at_most
from benchmarks.processes import run_module
from benchmarks.run import Run

_BESIDE: Final[tuple[tuple[str, str, Target | None], ...]] = (
    ("KORE, form", "standardwebhooks, JSON by SHA-256", ratio_at_most(0.3)),
    ("Twilio, form", "twilio, form", ratio_at_most(0.22)),
    ("Twilio, form", "twilio, form that somebody has parsed", ratio_at_most(1)),
    ("Twilio, JSON by SHA-256", "twilio, JSON by SHA-256", ratio_at_most(1)),
    ("Twilio, JSON by SHA-256", "standardwebhooks, JSON by SHA-256", None),
)


async def measure(run: Run) -> list[Figure]:
    times = run.size(300, quick=50)
    took = await run_module(
        "benchmarks.checking", *("--rounds", run.rounds, "--times", times), cores=run.cores.measured
    )
    return [_figure(took, ours, theirs, target) for ours, theirs, target in _BESIDE]


def _figure(took: dict[str, list[float]], ours: str, theirs: str, target: Target | None) -> Figure:
    ratios = [our / their for our, their in zip(took[ours], took[theirs], strict=True)]
    return Figure(
        "T8",
        f"{ours}, beside {theirs}",
        median(took[ours]),
        "µs",
        median(ratios),
        target,
        note=f"{median(took[theirs]):.1f} µs for theirs; {min(ratios):.2f} to {max(ratios):.2f}x",
    )
