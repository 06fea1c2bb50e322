from datetime import timedelta
from itertools import product

import pytest

from ringback.core.callback_urls.callback_target import NO_TARGET
from ringback.core.errors import InvalidParameter
from ringback.core.sims.message import MESSAGE_MOVES, MessageStatus, PayloadType
from ringback.core.wireless.command import (
    KEPT_FOR,
    LONGEST_BINARY,
    LONGEST_WITH_SID,
    MOST_QUEUED,
    CommandTransport,
    IncludeSid,
    check_command,
)
from tests.fakes import NOW
from tests.wireless_fakes import COMMAND_SID, a_command

LATER = NOW + timedelta(seconds=2)
MOVES = {(old, new) for old, targets in MESSAGE_MOVES.items() for new in targets}
TEXT, BINARY = PayloadType.TEXT, PayloadType.BINARY
NONE, START, END = IncludeSid


def test_the_values_are_those_of_the_api() -> None:
    assert list(CommandTransport) == ["sms", "ip"]
    assert list(IncludeSid) == ["none", "start", "end"]


def test_the_limits_are_those_of_the_documentation() -> None:
    assert (LONGEST_BINARY, LONGEST_WITH_SID, MOST_QUEUED) == (140, 128, 100)
    assert timedelta(days=30) == KEPT_FOR


@pytest.mark.parametrize(("old", "new"), sorted(MOVES))
def test_a_move_of_a_command_changes_nothing_else(old: MessageStatus, new: MessageStatus) -> None:
    assert a_command(status=old).moved(new, LATER) == a_command(status=new, date_updated=LATER)


@pytest.mark.parametrize(("old", "new"), sorted(set(product(MessageStatus, MessageStatus)) - MOVES))
def test_a_command_has_no_other_moves(old: MessageStatus, new: MessageStatus) -> None:
    with pytest.raises(ValueError, match=f"a Command that is {old} can't become {new}"):
        a_command(status=old).moved(new, LATER)


@pytest.mark.parametrize(
    ("include_sid", "message"),
    [(NONE, "wake up"), (START, f"{COMMAND_SID} wake up"), (END, f"wake up {COMMAND_SID}")],
)
def test_a_device_gets_the_sid_before_a_space_on_request(
    include_sid: IncludeSid, message: str
) -> None:
    assert a_command(include_sid=include_sid).message == message.encode()


def test_a_device_gets_a_text_in_utf_8() -> None:
    assert a_command(command="5 \xe4").message == b"5 \xc3\xa4"


@pytest.mark.parametrize("include_sid", IncludeSid)
@pytest.mark.parametrize(("command", "message"), [("AP8=", b"\x00\xff"), ("", b"")])
def test_a_device_gets_the_bytes_of_a_binary_command_and_no_sid(
    command: str, message: bytes, include_sid: IncludeSid
) -> None:
    sent = a_command(command=command, command_mode=BINARY, include_sid=include_sid)
    assert sent.message == message


def test_by_default_a_command_requests_a_receipt_and_has_no_callback() -> None:
    command = a_command()
    assert (command.include_sid, command.told) == (NONE, NO_TARGET)
    assert command.delivery_receipt_requested


# ---- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "mode", "include_sid"),
    [
        ("", TEXT, NONE),
        ("x" * 160, TEXT, NONE),
        ("\xff" * 160, TEXT, NONE),
        ("x" * 128, TEXT, START),
        ("x" * 128, TEXT, END),
        ("", BINARY, NONE),
        ("A" * 184 + "AAA=", BINARY, NONE),
        ("A" * 184 + "AAA=", BINARY, END),
    ],
)
def test_a_command_within_the_limits_can_be_sent(
    command: str, mode: PayloadType, include_sid: IncludeSid
) -> None:
    check_command(command, mode, include_sid)


@pytest.mark.parametrize(
    ("command", "mode", "include_sid", "fault"),
    [
        ("x" * 161, TEXT, NONE, ("161 characters are too many; a Command has at most 160", 33111)),
        (
            "x" * 129,
            TEXT,
            START,
            ("129 characters are too many; a Command has at most 128 beside its SID", 33111),
        ),
        (
            "x" * 129,
            TEXT,
            END,
            ("129 characters are too many; a Command has at most 128 beside its SID", 33111),
        ),
        (
            "5 \u20ac",
            TEXT,
            NONE,
            ("'€' is not a single-byte character; an SMS can contain only those", 33101),
        ),
        (
            "A" * 188,
            BINARY,
            NONE,
            ("141 bytes are too many; a binary Command has at most 140", 33111),
        ),
        *(
            (
                command,
                BINARY,
                NONE,
                ("it is not valid Base64, which CommandMode=binary requires", 33101),
            )
            for command in ("AAA", "no base 64!", "\u20ac", "AA==AA==")
        ),
    ],
)
def test_a_command_that_cannot_be_sent_is_refused_with_its_code(
    command: str, mode: PayloadType, include_sid: IncludeSid, fault: tuple[str, int]
) -> None:
    with pytest.raises(InvalidParameter) as refused:
        check_command(command, mode, include_sid)
    words, code = fault
    assert (refused.value.message, refused.value.code) == (f"Command: {words}", code)
