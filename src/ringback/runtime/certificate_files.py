"""Certificates and keys in files: what can't be used is found out at once, and named."""

import ssl
from pathlib import Path

from ringback.core.errors import ConfigurationError
from ringback.runtime.os_error_messages import error_text


def load_certificate(context: ssl.SSLContext, certificate: Path, key: Path, called: str) -> None:
    """Have these settings show a certificate, which messages call so.

    Raises ConfigurationError, naming the file, where it can't be used.
    """

    def no_password() -> str:
        # Without this, OpenSSL asks whoever sits at the terminal.
        raise ConfigurationError(f"the key {key} is encrypted; give one that needs no password")

    for path in (certificate, key):
        require_readable(path)
    try:
        context.load_cert_chain(certificate, key, password=no_password)
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"the {called} {certificate} with the key {key} can't be used:"
            f" {error_text(error)}; both must be in PEM and belong together"
        ) from None


def require_readable(path: Path) -> None:
    """Check that a file can be read; raises ConfigurationError, naming it, where it can't."""
    try:
        path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the file {path} can't be read: {error_text(error)}") from None
