"""A server is killed while it counts: only counts of its last minute are missing.

The server counts by the second here, so that a short test has many minutes.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from random import Random
from typing import Final

import pytest

from ringback.core import callback_counts
from ringback.core.callback_counts import PLAIN_COUNTS, CallbackCounts
from ringback.data_folder import DataFolder
from tests.counted_rows import Counted, Place, counts_of_rows, counts_stored
from tests.crash import short_minutes
from tests.crash.production import Production, create_account, in_production
from tests.receivers import OK, ReceivedRequest, RecordingReceiver
from tests.served import asked_until

SERVER: Final = ("-m", "tests.crash.short_minutes")
UNAVAILABLE: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
SLOWEST: Final = timedelta(seconds=2)
"""How long it takes at most, on a busy machine, until an event is counted and written."""


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


def missing(stored: Counted, rows: Counted) -> Iterator[Place]:
    """Yield the places of which counts are missing; nothing may be counted that has no row."""
    assert stored.keys() <= rows.keys()
    for place, counted in rows.items():
        found = stored.get(place, CallbackCounts())
        for name in PLAIN_COUNTS:
            assert getattr(found, name) <= getattr(counted, name)
        if found != counted:
            yield place


@pytest.mark.parametrize(
    ("kills", "destinations", "seconds"),
    [
        pytest.param(2, 200, 1.5, id="short"),
        pytest.param(10, 1000, 6.0, id="long", marks=pytest.mark.long),
    ],
)
async def test_after_kills_only_counts_of_the_last_minutes_are_missing(
    kills: int, destinations: int, seconds: float, tmp_path: Path
) -> None:
    credentials, random = await create_account(tmp_path), Random(1)
    killed = list[datetime]()
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
                    killed.append(datetime.now(UTC))
                    await loading
    data = DataFolder(tmp_path)
    stored, rows = await asyncio.to_thread(
        data.transact, lambda tx: (counts_stored(tx), counts_of_rows(tx))
    )
    lost = list(missing(stored, rows))
    span = short_minutes.MINUTE + short_minutes.WRITTEN_AFTER + SLOWEST
    assert [one for one in lost if not any(at - span <= one[0] <= at for at in killed)] == []
    minutes = {place[0] for place in lost}
    print(f"{kills} kills: counts missing in {len(minutes)} of {len({p[0] for p in rows})} minutes")
    # At most those of the minute of the kill and of the one before, unless the machine is busy.
    assert 0 < len(minutes) <= 3 * kills
    # It would prove nothing if little was counted.
    assert len({place[2] for place in stored}) > destinations / 2
    assert len(stored) > len(lost)
    assert sum(one.failed for one in stored.values()) > 0
    assert sum(one.retried for one in stored.values()) > 0
