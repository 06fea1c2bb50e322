"""A damaged secret stops only what needs it, until it is replaced: real rows are damaged."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from ringback.api.bearer_tokens import BearerTokens
from ringback.application import ServerProcess
from ringback.cli.main import main
from ringback.core.accounts.account import Account
from ringback.core.callback_urls.callback_url import CallbackUrl, HttpMethod
from ringback.core.callbacks.callback import CallbackStatus
from ringback.core.destinations.destination_pattern import parsed_pattern
from ringback.core.destinations.destination_settings import DestinationValues
from ringback.core.destinations.effective_settings import SettingsOwner
from ringback.core.errors import (
    ConfigurationError,
    Conflict,
    InvalidBearerToken,
    StoreUnavailable,
    Unauthorized,
)
from ringback.core.http.allowed_addresses import LOOPBACK
from ringback.core.http.ssrf_guard import SsrfGuard
from ringback.delivery.delivery_service import DeliveryService
from ringback.http_client.http_sender import HttpTransport
from ringback.http_client.sockets_and_tls import SystemNetwork
from ringback.operations.auth_tokens import create_secondary, promote_secondary
from ringback.operations.authentication import sign_in
from ringback.operations.context import OperationContext
from ringback.operations.create_callbacks import send_callbacks
from ringback.operations.destinations import DestinationSubject, SettingChange, set_for_destinations
from ringback.ports import Transaction
from ringback.runtime.system_clock import SystemClock, SystemRandomSource, stopwatch
from ringback.settings.load import load
from ringback.stores.encryption import SecretCipher, new_key
from ringback.stores.postgres.checks import check_database
from ringback.stores.postgres.store import PostgresStore
from ringback.stores.sqlite.integrity_checks import check_data
from ringback.stores.sqlite.store import SqliteStore
from tests.fakes import NOW, TAKES, VAULT, a_context, an_api_client
from tests.receivers import RecordingReceiver
from tests.served import asked_until
from tests.stores.postgres_bench import PostgresBench
from tests.stores.records import OURS, THEIRS, account

Damage = Callable[[str], None]


@dataclass
class Place:
    """Where a store has its data, so that a test can damage rows, and open it as a server does."""

    open: Callable[[SecretCipher], Any]
    run: Callable[[str], Any]
    """Runs a statement, and returns the first row."""
    checks: Callable[[], dict[str, tuple[bool, str]]]


@pytest.fixture(scope="module")
def bench(postgres_dsn: str) -> Iterator[PostgresBench]:
    """A database in which no store of other tests owns the shards."""
    with PostgresBench.on(postgres_dsn, "damaged") as bench:
        yield bench


def place_in(path: Path) -> Place:
    """Return an SQLite file as a place."""

    def run(statement: str) -> Any:
        with closing(sqlite3.connect(path)) as connection, connection:
            return connection.execute(statement).fetchone()

    return Place(
        lambda cipher: SqliteStore.open(path, cipher),
        run,
        lambda: {name: (ok, found) for name, ok, found in check_data(path, lambda: VAULT)},
    )


@pytest.fixture(params=["sqlite", "postgres"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """An empty place of either kind."""
    if request.param == "sqlite":
        await SqliteStore.open(tmp_path / "ringback.db", VAULT).close()
        yield place_in(tmp_path / "ringback.db")
        return
    bench: PostgresBench = request.getfixturevalue("bench")
    bench.empty()

    def query(statement: str) -> Any:
        with psycopg.connect(bench.dsn.text, autocommit=True) as connection:
            found = connection.execute(statement.encode())
            return found.fetchone() if found.description else None

    yield Place(
        lambda cipher: PostgresStore.open(bench.dsn, cipher),
        query,
        lambda: {name: (ok, found) for name, ok, found in check_database(bench.dsn, VAULT)},
    )
    bench.empty()


@dataclass
class Sending:
    """A server's delivery over real sockets."""

    store: Any
    delivery: DeliveryService

    def context(self) -> OperationContext:
        return a_context(
            now=SystemClock().now(),
            random_source=SystemRandomSource(),
            queue=self.delivery.queue,
            signing_keys=self.delivery.signing_keys,
        )

    async def send(self, account_sid: str, url: str) -> tuple[str, str]:
        # On this day, the policy still allows both sources.
        context = replace(self.context(), now=NOW)
        callback = context.compose("A=1", account_sid, CallbackUrl.parse(url), HttpMethod.POST)
        await self.store.transact(lambda tx: send_callbacks(tx, [callback], context.queue))
        return account_sid, callback.sid

    async def is_delivered(self, of: tuple[str, str]) -> bool:
        found = await self.store.read(lambda tx: tx.callbacks.get(*of))
        return found.progress.status is CallbackStatus.DELIVERED

    async def until_delivered(self, of: tuple[str, str]) -> None:
        async with asyncio.timeout(10):
            while not await self.is_delivered(of):  # noqa: ASYNC110 (no event signals it)
                await asyncio.sleep(0.01)

    async def until_stopped(self, by: str = "damaged") -> None:
        async with asyncio.timeout(10):
            while not self.delivery.destinations.count_stopped()[by]:  # noqa: ASYNC110 (as above)
                await asyncio.sleep(0.01)


@asynccontextmanager
async def sending(place: Place) -> AsyncIterator[Sending]:
    store = place.open(SecretCipher(VAULT.keys))
    transport = HttpTransport(
        stopwatch=stopwatch, guard=SsrfGuard(LOOPBACK), network=SystemNetwork()
    )
    shared = {} if isinstance(store, SqliteStore) else {"cluster": store.cluster}
    delivery = DeliveryService(
        store=store,
        transport=transport,
        clock=SystemClock(),
        random_source=SystemRandomSource(),
        **shared,
    )
    await delivery.recover()
    loop = asyncio.create_task(delivery.run())
    try:
        yield Sending(store, delivery)
    finally:
        await delivery.stop(within=TAKES)
        await loop
        await transport.close()
        await store.close()


async def keep(place: Place, *accounts: Account) -> None:
    store = place.open(SecretCipher(VAULT.keys))
    for one in accounts or (account(OURS), account(THEIRS)):
        await store.transact(lambda tx, one=one: tx.accounts.add(one, []))
    await store.close()


OUR_TOKEN = (
    "UPDATE accounts SET auth_token = 'gAAAA damaged' WHERE id = (SELECT min(id) FROM accounts)"
)
OUR_SECRET = (
    "UPDATE webhook_secrets SET value = 'ü' WHERE id = (SELECT min(id) FROM webhook_secrets)"
)


async def test_an_accounts_callbacks_wait_unsent_until_its_token_is_replaced(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    await keep(place)
    place.run(OUR_TOKEN)
    async with RecordingReceiver() as receiver, sending(place) as server:
        assert f"accounts.auth_token of {OURS}" in caplog.text, "named at the start"
        url = f"http://127.0.0.1:{receiver.port}/hook#cbs=twilio"
        ours = await server.send(OURS, url)
        await server.until_delivered(await server.send(THEIRS, url))
        await server.until_stopped()
        assert len(receiver.requests) == 1
        assert list(server.store.damaged_secrets) == [f"account {OURS}"]
        assert f"secrets of account {OURS} can't be decrypted: auth_token" in caplog.text
        found = await server.store.read(lambda tx: tx.callbacks.get(*ours))
        assert (found.progress.status, found.progress.attempt_count) == ("scheduled", 0)
        for change in (create_secondary, promote_secondary):
            await server.store.transact(
                lambda tx, change=change: change(tx, OURS, server.context())
            )
        await server.until_delivered(ours)

        async def damaged() -> object:
            # A transaction that began before the change may have read the old token since.
            await server.store.transact(lambda tx: tx.accounts.get(OURS))
            return server.store.damaged_secrets

        await asked_until(damaged, lambda found: not found)


async def test_a_running_server_notices_a_token_that_a_command_has_replaced(tmp_path: Path) -> None:
    place = place_in(tmp_path / "ringback.db")
    flags = {"data": str(tmp_path), "phase": "before", "gateway": "none", "allow": "loopback"}
    settings = load(flags, {})
    (tmp_path / "ringback.key").write_text(VAULT.keys[0])
    await keep(place, account(OURS))
    place.run(OUR_TOKEN)
    server = await ServerProcess.start(settings)
    context = server.api.dependencies.context()
    async with RecordingReceiver() as receiver:
        url = CallbackUrl.parse(f"http://127.0.0.1:{receiver.port}/hook#cbs=twilio")
        one = context.compose("A=1", OURS, url, HttpMethod.POST)
        await server.storage.store.transact(lambda tx: send_callbacks(tx, [one], context.queue))
        stopped = server.workers.delivery.destinations.count_stopped

        async def counted() -> int:
            return stopped()["damaged"]

        await asked_until(counted, lambda count: count == 1)
        for words in ("create", "promote"):
            command = ["accounts", "token", words, OURS, "--data", str(tmp_path)]
            done = await asyncio.to_thread(CliRunner().invoke, main, command)
            assert done.exit_code == 0, done.output
        await asked_until(counted, lambda count: count == 0)

        async def requests() -> int:
            return len(receiver.requests)

        await asked_until(requests, lambda count: count == 1)
    await server.stop()


async def test_callbacks_signed_by_another_secret_of_the_account_go_on(place: Place) -> None:
    await keep(place)
    place.run(OUR_SECRET)
    async with RecordingReceiver() as receiver, sending(place) as server:
        port = receiver.port
        waits = await server.send(OURS, f"http://localhost:{port}/hook#cbs=kore")
        await server.until_delivered(
            await server.send(OURS, f"http://127.0.0.1:{port}/hook#cbs=twilio")
        )
        await server.until_stopped()
        assert not await server.is_delivered(waits)
        assert len(receiver.requests) == 1


async def test_a_changed_account_keeps_what_is_stored_of_its_damaged_secrets(place: Place) -> None:
    await keep(place)
    stored = "SELECT auth_token FROM accounts ORDER BY id LIMIT 1"
    place.run(OUR_TOKEN)
    place.run(OUR_SECRET)
    before = place.run(stored)
    store = place.open(SecretCipher(VAULT.keys))
    found = await store.read(lambda tx: tx.accounts.get(OURS))
    assert len(found.damaged_secrets) == 2
    await store.transact(lambda tx: tx.accounts.save(replace(found, name="other")))
    again = await store.read(lambda tx: tx.accounts.get(OURS))
    await store.close()
    assert (again.name, again.damaged_secrets) == ("other", found.damaged_secrets)
    assert place.run(stored) == before


@pytest.mark.parametrize("given", ["", "gAAAA damaged"])
async def test_nobody_signs_in_with_a_damaged_token(place: Place, given: str) -> None:
    await keep(place)
    place.run(OUR_TOKEN)
    store = place.open(SecretCipher(VAULT.keys))
    with pytest.raises(Unauthorized):
        await store.read(lambda tx: sign_in(tx, OURS, given))
    await store.close()


async def test_a_damaged_secondary_token_is_never_promoted(place: Place) -> None:
    await keep(place, replace(account(OURS), secondary_auth_token="2" * 32))
    place.run("UPDATE accounts SET secondary_auth_token = 'damaged' WHERE name = 'Test'")
    async with sending(place) as server:
        with pytest.raises(Conflict, match="can't be decrypted"):
            await server.store.transact(lambda tx: promote_secondary(tx, OURS, server.context()))


async def test_nothing_is_sent_without_the_damaged_headers_of_its_destination(place: Place) -> None:
    await keep(place)
    async with RecordingReceiver() as receiver:
        origin = f"http://127.0.0.1:{receiver.port}"
        subject = DestinationSubject(SettingsOwner.ACCOUNT, OURS, parsed_pattern(origin))
        headers = SettingChange(DestinationValues(headers=(("X-Key", "secret"),)))
        async with sending(place) as server:
            await server.store.transact(
                lambda tx: set_for_destinations(tx, subject, headers, server.context())
            )
        place.run("UPDATE destination_settings SET secrets = 'damaged'")
        async with sending(place) as server:
            book = server.delivery.destinations.book
            await book.refresh(server.store)
            waits = await server.send(OURS, f"{origin}/hook#cbs=twilio")
            await server.until_delivered(await server.send(THEIRS, f"{origin}/hook#cbs=twilio"))
            await server.until_stopped()
            assert (len(receiver.requests), await server.is_delivered(waits)) == (1, False)
            with pytest.raises(Conflict, match="unset all"):
                await server.store.transact(
                    lambda tx: set_for_destinations(tx, subject, headers, server.context())
                )
            rate = SettingChange(DestinationValues({"rate": 5.0}))
            await server.store.transact(
                lambda tx: set_for_destinations(tx, subject, rate, server.context())
            )
            assert len(server.store.damaged_secrets) == 1, "other values can be set meanwhile"
            anew = replace(headers, begins_anew=True)

            def change(tx: Transaction) -> None:
                set_for_destinations(tx, subject, anew, server.context())
                book.use_from(tx)

            await server.store.transact(change)
            await server.until_delivered(waits)
            assert b"X-Key: secret" in receiver.requests[-1].raw


async def test_a_damaged_key_of_bearer_tokens_is_replaced_by_the_next_token(place: Place) -> None:
    await keep(place)
    store, clock, lot = place.open(SecretCipher(VAULT.keys)), SystemClock(), SystemRandomSource()
    client = an_api_client(account_sid=OURS)
    await store.transact(lambda tx: tx.api_clients.add(client))
    old, elsewhere = await make_token(store, client), BearerTokens(store, clock)
    assert await elsewhere.caller_of(old)
    place.run("UPDATE token_keys SET private_key = 'damaged'")
    with pytest.raises(InvalidBearerToken):
        await BearerTokens(store, clock).caller_of(old)
    new = await BearerTokens(store, clock).make(client, account(OURS), lot)
    assert await elsewhere.caller_of(new), "another process finds the new key"
    await store.close()


async def make_token(store: Any, client: Any) -> str:
    tokens = BearerTokens(store, SystemClock())
    return await tokens.make(client, account(OURS), SystemRandomSource())


async def test_a_check_names_the_damaged_secrets(place: Place) -> None:
    await keep(place)
    place.run(OUR_TOKEN)
    is_ok, found = place.checks()["secrets"]
    assert not is_ok
    assert (
        f"3 secrets can be decrypted with the key, but 1 can't: accounts.auth_token of {OURS}"
        in found
    )


async def test_if_no_secret_opens_the_server_does_not_start(place: Place) -> None:
    await keep(place)
    place.run("UPDATE accounts SET auth_token = 'damaged'")
    place.run("UPDATE webhook_secrets SET value = 'damaged'")
    with pytest.raises(ConfigurationError, match="none of the 4 secrets"):
        place.open(VAULT)
    # Nor does it note that another key has sealed them from now on.
    with pytest.raises(ConfigurationError, match="none of the 4 secrets"):
        place.open(SecretCipher([new_key(), *VAULT.keys]))
    assert place.run("SELECT key_id FROM sealed_with")[0] == VAULT.key_ids[0]


async def test_a_new_key_seals_all_but_the_damaged_secrets(place: Place) -> None:
    await keep(place)
    place.run(OUR_TOKEN)
    new = new_key()
    await place.open(SecretCipher([new, *VAULT.keys])).close()
    store = place.open(SecretCipher([new]))
    ours, theirs = [
        await store.read(lambda tx, sid=sid: tx.accounts.get(sid)) for sid in (OURS, THEIRS)
    ]
    await store.close()
    await place.open(SecretCipher([*VAULT.keys, new])).close()
    assert (ours.damaged_secrets, theirs) == (["auth_token"], account(THEIRS))


async def test_bytes_that_are_no_utf_8_are_damage_as_any_other(tmp_path: Path) -> None:
    path, values = tmp_path / "ringback.db", DestinationValues(headers=(("X-Key", "secret"),))
    place = place_in(path)
    await keep(place)
    origin = parsed_pattern("https://a.example")
    subject = DestinationSubject(SettingsOwner.ACCOUNT, OURS, origin)
    async with sending(place) as server:
        await server.store.transact(
            lambda tx: set_for_destinations(tx, subject, SettingChange(values), server.context())
        )
    before = place.checks()["secrets"]
    for table, column in (
        *(("accounts", "auth_token"), ("webhook_secrets", "value")),
        ("destination_settings", "secrets"),
    ):
        place.run(
            f"UPDATE {table} SET {column} = CAST(substr({column}, 1, 9) || x'ff' AS TEXT)"  # noqa: S608 (the names above)
            f" WHERE rowid = (SELECT min(rowid) FROM {table})"
        )
    store = place.open(SecretCipher(VAULT.keys))
    ours, theirs = [
        await store.read(lambda tx, sid=sid: tx.accounts.get(sid)) for sid in (OURS, THEIRS)
    ]
    (settings,) = await store.read(lambda tx: tx.destinations.changed_since(0))
    found = await store.transact(
        lambda tx: tx.destinations.find(SettingsOwner.ACCOUNT, OURS, settings.pattern)
    )
    await store.transact(lambda tx: tx.accounts.save(replace(ours, name="other")))
    await store.close()
    assert (len(ours.damaged_secrets), theirs) == (2, account(THEIRS))
    assert settings.unopened is not None
    assert found.unopened == settings.unopened
    assert before[0]
    assert "but 3 can't" in place.checks()["secrets"][1]
    await place.open(SecretCipher([new_key(), *VAULT.keys])).close()


async def test_another_text_that_is_no_utf_8_is_not_read(tmp_path: Path) -> None:
    place = place_in(tmp_path / "ringback.db")
    await keep(place)
    place.run("UPDATE accounts SET name = CAST(x'ff' AS TEXT)")
    store = place.open(SecretCipher(VAULT.keys))
    with pytest.raises(StoreUnavailable, match="UTF-8"):
        await store.read(lambda tx: tx.accounts.get(OURS))
    await store.close()
