from pathlib import Path

import pytest

from tests.unit.migration.shell import Shell


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(tmp_path)


@pytest.fixture
def four(shell: Shell) -> list[str]:
    """Four URLs, and a plan to move them."""
    urls = [f"https://r{number}.example/" for number in range(4)]
    shell.fill(*urls)
    shell.planned("--data", "data")
    return urls
