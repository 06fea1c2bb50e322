"""Is a request a genuine callback, and if not, why not?

Pure, and in need of nothing of the sender but its signatures.
"""

from ringback.receiver.checking.basis import Secrets
from ringback.receiver.checking.request import Headers, ReceivedRequest, Sent
from ringback.receiver.checking.urls import url_as_configured, url_by_host
from ringback.receiver.checking.verdict import Genuine, Reason, Rejected, Verdict
from ringback.receiver.checking.verify import check

__all__ = [
    "Genuine",
    "Headers",
    "Reason",
    "ReceivedRequest",
    "Rejected",
    "Secrets",
    "Sent",
    "Verdict",
    "check",
    "url_as_configured",
    "url_by_host",
]
