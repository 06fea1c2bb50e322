"""Ringback as users install it: built, installed into empty environments, and tried.

`python -m tests.installed` tries the wheel on every Python that is on the PATH.
"""

import email
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from ringback import __version__
from tests.ports import free_port

ROOT: Final = Path(__file__).parents[1]
TOOLS: Final = Path(sys.executable).parent
BUILT_BY: Final = "flit-core"
_NOT_SHIPPED: Final = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
_SECONDS: Final = 60
MINOR_VERSIONS: Final = range(11, 15)
"""The minor versions of Python 3 that Ringback supports."""


def run(*command: str | Path, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    """Run a command to its end, and return its output; AssertionError if it fails."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


# ---- packages to install -------------------------------------------------------------------------


def build(kind: str, folder: Path, *, root: Path = ROOT) -> Path:
    """Build the `wheel` or the `sdist` of a checkout into a folder."""
    code = f"import flit_core.buildapi as b; print(b.build_{kind}({str(folder)!r}))"
    return folder / run(sys.executable, "-c", code, cwd=root).split()[-1]


def wheels_of(folder: Path, *names: str) -> Path:
    """Make wheels of packages that are installed here, and of all their dependencies.

    An installation from this folder needs no network, and gets the versions that are pinned here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for package in _with_all_they_need(names):
        _pack(package, folder)
    return folder


def pinned(folder: Path) -> Path:
    """Write the versions that requirements/run.txt pins, without hashes, as a --constraint file."""
    lines = (ROOT / "requirements" / "run.txt").read_text().splitlines()
    file = folder / "constraints.txt"
    file.write_text("\n".join(line.rstrip(" \\") for line in lines if re.match(r"\w", line)))
    return file


def _with_all_they_need(names: tuple[str, ...]) -> Iterator[Distribution]:
    wanted, seen = [Requirement(name) for name in names], set[tuple[str, frozenset[str]]]()
    packed = set[str]()
    while wanted:
        requirement = wanted.pop()
        key = (requirement.name.lower(), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        package = distribution(requirement.name)
        if package.name not in packed and package.name != "ringback":
            packed.add(package.name)
            yield package
        for needed in map(Requirement, package.requires or ()):
            extras = ({"extra": extra} for extra in ("", *requirement.extras))
            if needed.marker is None or any(map(needed.marker.evaluate, extras)):
                wanted.append(needed)


def _pack(package: Distribution, folder: Path) -> None:
    """Turn an installed package back into a wheel."""
    described = email.message_from_string(package.read_text("WHEEL") or "")
    pythons, abis, platforms = zip(
        *(tag.split("-") for tag in described.get_all("Tag", [])), strict=True
    )
    tags = "-".join(".".join(dict.fromkeys(each)) for each in (pythons, abis, platforms))
    name = re.sub(r"[-_.]+", "_", package.name)
    shipped = [
        path
        for path in package.files or ()
        if ".." not in path.parts and path.suffix != ".pyc" and path.name not in _NOT_SHIPPED
    ]
    # Hashes that are left out are not checked.
    record = next(str(path) for path in package.files or () if path.name == "RECORD")
    with zipfile.ZipFile(folder / f"{name}-{package.version}-{tags}.whl", "w") as wheel:
        for path in shipped:
            wheel.write(str(path.locate()), str(path))
        wheel.writestr(record, "".join(f"{path},,\n" for path in (*shipped, record)))


# ---- ways to install -----------------------------------------------------------------------------


def offline(wheels: Path) -> dict[str, str]:
    """Return an environment in which pip, uv and pipx take packages only from this folder."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "UV_", "PIPX_", "VIRTUAL_ENV"))
    }
    return kept | {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_NO_COMPILE": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "UV_NO_INDEX": "1",
        "UV_FIND_LINKS": str(wheels),
        "UV_OFFLINE": "1",
    }


def empty_environment(folder: Path) -> Path:
    """Create a virtual environment without packages; return the folder of its commands."""
    venv.create(folder, symlinks=True)
    return folder / "bin"


def pip_install(commands: Path, *what: str | Path, env: Mapping[str, str]) -> None:
    """Install packages into an environment, with the pip of the running Python."""
    pip = (sys.executable, "-m", "pip", "--python", commands / "python", "install", "--quiet")
    run(*pip, *what, cwd=commands, env=env)


# ---- checks --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Installed:
    """An installed Ringback, and an empty folder to work in."""

    commands: Path
    """The folder that has the command `ringback`."""
    folder: Path

    @property
    def python(self) -> Path:
        """The Python that runs the command: uv and pipx put it in another folder."""
        return (self.commands / "ringback").resolve().parent / "python"

    def ringback(self, *words: str) -> str:
        """Run `ringback` with these arguments, and return its output."""
        return run(self.commands / "ringback", *words, cwd=self.folder, env=_plain())

    def try_first_commands(self) -> None:
        """Run the documents' first commands; AssertionError if one doesn't do what they say."""
        assert self.ringback("--version") == f"ringback {__version__}\n"
        assert self.ringback("--help").startswith("Usage: ringback [OPTIONS] COMMAND")
        module = (self.python, "-m", "ringback")
        assert run(*module, "--version", cwd=self.folder) == f"ringback {__version__}\n"
        shown = run(*module, "--help", cwd=self.folder)
        assert shown.startswith("Usage: python -m ringback [OPTIONS] COMMAND")
        if re.search(r"^  demo\b", shown, re.MULTILINE):
            assert "kore" in self.ringback("demo").lower()
        self._send_to_the_example()

    def _send_to_the_example(self) -> None:
        """Run `dev` and an example receiver, and send it a callback from each source."""
        words = ("dev", "--port", "0", "--gateway", "none", "--json")
        command = (self.commands / "ringback", *words)
        with subprocess.Popen(command, cwd=self.folder, env=_plain(), stdout=-1, text=True) as dev:
            try:
                assert dev.stdout is not None
                started = dev.stdout.readline()
                assert started, "`ringback dev` did not start"
                details = json.loads(started)
                port = free_port()
                url = f"http://127.0.0.1:{port}/callbacks"
                environment = _plain() | {
                    "PORT": str(port),
                    "CALLBACK_URL": url,
                    "TWILIO_AUTH_TOKEN": details["auth_token"],
                    "KORE_SECRET": details["kore_secret"],
                    "PYTHONUNBUFFERED": "1",
                }
                received = self._receive(environment, url)
            finally:
                dev.terminate()
        assert dev.returncode == 0
        assert len(received) == 2
        assert all(line.startswith("SMS ") for line in received)

    def _receive(self, environment: Mapping[str, str], url: str) -> list[str]:
        example = ROOT / "examples" / "frameworks" / "wsgi_app.py"
        command = (self.python, example)
        log, lines = self.folder / "receiver.log", list[str]()
        with (
            log.open("w") as errors,
            subprocess.Popen(
                command, cwd=self.folder, env=environment, stdout=-1, stderr=errors, text=True
            ) as receiver,
        ):
            try:
                _wait_for(url)
                assert receiver.stdout is not None
                for source in ("twilio", "kore"):
                    self.ringback("trigger", "sms.received", "--cbs", source, "--to", url)
                    lines.append(receiver.stdout.readline())
                listed = self.ringback("callbacks", "list")
            finally:
                receiver.terminate()
        for source in ("twilio", "kore"):
            assert re.search(rf"\b{source}\b.*\bdelivered\b|\bdelivered\b.*\b{source}\b", listed)
        return lines


def _plain() -> dict[str, str]:
    """Return the environment without variables that would make Python load other modules."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def _wait_for(url: str) -> None:
    host, port = re.findall(r"//(.*):(\d+)/", url)[0]
    code = f"import socket; socket.create_connection(({host!r}, {port}), 1).close()"
    until = time.monotonic() + _SECONDS
    while subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode:
        assert time.monotonic() < until, f"nothing listens at {url}"
        time.sleep(0.05)


# ---- on other Pythons ----------------------------------------------------------------------------


def other_pythons(path: str) -> dict[str, Path | None]:
    """Return the first usable Python on a PATH for each version except this one, or None."""
    names = [f"python3.{minor}" for minor in MINOR_VERSIONS if minor != sys.version_info.minor]
    return {name: next(_usable(name, path), None) for name in names}


def _usable(name: str, path: str) -> Iterator[Path]:
    for folder in path.split(os.pathsep):
        candidate = Path(folder, name)
        # pyenv may have a shim for a version that is not enabled.
        if (
            candidate.is_file()
            and not subprocess.run(
                [candidate, "-c", "import ssl, sqlite3"], capture_output=True, check=False
            ).returncode
        ):
            yield candidate


def _try_on(python: Path, wheel: Path, folder: Path) -> None:
    uv = (TOOLS / "uv", "--quiet", "--system-certs")
    environment = folder / "venv"
    run(*uv, "venv", "--python", python, environment, cwd=folder)
    install = ("pip", "install", "--python", environment, "--constraint", pinned(folder))
    run(*uv, *install, f"ringback[all] @ {wheel.as_uri()}", cwd=folder)
    Installed(environment / "bin", folder).try_first_commands()


def main() -> int:
    """Try the wheel on all other Pythons here; return 1 if it fails on one of them."""
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        wheel = build("wheel", Path(temporary))
        for name, python in other_pythons(os.environ["PATH"]).items():
            if python is None:
                print(f"{name}: not on the PATH, not tried")
                continue
            folder = Path(temporary, name)
            folder.mkdir()
            start = time.monotonic()
            try:
                _try_on(python, wheel, folder)
            except AssertionError as failure:
                failed = True
                print(f"{name}: failed ({python})\n{failure}")
            else:
                print(f"{name}: works ({python}, {time.monotonic() - start:.0f} s)")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
