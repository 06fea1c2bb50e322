"""T11: the cost to list, filter and fetch SIMs among many, compared with among few.

The operations run on the embedded store, without HTTP around them, which costs the same for both.
"""

import tempfile
from statistics import median
from typing import Final

from benchmarks.figures import Figure, ratio_at_most
from benchmarks.run import Run

_FEW: Final = 1_000
_MANY: Final = 100_000


async def measure(run: Run) -> list[Figure]:
    many = run.size(_MANY, quick=_MANY // 10)
    with tempfile.TemporaryDirectory(prefix="ringback-") as folder:
        took = await run.module(
            "benchmarks.looking_up", *(folder, _FEW, many, "--rounds", run.rounds)
        )
    return [_figure(f"{many:,} SIMs: {name}", rounds) for name, rounds in took.items()]


def _figure(name: str, rounds: list[list[float]]) -> Figure:
    ratios = [many / few for few, many in rounds]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}x"
    return Figure(
        "T11",
        name,
        median(many for _, many in rounds),
        "µs",
        median(ratios),
        ratio_at_most(2),
        note=f"{median(few for few, _ in rounds):,.0f} µs with {_FEW:,}; {spread}",
    )
