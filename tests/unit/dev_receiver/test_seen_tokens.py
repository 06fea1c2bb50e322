from datetime import timedelta

from ringback.core.policy.source_policy import Source
from ringback.dev_receiver.seen_tokens import SeenTokenCount, SeenTokens
from tests.fakes import NOW

LATER = NOW + timedelta(seconds=1)


def test_a_token_is_seen_before_from_its_second_time_on() -> None:
    seen = SeenTokens()
    assert not seen.note(Source.KORE, "a", at=NOW).before
    assert seen.note(Source.KORE, "a", at=LATER) == SeenTokenCount(times=2, since=NOW)


def test_tokens_of_one_source_do_not_affect_the_others() -> None:
    seen = SeenTokens()
    seen.note(Source.KORE, "a", at=NOW)
    assert not seen.note(Source.TWILIO, "a", at=NOW).before


def test_the_token_not_seen_for_longest_is_forgotten_first() -> None:
    seen = SeenTokens(limit=2)
    for token in ("a", "b", "a", "c"):
        seen.note(Source.KORE, token, at=NOW)
    assert seen.note(Source.KORE, "a", at=NOW).times == 3
    assert seen.note(Source.KORE, "b", at=NOW).times == 1
