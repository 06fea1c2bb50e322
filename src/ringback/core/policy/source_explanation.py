"""Explains step by step why a callback has its source.

The steps have the order in which the policy decides: URL, fragment, hold, phase, default. A replay
from another source, a test event and a batch of an event stream don't ask the policy, and have a
step of their own instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from ringback.core.policy.source_policy import (
    CallbackSourceSelection,
    Phase,
    PhaseHold,
    Policy,
    Source,
    SourceName,
)


class ExplanationStepName(StrEnum):
    """The steps that explain a callback's source, in their order."""

    URL = "url"
    FRAGMENT = "fragment"
    HOLD = "hold"
    PHASE = "phase"
    DEFAULT = "default"
    REPLAY = "replay"
    TEST_EVENT = "test_event"
    STREAM = "stream"


_Name: Final = ExplanationStepName


@dataclass(frozen=True, slots=True)
class SourceExplanationStep:
    """One step: what was looked at, and what it says about the source."""

    name: ExplanationStepName
    text: str
    """What the step says, in words."""
    source: SourceName | None = None
    """The source that the step is about: the one asked for, or the default; otherwise None."""
    hold: PhaseHold | None = None
    """The hold that covered the callback; only in the step `hold`."""
    phase: Phase | None = None
    """The phase of the callback; only in the step `phase`."""


@dataclass(frozen=True, slots=True)
class SourceExplanation:
    """The steps that led to a callback's source, and the one that decided."""

    steps: Sequence[SourceExplanationStep]
    decides: ExplanationStepName


def explain_selection(
    policy: Policy,
    selection: CallbackSourceSelection,
    *,
    at: datetime,
    account_sid: str,
    url: str,
    stay: PhaseHold | None = None,
) -> SourceExplanation | None:
    """Explain what a policy chose for a callback, or return None if it would choose otherwise.

    `at` is the time in the policy's calendar. `stay` is the policy's hold for all callbacks that is
    not part of it, but by which the server stays in one phase.

    A hold decides if its callback would have another source without it. If not, the fragment
    decides if the URL gets the source that it asks for, and the phase if it does not. The default
    decides if the URL asks for none.
    """
    asked = selection.asked
    if policy.choose(asked, at=at, account_sid=account_sid, url=url) != selection:
        return None
    hold, phase = policy.phase_of(at=at, account_sid=account_sid, url=url)
    by_date = policy.phase_at(at)
    is_allowed = asked in phase.may_ask
    if hold is not None and _source_in(by_date, asked) != selection.source:
        decides = _Name.HOLD
    elif asked is None:
        decides = _Name.DEFAULT
    else:
        decides = _Name.FRAGMENT if is_allowed else _Name.PHASE
    steps = (
        SourceExplanationStep(_Name.URL, url),
        _fragment(asked),
        SourceExplanationStep(_Name.HOLD, _hold_in_words(hold, is_stay=hold is stay), hold=hold),
        SourceExplanationStep(_Name.PHASE, _phase_in_words(phase, hold, by_date), phase=phase),
        SourceExplanationStep(
            _Name.DEFAULT, f"{'would be ' if is_allowed else ''}{phase.default}", phase.default
        ),
    )
    return SourceExplanation(steps, decides)


def explain_replay(
    url: str, selection: CallbackSourceSelection, original_sid: str
) -> SourceExplanation:
    """Explain the source of a callback that repeats another one from another source."""
    text = f"repeats {original_sid} from another source, which was chosen for the replay"
    return _without_policy(url, selection, _Name.REPLAY, text)


def explain_test_event(url: str, selection: CallbackSourceSelection) -> SourceExplanation:
    """Explain the source of a test event."""
    text = f"test events come from {Source.KORE}, whatever the URL asks for"
    return _without_policy(url, selection, _Name.TEST_EVENT, text)


def explain_stream(
    url: str, selection: CallbackSourceSelection, stream_sid: str
) -> SourceExplanation:
    """Explain the source of a request of the event stream with this SID."""
    source = selection.source
    text = f"{stream_sid} is a stream of {source}, whatever the policy says about callbacks"
    steps = (
        SourceExplanationStep(_Name.URL, url),
        SourceExplanationStep(_Name.STREAM, text, source),
    )
    return SourceExplanation(steps, _Name.STREAM)


def _without_policy(
    url: str, selection: CallbackSourceSelection, name: ExplanationStepName, text: str
) -> SourceExplanation:
    steps = (
        SourceExplanationStep(_Name.URL, url),
        _fragment(selection.asked),
        SourceExplanationStep(name, text, selection.source),
    )
    return SourceExplanation(steps, name)


def _source_in(phase: Phase, asked: SourceName | None) -> SourceName:
    return phase.default if asked is None or asked not in phase.may_ask else asked


def _fragment(asked: SourceName | None) -> SourceExplanationStep:
    text = "asks for nothing" if asked is None else f"asks for {asked}: #cbs={asked}"
    return SourceExplanationStep(_Name.FRAGMENT, text, asked)


def _hold_in_words(hold: PhaseHold | None, *, is_stay: bool) -> str:
    if hold is None:
        return "none for this URL"
    if is_stay:
        return f"the server keeps all callbacks in `{hold.phase}`"
    until = "" if hold.until is None else f" until {hold.until:%Y-%m-%d}"
    return f"{hold} stays in `{hold.phase}`{until}"


def _phase_in_words(phase: Phase, hold: PhaseHold | None, by_date: Phase) -> str:
    allowed = " and ".join(sorted(phase.may_ask, reverse=True))
    since = "" if phase.since is None or hold is not None else f", since {phase.since:%Y-%m-%d}"
    if hold is None:
        why = ""
    elif phase is by_date:
        why = "; it is the phase of the date, too"
    else:
        why = f"; by the date, it would be `{by_date.name}`"
    return f"`{phase.name}`{since}, allows {allowed}{why}"
