"""TLS: which authorities are trusted, which certificate is shown, and what went wrong.

Laws of this file. Every certificate is verified, its chain and its name, whether or not the name
is said to the receiver. A file that can't be used is found out at once, not at the first callback.
"""

import ssl
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from ringback.core.errors import ConfigurationError
from ringback.core.http.outcome import AttemptFailure
from ringback.runtime.certificate_files import load_certificate, require_readable
from ringback.runtime.os_error_messages import error_text

_CERTIFICATE_FAILURES: Final[Mapping[int, AttemptFailure]] = {
    # OpenSSL's X509_V_ERR_... numbers.
    10: AttemptFailure.CERTIFICATE_EXPIRED,
    18: AttemptFailure.CERTIFICATE_UNTRUSTED,  # signed by itself
    19: AttemptFailure.CERTIFICATE_UNTRUSTED,  # signed by itself, further up its chain
    20: AttemptFailure.CERTIFICATE_UNTRUSTED,  # its issuer is unknown
    21: AttemptFailure.CERTIFICATE_UNTRUSTED,  # it came without its chain
    62: AttemptFailure.CERTIFICATE_NAME,
    64: AttemptFailure.CERTIFICATE_NAME,  # the same, where the host is an address
}


class TlsFailed(Exception):
    """No TLS connection came about; which failure that is, and why, in words."""

    def __init__(self, failure: AttemptFailure, why: str) -> None:
        super().__init__(why)
        self.failure = failure
        self.why = why


class ClientTls:
    """Makes connections verified ones.

    Beside the machine's own authorities it believes those in `ca_files`. Where a receiver asks who
    we are, it is shown the client certificate; its key may be in the same file.

    Raises ConfigurationError where a file can't be used, naming it.
    """

    def __init__(
        self,
        *,
        ca_files: Sequence[Path] = (),
        client_certificate: Path | None = None,
        client_key: Path | None = None,
    ) -> None:
        self._naming, self._silent = (
            _context(ca_files, client_certificate, client_key) for _ in range(2)
        )
        # The ssl module can look for a name only in a handshake that says it: see `check_name`.
        self._silent.check_hostname = False

    def context(self, *, says_name: bool) -> ssl.SSLContext:
        """Return the settings of a connection; one that says no name leaves that to be checked."""
        return self._naming if says_name else self._silent


def _context(
    ca_files: Sequence[Path], client_certificate: Path | None, client_key: Path | None
) -> ssl.SSLContext:
    context = ssl.create_default_context()
    for path in ca_files:
        _believe(context, path)
    if client_certificate is not None:
        load_certificate(
            context, client_certificate, client_key or client_certificate, "client certificate"
        )
    elif client_key is not None:
        raise ConfigurationError(
            f"the key {client_key} has no certificate to go with it; give both"
        )
    return context


def _believe(context: ssl.SSLContext, path: Path) -> None:
    require_readable(path)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"the CA file {path} can't be used: {error_text(error)};"
            " it must hold certificates in PEM"
        ) from None


def tls_failure(error: OSError) -> TlsFailed:
    """Return the failure that an error in a handshake means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        failure = _CERTIFICATE_FAILURES.get(error.verify_code, AttemptFailure.TLS)
        return TlsFailed(failure, error_text(error))
    return TlsFailed(AttemptFailure.TLS, error_text(error))


def check_name(certificate: Mapping[str, Any], host: str) -> None:
    """Check that a verified certificate is this host's; raises TlsFailed where it is not.

    `certificate` is in the form of `SSLSocket.getpeercert`. The rules are those of RFC 9525, as
    OpenSSL keeps them in the handshakes that say the name: no name but an alternative one counts,
    an address matches an address only, and a `*` stands for one whole label, the first of three or
    more.

    >>> check_name({"subjectAltName": (("DNS", "*.example.com"),)}, "hooks.example.com")
    >>> check_name({"subjectAltName": (("DNS", "*.example.com"),)}, "a.hooks.example.com")
    Traceback (most recent call last):
    ringback.http_client.tls.TlsFailed: the certificate is not for a.hooks.example.com
    """
    names: Sequence[tuple[str, str]] = certificate.get("subjectAltName", ())
    if not any(_is_named(host, kind, name) for kind, name in names):
        raise TlsFailed(AttemptFailure.CERTIFICATE_NAME, f"the certificate is not for {host}")


def _is_named(host: str, kind: str, name: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return kind == "DNS" and _matches(host.lower(), name.lower())
    return kind == "IP Address" and ip_address(name.strip()) == address


def _matches(host: str, pattern: str) -> bool:
    if not pattern.startswith("*."):
        return host == pattern
    first, dot, rest = host.partition(".")
    return bool(first and dot) and rest == pattern[2:] and "." in rest
