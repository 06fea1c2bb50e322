"""TLS settings: the trusted authorities and the client certificate.

The chain and the name of every certificate are verified, even if the name is not sent to the
receiver (SNI). A file that can't be used is reported at startup, not at the first callback; what a
destination has of its own is checked by `check_client_certificate` and `check_ca`.
"""

import asyncio
import logging
import ssl
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from ringback.core.errors import ConfigurationError
from ringback.core.http.connection_profile import TlsIdentity
from ringback.core.http.outcome import AttemptFailure
from ringback.core.newest_entries import NewestEntries
from ringback.runtime.certificate_files import (
    load_certificate,
    load_certificate_text,
    require_readable,
    trust_text,
)
from ringback.runtime.open_files import require_room
from ringback.runtime.os_error_messages import error_text, shortage_of

_MOST_CONTEXTS: Final = 128
"""The most TLS contexts of destinations that are kept; each takes about 1 MB of memory."""
_CLIENT_CERTIFICATE: Final = "client certificate of the destination"
_CA: Final = "CA of the destination"
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
_REFUSALS: Final[Mapping[str, str]] = {
    # The ends of OpenSSL's names of alerts. All but the last are about our certificate only.
    "CERTIFICATE_REQUIRED": "requires a client certificate, and got none",
    "BAD_CERTIFICATE": "does not accept the client certificate, or got none",
    "CERTIFICATE_UNKNOWN": "does not accept the client certificate, or got none",
    "UNSUPPORTED_CERTIFICATE": "does not accept client certificates of this kind",
    "CERTIFICATE_REVOKED": "says that the client certificate was revoked",
    "CERTIFICATE_EXPIRED": "says that the client certificate has expired",
    "UNKNOWN_CA": "does not trust the authority of the client certificate",
    "HANDSHAKE_FAILURE": "broke off the handshake, perhaps because it got no client certificate",
}
"""What a receiver does that breaks off a handshake by an alert."""

_log = logging.getLogger(__name__)


class TlsFailed(Exception):
    """No TLS connection could be made; `failure` is the kind, and `why` the reason in words."""

    def __init__(self, failure: AttemptFailure, why: str) -> None:
        super().__init__(why)
        self.failure = failure
        self.why = why


class ClientTls:
    """The TLS contexts for connections, with and without SNI.

    They trust the machine's own authorities and those in `ca_files`. A receiver that asks for a
    client certificate gets `client_certificate`; its key may be in the same file. A destination
    with a TLS identity has a context of its own.

    Raises ConfigurationError, with the file's name, if a file can't be used.
    """

    def __init__(
        self,
        *,
        ca_files: Sequence[Path] = (),
        client_certificate: Path | None = None,
        client_key: Path | None = None,
    ) -> None:
        self._make_without = partial(_context, ca_files)
        self._make = partial(_context, ca_files, client_certificate, client_key)
        if ca_files or client_certificate or client_key:
            _ = self._naming
        self._of_identities = NewestEntries[
            tuple[TlsIdentity, bool], asyncio.Future[ssl.SSLContext]
        ](_MOST_CONTEXTS)

    def context(self, *, says_name: bool) -> ssl.SSLContext:
        """Return the TLS context; without `says_name`, the caller must call `check_name` itself."""
        return self._naming if says_name else self._silent

    async def context_of(self, identity: TlsIdentity, *, says_name: bool) -> ssl.SSLContext:
        """Return the TLS context for destinations with this identity; see `context`.

        It is the same for each call, until others have taken its place. Raises TlsFailed if the
        context can't be made.
        """
        key = identity, says_name
        made = self._of_identities.get(key)
        if made is None or (made.done() and (made.cancelled() or made.exception() is not None)):
            # In a thread, since reading the machine's authorities takes some milliseconds.
            made = asyncio.ensure_future(
                asyncio.to_thread(self._make_for, identity, says_name=says_name)
            )
        self._of_identities[key] = made  # it is the newest now
        try:
            return await asyncio.shield(made)
        except RuntimeError as failure:
            why = f"no thread was left: {failure}"
            raise TlsFailed(AttemptFailure.SHORTAGE, why) from failure

    def _make_for(self, identity: TlsIdentity, *, says_name: bool) -> ssl.SSLContext:
        certificate = identity.client_certificate
        try:
            # With the server's own certificate in the context, OpenSSL might choose that one.
            context = self._make() if certificate is None else self._make_without()
        except OSError as error:
            raise tls_failure(error) from error
        except ConfigurationError as problem:
            if isinstance(problem.__context__, OSError) and shortage_of(problem.__context__):
                raise tls_failure(problem.__context__) from None
            # Only the log may have the paths of the server's files.
            _log.error("no TLS connection for a destination's own certificates: %s", problem)
            why = "the server's own certificates can't be read any more"
            raise TlsFailed(AttemptFailure.TLS, why) from None
        try:
            if certificate is not None:
                load_certificate_text(context, certificate, _CLIENT_CERTIFICATE)
            if identity.ca is not None:
                trust_text(context, identity.ca, _CA)
        except ConfigurationError as problem:
            raise TlsFailed(AttemptFailure.TLS, str(problem)) from None
        except OSError as error:
            raise tls_failure(error) from error
        context.check_hostname = says_name
        return context

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
    ca_files: Sequence[Path], client_certificate: Path | None = None, client_key: Path | None = None
) -> ssl.SSLContext:
    # The context is kept; it would trust nobody if the machine's authorities could not be read now.
    require_room()
    context = ssl.create_default_context()
    require_room()
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


def check_client_certificate(pem: str) -> None:
    """Raise ConfigurationError, which never shows the text, if it is unusable as a certificate.

    It must have the certificate, then its chain if it has one, and its private key, all in PEM.
    """
    load_certificate_text(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), pem, "client certificate")


def check_ca(pem: str) -> None:
    """Raise ConfigurationError if this text is not one or more certificates in PEM."""
    trust_text(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), pem, "CA")


def tls_failure(error: OSError) -> TlsFailed:
    """Return the TlsFailed that describes an error in a TLS handshake, or before it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        failure = _CERTIFICATE_FAILURES.get(error.verify_code, AttemptFailure.TLS)
        return TlsFailed(failure, error_text(error))
    if shortage := shortage_of(error):
        return TlsFailed(shortage, error_text(error))
    refusal = refusal_of(error)
    why = error_text(error) if refusal is None else f"the receiver {refusal} ({error_text(error)})"
    return TlsFailed(AttemptFailure.TLS, why)


def refusal_of(error: OSError) -> str | None:
    """Return a phrase about the receiver that has sent this alert; None for other errors.

    >>> error = ssl.SSLError(1, "")
    >>> error.reason = "TLSV1_ALERT_UNKNOWN_CA"
    >>> refusal_of(error)
    'does not trust the authority of the client certificate'
    """
    if not isinstance(error, ssl.SSLError):
        return None
    _, _, alert = (error.reason or "").partition("_ALERT_")
    return _REFUSALS.get(alert)


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
