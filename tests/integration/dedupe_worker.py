"""A receiver's process that only makes deliveries: each order on its stdin is one.

Work is recorded in a file that all processes share, with a line each time that work began.
"""

import json
import os
import sys
import time
from contextlib import AbstractContextManager, closing, nullcontext
from datetime import timedelta
from typing import Any, NamedTuple

from ringback.core.policy.source_policy import Source
from ringback.receiver.dedupe import (
    AsyncPostgresDedupe,
    AsyncRedisDedupe,
    ClaimedByOther,
    ClaimWon,
    DedupeClaimRequest,
    DedupeStore,
    MemoryDedupe,
    PostgresDedupe,
    RedisDedupe,
    SqliteDedupe,
    WorkAlreadyDone,
)
from ringback.receiver.dedupe.lease_renewal import ThreadLeaseRenewal
from tests.unit.receiver.dedupe.awaited import awaited

READY = "ready"
DONE = "done"


class Order(NamedTuple):
    """A delivery to make."""

    token: str
    owner: str
    evidence: str
    """The path of the file that records work."""
    at: float
    """The time of the delivery, by the machine's monotonic clock."""
    source: str = Source.KORE.value
    content: str | None = None
    lease: float = 60.0
    lasts: float = 0.01
    """Seconds that the work takes; the lease is in seconds, too."""


def opened(store: str, address: str) -> AbstractContextManager[DedupeStore]:
    """Open a store by its name, and by the path, DSN or socket of its data."""
    match store:
        case "memory":
            return nullcontext(MemoryDedupe())
        case "sqlite":
            return SqliteDedupe(address)
        case "postgres":
            import psycopg

            return nullcontext(PostgresDedupe(lambda: psycopg.connect(address)))
        case "async-postgres":
            import psycopg

            return awaited(AsyncPostgresDedupe(lambda: psycopg.AsyncConnection.connect(address)))
        case "redis":
            import redis

            return nullcontext(RedisDedupe(redis.Redis(unix_socket_path=address)))
        case _:
            import redis.asyncio

            client = redis.asyncio.Redis(unix_socket_path=address)
            return awaited(AsyncRedisDedupe(client), client.aclose)


def deliver(seen: DedupeStore, order: Order) -> None:
    """Do the work of a callback unless another process does; return once it is done.

    The lease is renewed during the work.
    """
    time.sleep(max(0.0, order.at - time.monotonic()))
    visit = DedupeClaimRequest(
        source=Source(order.source),
        token=order.token,
        owner=order.owner,
        lease=timedelta(seconds=order.lease),
        keep=timedelta(hours=1),
        content=order.content,
        same_event_within=timedelta(minutes=1),
    )
    while True:
        match seen.claim(visit):
            case ClaimWon(is_retry):
                renewal = ThreadLeaseRenewal(seen.renew, visit.lease)
                renewal.begin(visit)
                begin(order, is_retry)
                time.sleep(order.lasts)
                renewal.end(visit)
                assert seen.done(visit)
                return
            case ClaimedByOther(for_another):
                time.sleep(min(0.02, for_another.total_seconds()))
            case WorkAlreadyDone():
                return


def begin(order: Order, is_retry: bool) -> None:
    file = os.open(order.evidence, os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    with closing(os.fdopen(file, "wb", buffering=0)) as evidence:
        evidence.write(f"{order.owner} {'again' if is_retry else 'first'}\n".encode())


def main(store: str, address: str) -> None:
    with opened(store, address) as seen:
        print(READY, flush=True)
        for line in sys.stdin:
            given: list[Any] = json.loads(line)
            deliver(seen, Order(*given))
            print(DONE, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
