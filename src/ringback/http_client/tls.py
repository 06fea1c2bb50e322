"""TLS settings: the trusted authorities and the client certificate.

The chain and the name of every certificate are verified, even if the name is not sent to the
receiver (SNI). A file that can't be used is reported at startup, not at the first callback.
"""

import ssl
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
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
    18: AttemptFailure.CERTIFICATE_UNTRUSTED,  # self-signed
    19: AttemptFailure.CERTIFICATE_UNTRUSTED,  # a self-signed certificate in its chain
    20: AttemptFailure.CERTIFICATE_UNTRUSTED,  # the issuer is unknown
    21: AttemptFailure.CERTIFICATE_UNTRUSTED,  # sent without its chain
    62: AttemptFailure.CERTIFICATE_NAME,
    64: AttemptFailure.CERTIFICATE_NAME,  # the same, if the host is an IP address
}


class TlsFailed(Exception):
    """No TLS connection could be made; `failure` is the kind, and `why` the reason in words."""

    def __init__(self, failure: AttemptFailure, why: str) -> None:
        super().__init__(why)
        self.failure = failure
        self.why = why


class ClientTls:
    """The TLS contexts for connections, with and without SNI.

    They trust the machine's own authorities and those in `ca_files`. A receiver that asks for a
    client certificate gets `client_certificate`; its key may be in the same file.

    Raises ConfigurationError, with the file's name, if a file can't be used.
    """

    def __init__(
        self,
        *,
        ca_files: Sequence[Path] = (),
        client_certificate: Path | None = None,
        client_key: Path | None = None,
    ) -> None:
        self._make = partial(_context, ca_files, client_certificate, client_key)
        if ca_files or client_certificate or client_key:
            _ = self._naming

    def context(self, *, says_name: bool) -> ssl.SSLContext:
        """Return the TLS context; without `says_name`, the caller must call `check_name` itself."""
        return self._naming if says_name else self._silent

    # Made when needed: reading the machine's authorities takes as long as opening the store.
    @cached_property
    def _naming(self) -> ssl.SSLContext:
        return self._make()

    @cached_property
    def _silent(self) -> ssl.SSLContext:
        context = self._make()
        # The ssl module can check the name only if the handshake sends it: see `check_name`.
        context.check_hostname = False
        return context


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
            f"the client key {client_key} is given without its certificate; give both"
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
    """Return the TlsFailed that describes an error in a TLS handshake."""
    if isinstance(error, ssl.SSLCertVerificationError):
        failure = _CERTIFICATE_FAILURES.get(error.verify_code, AttemptFailure.TLS)
        return TlsFailed(failure, error_text(error))
    return TlsFailed(AttemptFailure.TLS, error_text(error))


def check_name(certificate: Mapping[str, Any], host: str) -> None:
    """Check that a verified certificate is for this host; raises TlsFailed if it is not.

    `certificate` is in the form of `SSLSocket.getpeercert`. The rules are those of RFC 9525, which
    OpenSSL applies in handshakes with SNI. Only subject alternative names count. An IP address
    matches only an IP address. `*` is allowed only as the first of at least three labels, and
    matches exactly one label.

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
