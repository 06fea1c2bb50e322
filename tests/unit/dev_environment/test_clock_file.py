"""`clock.json`: a written value is read again, and an invalid file is refused."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest

from ringback.core.errors import ConfigurationError
from ringback.dev_environment.clock_file import ClockFile
from ringback.runtime.virtual_clock import MOST_AHEAD

DAY = timedelta(days=1)


@pytest.fixture
def file(tmp_path: Path) -> ClockFile:
    return ClockFile(tmp_path)


def test_without_a_file_the_clock_shows_the_machines_time(file: ClockFile) -> None:
    assert file.read() == timedelta(0)
    assert ClockFile(file.folder / "not made yet").read() == timedelta(0)


@pytest.mark.parametrize("ahead", [timedelta(0), 3 * DAY, timedelta(microseconds=1), MOST_AHEAD])
def test_a_written_value_is_read(file: ClockFile, ahead: timedelta) -> None:
    file.write(DAY)
    file.write(ahead)
    assert file.read() == ahead


def test_only_the_owner_can_read_it_and_no_other_file_is_left(file: ClockFile) -> None:
    file.write(DAY)
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert list(file.folder.iterdir()) == [file.path]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "3d",
        "[]",
        "null",
        "{}",
        '{"ahead_seconds": "3d"}',
        '{"ahead_seconds": null}',
        '{"ahead_seconds": -1}',
        '{"ahead_seconds": NaN}',
        '{"ahead_seconds": Infinity}',
        '{"ahead_seconds": 1e11}',
        '{"ahead_seconds": 1e300}',
    ],
)
def test_a_broken_file_is_refused_with_advice(file: ClockFile, text: str) -> None:
    file.path.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        file.read()
    assert str(refused.value) == (
        f"{file.path} does not say how far ahead the clock is; it is like"
        ' {"ahead_seconds": 3600}. Fix it, or delete it to go back to the machine\'s time'
    )


def test_bytes_that_are_not_text_are_refused(file: ClockFile) -> None:
    file.path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="does not say"):
        file.read()


def test_a_path_that_is_not_a_file_is_refused(file: ClockFile) -> None:
    file.path.mkdir()
    with pytest.raises(ConfigurationError, match=r"clock\.json can't be read"):
        file.read()


def test_a_failure_to_write_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"clock\.json can't be written: No such file"):
        ClockFile(tmp_path / "gone").write(DAY)
