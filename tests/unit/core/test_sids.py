import pytest

from ringback.core.sids import Kind, make_sid

BYTES = bytes.fromhex("ab3f06be8f5d32caecb91e8a306c6c08")
DIGITS = "ab3f06be8f5d32caecb91e8a306c6c08"


@pytest.mark.parametrize(
    ("kind", "sid"),
    [
        (Kind.ACCOUNT, f"AC{DIGITS}"),
        (Kind.API_KEY, f"SK{DIGITS}"),
        (Kind.CALLBACK, f"CB{DIGITS}"),
        (Kind.FLEET, f"HF{DIGITS}"),
        (Kind.SIM, f"HS{DIGITS}"),
    ],
)
def test_a_sid_is_its_kind_and_32_hex_digits(kind: Kind, sid: str) -> None:
    assert make_sid(kind, BYTES) == sid


def test_every_kind_has_its_own_prefix() -> None:
    assert len({kind.value for kind in Kind}) == len(Kind)


@pytest.mark.parametrize("count", [0, 15, 17])
def test_a_sid_needs_16_bytes(count: int) -> None:
    with pytest.raises(ValueError, match=f"a SID is made from 16 bytes, not {count}"):
        make_sid(Kind.SIM, bytes(count))
