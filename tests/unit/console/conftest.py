"""Fixtures: a server with the notice's account, and a receiver for its callbacks."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.consoles import ConsoleWorld, console_world
from tests.receivers import RecordingReceiver


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[ConsoleWorld]:
    async with console_world(tmp_path) as world:
        yield world


@pytest.fixture
async def receiver() -> AsyncGenerator[RecordingReceiver]:
    async with RecordingReceiver() as receiver:
        yield receiver
