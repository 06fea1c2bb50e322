from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest

from ringback.core.kore_ids import (
    ULID_BYTES,
    KoreIdKind,
    id_of_account,
    is_kore_id,
    made_at,
    make_kore_id,
)
from tests.fakes import ACCOUNT_SID, NOW

DOCUMENTED = "whs_01jf8c4889ehtbzt0n9mzk1prc"
SECRET = KoreIdKind.WEBHOOK_SECRET
MILLISECOND = timedelta(milliseconds=1)


def test_an_id_is_a_word_and_a_ulid_of_26_digits() -> None:
    for kind in KoreIdKind:
        made = make_kore_id(kind, NOW, bytes(ULID_BYTES))
        assert is_kore_id(made, kind)
        assert len(made) == len(kind) + 1 + 26


def test_an_id_contains_all_of_the_time_and_the_random_bytes() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert make_kore_id(SECRET, last, b"\xff" * ULID_BYTES) == "whs_76ez91zpzzzzzzzzzzzzzzzzzz"
    first = datetime(1970, 1, 1, tzinfo=UTC)
    assert make_kore_id(SECRET, first, bytes([*bytes(9), 1])) == f"whs_{'0' * 25}1"
    assert make_kore_id(SECRET, first + MILLISECOND, bytes(10)) == f"whs_{'0' * 9}1{'0' * 16}"


def test_an_id_says_when_it_was_made_to_the_millisecond() -> None:
    for when in (NOW, datetime(1970, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
        made = made_at(make_kore_id(SECRET, when, b"\xff" * ULID_BYTES))
        assert made == when.replace(microsecond=when.microsecond // 1000 * 1000)


@pytest.mark.parametrize("text", ["", "whs_", DOCUMENTED[:-1], f"whs_7{'z' * 25}"])
def test_what_is_no_id_or_no_date_has_no_time(text: str) -> None:
    assert made_at(text) is None


def test_ids_sort_by_their_time() -> None:
    earlier = make_kore_id(SECRET, NOW, b"\xff" * ULID_BYTES)
    assert earlier < make_kore_id(SECRET, NOW + MILLISECOND, bytes(ULID_BYTES))


@pytest.mark.parametrize("count", [0, 9, 11])
def test_an_id_needs_ten_bytes(count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} random bytes are given; an id needs exactly 10"):
        make_kore_id(SECRET, NOW, bytes(count))


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (DOCUMENTED, True),
        ("whs_7zzzzzzzzzzzzzzzzzzzzzzzzz", True),
        ("whs_8zzzzzzzzzzzzzzzzzzzzzzzzz", False),
        (DOCUMENTED.upper(), False),
        (DOCUMENTED[:-1], False),
        (f"{DOCUMENTED}0", False),
        (f"{DOCUMENTED}\n", False),
        (DOCUMENTED.replace("_", "-"), False),
        (DOCUMENTED.replace("whs", "acct"), False),
        *((f"whs_01jf8c4889ehtbzt0n9mzk1pr{letter}", False) for letter in "ilou_é"),
        ("", False),
    ],
)
def test_the_form_of_a_secrets_id_is_checked(text: str, is_one: bool) -> None:
    assert is_kore_id(text, SECRET) is is_one


def test_an_account_always_has_the_same_id_and_another_one_another() -> None:
    random_bytes = sha256(ACCOUNT_SID.encode()).digest()[:ULID_BYTES]
    assert id_of_account(ACCOUNT_SID, NOW) == make_kore_id(KoreIdKind.ACCOUNT, NOW, random_bytes)
    assert id_of_account("AC" + "f" * 32, NOW) != id_of_account(ACCOUNT_SID, NOW)
