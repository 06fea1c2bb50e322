"""Short messages to and from devices, for both SIM products: their form and life cycle.

The allowed changes of status are from the documentation of both products. A message stays `sent` if
no confirmation comes; a message from a device is `received` from the start.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

EXAMPLE_TEXT: Final = "Hello from Ringback"
"""The text of a message that is sent only to see what happens."""
LONGEST_SMS: Final = 160
"""The maximum length of an SMS, in single-byte characters."""


class Direction(StrEnum):
    """The direction of a message: to the SIM, or from it."""

    TO_SIM = "to_sim"
    FROM_SIM = "from_sim"


class PayloadType(StrEnum):
    """The form of a payload in the API: text, or Base64 for binary data."""

    TEXT = "text"
    BINARY = "binary"


class MessageStatus(StrEnum):
    """The statuses of a short message."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    RECEIVED = "received"
    FAILED = "failed"


MESSAGE_MOVES: Final[Mapping[MessageStatus, frozenset[MessageStatus]]] = {
    MessageStatus.QUEUED: frozenset({MessageStatus.SENT, MessageStatus.FAILED}),
    MessageStatus.SENT: frozenset({MessageStatus.DELIVERED, MessageStatus.FAILED}),
    MessageStatus.DELIVERED: frozenset(),
    MessageStatus.RECEIVED: frozenset(),
    MessageStatus.FAILED: frozenset(),
}


def check_move(kind: str, before: MessageStatus, after: MessageStatus) -> None:
    """Raise ValueError if a message can't change from the status `before` to `after`."""
    if after not in MESSAGE_MOVES[before]:
        raise ValueError(f"{kind} that is {before} can't become {after}")


def fault_in_text(text: str) -> str | None:
    """Return why a text does not fit into one SMS, or None if it does.

    >>> fault_in_text("na\u00efve") is None
    True
    >>> fault_in_text("5 \u20ac")
    "'\u20ac' is not a single-byte character; an SMS can contain only those"
    """
    wide = next((character for character in text if ord(character) > 0xFF), None)
    if wide is not None:
        return f"{wide!r} is not a single-byte character; an SMS can contain only those"
    if len(text) > LONGEST_SMS:
        return f"{len(text)} characters are too many; an SMS has at most {LONGEST_SMS}"
    return None
