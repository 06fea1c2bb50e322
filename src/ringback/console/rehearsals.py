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
    forgery: JsonObject
    """The forged test event."""

    @property
    def judged(self) -> RehearsedReceiver | None:
        """The judgement; None as long as one of the test events is being sent."""
        if "scheduled" in (self.event["status"], self.forgery["status"]):
            return None
        return judge_rehearsal(self.event, self.event["last_attempt"], self.forgery["last_attempt"])

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
    transaction creates them. One without forgeries proves nothing, so it is none.
    """
    with_forgeries = {one["date_created"] for one in tests if one["secret_id"] == FORGED}
    began = next(
        (
            one["date_created"]
            for one in tests
            if one["secret_id"] == secret_id and one["date_created"] in with_forgeries
        ),
        None,
    )
    if began is None:
        return None
    of_it = [one for one in reversed(tests) if one["date_created"] == began]
    forgeries = defaultdict[tuple[str, str], list[JsonObject]](list)
    for one in of_it:
        if one["secret_id"] == FORGED:
            forgeries[_receiver_of(one)].append(one)
    answers = list[RehearsalAnswer]()
    for one in of_it:
        to_it = forgeries[_receiver_of(one)]
        if one["secret_id"] == secret_id and to_it:
            answers.append(RehearsalAnswer(one, to_it.pop(0)))
    return Rehearsal(began, answers)


def _receiver_of(event: JsonObject) -> tuple[str, str]:
    return event["method"], event["url"]
