"""Why a callback has its source, step by step."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.policy.source_explanation import (
    ExplanationStepName,
    SourceExplanation,
    SourceExplanationStep,
    explain_replay,
    explain_selection,
    explain_stream,
    explain_test_event,
)
from ringback.core.policy.source_policy import (
    NOTICE,
    CallbackSourceSelection,
    PhaseHold,
    Policy,
    Source,
)

TWILIO, KORE = Source.TWILIO, Source.KORE
URL = "https://a.example/hook"
BEFORE = datetime(2024, 10, 1, tzinfo=UTC)
BETWEEN = datetime(2024, 10, 16, tzinfo=UTC)
AFTER = datetime(2024, 11, 2, tzinfo=UTC)
JANUARY = datetime(2025, 1, 15, tzinfo=UTC)
Name = ExplanationStepName


def explain(
    asked: Source | None, at: datetime, *holds: PhaseHold, stay: PhaseHold | None = None
) -> SourceExplanation:
    policy = Policy(NOTICE.phases, (*holds, *([stay] if stay else [])))
    about = {"at": at, "account_sid": "AC1", "url": URL}
    selection = policy.choose(asked, at=at, account_sid="AC1", url=URL)
    found = explain_selection(policy, selection, **about, stay=stay)
    assert found is not None
    return found


def texts(found: SourceExplanation) -> list[str]:
    return [step.text for step in found.steps]


def step(found: SourceExplanation, name: Name) -> SourceExplanationStep:
    return next(step for step in found.steps if step.name is name)


def test_the_steps_are_those_of_the_policy_in_its_order() -> None:
    found = explain(KORE, BEFORE)
    assert [step.name for step in found.steps] == ["url", "fragment", "hold", "phase", "default"]
    assert texts(found) == [
        URL,
        "asks for kore: #cbs=kore",
        "none for this URL",
        "`before`, allows twilio and kore",
        "would be twilio",
    ]
    assert [step.source for step in found.steps] == [None, KORE, None, None, TWILIO]
    assert step(found, Name.PHASE).phase == NOTICE.phases[0]


@pytest.mark.parametrize(
    ("asked", "at", "decides"),
    [
        (KORE, BEFORE, Name.FRAGMENT),
        (TWILIO, BETWEEN, Name.FRAGMENT),
        (KORE, AFTER, Name.FRAGMENT),
        (TWILIO, AFTER, Name.PHASE),
        (None, BEFORE, Name.DEFAULT),
        (None, AFTER, Name.DEFAULT),
    ],
)
def test_without_a_hold_fragment_phase_or_default_decide(
    asked: Source | None, at: datetime, decides: Name
) -> None:
    assert explain(asked, at).decides is decides


def test_a_phase_that_does_not_allow_what_is_asked_for_gives_its_default() -> None:
    found = explain(TWILIO, AFTER)
    assert texts(found)[1:] == [
        "asks for twilio: #cbs=twilio",
        "none for this URL",
        "`after`, since 2024-11-02, allows kore",
        "kore",
    ]


HOLD = PhaseHold("before", url_prefix="https://a.example/", until=JANUARY)


def test_a_hold_decides_if_the_source_would_be_another_one_without_it() -> None:
    found = explain(None, AFTER, HOLD)
    assert found.decides is Name.HOLD
    assert step(found, Name.HOLD).hold == HOLD
    assert texts(found)[2:4] == [
        "https://a.example/ stays in `before` until 2025-01-15",
        "`before`, allows twilio and kore; by the date, it would be `after`",
    ]
    assert explain(TWILIO, AFTER, HOLD).decides is Name.HOLD


def test_a_hold_that_changes_nothing_does_not_decide() -> None:
    found = explain(None, BEFORE, replace(HOLD, until=None))
    assert found.decides is Name.DEFAULT
    assert texts(found)[2:4] == [
        "https://a.example/ stays in `before`",
        "`before`, allows twilio and kore; it is the phase of the date, too",
    ]
    assert explain(KORE, AFTER, HOLD).decides is Name.FRAGMENT


def test_a_hold_that_covers_others_or_has_ended_is_not_shown() -> None:
    others = PhaseHold("before", "AC2"), PhaseHold("before", "AC1", until=AFTER)
    found = explain(None, AFTER, *others)
    assert (found.decides, step(found, Name.HOLD).hold) == (Name.DEFAULT, None)


def test_a_server_that_stays_in_a_phase_says_so() -> None:
    stay = PhaseHold("before")
    found = explain(None, AFTER, stay=stay)
    assert found.decides is Name.HOLD
    assert step(found, Name.HOLD).text == "the server keeps all callbacks in `before`"


def test_another_choice_than_the_policys_is_not_explained() -> None:
    about = {"at": BEFORE, "account_sid": "AC1", "url": URL}
    right = NOTICE.choose(None, **about)
    assert explain_selection(NOTICE, right, **about) is not None
    for wrong in (
        replace(right, source=KORE),
        replace(right, reason="another"),
        CallbackSourceSelection(TWILIO, TWILIO, right.reason),
    ):
        assert explain_selection(NOTICE, wrong, **about) is None
    later = {**about, "at": AFTER + timedelta(days=1)}
    assert explain_selection(NOTICE, right, **later) is None


def test_a_replay_and_a_test_event_have_a_step_of_their_own() -> None:
    chosen = CallbackSourceSelection(KORE, TWILIO, "made up")
    replay = explain_replay(URL, chosen, "CB1")
    assert [step.name for step in replay.steps] == ["url", "fragment", "replay"]
    assert (replay.decides, replay.steps[2].source) == (Name.REPLAY, KORE)
    assert replay.steps[2].text == (
        "repeats CB1 from another source, which was chosen for the replay"
    )
    event = explain_test_event(URL, chosen)
    assert [step.text for step in event.steps] == [
        URL,
        "asks for twilio: #cbs=twilio",
        "test events come from kore, whatever the URL asks for",
    ]
    assert event.decides is Name.TEST_EVENT


def test_a_batch_has_the_source_of_its_stream() -> None:
    batch = explain_stream(URL, CallbackSourceSelection(KORE, None, "made up"), "DF1")
    assert [(step.name, step.text, step.source) for step in batch.steps] == [
        ("url", URL, None),
        ("stream", "DF1 is a stream of kore, whatever the policy says about callbacks", KORE),
    ]
    assert batch.decides is Name.STREAM
