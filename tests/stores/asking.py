"""Pieces of work that tests run in a store."""

import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from ringback.core.accounts.shared_link import SharedLink
from ringback.core.callbacks.callback import Attempt, CallbackRecord, advance
from ringback.core.callbacks.rendering import render
from ringback.core.callbacks.retry import Decision, NoRetryNeeded
from ringback.core.http.http_exchange import AttemptResult, OutgoingRequest, ReceiverResponseRecord
from ringback.core.http.outcome import answered
from ringback.core.job import Job
from ringback.core.scheduled_task import ScheduledTask
from ringback.core.supersim.command import IpCommand, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile
from ringback.core.supersim.fleet import Fleet, NetworkAccessProfile
from ringback.core.supersim.pending_sim_update import PendingSuperSimUpdate
from ringback.core.supersim.settings_update import OtaSettingsUpdate
from ringback.core.supersim.sim import SuperSim
from ringback.core.supersim.usage import BillingPeriod, SuperSimDataSession
from ringback.core.wireless.command import WirelessCommand
from ringback.core.wireless.data_session import WirelessDataSession
from ringback.core.wireless.pending_sim_update import PendingWirelessSimUpdate
from ringback.core.wireless.rate_plan import RatePlan
from ringback.core.wireless.sim import WirelessSim
from ringback.core.wireless.usage import MeteredCommand
from ringback.ports import (
    CallbackFilter,
    DeliveryClaim,
    FieldFilter,
    Lane,
    PageWindow,
    Settlement,
    Store,
    Transaction,
)
from ringback.stores.postgres.store import PostgresStore
from ringback.stores.sqlite.store import SqliteStore, connect
from tests.fakes import NOW, VAULT, claim_from
from tests.stores.records import OUR_LANE, OURS, callback

ALL_CALLBACKS = CallbackFilter()

_TABLES: dict[type, str] = {
    NetworkAccessProfile: "supersim.access_profiles",
    Fleet: "supersim.fleets",
    SuperSim: "supersim.sims",
    PendingSuperSimUpdate: "supersim.sim_updates",
    SmsCommand: "supersim.sms_commands",
    IpCommand: "supersim.ip_commands",
    EsimProfile: "supersim.esim_profiles",
    OtaSettingsUpdate: "supersim.settings_updates",
    BillingPeriod: "supersim.billing_periods",
    SuperSimDataSession: "supersim.sessions",
    RatePlan: "wireless.rate_plans",
    WirelessSim: "wireless.sims",
    PendingWirelessSimUpdate: "wireless.sim_updates",
    WirelessCommand: "wireless.commands",
    MeteredCommand: "wireless.command_uses",
    WirelessDataSession: "wireless.sessions",
    CallbackRecord: "callbacks",
    Job: "jobs",
    SharedLink: "shared_links",
}


_REFERENCES: dict[str, str] = {
    "callbacks.account_id": "accounts",
    "callbacks.lane_id": "lanes",
    "callbacks.target_id": "callback_targets",
    "callbacks.body_id": "bodies",
    "callbacks.id": (
        "(SELECT id FROM waiting UNION SELECT id FROM sent_at_once UNION SELECT id FROM outcomes"
        " UNION SELECT callback_id FROM attempts WHERE delivered_us IS NOT NULL)"
    ),
    "waiting.id": (
        "(SELECT id FROM callbacks EXCEPT SELECT id FROM outcomes"
        " EXCEPT SELECT id FROM sent_at_once)"
    ),
    "waiting.lane_id": "lanes",
    "sent_at_once.id": "(SELECT id FROM callbacks EXCEPT SELECT id FROM outcomes)",
    "outcomes.id": "(SELECT id FROM callbacks EXCEPT SELECT id FROM waiting)",
    "attempts.callback_id": "callbacks",
    "attempts.result_id": "attempt_results",
    "attempts.head_id": "request_heads",
    "answer_bodies.id": "attempt_results",
}
_DANGLING = (
    "SELECT {column} FROM {table} WHERE {column} IS NOT NULL"
    " AND {column} NOT IN (SELECT id FROM {target})"
)


@cache
def new_file() -> bytes:
    """Return an empty data file, made once: creating its tables takes longer than most tests."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ringback.db"
        connect(path, VAULT).close()
        return path.read_bytes()


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SqliteStore]:
    """Open a data file as a store, and close it at the end."""
    store = SqliteStore.open(path, VAULT)
    yield store
    await store.close()


async def left_open(store: Store, table: str = "callbacks") -> list[Any]:
    """Return what this process has left open, as another process finds it that follows."""
    if isinstance(store, PostgresStore):
        await lose_leases(store)
        await store.cluster.renew()
    return await store.transact(lambda tx: getattr(tx, table).left_open())


async def lose_leases(store: PostgresStore) -> None:
    """End the leases of a process, as if it had not renewed them in time."""
    ended = "UPDATE workers SET lease_until = '-infinity' WHERE worker = $1"
    await store.cluster._ask(lambda connection: connection.execute(ended, [store.cluster.worker]))
    await store.cluster.renew()


def table_of(tx: Transaction, kind: type) -> Any:
    """Return the table of records of this kind."""
    return attrgetter(_TABLES[kind])(tx)


def add(tx: Transaction, record: object) -> None:
    """Add a new record of any kind to its table."""
    if isinstance(record, ScheduledTask):
        tx.tasks.put(record)
    else:
        table_of(tx, type(record)).add(record)


async def keep(store: Store, *records: object) -> None:
    def work(tx: Transaction) -> None:
        for record in records:
            add(tx, record)

    await store.transact(work)


async def sims_on(store: Store, window: PageWindow, **which: object) -> list[SuperSim]:
    return await store.transact(lambda tx: tx.supersim.sims.page(OURS, which, window))


async def page_of(
    store: Store,
    kind: type,
    window: PageWindow,
    which: FieldFilter | None = None,
    account_sid: str = OURS,
) -> list[Any]:
    return await store.transact(
        lambda tx: table_of(tx, kind).page(account_sid, which or {}, window)
    )


async def callbacks_on(
    store: Store, window: PageWindow, which: CallbackFilter = ALL_CALLBACKS
) -> list[CallbackRecord]:
    return await store.transact(lambda tx: tx.callbacks.page(OURS, which, window))


async def oldest_of(
    store: Store,
    which: CallbackFilter = ALL_CALLBACKS,
    *,
    after: str | None = None,
    limit: int = 99,
) -> list[CallbackRecord]:
    return await store.transact(
        lambda tx: tx.callbacks.oldest(OURS, which, after=after, limit=limit)
    )


async def claim(
    store: Store, now: datetime = NOW, *, limit: int = 100, lane: Lane = OUR_LANE
) -> list[DeliveryClaim]:
    return await store.transact(lambda tx: claim_from(tx, lane, now, limit=limit))


async def settle(store: Store, *settlements: Settlement) -> None:
    await store.transact(lambda tx: tx.callbacks.settle(settlements))


async def found(store: Store, number: int) -> CallbackRecord:
    callback_sid = callback(number).sid
    one = await store.transact(lambda tx: tx.callbacks.get(OURS, callback_sid))
    assert one is not None
    return one


async def attempts_of(store: Store, number: int) -> list[Attempt]:
    return await store.transact(lambda tx: tx.callbacks.attempts(callback(number).sid))


def ended(
    claim: DeliveryClaim,
    decision: Decision,
    now: datetime = NOW,
    *,
    result: AttemptResult | None = None,
    response: ReceiverResponseRecord | None = None,
    request: OutgoingRequest | None = None,
) -> Settlement:
    """Return the settlement of an attempt that ended like this.

    Without a `result`, the receiver answered with 200 or, if the callback is not delivered, 503.
    """
    is_delivered = isinstance(decision, NoRetryNeeded)
    result = result or AttemptResult(answered(200 if is_delivered else 503), None, response)
    after, started = advance(claim.progress, decision, now), claim.progress.date_updated
    return Settlement(claim, after, result, started, request)


def rendered(claim: DeliveryClaim) -> OutgoingRequest:
    """Return the request of a claim's attempt."""
    return render(claim.callback, account=claim.account, at=claim.progress.date_updated)


def dangling(connection: sqlite3.Connection) -> list[str]:
    """Return the references of callbacks and attempts that lead to no row; the file checks none."""
    found = list[str]()
    for reference, target in _REFERENCES.items():
        table, column = reference.split(".")
        statement = _DANGLING.format(table=table, column=column, target=target)
        found += [f"{reference} {lost}" for (lost,) in connection.execute(statement)]
    return found


def numbers_of(records: list[Any]) -> list[int]:
    """Return the numbers that these callbacks were made from."""
    plain = [one.callback if isinstance(one, DeliveryClaim) else one for one in records]
    # The SID of a callback begins with its time.
    return [int(one.sid[14:], 16) for one in plain]


def same(claim: DeliveryClaim) -> DeliveryClaim:
    """Return a claim without what says how a store finds its rows."""
    return claim._replace(row_id=0, is_new=False, run=0)


def settled_row(settlement: Settlement) -> Attempt:
    """Return the ended attempt that a settlement writes."""
    assert settlement.attempt is not None
    return settlement.attempt


async def fail_in_turn(store: Store, *failures: Exception) -> None:
    """Run a transaction for each of these errors, in which it is raised."""

    def fail(failure: Exception) -> Callable[[Transaction], None]:
        def work(_: Transaction) -> None:
            raise failure

        return work

    for failure in failures:
        with pytest.raises(type(failure)):
            await store.transact(fail(failure))
