"""A real server for the tests of commands that ask one."""

from collections.abc import Iterator

import pytest

from ringback.testing import Emulator


@pytest.fixture(scope="module")
def served() -> Iterator[Emulator]:
    with Emulator() as emulator:
        yield emulator


@pytest.fixture
def ringback(served: Emulator) -> Emulator:
    """Return the server of this module, without what the last test has left."""
    served.reset()
    return served
