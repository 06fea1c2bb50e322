"""Judges how a receiver answered a rehearsal: a test event with the pending secret, and a forgery.

The command `ringback secrets rehearse` and the console show these judgements.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ringback.core.http.outcome import AttemptFailure
from ringback.core.policy.source_policy import Source
from ringback.probe.quick_check import WRONG_SECRET, fault_shown
from ringback.probe.redacted_response import ProbeResponse

_NO_ATTEMPT: Mapping[str, Any] = {}


class RehearsedReceiver(NamedTuple):
    """How a receiver answered a genuine test event and a forged one."""

    method: str
    url: str
    result: str | None
    """How the last attempt to send the genuine test event ended; None if none has."""
    status_code: int | None
    failure: str | None
    accepted: bool
    """True if it accepted the genuine test event."""
    accepts_forgeries: bool
    problem: str | None
    """Why it is not ready for the pending secret; None if it is."""

    @property
    def verdict(self) -> str:
        """The judgement in one or two words."""
        if self.accepts_forgeries:
            return "accepts all"
        match self.result:
            case "delivered":
                return "accepted" if self.problem is None else "not ready"
            case "refused":
                return f"refused {self.status_code}"
            case "unreachable":
                return "unreachable"
            case _:
                return "no answer"

    @property
    def more(self) -> str:
        """What the verdict leaves open; empty if nothing."""
        if self.accepts_forgeries:
            return "it accepted a forged test event too, so this proves nothing"
        match self.result:
            case "delivered":
                return self.problem or ""
            case "unreachable":
                return self.failure or ""
            case _:
                return ""


def judge_rehearsal(
    callback: Mapping[str, Any],
    attempt: Mapping[str, Any] | None,
    of_forgery: Mapping[str, Any] | None,
) -> RehearsedReceiver:
    """Judge a receiver by the last attempts to send it a test event, and its forgery.

    All three are as the portal API returns them; an attempt is None if there was none.
    """
    last, forged = attempt or _NO_ATTEMPT, _answer(of_forgery or _NO_ATTEMPT)
    fault = fault_shown(Source.KORE, _answer(last), {WRONG_SECRET: forged})
    return RehearsedReceiver(
        method=callback["method"],
        url=callback["url"],
        result=last.get("result"),
        status_code=last.get("status_code"),
        failure=last.get("failure"),
        accepted=last.get("result") == "delivered",
        accepts_forgeries=forged.is_accepted,
        problem=None if fault is None else fault.words,
    )


def _answer(attempt: Mapping[str, Any]) -> ProbeResponse:
    """Return the receiver's answer to an attempt, as the probe judges it."""
    failed = attempt.get("failure")
    failure = next((each for each in AttemptFailure if each.label == failed), None)
    words = attempt.get("reason") or "no answer came within 20 s"
    return ProbeResponse(attempt.get("status_code"), failure, words, 0.0)
