from dataclasses import replace
from datetime import timedelta

from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy
from ringback.policy.active_policy import ActivePolicy

HELD = Policy(NOTICE.phases, (PhaseHold("before", "AC1"),))


def test_another_policy_takes_the_place_of_the_one_in_force_on_the_same_calendar() -> None:
    ahead = timedelta(days=3)
    active = ActivePolicy(replace(NOTICE, ahead=ahead))
    assert active.activate(HELD)
    assert active.policy == replace(HELD, ahead=ahead)


def test_who_listens_is_called_when_the_policy_is_another() -> None:
    active, called = ActivePolicy(NOTICE), list[Policy]()
    active.listen(lambda: called.append(active.policy))
    assert not active.activate(Policy(NOTICE.phases))
    assert called == []
    active.activate(HELD)
    assert called == [HELD]


def test_what_is_refused_leaves_the_policy_and_says_why_until_one_is_taken() -> None:
    active = ActivePolicy(NOTICE)
    active.refuse("ringback.toml:3: what is this")
    assert (active.policy, active.refusals) == (NOTICE, 1)
    assert active.problem == "ringback.toml:3: what is this"
    active.activate(NOTICE)
    assert (active.problem, active.refusals) == (None, 1)
