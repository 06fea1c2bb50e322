"""The policy of a running server, which can be replaced without a restart."""

from collections.abc import Callable
from dataclasses import replace

from ringback.core.policy.source_policy import Policy


class ActivePolicy:
    """The policy in use, which chooses the source of new callbacks; it can be replaced.

    If the policy in the settings file could not be used, `problem` says why.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._listeners = list[Callable[[], None]]()
        self.problem: str | None = None
        """Why the policy in the settings file is not active; None if it is active."""
        self.refusals = 0
        """How often the settings file has been refused since the start."""

    @property
    def policy(self) -> Policy:
        """The policy that chooses the source of a callback that is created now."""
        return self._policy

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change of the policy."""
        self._listeners.append(listener)

    def activate(self, policy: Policy) -> bool:
        """Replace the active policy, and return True if the new one differs.

        The policy's calendar stays as far ahead of the clock as before (see `Policy.ahead`).
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
        """Note why the policy in the settings file can't be used; the active policy stays."""
        self.problem = problem
        self.refusals += 1
