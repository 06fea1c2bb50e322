"""The CA of `ringback dev --tls`: made once and stored, so that users need to trust it only once.

Only the owner can read the file with the CA's key. The server's certificate and its key are made
anew at each start, and are not stored.
"""

import ssl
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import trustme

from ringback.core.errors import ConfigurationError
from ringback.dev_environment.dev_file import write_private

_NAME: Final = "Ringback dev CA"
_WITHIN: Final = timedelta(days=1)
"""Certificates are valid from this long before now, for clients whose clocks are slow."""
# Apple's systems reject certificates that are valid for more than 825 days.
_VALID: Final = timedelta(days=365)


def ca_file_in(data: Path) -> Path:
    """Return the path of the CA's certificate in a data folder."""
    return data / "tls" / "ca.pem"


def find_or_make_ca(data: Path, *, now: datetime) -> trustme.CA:
    """Return the CA of a data folder; makes it if there is none.

    Raises ConfigurationError if the CA's files can't be read or written, or don't belong together.
    """
    file = ca_file_in(data)
    try:
        return _read(file) if file.exists() else _make(file, now=now)
    except (ssl.SSLError, ValueError, TypeError):
        raise ConfigurationError(
            f"{file} and {_key_file(file)} are not the certificate and key of a CA;"
            f" delete the folder {file.parent}, and trust the CA that the next start makes"
        ) from None
    except OSError as failure:
        raise ConfigurationError(
            f"the CA in {file.parent} can't be read or made: {failure.filename}:"
            f" {failure.strerror}; delete that folder, or choose another data folder with --data"
        ) from failure


def server_side(ca: trustme.CA, names: Iterable[str], *, now: datetime) -> ssl.SSLContext:
    """Return a server's TLS context, with a new certificate for these host names and addresses."""
    certificate = ca.issue_cert(
        *names,
        organization_name="Ringback",
        organization_unit_name="ringback dev",
        not_before=now - _WITHIN,
        not_after=now + _VALID,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # The ssl module reads keys only from files; only the owner can read this one, deleted at once.
    with certificate.private_key_and_cert_chain_pem.tempfile() as file:
        context.load_cert_chain(file)
    return context


def _key_file(file: Path) -> Path:
    return file.with_name("ca-key.pem")


def _read(file: Path) -> trustme.CA:
    ca = trustme.CA.from_pem(file.read_bytes(), _key_file(file).read_bytes())
    # OpenSSL refuses a key that doesn't belong to the certificate.
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(file, _key_file(file))
    return ca


def _make(file: Path, *, now: datetime) -> trustme.CA:
    ca = trustme.CA(
        organization_name=_NAME,
        # Trust stores show one of these two names; the time makes it unique.
        organization_unit_name=f"{_NAME} of {now:%Y-%m-%d %H:%M:%S} UTC",
        path_length=0,
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    write_private(_key_file(file), ca.private_key_pem.bytes().decode())
    write_private(file, ca.cert_pem.bytes().decode())
    file.chmod(0o644)
    return ca
