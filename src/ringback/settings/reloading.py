"""Keeps the policy in force that the settings file has, while the server runs."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Final

from ringback.core.errors import Unusable
from ringback.core.source import Policy
from ringback.engine.policy_in_force import PolicyInForce
from ringback.settings.origin import Origin
from ringback.settings.record import Settings

# A change is taken over when two looks have found the same, and that within a second.
_LOOK_EVERY_SECONDS: Final = 0.4
_TAKES_EFFECT: Final = frozenset({"policy", "phase"})

_Mark = tuple[int, int, int] | None
"""What tells one state of a file from another; None where it can't be read."""

_log = logging.getLogger(__name__)


def policy_of(settings: Settings) -> Policy:
    """Return the policy that these settings put in force."""
    policy = settings.policy
    return policy if settings.phase is None else policy.held_in(settings.phase)


class Reloading:
    """Looks at the settings file twice a second and more, and reads it when it has changed.

    What somebody writes to between two looks, or while it is read, is left for a later one. A look
    costs one question to the file system: what tells programs of changes to files differs from
    system to system, and not every file system has it.
    """

    def __init__(
        self, origin: Origin, path: str, in_force: PolicyInForce, running: Settings
    ) -> None:
        self._load: Callable[[], Settings] = origin.load
        self._path = path
        self._in_force = in_force
        self._running = running
        self._asked = asyncio.Event()
        self._read = _mark(path)
        self._waiting_for_restart: list[str] = []

    def look_now(self) -> None:
        """Read the file at once, whether it has changed or not."""
        self._asked.set()

    async def run(self) -> None:
        """Look, for ever."""
        seen = self._read
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), _LOOK_EVERY_SECONDS)
            now = _mark(self._path)
            # A file that is being written is left alone until it stays as it is.
            is_settled, seen = now == seen, now
            if self._asked.is_set() or (is_settled and now != self._read):
                self._asked.clear()
                self._read = now
                await self._reload(now)

    async def _reload(self, mark: _Mark) -> None:
        found = await asyncio.to_thread(self._load_or_problem)
        if _mark(self._path) != mark:
            return  # perhaps half of it was read
        if isinstance(found, Unusable):
            self._in_force.refuse(str(found))
            _log.error("the policy stays as it was: %s", found)
        else:
            self._take(found)

    def _load_or_problem(self) -> Settings | Unusable:
        try:
            settings = self._load()
            self._refuse_new_sources(settings.policy)
        except Unusable as problem:
            return problem
        return settings

    def _take(self, settings: Settings) -> None:
        self._warn_of_others(settings)
        was_refused = self._in_force.problem is not None
        if self._in_force.take(policy_of(settings)) or was_refused:
            _log.info("the policy is that of %s now", self._path)

    def _refuse_new_sources(self, policy: Policy) -> None:
        """Refuse a policy over sources that only a restart would let this server send from."""
        new = [name for name in policy.sources if name not in self._running.sources]
        if new:
            names = ", ".join(new)
            raise Unusable(f"{self._path}: the policy has sources that need a restart: {names}")

    def _warn_of_others(self, settings: Settings) -> None:
        changed = [
            field.name
            for field in fields(Settings)
            if field.name not in _TAKES_EFFECT
            and getattr(settings, field.name) != getattr(self._running, field.name)
        ]
        if changed and changed != self._waiting_for_restart:
            names = ", ".join(changed)
            _log.warning("%s: what changed of %s needs a restart", self._path, names)
        self._waiting_for_restart = changed


def _mark(path: str) -> _Mark:
    try:
        state = Path(path).stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_ino, state.st_size
