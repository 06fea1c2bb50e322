"""Stores that remember which callbacks were received, so that no work is done twice.

May import `core`; the application passes database drivers in.
Start with `claims`: the logic that all stores share.
"""

from ringback.receiver.dedupe.dedupe_store import (
    AsyncDedupeStore,
    ClaimedByOther,
    ClaimWon,
    DedupeClaimRequest,
    DedupeStore,
    DedupeUnavailable,
    WorkAlreadyDone,
)
from ringback.receiver.dedupe.memory import MemoryDedupe
from ringback.receiver.dedupe.postgres import AsyncPostgresDedupe, PostgresDedupe
from ringback.receiver.dedupe.redis import AsyncRedisDedupe, RedisDedupe
from ringback.receiver.dedupe.sqlite import SqliteDedupe

__all__ = [
    "AsyncDedupeStore",
    "AsyncPostgresDedupe",
    "AsyncRedisDedupe",
    "ClaimWon",
    "ClaimedByOther",
    "DedupeClaimRequest",
    "DedupeStore",
    "DedupeUnavailable",
    "MemoryDedupe",
    "PostgresDedupe",
    "RedisDedupe",
    "SqliteDedupe",
    "WorkAlreadyDone",
]
