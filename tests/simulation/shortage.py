"""Shortages that a process may meet in any world: files, ports, disk, time."""

import errno
import math
import os
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Final

from tests.simulation.plan import FAULTS_LAST, Lack, Plan, Spans
from tests.simulation.scheduler import Scheduler
from tests.simulation.trace import Trace

_KINDS: Final = ("names", "descriptors", "disk", "freeze", "clock")
_OF_FILES: Final = (errno.EMFILE, errno.ENFILE)
_ERRORS: Final = (*_OF_FILES, errno.ENOBUFS, errno.EADDRNOTAVAIL)
SHORT_OF: Final = tuple(map(os.strerror, _ERRORS))
"""The messages of the errors by which the machine reports a shortage."""
_STOPPED_FOR: Final = (0.5, 5.0, 16.0, 20.0)
"""The length of a stop in seconds; most limits on answers are 15."""
_CENTURY: Final = timedelta(days=36_525)
_HALF: Final = timedelta(days=18_262)
"""The time on a clock that was never set: about 1970."""


class Machine:
    """The machine of a process, which may run out of something that the process needs."""

    def __init__(self, plan: Plan, scheduler: Scheduler, random: Random, trace: Trace) -> None:
        self.is_sound = False
        """True once there is enough of everything for good."""
        self.was_short = -math.inf
        """When the last shortage was noticed."""
        self._plan = plan
        self._scheduler = scheduler
        self._random = random
        self._trace = trace

    def open_connection(self) -> None:
        """Raise OSError if no connection can be opened."""
        self._take(_ERRORS)

    def open_file(self) -> None:
        """Raise OSError if no file can be opened, as each lookup does."""
        self._take(_OF_FILES)

    def _take(self, errors: Collection[int]) -> None:
        now = self._scheduler.now
        lack = None if self.is_sound else self._plan.lack_at(now)
        if lack is not None and lack.error in errors and self._random.random() < lack.share:
            self.was_short = now
            words = os.strerror(lack.error)
            self._trace.note(now, "short", words)
            raise OSError(lack.error, words)


def with_shortages(plan: Plan) -> Plan:
    """Return the plan with the shortages for its seed: each kind is in one of five worlds."""
    random = Random(f"shortages {plan.seed}")
    what = frozenset(kind for kind in _KINDS if random.random() < 0.2)
    return replace(
        plan,
        names_hang=_spans(random, (2.0, 8.0, 20.0)) if "names" in what else (),
        lacks=_lacks(random) if "descriptors" in what else (),
        full_disk=_spans(random, (0.5, 5.0, 15.0)) if "disk" in what else (),
        freezes=_freezes(random, plan) if "freeze" in what else (),
        jumps=(*plan.jumps, *_leap(random, plan)) if "clock" in what else plan.jumps,
    )


def _spans(random: Random, lengths: tuple[float, ...]) -> Spans:
    begins = sorted(random.uniform(0.0, FAULTS_LAST) for _ in range(random.randint(1, 2)))
    return tuple((at, min(at + random.choice(lengths), FAULTS_LAST)) for at in begins)


def _lacks(random: Random) -> tuple[Lack, ...]:
    return tuple(
        Lack(begins, ends, random.choice(_ERRORS), random.choice((0.3, 1.0)))
        for begins, ends in _spans(random, (0.5, 5.0, 15.0))
    )


def _freezes(random: Random, plan: Plan) -> Spans:
    """Return the periods in which the process is stopped with requests in flight, short or long."""
    begins = sorted(
        random.choice(plan.requests).at + random.uniform(0.0, 0.1)
        for _ in range(random.randint(1, 2))
    )
    return tuple((at, min(at + random.choice(_STOPPED_FOR), FAULTS_LAST)) for at in begins)


def _leap(random: Random, plan: Plan) -> tuple[tuple[float, timedelta], ...]:
    """Return a large clock jump at about the time of a request, and the jump back."""
    by = random.choice((_CENTURY, -_HALF))
    at = max(0.0, random.choice(plan.requests).at + random.uniform(-0.5, 0.1))
    return ((at, by), (min(at + random.choice((0.1, 1.0, 10.0)), FAULTS_LAST), -by))
