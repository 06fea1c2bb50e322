import re
from datetime import timedelta
from itertools import product
from random import Random

import pytest

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.supersim.esim_profile import (
    ESIM_MOVES,
    SMDP_PLUS_ADDRESS,
    EsimStatus,
    is_eid,
    make_iccid,
    make_matching_id,
)
from tests.fakes import NOW
from tests.unit.core.builders import ICCID, an_esim_profile

NEW, RESERVING, AVAILABLE, DOWNLOADED, INSTALLED, FAILED = EsimStatus
LATER = NOW + timedelta(seconds=2)
MATCHING_ID = "AAAAA-BBBBB-CCCCC-DDDDD-EEEEE"
MOVES = {
    (NEW, RESERVING),
    (RESERVING, AVAILABLE),
    (RESERVING, FAILED),
    (AVAILABLE, DOWNLOADED),
    (AVAILABLE, FAILED),
    (DOWNLOADED, INSTALLED),
}


# ---- its life cycle ------------------------------------------------------------------------------


def test_the_statuses_are_those_of_the_api() -> None:
    assert list(EsimStatus) == [
        "new",
        "reserving",
        "available",
        "downloaded",
        "installed",
        "failed",
    ]


def test_the_moves_are_those_of_the_documentation() -> None:
    assert set(ESIM_MOVES) == set(EsimStatus)
    assert {(old, new) for old, targets in ESIM_MOVES.items() for new in targets} == MOVES


@pytest.mark.parametrize(("old", "new"), sorted(MOVES))
def test_a_move_of_a_profile_changes_nothing_else(old: EsimStatus, new: EsimStatus) -> None:
    before, after = (
        an_esim_profile(status=status, date_updated=at, iccid=ICCID, matching_id=MATCHING_ID)
        for status, at in ((old, NOW), (new, LATER))
    )
    assert before.moved(new, LATER) == after


@pytest.mark.parametrize(("old", "new"), sorted(set(product(EsimStatus, EsimStatus)) - MOVES))
def test_a_profile_has_no_other_moves(old: EsimStatus, new: EsimStatus) -> None:
    with pytest.raises(ValueError, match=f"an eSIM Profile that is {old} can't become {new}"):
        an_esim_profile(status=old).moved(new, LATER)


def test_a_profile_is_called_back_by_post_by_default() -> None:
    assert an_esim_profile().callback.method is HttpMethod.POST


# ---- its activation code -------------------------------------------------------------------------


def test_the_activation_code_is_that_of_the_published_sample() -> None:
    profile = an_esim_profile(smdp_plus_address=SMDP_PLUS_ADDRESS, matching_id=MATCHING_ID)
    assert profile.activation_code == f"1$SM-DP-PLUS.TWILIO.COM${MATCHING_ID}"


@pytest.mark.parametrize(
    ("address", "matching_id"), [(None, None), (SMDP_PLUS_ADDRESS, None), (None, MATCHING_ID)]
)
def test_without_a_server_or_a_matching_id_there_is_no_activation_code(
    address: str | None, matching_id: str | None
) -> None:
    profile = an_esim_profile(smdp_plus_address=address, matching_id=matching_id)
    assert profile.activation_code is None


# ---- its numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("eid", ["8" * 32, "89049032005008882600033489aaaaaa", "AbCdEf01" * 4])
def test_an_eid_has_32_digits_and_in_samples_letters(eid: str) -> None:
    assert is_eid(eid)


@pytest.mark.parametrize(
    "text", ["", "8" * 31, "8" * 33, "g" * 32, "²" * 32, f"{'8' * 32}\n", f" {'8' * 31}", "٣" * 32]
)
def test_an_invalid_eid_is_recognised(text: str) -> None:
    assert not is_eid(text)


def test_a_matching_id_has_the_form_of_the_published_sample() -> None:
    assert make_matching_id(b"\xff" * 13) == "-".join(["FFFFF"] * 5)
    assert re.fullmatch(r"[0-9A-F]{5}(-[0-9A-F]{5}){4}", make_matching_id(Random(1).randbytes(13)))


def test_each_of_the_100_random_bits_changes_the_matching_id() -> None:
    # The last 4 bits of the 13 bytes are not used: 25 hex digits have only 100 bits.
    made = {make_matching_id((1 << bit).to_bytes(13, "big")) for bit in range(4, 104)}
    assert len(made) == 100


def check_digit(digits: str) -> int:
    """Return the Luhn check digit, computed as the standard describes it."""
    total = 0
    for place, digit in enumerate(reversed(digits), start=1):
        value = int(digit)
        total += sum(map(int, str(value * 2))) if place % 2 == 1 else value
    return next(check for check in range(10) if (total + check) % 10 == 0)


def test_the_independent_check_digit_is_that_of_known_numbers() -> None:
    # Well-known examples of Luhn numbers: a test credit card, and the usual textbook example.
    assert (check_digit("411111111111111"), check_digit("7992739871")) == (1, 3)


@pytest.mark.parametrize("seed", range(40))
def test_an_iccid_ends_with_its_check_digit(seed: int) -> None:
    iccid = make_iccid(Random(seed).randbytes(8))
    assert re.fullmatch("8988307[0-9]{13}", iccid)
    assert int(iccid[-1]) == check_digit(iccid[:-1])


@pytest.mark.parametrize(
    ("random_bytes", "digits"),
    [(0, "000000000000"), (7, "000000000007"), (10**12 - 1, "999999999999")],
)
def test_the_digits_of_an_iccid_come_from_the_random_number(random_bytes: int, digits: str) -> None:
    assert make_iccid(random_bytes.to_bytes(8, "big"))[7:-1] == digits


def test_a_random_number_above_12_digits_still_makes_an_iccid_of_20() -> None:
    assert make_iccid(b"\xff" * 8)[7:-1] == str(2**64 - 1)[-12:]
