from dataclasses import replace
from datetime import timedelta

import pytest

from ringback.core.errors import ConfigurationError
from ringback.core.policy.source_policy import NOTICE, Phase, PhaseHold, Policy, Source
from ringback.policy.active_policy import ActivePolicy
from tests.policy_monitors import version_of

HELD = Policy(NOTICE.phases, (PhaseHold("before", "AC1"),))
OTHER = Policy((Phase("all", None, Source.KORE, frozenset({Source.KORE})),))


def test_another_version_replaces_the_active_one_with_the_same_calendar() -> None:
    ahead = timedelta(days=3)
    active = ActivePolicy(replace(NOTICE, ahead=ahead))
    assert (active.number, active.version) == (0, None)
    assert active.activate(version_of(HELD, 2))
    assert active.policy == replace(HELD, ahead=ahead)
    assert (active.number, active.version) == (2, version_of(HELD, 2))


def test_listeners_are_called_when_the_policy_changes() -> None:
    active, called = ActivePolicy(NOTICE), list[Policy]()
    active.listen(lambda: called.append(active.policy))
    assert not active.activate(version_of(Policy(NOTICE.phases), 1))
    assert (called, active.number) == ([], 1)
    active.activate(version_of(HELD, 2))
    assert called == [HELD]


def test_a_refused_policy_leaves_the_active_one_and_is_reported() -> None:
    active = ActivePolicy(NOTICE)
    active.refuse("ringback.toml:3: what is this")
    assert (active.policy, active.refusals) == (NOTICE, 1)
    assert active.problem == "ringback.toml:3: what is this"


def test_a_process_can_stay_in_one_phase_of_each_version() -> None:
    active = ActivePolicy(HELD, phase="between")
    assert active.policy == HELD.held_in("between")
    active.activate(version_of(NOTICE))
    assert active.policy == NOTICE.held_in("between")
    assert active.version == version_of(NOTICE)
    assert active.stay is active.policy.holds[-1]


def test_a_process_can_stay_in_the_first_phase_whatever_its_name() -> None:
    active = ActivePolicy(NOTICE, phase="")
    assert active.policy == NOTICE.held_in("before")
    active.activate(version_of(OTHER))
    assert active.policy == OTHER.held_in("all")


def test_a_version_without_the_phase_is_refused() -> None:
    active = ActivePolicy(NOTICE, phase="between")
    with pytest.raises(
        ConfigurationError,
        match=r"stays in the phase 'between' \(--phase\), .* its phases are all$",
    ):
        active.activate(version_of(OTHER))
    assert (active.policy, active.version) == (NOTICE.held_in("between"), None)


def test_without_a_phase_to_stay_in_the_date_decides() -> None:
    active = ActivePolicy(HELD)
    assert (active.policy, active.stay) == (HELD, None)
