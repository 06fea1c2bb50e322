"""Finds the last rehearsal of a pending webhook secret among the stored test events."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ringback.console.api_caller import JsonObject
from ringback.core.callbacks.callback import FORGED
from ringback.probe.rehearsal import RehearsedReceiver, judge_rehearsal


@dataclass(frozen=True, slots=True)
class RehearsalAnswer:
    """One receiver of a rehearsal."""

    event: JsonObject
    """The genuine test event, as the portal API lists it."""
    forgery: JsonObject | None
    """The forged test event; None if none was sent, or it is not stored any more."""

    @property
    def judged(self) -> RehearsedReceiver | None:
        """The judgement; None as long as one of the test events is being sent."""
        both = (self.event, self.forgery)
        if any(one is not None and one["status"] == "scheduled" for one in both):
            return None
        forged = self.forgery and self.forgery["last_attempt"]
        return judge_rehearsal(self.event, self.event["last_attempt"], forged)

    @property
    def waits_because(self) -> str | None:
        """Why it is not sent, such as a pause; None if nothing holds it back."""
        return self.event["waits_because"]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A rehearsal: to each receiver, a test event with the pending secret, and a forged one."""

    began: str | datetime
    answers: Sequence[RehearsalAnswer]

    @property
    def is_over(self) -> bool:
        """True if all receivers have answered, or did not in time."""
        return all(one.judged is not None for one in self.answers)

    @property
    def ready(self) -> int:
        """The number of receivers that accept the pending secret and refuse a forgery."""
        judged = (one.judged for one in self.answers)
        return sum(one is not None and one.problem is None for one in judged)

    @property
    def not_ready(self) -> Sequence[str]:
        """The URLs of all other receivers."""
        return [
            one.event["url"]
            for one in self.answers
            if (judged := one.judged) is None or judged.problem is not None
        ]


def last_rehearsal(tests: Sequence[JsonObject], secret_id: str) -> Rehearsal | None:
    """Return the last rehearsal of a secret in a list of test events; None if it has none.

    `tests` are listed newest first. The events of one rehearsal have the same time, since one
    transaction creates them.
    """
    began = next((one["date_created"] for one in tests if one["secret_id"] == secret_id), None)
    if began is None:
        return None
    of_it = [one for one in reversed(tests) if one["date_created"] == began]
    forgeries = defaultdict[tuple[str, str], list[JsonObject]](list)
    for one in of_it:
        if one["secret_id"] == FORGED:
            forgeries[one["method"], one["url"]].append(one)
    answers = list[RehearsalAnswer]()
    for one in of_it:
        if one["secret_id"] == secret_id:
            waiting = forgeries[one["method"], one["url"]]
            answers.append(RehearsalAnswer(one, waiting.pop(0) if waiting else None))
    return Rehearsal(began, answers)
