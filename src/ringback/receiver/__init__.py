"""For those who receive callbacks: is it genuine, is it new, and what does it tell?

    callbacks = Receiver(url="https://example.com/callbacks", kore_secrets=["…"])
    match callbacks.receive(method, headers, body):
        case Accepted(callback): ...
        case Duplicate(callback): ...
        case Rejected(reason): ...

Needs the standard library alone.
"""

from ringback.core.errors import ConfigurationError, InvalidCallbackUrl
from ringback.core.policy.source_policy import Source
from ringback.receiver.callback import Callback
from ringback.receiver.checking import Genuine, Reason, ReceivedRequest, Rejected
from ringback.receiver.receiver import Receiver, read_request
from ringback.receiver.results import Accepted, Answer, Duplicate, Result
from ringback.receiver.seen import (
    MemorySeen,
    PostgresSeen,
    RedisSeen,
    Seen,
    SeenUnavailable,
    SqliteSeen,
)

__all__ = [
    "Accepted",
    "Answer",
    "Callback",
    "ConfigurationError",
    "Duplicate",
    "Genuine",
    "InvalidCallbackUrl",
    "MemorySeen",
    "PostgresSeen",
    "Reason",
    "ReceivedRequest",
    "Receiver",
    "RedisSeen",
    "Rejected",
    "Result",
    "Seen",
    "SeenUnavailable",
    "Source",
    "SqliteSeen",
    "read_request",
]
