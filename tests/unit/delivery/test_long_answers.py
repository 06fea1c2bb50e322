"""The disk space of long answers: their first parts, and the rest of the last answer."""

import sqlite3
from contextlib import closing
from pathlib import Path

from ringback.core.http.http_exchange import AttemptResult, ReceiverResponseRecord
from ringback.core.http.outcome import RefusedOutcome
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import VAULT, FakeClock, RecordingTransport, an_account
from tests.unit.delivery.parts import HOST, Bench, attempts_in, callbacks_to, sid

KIB = 1 << 10
LONG = ReceiverResponseRecord(500, (("Server", "long"),), bytes(range(256)) * 256)
REFUSED = AttemptResult(RefusedOutcome(500), response=LONG)


async def test_two_hundred_callbacks_answered_with_64_kib_six_times_need_little_space(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ringback.db"
    store = SqliteStore.open(path, VAULT)
    await store.transact(lambda tx: tx.accounts.add(an_account(), []))
    bench = Bench(store, RecordingTransport([REFUSED] * 1200), clock=FakeClock())
    for first in range(0, 200, 50):
        await bench.take(*callbacks_to(f"{HOST}#rc=5&rp=all", range(first, first + 50)))
        await bench.settle(6 * (first + 50))
    responses = [one.response for one in await attempts_in(store, sid(7))]
    await store.close()
    # Each attempt may take 4 KiB, and each callback the rest of one answer.
    assert size_of(path) < 1200 * 4 * KIB + 200 * 72 * KIB
    assert responses[5] == LONG
    assert [one and len(one.body) for one in responses] == [KIB] * 5 + [64 * KIB]


def size_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size
