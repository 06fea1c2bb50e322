import pytest

from ringback.core.accounts.secret_hash import hash_secret, is_same, is_secret_of


def test_the_stored_value_is_the_sha_256_of_a_secret() -> None:
    assert hash_secret("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


WRONG = ["", "made uq", "Made up", "made up ", "madé up", hash_secret("made up")]


def test_a_secret_is_recognised_by_its_hash() -> None:
    assert is_secret_of(hash_secret("made up"), "made up")
    assert is_secret_of(hash_secret("tökén"), "tökén")


@pytest.mark.parametrize("wrong", WRONG)
def test_any_other_value_is_not_recognised(wrong: str) -> None:
    assert not is_secret_of(hash_secret("made up"), wrong)
    assert not is_same("made up", wrong)


def test_a_secret_equals_itself_whatever_its_characters() -> None:
    assert is_same("made up", "made up")
    assert is_same("tökén", "tökén")
