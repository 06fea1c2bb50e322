"""Sessions of the console: when one ends by itself, and by which secret it was begun."""

from dataclasses import replace
from datetime import timedelta

import pytest

from ringback.core.accounts.console_session import ConsoleSession, make_token, proof_of
from ringback.core.accounts.secret_hash import hash_secret
from tests.fakes import ACCOUNT_SID, NOW

TOKEN = make_token(bytes(32))
HASH = hash_secret("secret")
SESSION = ConsoleSession(
    "CS1", hash_secret(TOKEN), ACCOUNT_SID, proof_of(TOKEN, HASH), None, NOW, NOW
)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("last_used", "ends", "why"),
    [
        (0 * DAY, 12 * HOUR, "it was not used for 12 hours"),
        (3 * DAY, 3 * DAY + 12 * HOUR, "it was not used for 12 hours"),
        (7 * DAY - HOUR, 7 * DAY, "it began 7 days ago"),
    ],
)
def test_a_session_ends_12_hours_after_its_last_use_and_after_7_days_at_most(
    last_used: timedelta, ends: timedelta, why: str
) -> None:
    session = replace(SESSION, date_last_used=NOW + last_used)
    assert session.ends == NOW + ends
    assert session.why_ended(NOW + ends - MOMENT) is None
    assert session.why_ended(NOW + ends) == why


def test_only_the_secret_that_began_it_proves_a_session_and_only_with_its_token() -> None:
    assert SESSION.is_proven_by(TOKEN, [HASH])
    assert SESSION.is_proven_by(TOKEN, [hash_secret("another"), HASH])
    assert not SESSION.is_proven_by(TOKEN, [hash_secret("another")])
    assert not SESSION.is_proven_by(TOKEN, [""])
    assert not SESSION.is_proven_by(TOKEN, [])
    assert not SESSION.is_proven_by(make_token(bytes([1] * 32)), [HASH])


def test_a_token_fits_into_a_url_and_a_cookie() -> None:
    assert make_token(bytes([255] * 32)) == "_" * 42 + "8"


def test_its_repr_shows_nothing_that_signs_in() -> None:
    shown = repr(SESSION)
    assert TOKEN not in shown
    assert SESSION.token_hash not in shown
    assert SESSION.proof not in shown
