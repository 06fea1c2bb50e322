"""The policy that callbacks are created by: one value, which another can replace while all runs."""

from collections.abc import Callable
from dataclasses import replace

from ringback.core.source import Policy
from ringback.core.transition import Transition


class PolicyInForce:
    """Holds the transition in force, and why a newer one is not.

    A callback keeps the source that it was created with: it alone asks here, and only once.
    """

    def __init__(self, transition: Transition) -> None:
        self._transition = transition
        self._listeners = list[Callable[[], None]]()
        self.problem: str | None = None
        """Why what the settings file has now is not in force; None where it is."""
        self.refusals = 0
        """How often the file could not be used since the start."""

    @property
    def transition(self) -> Transition:
        """What chooses the source of a callback that is created now."""
        return self._transition

    def listen(self, listener: Callable[[], None]) -> None:
        """Have this called after each change of the policy."""
        self._listeners.append(listener)

    def take(self, policy: Policy) -> bool:
        """Put this policy in force, and return whether it is another one than before."""
        self.problem = None
        if policy == self._transition.policy:
            return False
        self._transition = replace(self._transition, policy=policy)
        for listener in self._listeners:
            listener()
        return True

    def refuse(self, problem: str) -> None:
        """Leave in force what is, since the file can't be used."""
        self.problem = problem
        self.refusals += 1
