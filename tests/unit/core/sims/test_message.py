from itertools import product

import pytest

from ringback.core.sims.message import (
    LONGEST_SMS,
    MESSAGE_MOVES,
    Direction,
    MessageStatus,
    PayloadType,
    check_move,
    fault_in_text,
)

MOVES = {
    (MessageStatus.QUEUED, MessageStatus.SENT),
    (MessageStatus.QUEUED, MessageStatus.FAILED),
    (MessageStatus.SENT, MessageStatus.DELIVERED),
    (MessageStatus.SENT, MessageStatus.FAILED),
}


def test_the_values_are_those_of_the_apis() -> None:
    assert list(MessageStatus) == ["queued", "sent", "delivered", "received", "failed"]
    assert list(Direction) == ["to_sim", "from_sim"]
    assert list(PayloadType) == ["text", "binary"]
    assert LONGEST_SMS == 160


def test_every_status_has_its_line_in_the_table() -> None:
    assert set(MESSAGE_MOVES) == set(MessageStatus)


@pytest.mark.parametrize(("old", "new"), sorted(MOVES))
def test_the_moves_are_those_of_the_documentation(old: MessageStatus, new: MessageStatus) -> None:
    check_move("a message", old, new)


@pytest.mark.parametrize(("old", "new"), sorted(set(product(MessageStatus, MessageStatus)) - MOVES))
def test_there_are_no_other_moves(old: MessageStatus, new: MessageStatus) -> None:
    with pytest.raises(ValueError, match=f"a message that is {old} can't become {new}"):
        check_move("a message", old, new)


@pytest.mark.parametrize("text", ["", "hi", "na\u00efve \u00ff", "x" * 160, "\n\t"])
def test_an_sms_has_a_limited_number_of_single_byte_characters(text: str) -> None:
    assert fault_in_text(text) is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("5 \u20ac", "'€' is not a single-byte character; an SMS can contain only those"),
        ("\u0100" * 200, "'Ā' is not a single-byte character; an SMS can contain only those"),
        ("x" * 161, "161 characters are too many; an SMS has at most 160"),
    ],
)
def test_an_invalid_text_of_an_sms_has_its_error_named(text: str, fault: str) -> None:
    assert fault_in_text(text) == fault
