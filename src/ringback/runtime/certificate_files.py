"""Loads certificates and keys from files; errors name the file that can't be used."""

import ssl
from pathlib import Path

from ringback.core.errors import ConfigurationError
from ringback.runtime.os_error_messages import error_text


def load_certificate(context: ssl.SSLContext, certificate: Path, key: Path, called: str) -> None:
    """Load a certificate and its key into a TLS context; error messages call it `called`.

    Raises ConfigurationError, naming the file, if a file can't be used.
    """

    def no_password() -> str:
        # Without this, OpenSSL would ask for a password on the terminal.
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
    """Raise ConfigurationError, naming the file, if it can't be read."""
    try:
        path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the file {path} can't be read: {error_text(error)}") from None
