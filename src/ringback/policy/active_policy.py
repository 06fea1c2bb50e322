"""The active policy: one value, which another can replace while the server runs."""

from collections.abc import Callable
from dataclasses import replace

from ringback.core.policy.source_policy import Policy


class ActivePolicy:
    """Holds the policy that new callbacks are created by, and why a newer one is not active.

    A callback keeps the source that it was created with, so nothing else has to ask here.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._listeners = list[Callable[[], None]]()
        self.problem: str | None = None
        """Why what the settings file has now is not active; None where it is."""
        self.refusals = 0
        """How often the file could not be used since the start."""

    @property
    def policy(self) -> Policy:
        """The policy that picks the source of a callback that is created now."""
        return self._policy

    def listen(self, listener: Callable[[], None]) -> None:
        """Have this called after each change of the policy."""
        self._listeners.append(listener)

    def activate(self, policy: Policy) -> bool:
        """Put this policy in force, and return whether it differs from the one before.

        Its calendar goes on from the date that the server has reached.
        """
        self.problem = None
        policy = replace(policy, ahead=self._policy.ahead)
        if policy == self._policy:
            return False
        self._policy = policy
        for listener in self._listeners:
            listener()
        return True

    def refuse(self, problem: str) -> None:
        """Keep the policy, since what the file has now can't be used."""
        self.problem = problem
        self.refusals += 1
