"""The certificate that `ringback serve` shows: read at the start, and again when it is renewed.

Laws of this file. A certificate that can't be used never takes the place of one that can. It is
looked at once a second, as the settings file is: what tells programs of changes to files differs
from system to system, and not every file system has it.
"""

import asyncio
import logging
import ssl
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from ringback.core.errors import ConfigurationError
from ringback.ports import Clock
from ringback.runtime.certificate_files import load_certificate

_LOOK_EVERY_SECONDS: Final = 1.0

_Mark = tuple[tuple[int, int, int] | None, ...]
"""What tells one state of the files from another; None for one that can't be read."""

_log = logging.getLogger(__name__)


def server_context(
    certificate: Path | None, key: Path | None, *, now: datetime | None = None
) -> ssl.SSLContext:
    """Return what serves TLS with a certificate and its key.

    Raises ConfigurationError, naming the file, where one is missing or can't be used; with `now`,
    also where the certificate isn't valid then.
    """
    if certificate is None or key is None:
        there, missing = ("tls_cert", "tls_key") if key is None else ("tls_key", "tls_cert")
        raise ConfigurationError(
            f"HTTPS needs both: beside {there}, {missing} has to say which file it is"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    load_certificate(context, certificate, key, "certificate")
    if now is not None:
        _refuse_outside_of_its_time(certificate, now)
    return context


class ServerCertificate:
    """The certificate that is shown now.

    Raises ConfigurationError, naming the file, where it can't be used at the start.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        *,
        clock: Clock,
        look_every: float = _LOOK_EVERY_SECONDS,
    ) -> None:
        self._files = (certificate, key)
        self._clock = clock
        self._look_every = look_every
        self._read = _mark(*self._files)
        self._asked = asyncio.Event()
        self._context = server_context(certificate, key, now=clock.now())

    def look_now(self) -> None:
        """Read the files at once, whether they have changed or not."""
        self._asked.set()

    def context(self) -> ssl.SSLContext:
        """Return what a new connection is to be served with."""
        return self._context

    async def watch(self) -> None:
        """Read the files again when they have changed, for ever."""
        seen = self._read
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), self._look_every)
            now = _mark(*self._files)
            # What is being written is left alone until it stays as it is.
            is_settled, seen = now == seen, now
            if self._asked.is_set() or (is_settled and now != self._read):
                self._asked.clear()
                self._read = now
                await self._reload()

    async def _reload(self) -> None:
        certificate, key = self._files
        try:
            self._context = await asyncio.to_thread(
                server_context, certificate, key, now=self._clock.now()
            )
        except ConfigurationError as problem:
            _log.error("HTTPS goes on with the certificate of before: %s", problem)
        else:
            _log.info("HTTPS shows the new certificate of %s now", certificate)


def _refuse_outside_of_its_time(certificate: Path, now: datetime) -> None:
    own = x509.load_pem_x509_certificates(certificate.read_bytes())[0]
    if now >= own.not_valid_after_utc:
        raise ConfigurationError(
            f"the certificate {certificate} has expired at {own.not_valid_after_utc:%Y-%m-%d %H:%M}"
            " UTC; renew it"
        )
    if now < own.not_valid_before_utc:
        raise ConfigurationError(
            f"the certificate {certificate} is valid from {own.not_valid_before_utc:%Y-%m-%d %H:%M}"
            " UTC only; wait, or set this machine's clock right"
        )


def _mark(*files: Path) -> _Mark:
    return tuple(map(_state_of, files))


def _state_of(file: Path) -> tuple[int, int, int] | None:
    try:
        state = file.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_ino, state.st_size
