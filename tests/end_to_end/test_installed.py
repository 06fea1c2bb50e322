"""The wheel, the sdist and a clone: what is in them, and that they work in empty environments."""

import os
import re
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from email import message_from_bytes
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest
from readme_renderer import markdown

from ringback import __version__
from tests.installed import (
    BUILT_BY,
    ROOT,
    TOOLS,
    Installed,
    build,
    empty_environment,
    offline,
    other_pythons,
    pip_install,
    run,
    wheels_of,
)

DIST_INFO: Final = f"ringback-{__version__}.dist-info"
SWAGGER_UI: Final = "ringback/api/openapi/swagger_ui/swagger-ui-bundle.js"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel and the sdist of this checkout."""
    folder = tmp_path_factory.mktemp("built")
    return {kind: build(kind, folder) for kind in ("wheel", "sdist")}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which only packages that are installed here can be installed."""
    names = ("ringback[all]", BUILT_BY, "pip")
    return offline(wheels_of(tmp_path_factory.mktemp("wheels"), *names))


# ---- content -------------------------------------------------------------------------------------


def test_the_wheel_has_what_the_package_needs_and_nothing_else(built: dict[str, Path]) -> None:
    names = set(zipfile.ZipFile(built["wheel"]).namelist())
    assert {"ringback/py.typed", SWAGGER_UI} < names
    console = "ringback/console"
    assert {f"{console}/templates/callbacks.html", f"{console}/static/htmx.min.js"} < names
    assert f"{console}/static/LICENSE-htmx" in names
    assert {name.partition("/")[0] for name in names} == {"ringback", DIST_INFO}
    assert not [name for name in names if name.endswith((".pyc", ".map"))]


def test_the_sdist_has_the_documents_and_the_examples(built: dict[str, Path]) -> None:
    with tarfile.open(built["sdist"]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "docs/receiver.md",
        "examples/frameworks/wsgi_app.py",
        "pyproject.toml",
        "src/ringback/py.typed",
        f"src/{SWAGGER_UI}",
    } < names
    assert not [name for name in names if name.endswith(".pyc")]


def test_a_built_site_is_in_the_wheel(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copy(ROOT / "README.md", tmp_path)
    shutil.copy(ROOT / "LICENSE", tmp_path)
    leave_out = shutil.ignore_patterns("__pycache__", "_site")
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=leave_out)
    site = tmp_path / "src" / "ringback" / "_site"
    site.mkdir()
    (site / "index.html").write_text("<title>Ringback</title>")
    wheel = build("wheel", tmp_path, root=tmp_path)
    assert "ringback/_site/index.html" in zipfile.ZipFile(wheel).namelist()


def test_the_metadata_is_complete(built: dict[str, Path]) -> None:
    with zipfile.ZipFile(built["wheel"]) as wheel:
        metadata = message_from_bytes(wheel.read(f"{DIST_INFO}/METADATA"))
    extras = {"all", "kinesis", "migrate", "postgres", "server"}
    assert set(metadata.get_all("Provides-Extra", [])) == extras
    assert metadata["License-Expression"] == "Apache-2.0 AND MIT AND BSD-3-Clause AND 0BSD"
    assert len(metadata.get_all("License-File", [])) == 5
    assert "Typing :: Typed" in metadata.get_all("Classifier", [])
    assert metadata["Keywords"]


# ---- the README by itself ------------------------------------------------------------------------


class _Targets(HTMLParser):
    """Collects the targets of a page's links and images."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found = list[str]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("href", "src")]


def relative_targets(text: str) -> list[str]:
    """Return the links and images of a Markdown text that break if it is shown by itself."""
    page = markdown.render(text)
    assert page is not None
    return [target for target in _Targets(page).found if not re.match(r"https?://|#", target)]


def test_relative_links_and_images_are_found() -> None:
    text = "[a](docs/a.md) ![b](b.png) <https://example.com/> [c](#c) <img src='d.svg'> `docs/e.md`"
    assert relative_targets(text) == ["docs/a.md", "b.png", "d.svg"]


def test_the_readme_has_no_relative_links() -> None:
    assert relative_targets((ROOT / "README.md").read_text()) == []


# ---- a clone -------------------------------------------------------------------------------------

PRETENDED_PYTHON: Final = f"""#!{sys.executable}
import os, shutil, sys, time

match sys.argv[1:]:
    case ["-m", "venv", folder]:
        os.makedirs(f"{{folder}}/bin")
        shutil.copy(__file__, f"{{folder}}/bin/python")
    case ["-m", "pip", *_, what]:
        for word in ("begins", "ends"):
            with open("log", "a") as log:
                print(what, word, file=log)
            time.sleep(0.2)
    case _:
        os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Only makes a note of what it is told to install."""


def test_one_make_installs_while_others_wait(tmp_path: Path) -> None:
    python, clone = tmp_path / "bin" / "python3", tmp_path / "clone"
    for path in (python, *(clone / "requirements" / name for name in ("run.txt", "dev.txt"))):
        path.parent.mkdir(exist_ok=True, parents=True)
        path.touch()
    python.write_text(PRETENDED_PYTHON)
    python.chmod(0o755)
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, clone)
    known = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    environment = known | {"PATH": f"{python.parent}:{known['PATH']}"}
    targets = ("install-dev", "install", "install-dev", "install")
    with ThreadPoolExecutor() as pool:
        wait = [pool.submit(run, "make", target, cwd=clone, env=environment) for target in targets]
        for one in wait:
            one.result()
    in_order = ("requirements/run.txt", ".", "requirements/dev.txt")
    noted = [f"{what} {word}" for what in in_order for word in ("begins", "ends")]
    assert (clone / "log").read_text().splitlines() == noted


# ---- installed -----------------------------------------------------------------------------------


def with_pip(what: Path, folder: Path, env: Mapping[str, str]) -> Path:
    """Install a file by pip; return the folder of the command."""
    commands = empty_environment(folder / "venv")
    pip_install(commands, f"ringback[all] @ {what.as_uri()}", env=env)
    return commands


def with_uv_tool(what: Path, folder: Path, env: Mapping[str, str]) -> Path:
    """Install a file by `uv tool install`; return the folder of the command."""
    places = {
        "UV_TOOL_DIR": str(folder / "tools"),
        "UV_TOOL_BIN_DIR": str(folder / "bin"),
        "UV_CACHE_DIR": str(folder / "cache"),
    }
    command = (TOOLS / "uv", "tool", "install", "--python", TOOLS / "python")
    run(*command, f"ringback[all] @ {what.as_uri()}", cwd=folder, env={**env, **places})
    return folder / "bin"


def with_pipx(what: Path, folder: Path, env: Mapping[str, str]) -> Path:
    """Install a file by `pipx install`; return the folder of the command."""
    names = {"PIPX_HOME": "pipx", "PIPX_BIN_DIR": "bin", "PIPX_MAN_DIR": "man"}
    places = {variable: str(folder / name) for variable, name in names.items()}
    command = (TOOLS / "pipx", "install", "--quiet", "--python", TOOLS / "python")
    run(*command, f"ringback[all] @ {what.as_uri()}", cwd=folder, env={**env, **places})
    return folder / "bin"


Install = Callable[[Path, Path, Mapping[str, str]], Path]


def installed(install: Install, what: Path, folder: Path, env: Mapping[str, str]) -> Installed:
    work = folder / "work"
    work.mkdir()
    return Installed(install(what, folder, env), work)


def test_the_first_commands_work(
    built: dict[str, Path], alone: dict[str, str], tmp_path: Path
) -> None:
    installed(with_uv_tool, built["wheel"], tmp_path, alone).try_first_commands()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["wheel", "sdist"])
@pytest.mark.parametrize("install", [with_pip, with_uv_tool, with_pipx])
def test_the_first_commands_work_however_it_is_installed(
    kind: str, install: Install, built: dict[str, Path], alone: dict[str, str], tmp_path: Path
) -> None:
    installed(install, built[kind], tmp_path, alone).try_first_commands()


def test_a_python_that_does_not_start_is_skipped(tmp_path: Path) -> None:
    shim, real = tmp_path / "shims", tmp_path / "real"
    for folder, code in ((shim, 1), (real, 0)):
        folder.mkdir()
        command = folder / "python3.14"
        command.write_text(f"#!/bin/sh\nexit {code}\n")
        command.chmod(0o755)
    found = other_pythons(f"{shim}:{real}")
    assert found["python3.14"] == real / "python3.14"
    assert other_pythons(str(shim))["python3.14"] is None
