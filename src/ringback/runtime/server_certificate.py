"""The TLS certificate of `ringback serve`: read at the start, and again when its file changes.

If the new certificate can't be used, the old one stays in use.
"""

import asyncio
import logging
import ssl
from datetime import datetime
from pathlib import Path
from typing import Final

from ringback.core.errors import ConfigurationError
from ringback.ports import Clock
from ringback.runtime.certificate_files import load_certificate
from ringback.runtime.file_watch import FileWatch

_LOOK_EVERY_SECONDS: Final = 1.0

_log = logging.getLogger(__name__)


def server_context(
    certificate: Path | None, key: Path | None, *, now: datetime | None = None
) -> ssl.SSLContext:
    """Return a TLS context for a server, with this certificate and key.

    Raises ConfigurationError, naming the file, if the certificate or key is missing or can't be
    used. With `now`, also raises it if the certificate isn't valid at that time.
    """
    if certificate is None or key is None:
        there, missing = ("tls_cert", "tls_key") if key is None else ("tls_key", "tls_cert")
        raise ConfigurationError(
            f"HTTPS needs both a certificate and a key: {there} is given, so give {missing}, too"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    load_certificate(context, certificate, key, "certificate")
    if now is not None:
        _refuse_outside_of_its_time(certificate, now)
    return context


class ServerCertificate:
    """The server's current certificate, which is read again when its files change.

    Raises ConfigurationError, naming the file, if the certificate can't be used at the start.
    """

    def __init__(
        self, certificate: Path, key: Path, *, clock: Clock, look_every: float = _LOOK_EVERY_SECONDS
    ) -> None:
        self._files = (certificate, key)
        self._clock = clock
        self._watch = FileWatch(certificate, key, look_every=look_every)
        self._context = server_context(certificate, key, now=clock.now())

    def look_now(self) -> None:
        """Read the files at once, even if they have not changed."""
        self._watch.look_now()

    def context(self) -> ssl.SSLContext:
        """Return the TLS context for a new connection, with the current certificate."""
        return self._context

    async def watch(self) -> None:
        """Read the files again whenever they change; this runs for ever."""
        while True:
            await self._watch.changed()
            await self._reload()

    async def _reload(self) -> None:
        certificate, key = self._files
        try:
            # A new context: loading a key that doesn't fit would break the one in use.
            self._context = await asyncio.to_thread(
                server_context, certificate, key, now=self._clock.now()
            )
        except ConfigurationError as problem:
            _log.error("the new certificate can't be used, so HTTPS keeps the old one: %s", problem)
        else:
            _log.info("HTTPS uses the new certificate of %s now", certificate)


def _refuse_outside_of_its_time(certificate: Path, now: datetime) -> None:
    # Imported late: a server without HTTPS would take 5 % longer to start.
    from cryptography import x509  # noqa: PLC0415 (see above)

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
