"""The result of one probe case, and the report of a whole probe run."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from ringback.probe.case_kinds import ProbeCase
from ringback.probe.receiver_faults import ReceiverFaultKind


class CaseVerdict(StrEnum):
    """The verdict on one case."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_OBSERVED = "not observed"
    """The answers were right, but their effect wasn't counted."""
    NOT_RUN = "not run"
    NOT_FOR_IT = "does not apply"
    """The case tests an optional feature that this receiver doesn't support."""


OPEN: Final = frozenset({CaseVerdict.NOT_OBSERVED, CaseVerdict.NOT_RUN})
"""The verdicts that leave it open if the receiver would pass the case."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The result of one case."""

    case: ProbeCase
    verdict: CaseVerdict
    came: str
    """The receiver's answers and effects in words, or why the case wasn't run."""
    fault: ReceiverFaultKind | None = None
    """The fault that the case shows; None unless the case failed."""
    request: str = ""
    """The text of one request of the case, without secrets; empty if none was sent."""
    seconds: float = 0.0

    @property
    def told(self) -> dict[str, str]:
        """The texts about the case in all report formats, named `sent`, `expected` and `came`."""
        return {"sent": self.case.sends, "expected": self.case.expects, "came": self.came}


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """The report of a whole probe run against one receiver."""

    url: str
    """The receiver's URL without credentials."""
    started: datetime
    seconds: float
    results: tuple[CaseResult, ...]

    @property
    def faults(self) -> dict[ReceiverFaultKind, list[str]]:
        """The receiver's faults, root causes first, each with the names of cases that show it."""
        shown = {fault: list[str]() for fault in ReceiverFaultKind}
        for result in self.results:
            if result.fault is not None:
                shown[result.fault].append(result.case.name)
        return {fault: cases for fault, cases in shown.items() if cases}

    @property
    def is_ready(self) -> bool:
        """True if no fault was found."""
        return not self.faults

    @property
    def is_complete(self) -> bool:
        """True if all cases that apply were run, and all effects that they need were counted."""
        return not any(result.verdict in OPEN for result in self.results)

    def count(self, verdict: CaseVerdict) -> int:
        """Return the number of cases with this verdict."""
        return sum(result.verdict is verdict for result in self.results)


Effect = int | str
"""How much the receiver's counter went up, or a sentence that says why it wasn't counted."""
