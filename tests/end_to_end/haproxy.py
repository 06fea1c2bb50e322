"""HAProxy in front of API processes, as `docs/operating.md` describes it."""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.end_to_end.nginx import listens
from tests.ports import free_port

_CONFIGURATION: Final = """\
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
    timeout check 5s
    option redispatch
frontend clients
    bind 127.0.0.1:{port}
    default_backend ringback
backend ringback
    option httpchk GET /readyz
    default-server check inter 100ms fall 2 rise 1
    {servers}
"""


@asynccontextmanager
async def a_haproxy(folder: Path, ports: Sequence[int]) -> AsyncGenerator[str]:
    """Run HAProxy in front of the servers on these ports of 127.0.0.1; yield its base URL."""
    program = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("HAProxy is not installed (Debian: haproxy)")
    port = free_port()
    servers = "\n    ".join(f"server api{one} 127.0.0.1:{one}" for one in ports)
    file = folder / "haproxy.cfg"
    file.write_text(_CONFIGURATION.format(port=port, servers=servers))
    process = await asyncio.create_subprocess_exec(program, "-db", "-q", "-f", file)
    try:
        async with asyncio.timeout(10):
            while not await listens(port):
                assert process.returncode is None
        yield f"http://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
