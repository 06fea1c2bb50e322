"""A fixture that writes a settings file."""

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write_file(tmp_path: Path) -> Callable[[str], str]:
    """Return the function that writes a text to the settings file, and returns its path."""

    def write(text: str) -> str:
        path = tmp_path / "ringback.toml"
        path.write_text(text, "utf-8")
        return str(path)

    return write
