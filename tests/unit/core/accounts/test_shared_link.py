"""Links: whether one can be opened, and how its visits are counted."""

from dataclasses import replace
from datetime import timedelta

from ringback.core.accounts.shared_link import LinkKind, LinkState, SharedLink
from tests.fakes import ACCOUNT_SID, CALLBACK_SID, NOW

MINUTE = timedelta(minutes=1)
LINK = SharedLink(
    sid="SL1",
    account_sid=ACCOUNT_SID,
    kind=LinkKind.CALLBACK,
    subject=CALLBACK_SID,
    note=None,
    token_hash="hash",
    created_by=None,
    date_created=NOW,
    date_expires=NOW + MINUTE,
)


def test_a_link_is_active_until_it_expires_or_is_ended() -> None:
    assert LINK.state_at(NOW) is LinkState.ACTIVE
    assert LINK.state_at(NOW + MINUTE - timedelta(microseconds=1)) is LinkState.ACTIVE
    assert LINK.state_at(NOW + MINUTE) is LinkState.EXPIRED
    ended = replace(LINK, date_ended=NOW)
    assert ended.state_at(NOW) is ended.state_at(NOW + 2 * MINUTE) is LinkState.ENDED


def test_a_visit_lasts_until_the_link_was_not_opened_for_half_an_hour() -> None:
    first = LINK.used(NOW)
    assert (first.uses, first.date_last_used) == (1, NOW)
    same = first.used(NOW + MINUTE)
    assert (same.uses, same.date_last_used) == (1, NOW + MINUTE)
    again = same.used(NOW + 31 * MINUTE)
    assert (again.uses, again.date_last_used) == (2, NOW + 31 * MINUTE)


def test_a_use_is_noted_once_a_minute() -> None:
    first = LINK.used(NOW)
    assert first.used(NOW + MINUTE - timedelta(microseconds=1)) is first


def test_after_the_clock_was_set_back_the_use_is_noted_too() -> None:
    earlier = LINK.used(NOW).used(NOW - MINUTE)
    assert earlier.date_last_used == NOW - MINUTE


def test_its_repr_does_not_show_its_token() -> None:
    assert "hash" not in repr(LINK)
