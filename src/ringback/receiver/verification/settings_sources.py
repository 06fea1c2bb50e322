"""Reads the claims of requests from sources of the settings: `[sources.NAME]` in a settings file.

Such a source has headers of its own, with the token, the time and the signature in them, and one
of the signature schemes that the sender knows.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from ringback.core.policy.source_policy import SourceName
from ringback.core.sources.source_definition import (
    CallbackSourceDefinition,
    HeaderTemplate,
    SigningInput,
)
from ringback.receiver.verification.received_request import (
    ReceivedRequest,
    is_form,
    is_json,
    read_form,
    read_json,
)
from ringback.receiver.verification.schemes import VerificationScheme
from ringback.receiver.verification.signature_headers import SignatureClaim, quoted, well_formed
from ringback.receiver.verification.verdict import Reason, Rejected

_READ: Final = frozenset({"token", "signature", "timestamp"})
_LONGEST: Final = 1024  # characters of a header, since a template is slow to compare with long ones
_TIME: Final = re.compile(r"0|[1-9][0-9]{0,11}", re.ASCII)
_ANY: Final = re.compile(r".+")


class AcceptedSource:
    """A source of the settings, as a receiver reads its headers."""

    def __init__(self, name: SourceName, definition: CallbackSourceDefinition) -> None:
        self.name = name
        self.definition = definition
        self.signs_with = f"secret of {name}"
        """The name of its secret, for messages."""
        self._templates = [
            header for header in definition.headers if _READ.intersection(header.placeholders)
        ]
        self.signature_header = next(
            header.name for header in self._templates if "signature" in header.placeholders
        )

    def claim(self, request: ReceivedRequest) -> tuple[SignatureClaim, int | None] | Rejected:
        """Return the request's claim, and its time in seconds since 1970 if it has one.

        Returns Rejected if a header is missing or malformed.
        """
        values = dict[str, str]()
        for header in self._templates:
            read = _read(header, request.values(header.name))
            if read is None or any(values.get(name, text) != text for name, text in read.items()):
                return self._malformed(header, request)
            values |= read
        token, timestamp = values.get("token") or None, values.get("timestamp")
        fault = self._find_fault(values)
        if fault is not None:
            return Rejected(*fault, self.name, well_formed(token))
        at = None if timestamp is None else int(timestamp)
        content_type = request.fields.get("content-type")
        scheme = self._scheme(token, at, content_type)
        return (scheme, values["signature"], token, content_type), at

    def _find_fault(self, values: Mapping[str, str]) -> tuple[Reason, str] | None:
        signature, timestamp = values.get("signature"), values.get("timestamp")
        scheme = self.definition.signature
        if signature is None:
            return Reason.NO_SIGNATURE, f"there is no {self.signature_header}"
        if not signature:
            return (
                Reason.EMPTY_SIGNATURE,
                f"{self.name} sends an empty signature when the account has no secret, so nothing"
                " can be checked",
            )
        if not signature.isascii():
            return (
                Reason.MALFORMED_SIGNATURE,
                f"{self.signature_header} has the signature {quoted(signature)}; it must be ASCII",
            )
        if timestamp is not None and not _TIME.fullmatch(timestamp):
            return (
                Reason.MALFORMED_SIGNATURE,
                f"its timestamp is {quoted(timestamp)}; it must be in seconds since 1970",
            )
        if scheme.covers_time and timestamp is None:
            return Reason.MALFORMED_SIGNATURE, "its signature covers a timestamp, but there is none"
        if scheme.covers_token and not values.get("token"):
            return Reason.NO_TOKEN, "its signature covers the idempotency token, but there is none"
        return None

    def _malformed(self, header: HeaderTemplate, request: ReceivedRequest) -> Rejected:
        given = " and ".join(map(quoted, request.values(header.name)[:2]))
        return Rejected(
            Reason.MALFORMED_SIGNATURE,
            f"{header.name} is {given}; it must be like {header.template!r}, once",
            self.name,
        )

    def _scheme(
        self, token: str | None, at: int | None, content_type: str | None
    ) -> VerificationScheme:
        scheme = self.definition.signature

        def sign(method: str, url: str, body: bytes, secret: str) -> str | None:
            form: Sequence[tuple[str, str]] = ()
            if scheme.covers_form:
                form = _parameters(content_type, body)
                if body and not form:  # the signature would not cover the body
                    return None
            return scheme.sign(
                SigningInput(method, url, url, form, body, token or "", at or 0), secret
            )

        return VerificationScheme(
            self.name,
            "sha256",
            self.signs_with,
            _ANY,
            "a signature",
            self.signature_header,
            covers_query=scheme.covers_query,
            is_extensible=scheme.is_extensible,
            sign=sign,
        )


def _read(header: HeaderTemplate, given: Sequence[str]) -> Mapping[str, str] | None:
    """Return the values in a header, which may be missing; None if it does not fit its template."""
    if not given:
        return {}
    if len(given) > 1 or len(given[0]) > _LONGEST:
        return None
    read = header.read(given[0])
    return read and {name: text for name, text in read.items() if name in _READ}


def _parameters(content_type: str | None, body: bytes) -> Sequence[tuple[str, str]]:
    if is_json(content_type):
        return read_json(body)
    return read_form(body) if is_form(content_type) else ()
