import pytest

from ringback.core.counted import counted


@pytest.mark.parametrize(
    ("number", "noun", "words"),
    [
        (0, "callback", "0 callbacks"),
        (1, "callback", "1 callback"),
        (2, "callback", "2 callbacks"),
        (1, "copy", "1 copy"),
        (2, "copy", "2 copies"),
        (2, "day", "2 days"),
        (3, "accepted callback", "3 accepted callbacks"),
    ],
)
def test_a_noun_has_its_plural_unless_there_is_one(number: int, noun: str, words: str) -> None:
    assert counted(number, noun) == words
