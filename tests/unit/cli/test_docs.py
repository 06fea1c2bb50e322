"""`ringback docs`: where the documentation is, and how to build it where it isn't."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ringback.cli import docs as command
from ringback.cli.docs import start_page
from ringback.cli.main import main
from ringback.core.errors import ConfigurationError


def a_site(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "index.html").write_text("<title>Ringback</title>")
    return folder / "index.html"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "checkout" / "src" / "ringback"
    monkeypatch.setattr(command, "PACKAGE", folder)
    return folder


def test_the_installed_site_goes_before_one_that_a_checkout_has_built(package: Path) -> None:
    built = a_site(package.parents[1] / "build" / "site")
    assert start_page(package) == built
    installed = a_site(package / "_site")
    assert start_page(package) == installed


def test_without_a_site_it_says_how_to_build_one(package: Path) -> None:
    with pytest.raises(ConfigurationError, match="run `make docs`"):
        start_page(package)
    result = CliRunner().invoke(main, ["docs", "--print"])
    assert result.exit_code == 1
    assert result.stdout == ""


@pytest.mark.parametrize("flags", [[], ["--print"]])
def test_it_prints_the_address_and_opens_it_unless_that_is_all(
    flags: list[str], package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = list[str]()
    monkeypatch.setattr(click, "launch", opened.append)
    address = a_site(package / "_site").as_uri()
    result = CliRunner().invoke(main, ["docs", *flags])
    assert (result.exit_code, result.stdout) == (0, f"{address}\n")
    assert opened == ([] if flags else [address])
