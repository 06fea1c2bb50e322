"""The pytest fixtures of the emulator; pytest loads them automatically if Ringback is installed."""

from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ringback.testing import Emulator


@pytest.fixture(scope="session")
def emulator_settings() -> Mapping[str, str]:
    """Return the emulator's settings, none by default; override this fixture to change them.

    An example for conftest.py: return `{"phase": "after"}`.
    """
    return {}


@pytest.fixture(scope="session")
def _running_emulator(emulator_settings: Mapping[str, str]) -> Generator["Emulator"]:
    from ringback.testing import Emulator  # noqa: PLC0415 (slow: imported only if a test uses the fixture)

    with Emulator(settings=emulator_settings) as emulator:
        yield emulator


@pytest.fixture
def emulator(_running_emulator: "Emulator") -> "Emulator":
    """Return the session's emulator, reset for each test: without callbacks or other test data."""
    _running_emulator.reset()
    return _running_emulator
