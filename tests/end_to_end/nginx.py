"""nginx: in front of API processes, as `docs/operating.md` describes it, and as a receiver."""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
import trustme

from tests.ports import free_port

_CONFIGURATION: Final = """\
daemon off;
{user}
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
    log_format short '$status $upstream_status $request_method $uri';
    access_log {folder}/access.log short;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{servers}
}}
"""
_IN_FRONT: Final = """\
    upstream ringback {{
        {servers}
        keepalive 16;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://ringback;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
"""
_ASKING: Final = """\
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {folder}/own.pem;
        ssl_certificate_key {folder}/own.pem;
        ssl_client_certificate {folder}/clients.pem;
        ssl_verify_client on;
        ssl_protocols {protocol};
        location / {{
            return 200 "$ssl_client_s_dn";
        }}
    }}
"""


@asynccontextmanager
async def an_nginx(folder: Path, ports: Sequence[int]) -> AsyncGenerator[str]:
    """Run nginx in front of the servers on these ports of 127.0.0.1; yield its base URL."""
    port = free_port()
    servers = "\n        ".join(f"server 127.0.0.1:{one} max_fails=0;" for one in ports)
    async with _running(folder, _IN_FRONT.format(port=port, servers=servers), port):
        yield f"http://127.0.0.1:{port}"


@asynccontextmanager
async def an_asking_nginx(
    folder: Path, authority: trustme.CA, *, protocol: str
) -> AsyncGenerator[str]:
    """Run nginx as a receiver that requires a client certificate; yield its base URL.

    It accepts certificates of this authority, and answers with the subject of the client's.
    `protocol` is the version of TLS that it speaks, such as `TLSv1.3`.
    """
    port = free_port()
    authority.cert_pem.write_to_path(str(folder / "clients.pem"))
    own = authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem
    own.write_to_path(str(folder / "own.pem"))
    server = _ASKING.format(port=port, folder=folder, protocol=protocol)
    async with _running(folder, server, port):
        yield f"https://127.0.0.1:{port}"


@asynccontextmanager
async def _running(folder: Path, servers: str, port: int) -> AsyncGenerator[None]:
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed (Debian: nginx-light)")
    (folder / "nginx.conf").write_text(
        _CONFIGURATION.format(
            folder=folder,
            # As root, its worker would otherwise be somebody who may not enter the folder.
            user="user root root;" if os.geteuid() == 0 else "",
            servers=servers,
        )
    )
    process = await asyncio.create_subprocess_exec(
        *(program, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log")
    )
    try:
        async with asyncio.timeout(10):
            while not await listens(port):
                assert process.returncode is None, (folder / "error.log").read_text()
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def listens(port: int) -> bool:
    """Return True if connections to this port are accepted."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        await asyncio.sleep(0.02)
        return False
    writer.close()
    return True
