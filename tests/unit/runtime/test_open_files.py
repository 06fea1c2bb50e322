"""The limit on open files: raised if the system allows it, and never lowered."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from ringback.runtime import open_files
from ringback.runtime.open_files import (
    may_have_run_out,
    open_files_limit,
    raise_limit,
    require_room,
)
from tests.descriptors import limited_to

UNLIMITED = resource.RLIM_INFINITY


class Limits:
    """The limits of a process, soft and hard."""

    def __init__(self, soft: int, hard: int, *, may_raise: bool = True) -> None:
        self.now = (soft, hard)
        self._may_raise = may_raise

    def getrlimit(self, which: int) -> tuple[int, int]:
        assert which == resource.RLIMIT_NOFILE
        return self.now

    def setrlimit(self, which: int, limits: tuple[int, int]) -> None:
        if not self._may_raise:
            raise ValueError("not allowed to raise maximum limit")
        assert limits[1] == self.now[1]
        self.now = limits


@pytest.mark.parametrize(
    ("soft", "hard", "needed", "then"),
    [
        (1024, 4096, 5000, 4096),
        (1024, 524_288, 5000, 65_536),
        (1024, 524_288, 200_000, 200_000),
        (1024, UNLIMITED, 5000, 65_536),
        (100_000, 524_288, 5000, 100_000),
        (4096, 4096, 5000, 4096),
    ],
)
def test_it_is_raised_to_the_needed_number_or_the_maximum(
    soft: int, hard: int, needed: int, then: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Limits(soft, hard)
    monkeypatch.setattr(open_files.resource, "getrlimit", limits.getrlimit)
    monkeypatch.setattr(open_files.resource, "setrlimit", limits.setrlimit)
    assert raise_limit(needed) == then
    assert limits.now == (then, hard)


def test_a_limit_that_cannot_be_raised_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(256, 1024, may_raise=False)
    monkeypatch.setattr(open_files.resource, "getrlimit", limits.getrlimit)
    monkeypatch.setattr(open_files.resource, "setrlimit", limits.setrlimit)
    assert raise_limit(5000) == 256


def test_no_limit_counts_as_a_high_one(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(UNLIMITED, UNLIMITED)
    monkeypatch.setattr(open_files.resource, "getrlimit", limits.getrlimit)
    assert open_files_limit() == raise_limit(5000) == 65_536


def test_room_for_a_few_more_files_is_required() -> None:
    require_room()
    with limited_to(0), pytest.raises(OSError, match="Too many open files"):
        require_room()


def test_a_process_that_opened_many_files_may_have_run_out_even_when_they_are_closed() -> None:
    program = """
import os, resource
from ringback.runtime.open_files import may_have_run_out
resource.setrlimit(resource.RLIMIT_NOFILE, (2048, 2048))
print(may_have_run_out())
opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(2000)]
print(may_have_run_out())
for one in opened: os.close(one)
print(may_have_run_out())
"""
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert output.stdout.split() == [b"False", b"True", b"True"]


def test_without_the_table_of_files_nothing_is_sure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "Path", lambda _: Path("/proc/nowhere"))
    assert may_have_run_out()
