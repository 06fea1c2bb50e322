"""The limit on open files: raised if the system allows it, and never lowered."""

import resource

import pytest

from ringback.runtime import open_files
from ringback.runtime.open_files import open_files_limit, raise_limit

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
