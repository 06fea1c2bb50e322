"""The policy in use: how far its calendar is ahead of the clock, and the sources it picks from."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ringback.core.infrastructure import BUILT_IN, Sources
from ringback.core.source import Choice, Phase, Policy, SourceName


@dataclass(frozen=True, slots=True)
class Transition:
    """The policy in use, how far its calendar is ahead (`ringback dev --at`), and the sources."""

    policy: Policy
    ahead: timedelta = timedelta(0)
    sources: Sources = field(default_factory=lambda: BUILT_IN)

    def choose(
        self, asked: SourceName | None, *, now: datetime, account_sid: str, url: str
    ) -> Choice:
        """Pick the source of a callback that is created now."""
        at = self.date_at(now)
        return self.policy.choose(asked, at=at, account_sid=account_sid, url=url)

    def date_at(self, now: datetime) -> datetime:
        """Return which instant it is in the policy's calendar."""
        return now + self.ahead

    def phase_at(self, now: datetime) -> Phase:
        """Return the phase of the callbacks that no hold of an account or a URL covers."""
        return self.policy.phase_of(at=self.date_at(now), account_sid="", url="")[1]
