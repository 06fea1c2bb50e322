from datetime import UTC, datetime, timedelta

from ringback.core.policy.policy_comparison import compare_policies
from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy, Source
from ringback.core.policy.urls_in_use import UrlInUse, UrlUse

TWILIO, KORE = Source.TWILIO, Source.KORE
NOW = datetime(2024, 10, 10, tzinfo=UTC)
BETWEEN, AFTER = (phase.since for phase in NOTICE.phases[1:])
END = datetime(2024, 12, 1, tzinfo=UTC)
HELD = Policy(NOTICE.phases, (PhaseHold("before", url_prefix="https://a.example", until=END),))


def url(text: str, asked: Source | None = None, use: UrlUse = UrlUse.STORED) -> UrlInUse:
    return UrlInUse("AC1", text, asked, use)


def compared(old: Policy, new: Policy, *used: UrlInUse, most: int = 9) -> list[object]:
    found = compare_policies(old, new, used, now=NOW, most=most)
    return [(one.at, [(url.used.url, url.before, url.after) for url in one.urls]) for one in found]


def test_a_hold_keeps_urls_at_their_source_until_its_end() -> None:
    default, other = url("https://a.example/"), url("https://b.example/")
    stays = url("https://a.example/#cbs=twilio", TWILIO)
    assert compared(NOTICE, HELD, default, other, stays) == [
        (NOW, []),
        (BETWEEN, [(default.url, KORE, TWILIO)]),
        (AFTER, [(default.url, KORE, TWILIO), (stays.url, KORE, TWILIO)]),
        (END, []),
    ]


def test_a_release_has_the_dates_of_both_policies() -> None:
    default = url("https://a.example/")
    assert compared(HELD, NOTICE, default, most=1) == [
        (NOW, []),
        (BETWEEN, [(default.url, TWILIO, KORE)]),
    ]
    assert len(compared(HELD, NOTICE, default)) == 4


def test_what_the_new_policy_changes_on_a_date_is_in_words() -> None:
    found = [one.changes for one in compare_policies(NOTICE, HELD, [], now=NOW, most=9)]
    ends = "the hold of https://a.example in phase 'before' ends"
    assert found == [[], ["the default moves from twilio to kore"], ["twilio ends"], [ends]]


def test_a_change_of_now_and_an_earlier_form_of_a_url() -> None:
    moved = NOTICE.with_phase_since("between", NOW - timedelta(days=1))
    default, former = url("https://a.example/"), url("https://b.example/", use=UrlUse.FORMER)
    assert compared(NOTICE, moved, default, former)[0] == (NOW, [(default.url, TWILIO, KORE)])
