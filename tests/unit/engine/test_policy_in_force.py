from datetime import timedelta

from ringback.core.source import NOTICE, Hold, Policy
from ringback.core.transition import Transition
from ringback.engine.policy_in_force import PolicyInForce

HELD = Policy(NOTICE.phases, (Hold("before", "AC1"),))


def test_another_policy_takes_the_place_of_the_one_in_force_on_the_same_calendar() -> None:
    ahead = timedelta(days=3)
    in_force = PolicyInForce(Transition(NOTICE, ahead))
    assert in_force.take(HELD)
    assert in_force.transition == Transition(HELD, ahead)


def test_who_listens_is_called_when_the_policy_is_another() -> None:
    in_force, called = PolicyInForce(Transition(NOTICE)), list[Policy]()
    in_force.listen(lambda: called.append(in_force.transition.policy))
    assert not in_force.take(Policy(NOTICE.phases))
    assert called == []
    in_force.take(HELD)
    assert called == [HELD]


def test_what_is_refused_leaves_the_policy_and_says_why_until_one_is_taken() -> None:
    in_force = PolicyInForce(Transition(NOTICE))
    in_force.refuse("ringback.toml:3: what is this")
    assert (in_force.transition.policy, in_force.refusals) == (NOTICE, 1)
    assert in_force.problem == "ringback.toml:3: what is this"
    in_force.take(NOTICE)
    assert (in_force.problem, in_force.refusals) == (None, 1)
