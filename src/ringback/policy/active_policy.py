"""The policy of a running server, which can be replaced without a restart."""

from collections.abc import Callable
from dataclasses import replace

from ringback.core.errors import ConfigurationError
from ringback.core.policy.policy_version import PolicyVersion
from ringback.core.policy.source_policy import PhaseHold, Policy


class ActivePolicy:
    """The policy in use, which chooses the source of new callbacks; it can be replaced.

    If the policy in the settings file could not be used, `problem` says why.
    """

    def __init__(self, policy: Policy, *, phase: str | None = None) -> None:
        """Use a policy until the first version is activated.

        With `phase`, this process keeps each policy in the phase with this name, whatever the date;
        an empty name stands for the first phase. This is never stored.
        """
        self._ahead = policy.ahead
        self._phase = phase
        self._policy = self.as_used(policy)
        self._listeners = list[Callable[[], None]]()
        self.version: PolicyVersion | None = None
        """The version of the policy that is in use; None until the store has been read."""
        self.problem: str | None = None
        """Why the policy in the settings file can't be used; None if it can be."""
        self.unusable: str | None = None
        """Why this process can't use the newest version, and keeps an older one; usually None."""
        self.behind: str | None = None
        """Why the policy in the settings file is not in force, though valid; None if it is."""
        self.refusals = 0
        """How often the settings file has been refused since the start."""

    @property
    def policy(self) -> Policy:
        """The policy that chooses the source of a callback that is created now."""
        return self._policy

    @property
    def stored(self) -> Policy:
        """The policy of the version in use, without the phase that only this process stays in."""
        if self.version is not None:
            return self.version.policy
        holds = self._policy.holds if self._phase is None else self._policy.holds[:-1]
        return Policy(self._policy.phases, holds)

    @property
    def number(self) -> int:
        """The number of the version in use; 0 until the store has been read."""
        return 0 if self.version is None else self.version.number

    @property
    def stay(self) -> PhaseHold | None:
        """The hold, not part of any version, by which this process stays in one phase, or None."""
        return None if self._phase is None else self._policy.holds[-1]

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change of the policy."""
        self._listeners.append(listener)

    def as_used(self, policy: Policy) -> Policy:
        """Return a policy as this process uses it: in its own phase, if it stays in one.

        The policy's calendar is as far ahead of the clock as at the start (see `Policy.ahead`).
        Raises ConfigurationError if the policy has no such phase.
        """
        policy = replace(policy, ahead=self._ahead)
        if self._phase is None:
            return policy
        names = [phase.name for phase in policy.phases]
        if self._phase and self._phase not in names:
            raise ConfigurationError(
                f"this server stays in the phase {self._phase!r} (--phase), which the policy"
                f" doesn't have; its phases are {', '.join(names)}"
            )
        return policy.held_in(self._phase or names[0])

    def activate(self, version: PolicyVersion) -> bool:
        """Replace the active policy by this version, and return True if its policy differs.

        Raises ConfigurationError like `as_used`.
        """
        policy = self.as_used(version.policy)
        self.version = version
        if policy == self._policy:
            return False
        self._policy = policy
        for listener in self._listeners:
            listener()
        return True

    def refuse(self, problem: str) -> None:
        """Note why the policy in the settings file can't be used; the active policy stays."""
        self.problem = problem
        self.refusals += 1
