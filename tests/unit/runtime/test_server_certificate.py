"""The certificate of `ringback serve`: invalid ones are refused, renewed ones are loaded."""

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from ringback.core.errors import ConfigurationError
from ringback.runtime.server_certificate import ServerCertificate, server_context
from tests.fakes import FakeClock
from tests.policy_monitors import until

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
CA = trustme.CA()


def write(
    folder: Path, *, since: int = -1, until: int = 1, only: str = "cert.pem key.pem"
) -> tuple[Path, Path]:
    """Write a new certificate and its key; it is valid for these days around now."""
    made = CA.issue_cert(
        "localhost", not_before=NOW + timedelta(days=since), not_after=NOW + timedelta(days=until)
    )
    files = {
        "cert.pem": b"".join(pem.bytes() for pem in made.cert_chain_pems),
        "key.pem": made.private_key_pem.bytes(),
    }
    for name in only.split():
        folder.joinpath(name).write_bytes(files[name])
    return folder / "cert.pem", folder / "key.pem"


def refusal_of(certificate: Path | None, key: Path | None, now: datetime | None = NOW) -> str:
    with pytest.raises(ConfigurationError) as refused:
        server_context(certificate, key, now=now)
    return str(refused.value)


def test_both_are_needed(tmp_path: Path) -> None:
    certificate, key = write(tmp_path)
    assert "tls_cert is given, so give tls_key, too" in refusal_of(certificate, None)
    assert "tls_key is given, so give tls_cert, too" in refusal_of(None, key)


def test_unusable_files_are_named(tmp_path: Path) -> None:
    certificate, key = write(tmp_path)
    missing = tmp_path / "none.pem"
    assert f"the file {missing} can't be read" in refusal_of(missing, key)
    assert f"the file {missing} can't be read" in refusal_of(certificate, missing)
    both = f"the certificate {key} with the key {certificate} can't be used"
    assert both in refusal_of(key, certificate)
    write(tmp_path, only="key.pem")
    assert "belong together" in refusal_of(certificate, key)


def test_a_certificate_outside_of_its_validity_is_named(tmp_path: Path) -> None:
    certificate, key = write(tmp_path, since=-30, until=-1)
    expired = f"the certificate {certificate} has expired at 2026-10-31 12:00 UTC; renew it"
    assert refusal_of(certificate, key) == expired
    write(tmp_path, since=1, until=30)
    assert "is valid from 2026-11-02 12:00 UTC only" in refusal_of(certificate, key)
    # The certificates that a settings file names are checked without a clock.
    assert server_context(certificate, key)


def test_no_old_version_of_tls_is_accepted(tmp_path: Path) -> None:
    context = server_context(*write(tmp_path), now=NOW)
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@asynccontextmanager
async def watching(
    folder: Path, clock: FakeClock | None = None
) -> AsyncGenerator[ServerCertificate]:
    shown = ServerCertificate(*write(folder), clock=clock or FakeClock(NOW), look_every=0.01)
    watching = asyncio.create_task(shown.watch())
    try:
        yield shown
    finally:
        watching.cancel()


async def until_said(caplog: pytest.LogCaptureFixture, said: str) -> None:
    await until(lambda: any(said in message for message in caplog.messages))


async def test_a_renewed_certificate_is_loaded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with watching(tmp_path) as shown:
        before = shown.context()
        write(tmp_path)
        await until_said(caplog, "HTTPS uses the new certificate")
        assert shown.context() is not before


async def test_a_broken_certificate_is_not_loaded_and_reported_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with watching(tmp_path) as shown:
        before = shown.context()
        write(tmp_path, only="cert.pem")
        await until_said(caplog, "so HTTPS keeps the old one: the certificate")
        await asyncio.sleep(0.1)
        assert len(caplog.messages) == 1
        assert shown.context() is before
        write(tmp_path, until=-1, since=-2)
        await until_said(caplog, "has expired")
        tmp_path.joinpath("key.pem").unlink()
        await until_said(caplog, "can't be read")
        assert shown.context() is before
        caplog.set_level(logging.INFO)
        write(tmp_path)
        await until_said(caplog, "HTTPS uses the new certificate")
        assert shown.context() is not before


async def test_it_is_read_again_on_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with watching(tmp_path) as shown:
        shown.look_now()
        await until_said(caplog, "HTTPS uses the new certificate")
