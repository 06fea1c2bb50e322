"""Loads certificates and keys from files or texts; errors name what can't be used."""

import os
import re
import ssl
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ringback.core.calendar import iso
from ringback.core.errors import ConfigurationError
from ringback.runtime.os_error_messages import error_text

_MOST_CHARACTERS: Final = 64 * 1024
"""The most characters of a certificate with its chain and key, or of several authorities."""
_CERTIFICATE: Final = (re.compile("-----BEGIN [A-Z0-9 ]*CERTIFICATE-----"), "certificate")
_KEY: Final = (re.compile("-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----"), "private key")


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


def load_certificate_text(context: ssl.SSLContext, pem: str, called: str) -> None:
    """Load a certificate, its chain and its key into a TLS context, from one text in PEM.

    Raises ConfigurationError if the text can't be used; messages call it `called`, and don't show
    it, since the key is secret. Raises OSError if this machine has no room for it.
    """
    _check_text(pem, called, _CERTIFICATE, _KEY)

    def no_password() -> str:
        # Without this, OpenSSL would ask for a password on the terminal.
        raise ConfigurationError(
            f"the private key of the {called} is encrypted; give one that needs no password"
        )

    with _private_file(pem) as path:
        try:
            context.load_cert_chain(path, password=no_password)
        except ssl.SSLError as error:
            if error.reason in ("KEY_VALUES_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
                raise ConfigurationError(
                    f"the private key of the {called} does not belong to the first certificate;"
                    " begin with the key's own certificate, then give its chain"
                ) from None
            raise ConfigurationError(
                f"the {called} can't be used: {_why(error)}; give all lines of its files in PEM"
            ) from None


def trust_text(context: ssl.SSLContext, pem: str, called: str) -> None:
    """Make a TLS context trust the certificates in this text in PEM, besides others.

    Raises ConfigurationError if the text can't be used; messages call it `called`.
    """
    _check_text(pem, called, _CERTIFICATE)
    if _KEY[0].search(pem):
        raise ConfigurationError(f"the {called} has a private key; give only certificates")
    try:
        context.load_verify_locations(cadata=pem)
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"the {called} can't be used: {_why(error)}; give all lines of its files in PEM"
        ) from None


def describe_certificates(pem: str) -> str:
    """Return the subject and the end of each certificate in a text in PEM, without any key.

    Raises ValueError if a certificate can't be read.
    """
    # Imported late, since few servers need it.
    from cryptography.x509 import load_pem_x509_certificates  # noqa: PLC0415 (see above)

    found = load_pem_x509_certificates(pem.encode())
    return "; ".join(
        f"{one.subject.rfc4514_string() or 'no subject'}, until {iso(one.not_valid_after_utc)}"
        for one in found
    )


def _check_text(pem: str, called: str, *needed: tuple[re.Pattern[str], str]) -> None:
    if len(pem) > _MOST_CHARACTERS:
        raise ConfigurationError(
            f"the {called} has {len(pem)} characters; at most {_MOST_CHARACTERS} are allowed"
        )
    if not pem.isascii() or "\0" in pem:
        raise ConfigurationError(
            f"the {called} has characters that PEM doesn't have; give only what the file in PEM has"
        )
    for pattern, what in needed:
        if not pattern.search(pem):
            raise ConfigurationError(
                f"the {called} has no {what} in PEM; give it, too, with its line -----BEGIN …-----"
            )


def _why(error: ssl.SSLError) -> str:
    return error_text(error) if error.reason else "a part of it is damaged"


@contextmanager
def _private_file(text: str) -> Generator[str]:
    """Yield the path of a file with this text, which goes with the block; no one else can read it.

    OpenSSL reads certificates and keys only from files. On Linux, the file is only in memory.
    """
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("ringback-pem"), "w") as file:
            file.write(text)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        with tempfile.NamedTemporaryFile("w", prefix="ringback-") as file:
            file.write(text)
            file.flush()
            yield file.name


def require_readable(path: Path) -> None:
    """Raise ConfigurationError, naming the file, if it can't be read."""
    try:
        path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the file {path} can't be read: {error_text(error)}") from None
