"""The results of a run, one for each case, and the report that they make up. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from ringback.probe.probe_cases import ProbeCase
from ringback.probe.receiver_faults import ReceiverFaultKind


class CaseVerdict(StrEnum):
    """What is known of a case."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_OBSERVED = "not observed"
    """The answer was right; whether the effect was, nobody counted."""
    NOT_RUN = "not run"
    NOT_FOR_IT = "does not apply"
    """It is about something that a receiver need not support, and this one doesn't."""


OPEN: Final = frozenset({CaseVerdict.NOT_OBSERVED, CaseVerdict.NOT_RUN})
"""Verdicts that leave open whether the receiver is ready."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The result of one case."""

    case: ProbeCase
    verdict: CaseVerdict
    came: str
    """What the receiver did, or why the case wasn't run."""
    fault: ReceiverFaultKind | None = None
    """What is wrong, where it failed."""
    request: str = ""
    """The first request as it left, without secrets."""
    seconds: float = 0.0

    @property
    def told(self) -> dict[str, str]:
        """What was sent, what was expected and what came, by the words of all reports."""
        return {"sent": self.case.sends, "expected": self.case.expects, "came": self.came}


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """The results of a whole run."""

    url: str
    """Without credentials."""
    started: datetime
    seconds: float
    results: tuple[CaseResult, ...]

    @property
    def faults(self) -> dict[ReceiverFaultKind, list[str]]:
        """The faults that the receiver has, root causes first, and the cases that show each."""
        shown = {fault: list[str]() for fault in ReceiverFaultKind}
        for result in self.results:
            if result.fault is not None:
                shown[result.fault].append(result.case.name)
        return {fault: cases for fault, cases in shown.items() if cases}

    @property
    def is_ready(self) -> bool:
        """Whether no fault was found."""
        return not self.faults

    @property
    def is_complete(self) -> bool:
        """Whether every case that applies was run, and observed where that is needed."""
        return not any(result.verdict in OPEN for result in self.results)

    def count(self, verdict: CaseVerdict) -> int:
        """Return how many cases have this verdict."""
        return sum(result.verdict is verdict for result in self.results)


Effect = int | str
"""By how much the receiver's own counter went up, or why nobody counted that."""
