"""The table `[retention]` of the settings file."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from ringback.core.errors import ConfigurationError
from ringback.core.retention import StoredTimes, TimeSubject
from ringback.settings.load import load

DAY = timedelta(days=1)
SID = "AC5ef8732a3c49700934481addd5ce1659"
FORM = "the table [retention] and each [retention.accounts.AC…] may have"
Read = Callable[[str], StoredTimes]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ringback.toml"


@pytest.fixture
def read(path: Path) -> Read:
    def read(text: str) -> StoredTimes:
        path.write_text(text)
        return load({"settings": str(path)}, {}).retention

    return read


def test_times_are_read_for_the_server_and_for_accounts(read: Read) -> None:
    text = f'[retention]\nanswers = "1h"\nundelivered = "forever"\n[retention.accounts.{SID}]\n'
    assert read(text + 'delivered = "9d"\n') == {
        TimeSubject("*", "answers"): timedelta(hours=1),
        TimeSubject("*", "undelivered"): None,
        TimeSubject(SID, "delivered"): 9 * DAY,
    }


def test_without_the_table_there_are_no_times(read: Read) -> None:
    assert read("") == {}


def test_the_digits_of_a_sid_are_looked_up_in_lower_case(read: Read) -> None:
    found = read(f'[retention.accounts.{SID[:2]}{SID[2:].upper()}]\ndelivered = "9d"')
    assert [key.subject for key in found] == [SID]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ('[retention]\nanswer = "1h"', 2, "answer is not a known key"),
        ('[retention]\n\nanswers = "1m"', 3, "answers: '1m' is too short; the minimum is 1h"),
        ("[retention]\ndelivered = 30", 2, "delivered = 30 must be text in quotes"),
        ('[retention]\ndelivered = "7d"', 2, "delivered: '7d' is too short; the minimum is 8d"),
        ('[retention.accounts.acme]\nanswers = "1h"', 1, "'acme' is not the SID of an account"),
        ('retention = "30d"', 1, "retention must be a table"),
        ('[retention]\naccounts = "30d"', 2, "retention.accounts must be a table"),
        (f'[retention.accounts]\n{SID} = "30d"', 2, f"retention.accounts.{SID} must be a table"),
        (f'[retention.accounts.{SID}]\nanswers = "x"', 2, "answers: 'x' is not a valid duration"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_line(
    read: Read, path: Path, text: str, line: int, problem: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read(text)
    message = str(refused.value)
    assert message.startswith(f"{path}:{line}: {problem}")
    assert FORM in message
