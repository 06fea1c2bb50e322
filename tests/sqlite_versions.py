"""The data file with the oldest SQLite that Ringback supports, and with a new one.

`python -m tests.sqlite_versions` builds both as Debian does, from the sources that npm's package
better-sqlite3 ships, into build/sqlite. Python loads the one that LD_LIBRARY_PATH names. With each,
the tests of the SQLite store run, and the plans of all its statements are compared.
"""

import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import pytest

ROOT: Final = Path(__file__).parents[1]
KEPT: Final = ROOT / "build" / "sqlite"
_EXPECTED: Final = "RINGBACK_TESTS_SQLITE"
"""The variable with the version that has to be in use: no other one is tested by mistake."""
_OPTIONS: Final = (
    *("ALLOW_ROWID_IN_VIEW", "ENABLE_COLUMN_METADATA", "ENABLE_DBSTAT_VTAB", "ENABLE_JSON1"),
    *("ENABLE_LOAD_EXTENSION", "ENABLE_MATH_FUNCTIONS", "ENABLE_STMTVTAB", "ENABLE_UNLOCK_NOTIFY"),
    *("LIKE_DOESNT_MATCH_BLOBS", "MAX_SCHEMA_RETRY=25", "MAX_VARIABLE_NUMBER=250000"),
    *("SECURE_DELETE", "SOUNDEX", "THREADSAFE=1", "USE_URI"),
)
"""The options of Debian's build that may change what a statement does, or how."""


class SqliteRelease(NamedTuple):
    """A version of SQLite, the version of better-sqlite3 that ships it, and its source's digest."""

    version: str
    package: str
    sha256: str


RELEASES: Final = (
    SqliteRelease(
        "3.40.0",  # Debian 12 has 3.40.1
        "8.0.1",
        "d2d9baf689e59fd9f73844138a1a52fca8707327f75ef7feb0e8b00793d302a8",
    ),
    SqliteRelease(
        "3.53.2", "12.11.1", "60d2f39a3726cd6b9021da6f4e868608d66fbb6528a9f513dc8ffcc640493422"
    ),
)


# ---- a library -----------------------------------------------------------------------------------


def built(release: SqliteRelease) -> Path:
    """Return the folder with the library of a release; build it if it isn't there."""
    folder = KEPT / release.version
    library = folder / "libsqlite3.so.0"
    if not library.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as name:
            draft = _compile(_source(release, Path(name)))
            draft.replace(library)
    return folder


def _source(release: SqliteRelease, folder: Path) -> Path:
    package = f"better-sqlite3@{release.package}"
    subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True, stdout=-3)
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as packed:
        file = packed.extractfile("package/deps/sqlite3/sqlite3.c")
        text = b"" if file is None else file.read()
    if hashlib.sha256(text).hexdigest() != release.sha256:
        sys.exit(f"the source of SQLite {release.version} in npm's {package} is another one")
    source = folder / "sqlite3.c"
    source.write_bytes(text)
    return source


def _compile(source: Path) -> Path:
    library = source.with_suffix(".so")
    options = [f"-DSQLITE_{option}" for option in _OPTIONS]
    command = ["gcc", "-w", "-shared", "-fPIC", "-O2", "-Wl,-soname,libsqlite3.so.0", *options]
    subprocess.run([*command, "-o", library, source, "-lm", "-lpthread", "-ldl"], check=True)
    return library


def using(folder: Path, version: str) -> dict[str, str]:
    """Return an environment in which Python uses the library in this folder.

    Ends the program if it doesn't: an interpreter may have an SQLite of its own linked in.
    """
    paths = [str(folder), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    env = os.environ | {"LD_LIBRARY_PATH": ":".join(paths), _EXPECTED: version}
    asked = [sys.executable, "-c", "import sqlite3; print(sqlite3.sqlite_version)"]
    found = subprocess.run(asked, env=env, check=True, stdout=-1, text=True).stdout.strip()
    if found != version:
        sys.exit(
            f"{sys.executable} uses SQLite {found} although LD_LIBRARY_PATH names {version}: it"
            " needs an interpreter that loads libsqlite3.so.0, such as that of Debian"
        )
    return env


# ---- pytest, with this module as a plugin --------------------------------------------------------


def pytest_configure() -> None:
    """Stop unless the expected version is in use."""
    expected = os.environ[_EXPECTED]
    if sqlite3.sqlite_version != expected:
        pytest.exit(f"SQLite {sqlite3.sqlite_version} is in use, and not {expected}", 3)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of other stores."""
    others = [item for item in items if _is_of_another_store(item)]
    config.hook.pytest_deselected(items=others)
    left_out = {*map(id, others)}
    items[:] = [item for item in items if id(item) not in left_out]


def _is_of_another_store(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    return "postgres_dsn" in fixtures or bool(re.search(r"postgres|\[.*memory", item.name))


# ---- plans ---------------------------------------------------------------------------------------


def searches() -> dict[str, list[str]]:
    """Return how each statement of the SQLite store finds its rows, by the text of the statement.

    The order of the steps, and how values of its own are read, may differ between versions.
    """
    from tests.stores.test_every_statement import STEPS, Walk

    walk = Walk()
    for step in STEPS.values():
        walk.do(step)
    return {
        statement: sorted(filter(None, map(_search, walk.recorded.steps(statement))))
        for statement in walk.recorded.statements
    }


def _search(step: str) -> str | None:
    if not step.startswith(("SCAN", "SEARCH")) or re.match(r"SCAN (\d+|CONSTANT)", step):
        return None
    return re.sub(r" EXISTS| COVERING|\s*LEFT-JOIN", "", step)


def differences(old: dict[str, list[str]], new: dict[str, list[str]]) -> list[str]:
    """Return the statements that two versions of SQLite plan differently, with both plans."""
    return [
        f"{' '.join(statement.split())}\n  {old[statement]}\n  {new.get(statement)}"
        for statement in old
        if old[statement] != new.get(statement)
    ]


# ---- the command ---------------------------------------------------------------------------------


def main() -> int:
    """Run the tests with each release, and compare the plans; return 1 if something is wrong."""
    if sys.argv[1:] == ["--plans"]:
        print(json.dumps(searches()))
        return 0
    with ThreadPoolExecutor() as pool:
        folders = list(pool.map(built, RELEASES))
    envs = [using(folder, one.version) for folder, one in zip(folders, RELEASES, strict=True)]
    failed = [_tested(one, env) for one, env in zip(RELEASES, envs, strict=True)]
    old, new = map(_plans, envs)
    differing = differences(old, new)
    print(*differing, sep="\n")
    print(f"{len(old)} statements, of which {len(differing)} depend on the version of SQLite")
    return 1 if any(failed) or differing else 0


def _tested(release: SqliteRelease, env: dict[str, str]) -> bool:
    print(f"--- SQLite {release.version}", flush=True)
    command = [sys.executable, "-m", "pytest", "--quiet", "-p", "tests.sqlite_versions"]
    options = ["--numprocesses", "auto", "--dist", "worksteal", "tests/stores"]
    return subprocess.run([*command, *options, *sys.argv[1:]], env=env, check=False).returncode != 0


def _plans(env: dict[str, str]) -> dict[str, list[str]]:
    asked = [sys.executable, "-m", "tests.sqlite_versions", "--plans"]
    return json.loads(subprocess.run(asked, env=env, check=True, stdout=-1).stdout)


if __name__ == "__main__":
    sys.exit(main())
