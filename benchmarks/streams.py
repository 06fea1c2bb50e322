"""T19: events of many SIMs into one webhook, in batches of 50: stored, batched and delivered.

Each event is published in a transaction with others, as the simulation does. The events of a SIM
keep their order, so a SIM has one batch at a time under way.
"""

import tempfile
from statistics import median

from benchmarks.figures import Figure, at_least
from benchmarks.run import Run

_EVENTS = 100_000
_SIMS = 5_000


async def measure(run: Run) -> list[Figure]:
    count, rounds = run.size(_EVENTS, quick=10_000), list[dict[str, float]]()
    for _ in range(run.rounds):
        await run.receiver.counter.reset()
        with tempfile.TemporaryDirectory(prefix="ringback-") as folder:
            control = run.receiver.control
            rounds.append(
                await run.module(
                    "benchmarks.publishing", *(folder, run.receiver.url, control, count, _SIMS)
                )
            )
    rates = [one["per_second"] for one in rounds]
    return [
        Figure(
            "T19",
            "published events, delivered in batches",
            median(rates),
            "events/s",
            target=at_least(5_000),
            cpu_us=median(one["cpu_us"] for one in rounds),
            note=(
                f"{median(one['in_a_batch'] for one in rounds):.1f} events in a batch;"
                f" {min(rates):,.0f} to {max(rates):,.0f}"
            ),
        )
    ]
