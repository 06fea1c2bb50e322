from dataclasses import replace
from datetime import timedelta

from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy
from ringback.policy.active_policy import ActivePolicy

HELD = Policy(NOTICE.phases, (PhaseHold("before", "AC1"),))


def test_another_policy_replaces_the_active_one_with_the_same_calendar() -> None:
    ahead = timedelta(days=3)
    active = ActivePolicy(replace(NOTICE, ahead=ahead))
    assert active.activate(HELD)
    assert active.policy == replace(HELD, ahead=ahead)


def test_listeners_are_called_when_the_policy_changes() -> None:
    active, called = ActivePolicy(NOTICE), list[Policy]()
    active.listen(lambda: called.append(active.policy))
    assert not active.activate(Policy(NOTICE.phases))
    assert called == []
    active.activate(HELD)
    assert called == [HELD]


def test_a_refused_policy_leaves_the_active_one_and_is_reported_until_one_is_accepted() -> None:
    active = ActivePolicy(NOTICE)
    active.refuse("ringback.toml:3: what is this")
    assert (active.policy, active.refusals) == (NOTICE, 1)
    assert active.problem == "ringback.toml:3: what is this"
    active.activate(NOTICE)
    assert (active.problem, active.refusals) == (None, 1)
