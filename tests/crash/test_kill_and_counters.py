"""A server is killed while it counts: the next one counts again what it had not written.

The server counts by the second here, so that a short test has many minutes.
"""

import asyncio
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

import pytest

from ringback.core import callback_counts
from ringback.core.callback_counts import CountGap
from ringback.data_folder import DataFolder
from ringback.ports import Transaction
from ringback.postgres_database import PostgresDatabase
from tests.counted_rows import Counted, counts_of_rows, counts_stored
from tests.crash import short_minutes
from tests.crash.cluster import a_cluster
from tests.crash.production import Production, create_account, in_production
from tests.crash.short_minutes import MINUTE
from tests.receivers import OK, ReceivedRequest, RecordingReceiver
from tests.served import asked_until

SERVER: Final = ("-m", "tests.crash.short_minutes")
UNAVAILABLE: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(autouse=True)
def _short_minutes(monkeypatch: pytest.MonkeyPatch) -> None:  # pyright: ignore[reportUnusedFunction] (a fixture)
    monkeypatch.setattr(callback_counts, "_SPANS", dict(callback_counts._SPANS))
    monkeypatch.setattr(short_minutes.minute_counters, "_WRITTEN_AFTER", 0.0)
    short_minutes.shorten()


def answer(request: ReceivedRequest) -> bytes:
    """Refuse some requests, so that they are tried again, and some callbacks for ever."""
    number = int(request.body.partition(b"=")[2])
    return UNAVAILABLE if number % 10 == 0 else OK


async def load(server: Production, port: int, destinations: int, random: Random) -> None:
    """Create callbacks until the server is gone."""
    with suppress(OSError, asyncio.CancelledError):
        for number in count():
            callbacks = [
                {
                    "url": f"http://127.0.{1 + host // 250}.{1 + host % 250}:{port}/#rc=1&rp=all",
                    "parameters": {"Number": str(number)},
                }
                for host in (random.randrange(destinations) for _ in range(60))
            ]
            answered = await server.send({"callbacks": callbacks})
            assert answered.status == 201
            await asyncio.sleep(0.1)


async def is_quiet(server: Production) -> bool:
    answered = await server.get("/portal/v1/callbacks", Status="scheduled", PageSize="1")
    return not answered.body["callbacks"]


@pytest.mark.parametrize(
    ("kills", "destinations", "seconds"),
    [
        pytest.param(2, 200, 1.5, id="short"),
        pytest.param(10, 1000, 6.0, id="long", marks=pytest.mark.long),
    ],
)
async def test_after_kills_the_counts_are_exact(
    kills: int, destinations: int, seconds: float, tmp_path: Path
) -> None:
    credentials, random = await create_account(tmp_path), Random(1)
    # Without breakers, whose waits are longer than the whole run.
    (tmp_path / "ringback.toml").write_text('[destinations]\nbreaker = false\nhold = "none"\n')
    flags = ("--schedule", "300ms", "--settings", str(tmp_path / "ringback.toml"))
    async with RecordingReceiver(answer=answer, host="0.0.0.0") as receiver:
        for is_last in (*[False] * kills, True):
            async with in_production(tmp_path, credentials, *flags, command=SERVER) as server:
                loading = asyncio.create_task(load(server, receiver.port, destinations, random))
                await asyncio.sleep(random.uniform(seconds, seconds + 1))
                if is_last:
                    loading.cancel()
                    await loading
                    await asked_until(lambda s=server: is_quiet(s), bool, within=60)
                    assert await server.stop() == 0
                else:
                    await server.kill()
                    await loading
    data = DataFolder(tmp_path)
    stored, rows, gaps = await asyncio.to_thread(data.transact, counts_and_gaps)
    assert (stored, gaps) == (rows, [])
    # It would prove nothing if little was counted.
    assert len({place[2] for place in stored}) > destinations / 2
    assert sum(one.failed for one in stored.values()) > 0
    assert sum(one.retried for one in stored.values()) > 0


@pytest.mark.long
async def test_after_kills_with_a_database_missing_counts_are_incomplete(tmp_path: Path) -> None:
    random = Random(1)
    async with (
        RecordingReceiver(answer=answer, host="0.0.0.0") as receiver,
        a_cluster(tmp_path, command=SERVER) as cluster,
    ):
        for _ in range(2):
            async with cluster.running("all", sys.stderr, "--schedule", "300ms") as server:
                loading = asyncio.create_task(load(server, receiver.port, 100, random))
                await asyncio.sleep(random.uniform(2.5, 3.5))
                await server.kill()
                await loading
        data = PostgresDatabase(cluster.url, None, tmp_path / "ringback.key", tmp_path)
        stored, rows, gaps = await asyncio.to_thread(data.transact, counts_and_gaps)
    missing = {place[0] for place in rows if stored.get(place) != rows[place]}
    shown = [one for one in missing if any(gap.overlaps(one, one + MINUTE) for gap in gaps)]
    assert sorted(shown) == sorted(missing)
    assert len(missing) > 0
    assert sum(one.accepted for one in stored.values()) > 0


def counts_and_gaps(tx: Transaction) -> tuple[Counted, Counted, list[CountGap]]:
    """Return the stored counts, those of the rows, and what is shown as incomplete later."""
    now = datetime.now(UTC) + timedelta(minutes=5)
    gaps = tx.counters.gaps(now - timedelta(hours=1), now, now=now)
    return counts_stored(tx), counts_of_rows(tx), gaps
