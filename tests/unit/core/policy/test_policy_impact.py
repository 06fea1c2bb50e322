from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.policy.dated_changes import PhaseHoldsEndedChange, PolicyChange, policy_changes
from ringback.core.policy.policy_impact import (
    PolicyImpact,
    SelectionReason,
    UrlForecast,
    UrlGroup,
    UrlGrouping,
    changed_at,
    depending_on,
    forecast_urls,
    grouped,
    host_of,
    impact_of,
    source_by_phase,
)
from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy, Source
from ringback.core.policy.urls_in_use import StoredUrl, UrlDeliveryTotals, UrlInUse, urls_in_use

TWILIO, KORE = Source.TWILIO, Source.KORE
BETWEEN = datetime(2024, 10, 16, tzinfo=UTC)
AFTER = datetime(2024, 11, 2, tzinfo=UTC)
DAY = timedelta(days=1)
URL = "https://a.example/hook"


def row(
    url: str = URL,
    source: Source = TWILIO,
    asked: Source | None = None,
    *,
    account_sid: str = "AC1",
    callbacks: int = 10,
) -> UrlDeliveryTotals:
    return UrlDeliveryTotals(account_sid, url, source, asked, callbacks, 0, 0, 0)


def only(policy: Policy, *rows: UrlDeliveryTotals, now: datetime, then: datetime) -> UrlForecast:
    (found,) = forecast_urls(policy, used(*rows), now=now, then=then)
    return found


def used(*rows: UrlDeliveryTotals, stored: Sequence[StoredUrl] = ()) -> list[UrlInUse]:
    return urls_in_use(stored, rows)


def test_callbacks_without_a_chosen_source_move_with_the_default() -> None:
    found = only(NOTICE, row(), now=BETWEEN - DAY, then=BETWEEN)
    assert (found.now.source, found.then.source, found.changes) == (TWILIO, KORE, True)
    assert (found.used.callbacks, found.would_move, found.why) == (10, 10, SelectionReason.DEFAULT)
    assert source_by_phase(NOTICE, found.used) == {"before": TWILIO, "between": KORE, "after": KORE}


def test_callbacks_that_choose_the_ending_source_move_when_it_ends() -> None:
    asks = row(f"{URL}#cbs=twilio", asked=TWILIO)
    found = only(NOTICE, asks, now=BETWEEN, then=AFTER)
    assert (found.now.source, found.then.reason) == (
        TWILIO,
        "the URL asks for twilio, but twilio ended on 2024-11-02",
    )
    assert (found.why, found.would_move) == (SelectionReason.ASKED, 10)
    assert not only(NOTICE, asks, now=BETWEEN - DAY, then=AFTER - DAY).changes


def test_callbacks_that_choose_an_ended_source_are_sent_from_the_default() -> None:
    asks = row(f"{URL}#cbs=twilio", KORE, asked=TWILIO)
    assert only(NOTICE, asks, now=AFTER, then=AFTER).why is SelectionReason.DEFAULT


def test_a_url_counts_as_it_is_configured_now_and_not_as_it_was_sent() -> None:
    moved = StoredUrl("AC1", f"{URL}#cbs=kore", KORE, 1, BETWEEN - 2 * DAY)
    before = row()._replace(last=BETWEEN - 3 * DAY)
    (found,) = forecast_urls(NOTICE, used(before, stored=[moved]), now=BETWEEN - DAY, then=BETWEEN)
    assert (found.used.url, found.now.source, found.changes) == (moved.url, KORE, False)
    change = next(iter(policy_changes(NOTICE, after=BETWEEN - DAY)))
    assert changed_at(change, NOTICE, used(before, stored=[moved])) == []
    assert len(changed_at(change, NOTICE, used(before))) == 1


def test_urls_are_grouped_by_reason_account_and_host() -> None:
    found = forecast_urls(
        NOTICE,
        used(
            row("https://a.example:8443/x"),
            row("https://a.example:8443/y", account_sid="AC2"),
            row("https://B.example?z#cbs=kore", KORE, asked=KORE, callbacks=1),
        ),
        now=BETWEEN - DAY,
        then=BETWEEN,
    )
    groups = {by: grouped(found, by, ending=[TWILIO]) for by in UrlGrouping}
    assert groups == {
        UrlGrouping.REASON: [
            UrlGroup("twilio: the default in the current phase, `before`", 2, 2, 2, 20),
            UrlGroup("kore: the URL asks for it: #cbs=kore", 1, 0, 0, 1),
        ],
        UrlGrouping.ACCOUNT: [UrlGroup("AC1", 2, 1, 1, 11), UrlGroup("AC2", 1, 1, 1, 10)],
        UrlGrouping.HOST: [
            UrlGroup("a.example:8443", 2, 2, 2, 20),
            UrlGroup("b.example", 1, 0, 0, 1),
        ],
    }
    assert host_of("https://a.example") == "a.example"


def test_held_callbacks_stay_and_depend_on_their_hold() -> None:
    policy = Policy(NOTICE.phases, (PhaseHold("before", url_prefix=URL, until=AFTER + DAY),))
    # A hold covers a URL without its fragment.
    held = row(f"{URL}#rc=2")
    found = only(policy, held, now=AFTER, then=AFTER + DAY)
    assert found.used.wire == URL
    assert (found.why, found.changes) == (SelectionReason.HELD, True)
    assert found.hold == policy.holds[0]
    assert source_by_phase(policy, found.used) == {
        "before": TWILIO,
        "between": TWILIO,
        "after": TWILIO,
    }
    assert only(policy, held, now=AFTER + DAY, then=AFTER + DAY).hold is None


def test_callbacks_depend_on_the_hold_that_allows_their_chosen_source() -> None:
    policy = Policy(NOTICE.phases, (PhaseHold("before", "AC1"),))
    asks = row(f"{URL}#cbs=twilio", asked=TWILIO)
    whys = [only(policy, asks, now=now, then=AFTER).why for now in (BETWEEN, AFTER)]
    assert whys == [SelectionReason.ASKED, SelectionReason.HELD]


def test_callbacks_of_one_url_are_counted_together_whatever_their_source() -> None:
    rows = [row(source=TWILIO, callbacks=10), row(source=KORE, callbacks=5)]
    found = only(NOTICE, *rows, now=BETWEEN, then=AFTER)
    assert (found.used.callbacks, found.would_move) == (15, 10)


def test_urls_are_separate_by_account_text_and_chosen_source() -> None:
    rows = [
        row(account_sid="AC2"),
        row(),
        row("https://b.example/"),
        row(asked=KORE, source=KORE),
        row(),
    ]
    found = forecast_urls(NOTICE, used(*rows), now=BETWEEN - DAY, then=AFTER)
    told = [
        (one.account_sid, one.url, one.asked, one.callbacks)
        for one in (each.used for each in found)
    ]
    assert told == [
        ("AC1", URL, None, 20),
        ("AC1", URL, KORE, 10),
        ("AC1", "https://b.example/", None, 10),
        ("AC2", URL, None, 10),
    ]
    assert impact_of(one.used for one in found) == PolicyImpact(accounts=2, urls=3, callbacks=50)
    assert depending_on(KORE, found) == [found[1].used]


def test_each_change_affects_only_the_callbacks_that_depend_on_it() -> None:
    hold = PhaseHold("before", "AC2", until=AFTER + DAY)
    policy = Policy(NOTICE.phases, (hold,))
    rows = [
        row("https://default.example/"),
        row("https://asks.example/#cbs=twilio", asked=TWILIO),
        row("https://kore.example/#cbs=kore", KORE, asked=KORE),
        row("https://held.example/", account_sid="AC2"),
    ]
    changed = {
        str(change.kind): [one.url for one in changed_at(change, policy, used(*rows))]
        for change in policy_changes(policy, after=BETWEEN - DAY)
    }
    assert changed == {
        "the default moves from twilio to kore": ["https://default.example/"],
        "twilio ends": ["https://asks.example/#cbs=twilio"],
        str(PolicyChange(AFTER, PhaseHoldsEndedChange((hold,))).kind): ["https://held.example/"],
    }


@pytest.mark.parametrize(
    ("how_much", "said"),
    [
        (PolicyImpact(1, 1, 1), "1 callback to 1 URL of 1 account"),
        (PolicyImpact(2, 3, 50), "50 callbacks to 3 URLs of 2 accounts"),
        (PolicyImpact(), "0 callbacks to 0 URLs of 0 accounts"),
    ],
)
def test_the_impact_is_put_into_words(how_much: PolicyImpact, said: str) -> None:
    assert str(how_much) == said
