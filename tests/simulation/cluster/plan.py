"""The plan of a world of several processes for each seed.

Each kind of fault is in some worlds and not in others, as in `tests.simulation.seeds`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random
from typing import Final

from ringback.core.retry_schedule import RetrySchedule
from tests.simulation.plan import Asked, Bounds, Place, Plan, Request, Stop
from tests.simulation.scheduler import Order
from tests.simulation.seeds import (
    choose_bounds,
    choose_places,
    choose_requests,
    choose_schedule,
    with_order_keys,
)

FAULTS: Final = (
    "receivers",
    "kills",
    "stops",
    "freezes",
    "freezes at the last moment",
    "partitions",
    "outages",
    "slow commits",
    "slow answers",
    "jumps",
    "people",
    "lost news",
    "comings",
)
_AFTERWARDS: Final = (25.0, 40.0)
"""When customers ask for something after the faults, in seconds from the end of the faults."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A period in which the store can't be reached."""

    begins: float
    ends: float
    hangs: bool
    """True if transactions hang until then; False if they fail at once."""


@dataclass(frozen=True, slots=True)
class Kill:
    """A process is killed, and started again later with a new identity."""

    at: float
    steps: int
    """How many steps of the world later it dies."""
    away: float | None
    """Seconds until the next start; None if it stays away until the faults are over."""


@dataclass(frozen=True, slots=True)
class PlannedPause:
    """Somebody pauses the destinations of a pattern."""

    at: float
    pattern: str
    lasts: float
    """Seconds until it ends."""
    ends_by_itself: bool
    """False if somebody resumes them."""


@dataclass(frozen=True, slots=True)
class ProcessPlan:
    """What happens to one process."""

    name: str
    is_worker: bool
    """False if it only accepts callbacks."""
    starts: float
    kills: tuple[Kill, ...]
    stops: tuple[Stop, ...]
    freezes: tuple[tuple[float, float], ...]
    """When it is stopped as by SIGSTOP, and for how long."""
    freezes_before_requests: tuple[tuple[int, float], ...]
    """The same right before the first byte of a request: of which, and for how long."""
    partitions: tuple[Cut, ...]
    jumps: tuple[tuple[float, timedelta], ...]
    machine: int = 0
    """The machine on which it runs: its processes know at once that one of them is dead."""


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """All decisions about a world of several processes, made beforehand."""

    base: Plan
    """Sizes, places, customers, the end of the faults."""
    processes: tuple[ProcessPlan, ...]
    outages: tuple[Cut, ...]
    slow_commits: float
    """The share of transactions that end up to 30 s later."""
    slow_answers: float
    """The share of transactions of which the process learns up to 30 s later that they ended."""
    news_lost: float
    """The share of announcements that are lost."""
    news_delay: float
    """The most seconds that an announcement takes."""
    pauses: tuple[PlannedPause, ...] = ()
    has_sessions: bool = False
    """True if each process has a session that shows that it lives; False without notifications."""
    session_faults: tuple[tuple[float, str], ...] = ()
    """When the server ends one session or all, is started again, or another one takes its place.

    Or a pooler gives the processes other sessions.
    """
    deaths_noticed: tuple[float, ...] = (0.0,)
    """Seconds after a death after which the server may end the session."""
    store_ahead: timedelta = timedelta(0)
    """How far the store's clock is ahead of the true time."""

    @property
    def is_protected(self) -> bool:
        """True if destinations may be limited, paused or the like."""
        return len(self.base.rules) > 1


def plan_of(seed: int) -> ClusterPlan:
    """Return the plan for a seed: one in two is about a worker that loses its leases, or shards."""
    plan = _plan_of(seed)
    requests = with_order_keys(seed, plan.base.requests)
    places = Random(f"machines {seed}")
    machines = places.choice((1, 2, 10))
    processes = tuple(replace(one, machine=places.randrange(machines)) for one in plan.processes)
    sessions = Random(f"sessions {seed}")
    return replace(
        plan,
        processes=processes,
        base=replace(plan.base, requests=requests),
        has_sessions=sessions.random() < 0.7,
        session_faults=_session_faults(sessions, plan),
        deaths_noticed=sessions.choice(((0.0,), (0.0,), (0.0, 1.0, 5.0, 60.0))),
    )


def _session_faults(random: Random, plan: ClusterPlan) -> tuple[tuple[float, str], ...]:
    """Return when which sessions end; some end while their processes are cut off or frozen."""
    lasts = plan.base.faults_last
    begins = [cut.begins for one in plan.processes for cut in one.partitions]
    begins += [at for one in plan.processes for at, _ in one.freezes]
    begins += [cut.begins for cut in plan.outages]
    times = [at + random.uniform(0.0, 2.0) for at in begins if random.random() < 0.7]
    times += _times(random, lasts, random.choice((0, 2, 6)))
    kinds = "one", "one", "all", "all", "server", "pooler"
    return tuple((at, random.choice(kinds)) for at in sorted(times))


def _plan_of(seed: int) -> ClusterPlan:
    random = Random(f"cluster {seed}")
    if seed % 4 == 1:
        return _handover(seed, random)
    if seed % 4 == 3:
        return _lost_lease(seed, random)
    faults = frozenset(fault for fault in FAULTS if random.random() < 0.4)
    lasts = random.choice((45.0, 60.0, 90.0))
    base = _base(seed, random, faults, lasts)
    workers, others = random.choice((2, 2, 3, 4)), random.choice((0, 1, 1, 2))
    names = [f"worker-{number}" for number in range(workers)]
    names += [f"api-{number}" for number in range(others)]
    return ClusterPlan(
        base=base,
        processes=tuple(choose_process(random, name, faults, lasts) for name in names),
        outages=_cuts(random, lasts, 2, (0.5, 8.0, 25.0)) if "outages" in faults else (),
        slow_commits=random.choice((0.005, 0.03)) if "slow commits" in faults else 0.0,
        slow_answers=random.choice((0.005, 0.03)) if "slow answers" in faults else 0.0,
        news_lost=random.choice((0.2, 1.0)) if "lost news" in faults else 0.0,
        news_delay=random.choice((0.01, 5.0)),
        store_ahead=timedelta(seconds=random.uniform(-20.0, 20.0)),
    )


def _lost_lease(seed: int, random: Random) -> ClusterPlan:
    """Return a world in which a worker loses its leases while its requests are in flight.

    Bursts of callbacks wait for a receiver that is slow; the faults come soon after them.
    """
    lasts = 110.0
    at = random.uniform(0.0, 20.0)
    what = random.choice(("freezes", "last moment", "partitions", "partitions", "slow", "away"))
    is_last_moment = what == "last moment"
    size = 1 if is_last_moment else random.choice((4, 9))
    first, slow = ("hanging",) * 2 if is_last_moment else ("healthy", "slow")
    places = places_of(first, *(random.choice(("hanging", slow)) for _ in range(2)))
    requests = [
        Request(at + random.uniform(0.0, 2.0), (callback_to(random, random.choice((1, 2))),) * size)
        for _ in range(random.choice((2, 4)))
    ]
    requests += _stream(random, 3 if is_last_moment else 30, at + 60.0, places=3)
    bounds = replace(
        choose_bounds(random),
        at_once=64 if is_last_moment else random.choice((8, 64)),
        per_destination=random.choice((1, 2)),
        most_open=random.choice((1, 2, 900, 900)),
        backlog=1_000_000,
    )
    quiet = choose_process(random, "worker-1", frozenset(), lasts)
    worker = _with_fault(random, replace(quiet, name="worker-0"), what, at)
    others = () if what == "away" else (quiet,)
    accepting = replace(quiet, name="api-0", is_worker=False)
    processes = (worker, accepting, *others)
    plan = plain_plan(seed, random, places, requests, processes, bounds=bounds, lasts=lasts)
    return replace(plan, slow_commits=0.1, slow_answers=0.1) if what == "slow" else plan


def _with_fault(random: Random, plan: ProcessPlan, what: str, at: float) -> ProcessPlan:
    """Return the plan of a process with a fault by which it loses its leases."""
    soon = at + random.uniform(0.0, 10.0)
    match what:
        case "freezes":
            last_moment = (random.randint(1, 8), random.uniform(25.0, 60.0))
            how_long = random.uniform(10.0, 60.0)
            return replace(
                plan, freezes=((soon, how_long),), freezes_before_requests=(last_moment,)
            )
        case "last moment":
            freezes = tuple((number, random.uniform(32.0, 60.0)) for number in (1, 4))
            return replace(plan, freezes_before_requests=freezes)
        case "partitions":
            is_set_back = random.random() < 0.5
            jumps = ((soon + 10.0, timedelta(seconds=-30.0)),) if is_set_back else ()
            return replace(plan, partitions=(_cut(random, soon, (16.0, 25.0, 40.0)),), jumps=jumps)
        case "away":
            return replace(plan, partitions=(_cut(random, soon, (65.0, 75.0)),))
        case _:
            return plan


def places_of(*characters: str) -> tuple[Place, ...]:
    return tuple(
        Place(f"r{number}.example", 80, "http", (f"93.184.{number}.1",), character, "quick")
        for number, character in enumerate(characters)
    )


def _handover(seed: int, random: Random) -> ClusterPlan:
    """Return a world in which shards change hands again and again while callbacks are accepted."""
    lasts = 60.0
    places = places_of(*(random.choice(("healthy", "slow")) for _ in range(8)))
    requests = _stream(random, 120, lasts, places=8)
    faults = frozenset({"comings", random.choice(("stops", "kills"))})
    processes = tuple(
        choose_process(random, f"worker-{number}", faults, lasts)
        for number in range(random.choice((3, 4)))
    )
    bounds = replace(choose_bounds(random), at_once=64, backlog=1_000_000)
    plan = plain_plan(seed, random, places, requests, processes, bounds=bounds, lasts=lasts)
    slow = random.choice((0.0, 0.03, 0.1))
    return replace(plan, slow_answers=slow, slow_commits=random.choice((0.0, slow)))


def plain_plan(
    seed: int,
    random: Random,
    places: tuple[Place, ...],
    requests: Sequence[Request],
    processes: tuple[ProcessPlan, ...],
    *,
    bounds: Bounds,
    lasts: float,
) -> ClusterPlan:
    return ClusterPlan(
        base=Plan(
            seed=seed,
            order=random.choice(tuple(Order)),
            tick=0.0,
            stalls=0.0,
            bounds=bounds,
            schedule=RetrySchedule.parse(random.choice(("1s,2s,5s", "500ms,30s"))),
            account_schedules=(None,),
            places=places,
            requests=tuple(requests),
            replays=(),
            discards=(),
            stops=(),
            crashes=(),
            deaths=(),
            jumps=(),
            outages=(),
            failing_commits=0.0,
            commit_seconds=0.001,
            faults_last=lasts,
        ),
        processes=processes,
        outages=(),
        slow_commits=0.0,
        slow_answers=0.0,
        news_lost=random.choice((0.0, 1.0)),
        news_delay=0.01,
        store_ahead=timedelta(seconds=random.uniform(-20.0, 20.0)),
    )


def _stream(random: Random, count: int, lasts: float, *, places: int) -> list[Request]:
    """Return requests for one callback each, all the time."""
    return [
        Request(random.uniform(0.0, lasts), (callback_to(random, random.randrange(places)),))
        for _ in range(count)
    ]


def callback_to(random: Random, place: int) -> Asked:
    return Asked(0, place, "/", "", "POST", f"Text={random.randrange(10**6)}", None)


def _base(seed: int, random: Random, faults: frozenset[str], lasts: float) -> Plan:
    accounts = random.choice((1, 1, 2))
    places = choose_places(random, faults)
    requests = choose_requests(random, accounts=accounts, places=len(places))
    afterwards = [
        at + lasts + random.uniform(*_AFTERWARDS)
        for at in (0.0, random.uniform(0.0, 40.0), random.uniform(0.0, 40.0))
    ]
    later = choose_requests(random, accounts=accounts, places=len(places))
    again = [_at(one, at) for one, at in zip(later, afterwards, strict=False)]
    during = choose_requests(random, accounts=accounts, places=len(places))
    again += [_at(one, random.uniform(0.0, lasts)) for one in during]
    spread = lasts / 45.0
    return Plan(
        seed=seed,
        order=random.choice(tuple(Order)),
        tick=random.choice((0.0, 0.00001)),
        stalls=0.0,
        bounds=choose_bounds(random),
        schedule=choose_schedule(random),
        account_schedules=tuple(
            choose_schedule(random) if random.random() < 0.3 else None for _ in range(accounts)
        ),
        places=places,
        requests=(*(_at(one, one.at * spread) for one in requests), *again),
        replays=_times(random, lasts, 4) if "people" in faults else (),
        discards=_times(random, lasts, 2) if "people" in faults else (),
        stops=(),
        crashes=(),
        deaths=(),
        jumps=(),
        outages=(),
        failing_commits=0.0,
        commit_seconds=random.choice((0.0005, 0.004)),
        faults_last=lasts,
    )


def _at(request: Request, at: float) -> Request:
    # Big batches are taken in by one process, which is simulated elsewhere.
    return Request(at, request.callbacks, request.key, request.is_refused)


def choose_process(random: Random, name: str, faults: frozenset[str], lasts: float) -> ProcessPlan:
    is_worker = name.startswith("worker")
    comes_late = "comings" in faults and name != "worker-0" and random.random() < 0.7
    return ProcessPlan(
        name=name,
        is_worker=is_worker,
        starts=random.uniform(0.0, lasts * 0.8) if comes_late else random.choice((0.0, 0.2)),
        kills=_kills(random, lasts) if "kills" in faults else (),
        stops=_stops(random, lasts) if "stops" in faults and is_worker else (),
        freezes=_freezes(random, lasts) if "freezes" in faults else (),
        freezes_before_requests=(
            _freezes_before_requests(random) if "freezes at the last moment" in faults else ()
        ),
        partitions=(
            _cuts(random, lasts, 2, (1.0, 10.0, 20.0, 40.0)) if "partitions" in faults else ()
        ),
        jumps=_jumps(random, lasts) if "jumps" in faults else (),
    )


def _times(random: Random, lasts: float, most: int) -> tuple[float, ...]:
    return tuple(sorted(random.uniform(0.0, lasts) for _ in range(random.randint(0, most))))


def _kills(random: Random, lasts: float) -> tuple[Kill, ...]:
    return tuple(
        Kill(at, random.randint(0, 60), random.choice((0.0, 0.5, 5.0, 25.0, None)))
        for at in _times(random, lasts, 2)
    )


def _stops(random: Random, lasts: float) -> tuple[Stop, ...]:
    return tuple(
        Stop(at, random.choice((0.0, 0.75, 5.0, 30.0)), random.choice((0.0, 1.0, 20.0)))
        for at in _times(random, lasts, 2)
    )


def _freezes(random: Random, lasts: float) -> tuple[tuple[float, float], ...]:
    return tuple((at, _how_long(random)) for at in _times(random, lasts, 2))


def _freezes_before_requests(random: Random) -> tuple[tuple[int, float], ...]:
    return tuple((random.randint(1, 12), _how_long(random)) for _ in range(random.randint(0, 2)))


def _how_long(random: Random) -> float:
    return random.choice((0.1, random.uniform(0.1, 5.0), random.uniform(10.0, 60.0)))


def _cuts(random: Random, lasts: float, most: int, lengths: tuple[float, ...]) -> tuple[Cut, ...]:
    cuts = (_cut(random, at, lengths) for at in _times(random, lasts, most))
    return tuple(replace(cut, ends=min(cut.ends, lasts)) for cut in cuts)


def _cut(random: Random, at: float, lengths: tuple[float, ...]) -> Cut:
    return Cut(at, at + random.choice(lengths), random.random() < 0.5)


def _jumps(random: Random, lasts: float) -> tuple[tuple[float, timedelta], ...]:
    """Return jumps of a clock to times within 30 s of the true time."""
    ahead, jumps = 0.0, list[tuple[float, timedelta]]()
    for at in _times(random, lasts, 3):
        new = random.uniform(-30.0, 30.0)
        jumps.append((at, timedelta(seconds=new - ahead)))
        ahead = new
    return tuple(jumps)
