"""`ringback serve` as seen from outside: behind a proxy, and with its own certificate."""

import asyncio
import json
import ssl
import subprocess
import sys
from base64 import b64encode
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

import pytest
import trustme

from tests.crash.production import Production, create_account, in_production

CA = trustme.CA()
CLIENT = ssl.create_default_context()
CA.configure_trust(CLIENT)


# ---- a proxy -------------------------------------------------------------------------------------


def guess(server: Production, sid: str, forwarded_for: str) -> int:
    """Try a wrong password for another client, and return the status."""
    host, port = server.address
    connection = HTTPConnection(host, port, timeout=20)
    basic = b64encode(f"{sid}:wrong".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "X-Forwarded-For": forwarded_for}
    connection.request("GET", "/v1/Sims", headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


async def guesses(server: Production, sid: str) -> list[int]:
    return [
        await asyncio.to_thread(guess, server, sid, f"203.0.113.{number}") for number in range(60)
    ]


async def test_a_changing_header_does_not_make_one_stranger_many(tmp_path: Path) -> None:
    credentials = await create_account(tmp_path)
    async with in_production(tmp_path, credentials) as server:
        statuses = await guesses(server, credentials["account_sid"])
        await server.log.says("127.0.0.1 sends X-Forwarded-For, which is ignored")
    assert statuses.count(429) > 0
    assert statuses.count(401) < 60
    told = [line for line in server.log.lines if "trusted_proxies" in line["message"]]
    assert len(told) == 1


async def test_the_clients_of_a_trusted_proxy_count_separately(tmp_path: Path) -> None:
    credentials = await create_account(tmp_path)
    flags = ("--trusted-proxies", "127.0.0.1")
    async with in_production(tmp_path, credentials, *flags) as server:
        headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
        seen = await server.call("GET", "/v1/Sims", headers=headers)
    assert seen.body["meta"]["url"].startswith("https://127.0.0.1:")
    assert not any("trusted_proxies" in line["message"] for line in server.log.lines)


# ---- a certificate -------------------------------------------------------------------------------


def write_certificate(folder: Path) -> tuple[str, ...]:
    """Write a new certificate and its key, and return the flags that name them."""
    made = CA.issue_cert("127.0.0.1")
    files = {"cert.pem": made.cert_chain_pems[0], "key.pem": made.private_key_pem}
    for name, pem in files.items():
        pem.write_to_path(str(folder / name))
    return ("--tls-cert", str(folder / "cert.pem"), "--tls-key", str(folder / "key.pem"))


def shown_by(server: Production) -> tuple[bytes | None, int]:
    """Return the certificate that the server shows, and the status of `/healthz`."""
    host, _, port = server.dev["base_url"].removeprefix("https://").rpartition(":")
    connection = HTTPSConnection(host, int(port), context=CLIENT, timeout=20)
    connection.request("GET", "/healthz")
    certificate = connection.sock.getpeercert(binary_form=True)
    status = connection.getresponse().status
    connection.close()
    return certificate, status


async def test_https_is_served_and_a_renewed_certificate_needs_no_restart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    credentials = await create_account(data)
    async with in_production(data, credentials, *write_certificate(tmp_path)) as server:
        assert server.dev["base_url"].startswith("https://127.0.0.1:")
        first, status = await asyncio.to_thread(shown_by, server)
        assert status == 200
        write_certificate(tmp_path)
        await server.log.says("HTTPS uses the new certificate")
        second, _ = await asyncio.to_thread(shown_by, server)
        assert second != first
        (tmp_path / "key.pem").unlink()
        await server.log.says("the new certificate can't be used")
        assert await asyncio.to_thread(shown_by, server) == (second, 200)
        assert await server.stop() == 0


@pytest.mark.parametrize("missing", ["--tls-cert", "--tls-key"])
def test_one_file_without_the_other_is_refused_by_name(missing: str, tmp_path: Path) -> None:
    flags = dict(zip(*[iter(write_certificate(tmp_path))] * 2, strict=True))
    del flags[missing]
    words = ("serve", "--data", str(tmp_path), *(part for pair in flags.items() for part in pair))
    ended = subprocess.run(
        (sys.executable, "-m", "ringback", *words), capture_output=True, timeout=20, check=False
    )
    assert ended.returncode == 1
    name = missing.removeprefix("--").replace("-", "_")
    assert f"so give {name}, too" in json.loads(ended.stderr)["message"]
