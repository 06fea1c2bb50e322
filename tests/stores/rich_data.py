"""Data of all kinds: every table has rows; and what can be read of them again."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from ringback.core.accounts.account import EVERY
from ringback.core.audit import SERVER
from ringback.core.calendar import DAY
from ringback.core.callback_counts import CallbackCounts, CountedMinute, CountSpan
from ringback.core.callbacks.callback import Attempt, CallbackStatus, DeliveryProgress, begin
from ringback.core.callbacks.callback_serialization import write_new
from ringback.core.callbacks.retry import NoRetryNeeded, RetryLater
from ringback.core.destinations.destination_settings import DestinationValues
from ringback.core.destinations.destination_state import DestinationState
from ringback.core.destinations.effective_settings import SettingsOwner
from ringback.core.http.http_exchange import ReceiverResponseRecord
from ringback.core.policy.policy_version import OPERATOR, PolicyPart, PolicyVersion
from ringback.core.policy.source_policy import NOTICE, Source
from ringback.core.retention import TimeSubject
from ringback.data_folder import DATA_FILE, DataFolder
from ringback.ports import (
    AuditFilter,
    CountFilter,
    CountSplit,
    DestinationPause,
    PageWindow,
    SendingPause,
    Store,
    TokenSigningKey,
    Transaction,
)
from ringback.ports.shadows import ShadowCallbackFilter
from ringback.ports.streams import StreamEventFilter
from ringback.stores.sqlite.backup_mac import MAC_SIZE
from tests.destinations import set_at_run_time
from tests.fakes import NOW, VAULT, an_api_client, an_audit_entry, claim_from
from tests.stores.asking import ALL_CALLBACKS, add, ended, rendered, table_of
from tests.stores.records import (
    FLEETS,
    OUR_LANE,
    OURS,
    PROFILES,
    RATE_PLANS,
    SECOND,
    SIMS,
    THEIRS,
    WIRELESS_SIMS,
    api_key,
    callback,
    command_use,
    console_session,
    job,
    receiver_check,
    session,
    shadow,
    sim,
    sms_command,
    task,
    update_of,
    wireless_session,
    wireless_update_of,
)
from tests.stores.schema_10 import write_rich_file
from tests.stores.test_query_plans import RECORDS
from tests.streams import a_batch, a_sink, a_subscription, add_stream, an_event_of

KEY: Final = VAULT.keys[0]
ODD_TEXT: Final = "NUL \0, escape \uffff, escaped \uffff0, both \uffff\uffff0\0"
NOT_COPIED: Final = ("data_copies", "id_leases", "sealed_with", "sqlite_sequence")
"""Tables of SQLite that are about the file, and not about what is in it."""


def without_mac(backup: Path) -> Path:
    """Cut the MAC off from a backup, as it was made by versions that had none."""
    os.truncate(backup, backup.stat().st_size - MAC_SIZE)
    return backup


def rich_folder(folder: Path) -> DataFolder:
    """Make a data folder in which every table has rows."""
    folder.mkdir()
    path = write_rich_file(folder / DATA_FILE)
    data = DataFolder(folder, KEY)
    data.upgrade()
    data.use(fill)
    with closing(sqlite3.connect(path)) as connection, connection:
        # Nothing writes such rows so far.
        connection.execute("INSERT INTO bodies VALUES (5, 'shared')")
        connection.execute(
            "UPDATE callbacks SET body_id = 5, body = NULL WHERE id % 7 = 0"
            " AND sid NOT IN (SELECT callback_sid FROM stream_batches)"
        )
    return data


async def fill(store: Store) -> None:
    """Add records of all kinds to the data of schema 10."""
    await store.transact(_records)
    await store.transact(_accounts)
    await store.transact(_callbacks)
    await store.transact(_attempts)
    await store.transact(_destinations)
    await store.transact(_streams)
    await store.transact(lambda tx: tx.supersim.sms_commands.remove(_sms_command().sid))


def _records(tx: Transaction) -> None:
    given = (each[OURS] for each in (PROFILES, FLEETS, SIMS, RATE_PLANS, WIRELESS_SIMS))
    others = (one for one in RECORDS if one != sim(1))  # the data of schema 10 has this SIM
    followed = replace(session(1), reported_until=NOW, reported_upload=1, reported_download=2)
    for record in (*given, *others, followed, wireless_session(1), command_use()):
        add(tx, record)
    add(tx, replace(sim(500), unique_name=ODD_TEXT))
    add(tx, sms_command(2))
    add(tx, update_of(SIMS[OURS]))
    add(tx, wireless_update_of(WIRELESS_SIMS[OURS]))
    tx.tasks.put(task(900, due=NOW + timedelta(days=99)))
    tx.scenarios.put(OURS, "slow")
    tx.jobs.add(replace(job(2), account_sid=EVERY, plan_id="plan"))
    tx.plans.add(EVERY, "plan", 1, ["a line", ODD_TEXT])
    tx.receiver_checks.save(receiver_check(fault="refuses-kore", words=ODD_TEXT))
    tx.pause.begin(SendingPause(NOW, ODD_TEXT))
    first = PolicyVersion.of_part(PolicyPart(NOTICE, "ringback.toml"), 1, NOW)
    times = {TimeSubject(OURS, "attempts"): timedelta(days=9), TimeSubject("*", "answers"): None}
    tx.retention.set_times(times, NOW)
    for version in (first, PolicyVersion(2, NOTICE, NOW, OPERATOR)):
        tx.policies.add(version)


def _streams(tx: Transaction) -> None:
    """Add streams: of three events, two are in a batch, which has failed, and one waits."""
    subscription = replace(a_subscription(1, account_sid=OURS), notes=(ODD_TEXT,))
    add_stream(tx, a_sink(1, url="https://u:p@a.example/e#x", account_sid=OURS), subscription)
    for number in (1, 2, 3):
        tx.streams.events.add(
            an_event_of(number, number, account_sid=OURS, sim_unique_name="\uffff"),
            [subscription.sid],
        )
    numbers = [one.number for one in tx.streams.events.pending(subscription.sid, limit=2)]
    tx.streams.events.take(subscription.sid, numbers)
    batch = a_batch(tx, 960, subscription, numbers)
    tx.callbacks.add(batch.having(DeliveryProgress(NOW, CallbackStatus.FAILED, "no", 1)))


def _sms_command() -> Any:
    return next(one for one in RECORDS if type(one).__name__ == "SmsCommand")


def _accounts(tx: Transaction) -> None:
    for number in (7, 3):
        tx.accounts.keys.add(api_key(number))
    tx.accounts.keys.note_uses({api_key(7).sid: NOW})
    tx.accounts.keys.end(api_key(3).sid, NOW)
    tx.console_sessions.add(console_session(1))
    tx.audit.add(an_audit_entry(account_sid=OURS, subject=ODD_TEXT, after={"name": ODD_TEXT}))
    tx.audit.add(an_audit_entry(account_sid=None, actor=SERVER))
    tx.api_clients.add(replace(an_api_client(), account_sid=OURS))
    tx.api_clients.keep_token_key(TokenSigningKey("1", "key"))
    tx.shadows.open([shadow(1)])
    tx.batches.add([write_new(callback(700)._replace(body=ODD_TEXT))])


def _callbacks(tx: Transaction) -> None:
    for number in range(600, 610):
        tx.callbacks.add(callback(number, key=f"key {number}", due=NOW - 400 * SECOND))
    tx.callbacks.add(callback(611, THEIRS, due=NOW + timedelta(days=400)))
    tx.callbacks.add(callback(612)._replace(body=ODD_TEXT))
    for number in (614, 615):
        tx.callbacks.add(callback(number)._replace(order_key=ODD_TEXT))
    new = callback(620)._replace(order_key="SIM")
    tx.callbacks.add(new.having(begin(new.progress, NOW, total_timeout=SECOND)))


def _attempts(tx: Transaction) -> None:
    claims = claim_from(tx, OUR_LANE, NOW - 300 * SECOND, limit=4)
    first, second, third, _ = claims
    answer = ReceiverResponseRecord(200, (("X", "y"),), bytes(range(256)) * 40)
    tx.callbacks.settle(
        [
            ended(first, NoRetryNeeded(), response=answer, request=rendered(first)),
            ended(second, RetryLater(NOW + SECOND, 1), request=rendered(second)),
        ]
    )
    tx.callbacks.put_back([third], NOW)
    counts = CallbackCounts(accepted=3, failures={"tls": 2})
    for minute in (NOW - DAY, NOW, NOW):
        tx.counters.add([CountedMinute(minute, *OUR_LANE, Source.KORE, counts)])
    tx.counters.roll_up(CountSpan.HOUR, CountSpan.HOUR.begin_of(NOW), limit=9)


def _destinations(tx: Transaction) -> None:
    secret = DestinationValues({"rate": 0.5}, headers=(("X-Key", ODD_TEXT),), ca="CA")
    own = set_at_run_time(OUR_LANE.destination, account_sid=OURS, resumed=NOW)
    for one in (
        replace(own, given=secret),
        set_at_run_time(
            *("https://*.example.com/app/*",),
            owner=SettingsOwner.OPERATOR,
            revision=2,
            pause=DestinationPause(NOW, NOW + DAY, ODD_TEXT),
            notify="https://user:password@n.example/told",
        ),
    ):
        tx.destinations.save(one)
    state = DestinationState(opened=NOW, disabled=NOW, disabled_why=ODD_TEXT, seen=NOW)
    tx.destinations.save_state(OUR_LANE, state)


def raw_rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of a data file, as they are, but for what is about the file only."""
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
        ).fetchall()
        return {name: _rows_of(connection, name) for (name,) in names if name not in NOT_COPIED}


def _rows_of(connection: sqlite3.Connection, table: str) -> list[tuple[Any, ...]]:
    columns = [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]
    if table == "waiting":
        # Once a callback was claimed, this says nothing any more.
        at = columns.index("is_appointed")
        columns[at] = "CASE WHEN started_us IS NULL THEN is_appointed ELSE 0 END"
    if table in ("api_keys", "api_clients"):
        columns.append("rowid")
    rows = connection.execute(f"SELECT {', '.join(columns)} FROM {table}")  # noqa: S608 (its names)
    return sorted(rows, key=repr)


async def public_records(store: Store) -> dict[str, Any]:
    """Return all that the store's users can read."""
    return await store.read(lambda tx: dict(_public(tx)))


def _public(tx: Transaction) -> Iterator[tuple[str, Any]]:
    window = PageWindow(100_000)
    callbacks = [*tx.callbacks.page(EVERY, ALL_CALLBACKS, window)]
    yield "callbacks", callbacks
    for one in callbacks:
        attempts: list[Attempt] = tx.callbacks.attempts(one.sid)
        yield one.sid, attempts
    yield "shadows", [*tx.shadows.page(EVERY, ShadowCallbackFilter(), window)]
    for kind in {type(record) for record in RECORDS}:
        which = {"sim_sid": SIMS[OURS].sid} if kind.__name__ == "BillingPeriod" else {}
        yield kind.__name__, [*table_of(tx, kind).page(OURS, which, window)]
    yield "accounts", tx.accounts.all()
    yield "keys", [*tx.accounts.keys.of(None), *tx.accounts.keys.of(OURS)]
    yield "clients", tx.api_clients.of(OURS)
    yield "token key", tx.api_clients.token_key()
    yield "update", tx.supersim.sim_updates.get(SIMS[OURS].sid)
    yield "wireless update", tx.wireless.sim_updates.get(WIRELESS_SIMS[OURS].sid)
    yield "sessions", tx.supersim.sessions.of_sim(session(1).sim_sid, since=NOW)
    yield "wireless sessions", tx.wireless.sessions.of_sim(wireless_session(1).sim_sid, since=NOW)
    yield "next task", tx.tasks.next_due()
    yield "scenario", tx.scenarios.get(OURS)
    yield "policy", tx.policies.newest()
    yield "pause", tx.pause.get()
    yield "fingerprint", tx.fingerprint()
    yield "sinks", [*tx.streams.sinks.page(EVERY, {}, window)]
    yield "subscriptions", [*tx.streams.subscriptions.of_account(EVERY)]
    yield "events", [*tx.streams.events.page(EVERY, StreamEventFilter(), window)]
    yield "pending", [*tx.streams.events.pending(a_subscription(1).sid, limit=9)]
    yield "receiver checks", tx.receiver_checks.newest(EVERY, limit=9)
    yield "plan", tx.plans.after(EVERY, "plan", 0)
    yield "batches", tx.batches.all()
    yield "bytes", (tx.kept_responses.bytes_of(OURS), tx.kept_responses.bytes_of(EVERY))
    week = CountFilter(NOW - 7 * DAY, NOW + DAY)
    for span in CountSpan:
        yield f"counters by {span}", tx.counters.sums(week, span, split=CountSplit, limit=99)
    yield "times", tx.retention.times()
    yield "audit", [*tx.audit.page(EVERY, AuditFilter(), window)]
    yield "unfinished", tx.callbacks.unfinished()
    yield "settings of destinations", tx.destinations.changed_since(0)
    yield "states of destinations", sorted(tx.destinations.states())
