"""T18: how long the pages of the console take on a long history, and what people who look cost.

A real server delivers some callbacks, of which 1 % fail; SQL copies them into the past, and counts
of the last days are added. Then each page, list and filter is asked for, one after the other.

Then ten people look at such pages (`onlookers`). The server is pinned to a core, except with
PostgreSQL.
"""

import re
import sqlite3
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import repeat
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

from benchmarks import onlookers
from benchmarks.browsing import Browser
from benchmarks.database import Database, a_database_server
from benchmarks.engine import make_partitions_since
from benchmarks.figures import Figure, at_most, p50, p95
from benchmarks.history import OWN, Execute, copy_into_the_past
from benchmarks.load import closed_loop
from benchmarks.processes import pinned
from benchmarks.run import Run
from benchmarks.server import Server

_DESTINATIONS: Final = 20
_PATHS: Final = 10
_SIMS: Final = 500
_SEEDS: Final = 2_000
_FAILED: Final = 0.01
_WAITING: Final = 20
_POSTED: Final = 100
_DAYS: Final = (0.02, 25.0)
"""How long ago the newest and the oldest copies were made: less than a new data folder keeps."""
_MOST_MS: Final = 100
_BOTH: Final = '[[holds]]\nphase = "between"\n'
"""A settings file by which both sources send; otherwise only KORE would."""
_SETTLES_WITHIN: Final = 600.0


async def measure(run: Run) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="ringback-") as name:
        settings = Path(name) / "settings.toml"
        settings.write_text(_BOTH, "utf-8")
        options = ("--settings", str(settings), "--log-level", "error")
        figures = await _on_sqlite(run, Path(name), options)
        figures.append(await onlookers.beside_a_backlog(run))
        with run.unpinned(), pinned(run.cores.all), a_database_server(run.cores.all) as server:
            return [*figures, *await _on_postgres(run, server.new_database(), options)]


async def _on_sqlite(run: Run, folder: Path, options: Sequence[str]) -> list[Figure]:
    count = run.size(1_000_000, quick=50_000)
    async with run.server("T18", folder, options=options) as server:
        account = server.credentials
        await _seed(run, server)
    with closing(sqlite3.connect(folder / "ringback.db")) as connection, connection:
        connection.execute("PRAGMA cache_size = -1000000")
        _make_history(connection.execute, count, is_postgres=False)
    async with run.server("T18", folder, options=options) as server:
        seen = replace(server, credentials=account)
        operator = await run.as_operator(server, folder=folder)
        figures = await _pages(run, seen, operator, f"{count:,} callbacks")
        return [*figures, *await onlookers.beside_single_callbacks(run, seen)]


async def _on_postgres(run: Run, database: Database, options: Sequence[str]) -> list[Figure]:
    """Measure the pages with a shorter history in PostgreSQL."""
    count, variables = run.size(100_000, quick=20_000), database.variables
    serve = partial(run.server, "T18", cores=run.cores.all, variables=variables, options=options)
    async with serve() as server:
        account = server.credentials
        await _seed(run, server)
    make_partitions_since(database.url, datetime.now(UTC) - timedelta(_DAYS[1] + 7))
    with database.connect() as connection:
        _make_history(
            lambda statement: connection.execute(statement.encode()), count, is_postgres=True
        )
    database.settle_down()
    async with serve() as server:
        seen = replace(server, credentials=account)
        operator = await run.as_operator(server, variables=variables)
        return await _pages(run, seen, operator, f"{count:,} callbacks in PostgreSQL")


# ---- the history ---------------------------------------------------------------------------------


async def _seed(run: Run, server: Server) -> None:
    """Let a server deliver callbacks of both sources, of which some fail."""
    every = int(1 / _FAILED)
    callbacks = [
        _callback(run, number, "/fail" if number % every == every // 2 else "/hook")
        for number in range(_SEEDS)
    ]
    await _post(server, callbacks)
    await server.until_settled(within=_SETTLES_WITHIN)


async def _add_what_waits(run: Run, server: Server) -> None:
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    await _post(
        server, [{**_callback(run, number), "deliver_at": tomorrow} for number in range(_WAITING)]
    )


def _callback(run: Run, number: int, path: str = "/hook") -> dict[str, Any]:
    host = f"127.0.0.{1 + number % _DESTINATIONS}:{run.receiver.hanging_port}"
    source = ("twilio", "kore")[number // _DESTINATIONS % 2]
    return {
        "url": f"http://{host}{path}/{number // 7 % _PATHS}#cbs={source}",
        "parameters": {
            "SimSid": f"HS{number % _SIMS:032x}",
            "SimUniqueName": f"meter-{number}",
            "SimStatus": "active",
        },
    }


async def _post(server: Server, callbacks: Sequence[Mapping[str, Any]]) -> None:
    for at in range(0, len(callbacks), _POSTED):
        request = server.create_many(callbacks[at : at + _POSTED])
        load = await closed_loop(server.place, repeat(request), connections=1, seconds=0)
        load.expect_accepted()


def _make_history(execute: Execute, count: int, *, is_postgres: bool) -> None:
    """Copy what was delivered into the past, with counts of its last minutes, hours and days."""
    copy_into_the_past(execute, count, days=_DAYS, is_postgres=is_postgres, tables=OWN)
    now = int(time.time())
    for span, number, is_summed in ((60, 180, "1=1"), (3600, 168, "1=1"), (86400, 25, "1=0")):
        last = now // span * span
        for began in range(last - number * span, last, span):
            execute(
                _COUNTED.format(  # numbers of ours
                    span=span, began=began * 1_000_000, is_summed=is_summed, each=span // 3 + 1
                )
            )


_COUNTED: Final = """
    INSERT INTO counters
        (seq, span_s, began_us, lane_id, source, is_summed, accepted, attempts, delivered)
    SELECT (SELECT coalesce(max(seq), 0) FROM counters) + row_number() OVER (), {span}, {began},
         id, source, {is_summed}, {each}, {each}, {each}
    FROM lanes CROSS JOIN (SELECT 'twilio' AS source UNION SELECT 'kore') AS sources
"""


# ---- the pages -----------------------------------------------------------------------------------


class _Timed(NamedTuple):
    """How long one page took each time, in ms."""

    path: str
    whose: str
    samples: Sequence[float]


async def _pages(run: Run, server: Server, operator: Server, what: str) -> list[Figure]:
    """Ask for each page again and again, all of them in turn."""
    await _add_what_waits(run, server)
    browser = await Browser.signed_in(server)
    boss = await Browser.signed_in(operator)
    asked = [("account", browser, path) for path in await _paths(browser, run)]
    asked += [("operator", boss, path) for path in _OPERATORS]
    samples: dict[tuple[str, str], list[float]] = {}
    for number in range(1 + run.size(20, quick=5)):
        for whose, one, path in asked:
            began = time.perf_counter()
            await one.page(f"/console{path}")
            took = (time.perf_counter() - began) * 1e3
            if number:  # The first time is a warm-up.
                samples.setdefault((whose, path), []).append(took)
    browser.close()
    boss.close()
    timed = [_Timed(path, whose, its) for (whose, path), its in samples.items()]
    timed.sort(key=lambda one: p50(one.samples), reverse=True)
    print(f"T18: the pages with {what}, in ms: p50, p95, whose, which")
    for one in timed:
        print(f"{p50(one.samples):8.1f} {p95(one.samples):8.1f}  {one.whose:8}  {one.path}")
    preview = next(one for one in timed if one.path == _PREVIEW)
    timed.remove(preview)
    slowest, latest = timed[0], max(timed, key=lambda one: p95(one.samples))
    search = next(one for one in timed if one.path == _SEARCH and one.whose == "account")
    middle = median(p50(one.samples) for one in timed)
    return [
        Figure(
            *("T18", f"the slowest page with {what}: p50", p50(slowest.samples), "ms"),
            target=at_most(_MOST_MS),
            note=f"{slowest.path} of the {slowest.whose}; {len(timed)} pages, lists and filters",
        ),
        Figure(
            *("T18", f"the slowest page with {what}: p95", p95(latest.samples), "ms"),
            target=at_most(_MOST_MS),
            note=f"{latest.path} of the {latest.whose}",
        ),
        Figure("T18", f"the median page with {what}: p50", middle, "ms"),
        Figure(
            *("T18", f"a text that the newest 10,000 of {what} do not have: p50"),
            *(p50(search.samples), "ms"),
            note=f"p95 {p95(search.samples):.1f} ms",
        ),
        Figure(
            *("T18", f"the preview of a replay of all that failed of {what}: p50"),
            *(p50(preview.samples), "ms"),
            note=f"p95 {p95(preview.samples):.1f} ms",
        ),
    ]


_SIDS: Final = re.compile(r'href="/console/callbacks/(CB[0-9a-f]{32})"')
_TOKEN: Final = re.compile(r"<dt>Token</dt><dd><code>([\w-]+)</code>")
_PREVIEW: Final = "/undelivered/preview?all=yes"
_SEARCH: Final = "/callbacks?text=no-such-text"
_OPERATORS: Final = (
    *("/callbacks", "/callbacks?status=failed", "/callbacks?source=kore", _SEARCH),
    *("/callbacks?since=week", "/undelivered", "/destinations", "/move", "/accounts", "/audit"),
)


async def _paths(browser: Browser, run: Run) -> list[str]:
    """Return the pages of an account, its lists, and their filters."""
    api = {
        what: await _newest(browser, query)
        for what, query in {"any": "", "failed": "status=failed", "kore": "source=kore"}.items()
    }
    host = f"127.0.0.3:{run.receiver.hanging_port}"
    failed, kore = api["failed"], api["kore"]
    days = {name: f"{datetime.now(UTC) - timedelta(days=ago):%Y-%m-%dT%H:%M}" for name, ago in _AGO}
    lists = [
        {},
        *({"status": status} for status in ("delivered", "failed", "scheduled", "discarded")),
        *({"source": source} for source in ("twilio", "kore")),
        *({"event": kind} for kind in ("sim", "sms")),
        {"destination": f"http://{host}"},
        {"destination": "http://127.0.0.99"},
        {"text": "meter-77"},
        {"text": "meter-7", "status": "failed"},
        {"text": f"HS{7:032x}"},
        {"text": f"HS{_SIMS + 1:032x}"},
        {"text": kore["token"]},
        {"url": f"http://{host}/hook/3"},
        {"url": "http://127.0.0.99"},
        *({"since": span} for span in ("hour", "day", "week")),
        {"since": "between", "from": days["from"], "to": days["to"]},
        {"status": "failed", "source": "kore", "destination": f"http://{host}", "since": "week"},
        {"source": "kore", "event": "sim", "since": "day", "text": "meter-1"},
        {"source": "twilio", "text": "no-such-text", "destination": f"http://{host}"},
        {"page": f"PA{api['any']['last']}"},
        {"page": f"PA{failed['last']}", "status": "failed"},
        {"top": api["any"]["last"]},
    ]
    undelivered = [
        {},
        *({"status": status} for status in ("undelivered", "discarded")),
        *({"source": source} for source in ("twilio", "kore")),
        {"destination": f"http://{host}"},
        {"text": "meter-50"},
        {"text": "no-such-text"},
        *({"since": span} for span in ("hour", "week")),
        {"source": "kore", "destination": f"http://{host}", "since": "day"},
    ]
    destination = quote(f"http://{host}", safe="")
    return [
        *(_with_query("/callbacks", query) for query in lists),
        _SEARCH,
        *(_with_query("/undelivered", query) for query in undelivered),
        _PREVIEW,
        *("/destinations", "/destinations?text=0.1", "/destinations?state=failing"),
        *("/destinations?order=name", f"/destinations/one?destination={destination}"),
        *("/move", "/move?at=2027-02-01", "/move?url=hook%2F3"),
        *(f"/callbacks/{failed['first']}", f"/callbacks/{api['any']['first']}"),
        *("/side-by-side", f"/side-by-side?callback={kore['first']}"),
        *("/secrets", "/links", "/audit"),
    ]


_AGO: Final = (("from", 20.0), ("to", 19.5))


def _with_query(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


async def _newest(browser: Browser, query: str) -> dict[str, str]:
    """Return the SIDs of the first and the last callback on a page of the list, and a token."""
    shown = await browser.page(f"/console/callbacks?{query}")
    sids = _SIDS.findall(shown.text)
    one = await browser.page(f"/console/callbacks/{sids[0]}")
    token = _TOKEN.search(one.text)
    return {"first": sids[0], "last": sids[-1], "token": token[1] if token else ""}
