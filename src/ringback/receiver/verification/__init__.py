"""Verifies that a request is a genuine callback, or explains why not; no I/O.

May import `core`, since signatures are checked with the code that makes them.
Start with `verify`; `diagnosis` finds out why a signature is wrong.
"""

from ringback.receiver.verification.called_url import url_as_configured, url_by_host
from ringback.receiver.verification.received_request import (
    AnyHeaders,
    Headers,
    ReceivedRequest,
    SenderCallbackRecord,
    read_request,
)
from ringback.receiver.verification.signature_candidates import ReceiverSecrets
from ringback.receiver.verification.verdict import Reason, Rejected, Verdict, Verified
from ringback.receiver.verification.verify import check

__all__ = [
    "AnyHeaders",
    "Headers",
    "Reason",
    "ReceivedRequest",
    "ReceiverSecrets",
    "Rejected",
    "SenderCallbackRecord",
    "Verdict",
    "Verified",
    "check",
    "read_request",
    "url_as_configured",
    "url_by_host",
]
