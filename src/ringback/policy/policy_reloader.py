"""Reloads the policy when the settings file changes, while the server runs."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ringback.core.errors import ConfigurationError
from ringback.core.policy.policy_version import PolicyPart
from ringback.policy.stored_policy import StoredPolicy
from ringback.ports import Clock
from ringback.runtime.database_outage import outlast
from ringback.runtime.file_watch import FilesState, FileWatch

# A change takes effect when two looks have found the same file, which is within a second.
_LOOK_EVERY_SECONDS: Final = 0.4

_log = logging.getLogger(__name__)


class PolicyReloader:
    """Looks at the settings file every 0.4 seconds, and reloads the policy when it has changed.

    A changed file is read once two looks in a row find it the same. If it changes while it is read,
    it is read again later.
    """

    def __init__(
        self,
        path: str,
        load: Callable[[], tuple[PolicyPart, Sequence[str]]],
        stored: StoredPolicy,
        *,
        clock: Clock,
    ) -> None:
        """Offer the policy of the settings file at `path` to the store whenever it changes.

        `load` returns the file's policy and the names of other settings that changed, which need a
        restart; it raises ConfigurationError if the file is invalid.
        """
        self._path = path
        self._load = load
        self._stored = stored
        self._clock = clock
        self._watch = FileWatch(Path(path), look_every=_LOOK_EVERY_SECONDS)
        self._waiting_for_restart: Sequence[str] = []

    def look_now(self) -> None:
        """Read the file at once, whether it has changed or not."""
        self._watch.look_now()

    async def run(self) -> None:
        """Watch the file and reload the policy, until the task is cancelled."""
        while True:
            await self._reload(await self._watch.changed())

    async def _reload(self, state: FilesState) -> None:
        try:
            found = await asyncio.to_thread(self._load)
        except ConfigurationError as problem:
            found = problem
        if self._watch.state() != state:
            return  # it was changed while it was read, so half of it may be missing
        active = self._stored.active
        if isinstance(found, ConfigurationError):
            active.refuse(str(found))
            _log.error("the changed policy is not valid, so the old one stays active: %s", found)
            return
        part, changed = found
        self._warn_of(changed)
        before, was_refused = active.policy, active.problem is not None
        active.problem = None
        try:
            await outlast(lambda: self._stored.offer(part), clock=self._clock)
        except ConfigurationError as problem:
            _log.error("%s; until then, the old policy stays active", problem)
            return
        if active.behind is None and (active.policy != before or was_refused):
            _log.info("the policy of %s is active now", self._path)

    def _warn_of(self, changed: Sequence[str]) -> None:
        if changed and changed != self._waiting_for_restart:
            names = ", ".join(changed)
            _log.warning("%s: restart the server to apply the changes of %s", self._path, names)
        self._waiting_for_restart = changed
