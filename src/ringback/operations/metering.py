"""Data usage of SIMs of either product: flows that begin, end, and stop at a limit."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from ringback.core.calendar import HOUR, INSTANT
from ringback.core.sims.data_flow import total_between, when_used
from ringback.ports import F, SteadyDataUses

MOST_AT_ONCE: Final = 1_000_000_000
"""Bytes that a device can use at once, each way."""
_A_BURST: Final = HOUR // INSTANT
"""How many times as much an hour at this rate would use as one instant does."""


def end_flows(flows: SteadyDataUses[F], sim_sid: str, now: datetime) -> None:
    """End the flows that a SIM has now."""
    for flow in flows.of_sim(sim_sid, since=now):
        flows.end(flow.sid, now)


def end_when_used(flows: SteadyDataUses[F], flow: F, left: int, now: datetime) -> datetime | None:
    """End a flow when it has used `left` more bytes; return when that is, or None for never."""
    reached = when_used(left, flow, since=now)
    if reached is not None:
        flows.end(flow.sid, reached)
    return reached


def used_since(
    flows: SteadyDataUses[F],
    sim_sid: str,
    since: datetime,
    now: datetime,
    *,
    of: Callable[[F], bool] = lambda _: True,
) -> int:
    """Return how many bytes a SIM has used from an instant on, up and down together.

    What its device used at once in that very instant counts, though it is dated to the one before.
    """
    before = since - INSTANT
    own = [flow for flow in flows.of_sim(sim_sid, since=before) if of(flow)]
    at_once = [flow for flow in own if flow.date_created == before]
    others = [flow for flow in own if flow.date_created != before]
    return total_between(at_once, before, now) + total_between(others, since, now)


def add_burst(
    flows: SteadyDataUses[F], flow: F, *, upload: int, download: int, now: datetime
) -> None:
    """Record that this much was used at once."""
    # Dated to the instant before this one: usage is counted up to now, and would not show it yet.
    burst = replace(
        flow,
        upload_per_hour=upload * _A_BURST,
        download_per_hour=download * _A_BURST,
        date_created=now - INSTANT,
        date_ended=now,
    )
    flows.add(burst)
