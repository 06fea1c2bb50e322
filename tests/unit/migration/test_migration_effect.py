from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.policy.source_policy import NOTICE, PhaseHold, Policy, Source
from ringback.core.policy.url_source_override import override_source
from ringback.migration.migration_effect import in_vain, preview_rollback
from ringback.migration.url_source import UrlEdit, UrlLocation

BETWEEN, AFTER = datetime(2024, 10, 16, tzinfo=UTC), datetime(2024, 11, 2, tzinfo=UTC)


def edits(*urls: str) -> list[UrlEdit]:
    return [
        UrlEdit(UrlLocation(str(at), "AC1"), url, override_source(url, Source.KORE))
        for at, url in enumerate(urls)
    ]


OLD = edits("https://a.example/", "https://b.example/#rc=2", "https://c.example/#cbs=twilio")


@pytest.mark.parametrize(
    ("at", "returning", "staying", "until"),
    [
        (datetime(2024, 10, 1, tzinfo=UTC), 3, {}, BETWEEN),
        (BETWEEN, 1, {"the default in phase `between`, since 2024-10-16": 2}, AFTER),
        (
            AFTER,
            0,
            {
                "the default in phase `after`, since 2024-11-02": 2,
                "the URL asks for twilio, but twilio ended on 2024-11-02": 1,
            },
            None,
        ),
    ],
)
def test_how_many_are_really_rolled_back_depends_on_the_date(
    at: datetime, returning: int, staying: dict[str, int], until: datetime | None
) -> None:
    found = preview_rollback(OLD, Source.KORE, NOTICE, at=at)
    assert (found.returning, dict(found.staying), found.open_until) == (returning, staying, until)


def test_choosing_an_ended_source_has_no_effect() -> None:
    to_twilio = [edit.back() for edit in edits("https://a.example/#cbs=twilio")]
    assert in_vain(to_twilio, Source.TWILIO, NOTICE, at=BETWEEN) == {}
    assert in_vain(to_twilio, Source.TWILIO, NOTICE, at=AFTER) == {
        "the URL asks for twilio, but twilio ended on 2024-11-02": 1
    }


def test_choosing_a_source_has_no_effect_only_without_a_hold_that_allows_it() -> None:
    to_twilio = [edit.back() for edit in edits("https://a.example/#cbs=twilio")]
    policy = Policy(NOTICE.phases, (PhaseHold("before", account_sid="AC1"),))
    assert in_vain(to_twilio, Source.TWILIO, policy, at=AFTER) == {}


def test_a_held_url_can_still_be_rolled_back() -> None:
    policy = Policy(NOTICE.phases, (PhaseHold("before", account_sid="AC1"),))
    found = preview_rollback(OLD, Source.KORE, policy, at=AFTER)
    assert (found.returning, found.open_until) == (3, None)


def test_rolling_back_a_url_is_possible_until_its_hold_ends() -> None:
    until = AFTER + timedelta(days=9)
    policy = Policy(NOTICE.phases, (PhaseHold("before", account_sid="AC1", until=until),))
    found = preview_rollback(OLD, Source.KORE, policy, at=AFTER)
    assert (found.returning, found.open_until) == (3, until)
