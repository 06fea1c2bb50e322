"""A toolkit for receivers: verify a callback, detect duplicates, and read the event in it.

    callbacks = Receiver(url="https://example.com/callbacks", kore_secrets=["…"])
    match callbacks.receive(method, headers, body):
        case Accepted(callback): ...
        case Duplicate(callback): ...
        case Rejected(reason): ...

May import `core`; needs nothing but the standard library.
Start with `receiver`, then `verification/verify` and `dedupe/claims`.
"""

from ringback.core.deprecated_names import renamed
from ringback.core.errors import ConfigurationError, InvalidCallbackUrl
from ringback.core.policy.source_policy import Source
from ringback.receiver.callback import Callback
from ringback.receiver.dedupe import (
    AsyncDedupeStore,
    AsyncPostgresDedupe,
    AsyncRedisDedupe,
    DedupeStore,
    DedupeUnavailable,
    MemoryDedupe,
    PostgresDedupe,
    RedisDedupe,
    SqliteDedupe,
)
from ringback.receiver.event_batches import EventsNotDone
from ringback.receiver.receiver import Receiver
from ringback.receiver.results import Accepted, Answer, Duplicate, Result
from ringback.receiver.source_file import read_sources
from ringback.receiver.verification import Reason, ReceivedRequest, Rejected, Verified, read_request

__all__ = [
    "Accepted",
    "Answer",
    "AsyncDedupeStore",
    "AsyncPostgresDedupe",
    "AsyncRedisDedupe",
    "Callback",
    "ConfigurationError",
    "DedupeStore",
    "DedupeUnavailable",
    "Duplicate",
    "EventsNotDone",
    "InvalidCallbackUrl",
    "MemoryDedupe",
    "PostgresDedupe",
    "Reason",
    "ReceivedRequest",
    "Receiver",
    "RedisDedupe",
    "Rejected",
    "Result",
    "Source",
    "SqliteDedupe",
    "Verified",
    "read_request",
    "read_sources",
]

__getattr__ = renamed(
    __name__,
    {
        "Genuine": "Verified",
        "MemorySeen": "MemoryDedupe",
        "PostgresSeen": "PostgresDedupe",
        "RedisSeen": "RedisDedupe",
        "Seen": "DedupeStore",
        "SeenUnavailable": "DedupeUnavailable",
        "SqliteSeen": "SqliteDedupe",
        "Unusable": "ConfigurationError",
    },
)
