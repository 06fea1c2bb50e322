"""Files damaged at seeded places are refused, or read correctly; see `trial`.

`make damage ARGS="--seeds 10000"` runs more of them.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.damage.trial import Ending, make_base, try_one

SEEDS = 60
Base = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return make_base(tmp_path_factory.mktemp("damage"))


@pytest.mark.parametrize("first", range(0, SEEDS, 10))
def test_a_damaged_file_is_refused_or_read_correctly(
    base: Base, first: int, tmp_path: Path
) -> None:
    whole, expected = base
    for seed in range(first, first + 10):
        _, ending = try_one(seed, whole, tmp_path / str(seed), expected)
        assert ending is not Ending.FOUND, "a server checks such a small file completely"
