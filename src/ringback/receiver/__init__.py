"""For those who receive callbacks: is it genuine, and if not, why not?

Needs the standard library alone, and nothing of the sender but its signatures.
"""

from ringback.receiver.basis import Secrets
from ringback.receiver.request import ReceivedRequest, Sent
from ringback.receiver.urls import url_as_configured, url_by_host
from ringback.receiver.verdict import Genuine, Reason, Refused, Verdict
from ringback.receiver.verify import check

__all__ = [
    "Genuine",
    "Reason",
    "ReceivedRequest",
    "Refused",
    "Secrets",
    "Sent",
    "Verdict",
    "check",
    "url_as_configured",
    "url_by_host",
]
