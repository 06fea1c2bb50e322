"""The pytest fixtures of the emulator; pytest finds them by itself where Ringback is installed."""

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ringback.testing import Emulator


@pytest.fixture(scope="session")
def emulator_settings() -> Mapping[str, str]:
    """Return the emulator's settings; override it in a conftest.py: `{"phase": "after"}`."""
    return {}


@pytest.fixture(scope="session")
def _running_emulator(emulator_settings: Mapping[str, str]) -> Generator["Emulator"]:
    from ringback.testing import Emulator  # noqa: PLC0415 (only a suite that uses it pays for it)

    with Emulator(settings=emulator_settings) as emulator:
        yield emulator


@pytest.fixture
def emulator(_running_emulator: "Emulator") -> "Emulator":
    """Return an emulator in which nothing has happened yet."""
    _running_emulator.reset()
    return _running_emulator
