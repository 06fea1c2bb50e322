from datetime import UTC, datetime, timedelta

import pytest

from ringback.core.sids import SidKind, dated, is_sid, make_sid
from tests.fakes import NOW

BYTES = bytes.fromhex("ab3f06be8f5d32caecb91e8a306c6c08")
DIGITS = "ab3f06be8f5d32caecb91e8a306c6c08"


@pytest.mark.parametrize(
    ("kind", "sid"),
    [
        (SidKind.ACCOUNT, f"AC{DIGITS}"),
        (SidKind.API_KEY, f"SK{DIGITS}"),
        (SidKind.BILLING_PERIOD, f"HB{DIGITS}"),
        (SidKind.CALLBACK, f"CB{DIGITS}"),
        (SidKind.COMMAND, f"DC{DIGITS}"),
        (SidKind.DATA_SESSION, f"WN{DIGITS}"),
        (SidKind.ESIM_PROFILE, f"HP{DIGITS}"),
        (SidKind.FLEET, f"HF{DIGITS}"),
        (SidKind.IP_COMMAND, f"HG{DIGITS}"),
        (SidKind.NETWORK, f"HW{DIGITS}"),
        (SidKind.NETWORK_ACCESS_PROFILE, f"HA{DIGITS}"),
        (SidKind.RATE_PLAN, f"WP{DIGITS}"),
        (SidKind.SETTINGS_UPDATE, f"OB{DIGITS}"),
        (SidKind.SIM, f"HS{DIGITS}"),
        (SidKind.SMS_COMMAND, f"HC{DIGITS}"),
        (SidKind.WIRELESS_SIM, f"DE{DIGITS}"),
    ],
)
def test_a_sid_is_its_kind_and_32_hex_digits(kind: SidKind, sid: str) -> None:
    assert make_sid(kind, BYTES) == sid
    assert is_sid(sid, kind)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "HS",
        f"HS{DIGITS[1:]}",
        f"HS{DIGITS}0",
        f"HS{DIGITS}\n",
        f" HS{DIGITS}",
        f"hs{DIGITS}",
        f"AC{DIGITS}",
        f"HS{'g' * 32}",
        f"HS{'²' * 32}",
        f"HS{'٣' * 32}",
        DIGITS,
    ],
)
def test_text_of_another_form_is_not_a_sid_of_a_sim(text: str) -> None:
    assert not is_sid(text, SidKind.SIM)


def test_a_sid_may_have_its_digits_in_either_letter_case() -> None:
    assert is_sid(f"HS{DIGITS.upper()}", SidKind.SIM)


def test_every_kind_has_its_own_prefix() -> None:
    assert len({kind.value for kind in SidKind}) == len(SidKind)


@pytest.mark.parametrize("count", [0, 15, 17])
def test_a_sid_needs_16_bytes(count: int) -> None:
    with pytest.raises(ValueError, match=f"{count} random bytes are given; a SID needs exactly 16"):
        make_sid(SidKind.SIM, bytes(count))


def test_dated_bytes_begin_with_the_milliseconds_since_1970() -> None:
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=0x0102_0304_0506)
    assert dated(BYTES, now).hex() == "010203040506" + BYTES.hex()[12:]


def test_dated_bytes_are_random_except_for_the_first_six() -> None:
    assert (len(dated(BYTES, NOW)), dated(BYTES, NOW)[6:]) == (16, BYTES[6:])


def test_dated_sids_sort_by_age_whatever_the_random_bytes() -> None:
    early = dated(b"\xff" * 16, NOW)
    late = dated(bytes(16), NOW + timedelta(milliseconds=1))
    assert make_sid(SidKind.CALLBACK, early) < make_sid(SidKind.CALLBACK, late)


def test_within_a_millisecond_the_random_bytes_decide() -> None:
    assert dated(BYTES, NOW) == dated(BYTES, NOW + timedelta(microseconds=999))


@pytest.mark.parametrize("year", [1970, 2024, 9999])
def test_every_possible_year_has_its_bytes(year: int) -> None:
    assert len(dated(BYTES, datetime(year, 12, 31, tzinfo=UTC))) == 16
