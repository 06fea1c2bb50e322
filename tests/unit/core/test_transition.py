from datetime import UTC, datetime, timedelta

from ringback.core.source import NOTICE, Hold, Policy, Source
from ringback.core.transition import Transition

TWILIO, KORE = Source.TWILIO, Source.KORE
URL = "http://your-callback-url.com/path?foo=bar"
MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)
AFTER = datetime(2024, 11, 2, tzinfo=UTC)


def test_a_transition_without_a_lead_goes_by_the_clock() -> None:
    transition = Transition(NOTICE)
    assert transition.phase_at(AFTER).name == "after"
    assert transition.phase_at(AFTER - MICROSECOND).name == "between"


def test_a_calendar_that_is_ahead_reaches_the_border_earlier() -> None:
    transition = Transition(NOTICE, ahead=DAY)
    chosen = [
        transition.choose(TWILIO, now=now, account_sid="AC1", url=URL).source
        for now in (AFTER - DAY - MICROSECOND, AFTER - DAY)
    ]
    assert chosen == [TWILIO, KORE]
    assert transition.phase_at(AFTER - DAY).name == "after"


def test_the_phase_in_force_leaves_out_the_holds_of_some() -> None:
    some = Policy(NOTICE.phases, (Hold("before", "AC1"), Hold("before", url_prefix="http://a")))
    assert Transition(some).phase_at(AFTER).name == "after"
    assert Transition(some.held_in("between")).phase_at(AFTER).name == "between"
