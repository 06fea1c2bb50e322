"""Secrets in the data file are encrypted, and no plain text is left of earlier schemas."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ringback.core.errors import ConfigurationError
from ringback.ports import Store, StoredDestinationSettings, TokenSigningKey
from ringback.stores.encryption import SecretCipher, new_key
from ringback.stores.sqlite import data_file_opener
from ringback.stores.sqlite.data_file_opener import open_as_owner
from ringback.stores.sqlite.seal_key_rotation import seal_all
from ringback.stores.sqlite.store import SqliteStore, connect
from tests.destinations import set_at_run_time
from tests.fakes import AUTH_TOKEN, KORE_SECRET, VAULT
from tests.stores.asking import opened
from tests.stores.old_files import NOW_US, insert_many, upgraded, write_old_file
from tests.stores.records import OURS, account, api_key

KEY_SECRET = "secret 1"
CLEAR = (AUTH_TOKEN, KORE_SECRET, KEY_SECRET)
NOTIFY, HEADER = "https://user:s3cret-of-a-url@n.example/", "s3cret-of-a-header"
CERTIFICATE = "s3cret-of-a-certificate"
MANY = 600
OTHER_KEY = new_key()


def many(number: int) -> str:
    return f"AC{number:032x}"


def bytes_of(folder: Path) -> bytes:
    """Return the bytes of the data file and the files beside it, except for the backup.

    The backup allows a return to the version that did not encrypt.
    """
    files = [path for path in folder.iterdir() if ".before-" not in path.name]
    return b"".join(path.read_bytes() for path in files)


def found_in(folder: Path) -> list[str]:
    return [secret for secret in CLEAR if secret.encode() in bytes_of(folder)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with schema 4: accounts with plain-text secrets, many of which were deleted."""
    path = write_old_file(tmp_path / "ringback.db", schema=4)
    secrets = {"auth_token": AUTH_TOKEN * 40, "kore_secret": KORE_SECRET * 40}
    own = {"name": "Test", "uses_static_proxy": 0, "created_us": NOW_US, **secrets}
    insert_many(path, "accounts", [{"sid": many(100 + n), **own} for n in range(MANY)])
    keys: list[dict[str, object]] = [
        {"sid": api_key(n).sid, "account_sid": OURS, "secret": KEY_SECRET} for n in range(1, MANY)
    ]
    insert_many(path, "api_keys", keys)
    with closing(sqlite3.connect(path)) as connection, connection:
        # Some SQLite builds overwrite deleted data by default; older Ringbacks did not ask for it.
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("DELETE FROM accounts WHERE sid > ?", [many(150)])
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone() > (1,)
    assert found_in(tmp_path) == list(CLEAR)
    return path


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """An empty file with the newest schema."""
    path = tmp_path / "sealed.db"
    with closing(connect(path, VAULT)):
        pass
    return path


def a_destination() -> StoredDestinationSettings:
    """Return what is set for a destination, with secrets of all kinds."""
    own = set_at_run_time("https://a.example", account_sid=OURS, notify=NOTIFY, rate="5")
    secret = replace(own.given, headers=(("X-Key", HEADER),), client_certificate=CERTIFICATE)
    return replace(own, given=secret)


async def keep_secrets(path: Path) -> None:
    async with opened(path) as store:
        await store.transact(lambda tx: tx.accounts.add(account(), []))
        await store.transact(lambda tx: tx.destinations.save(a_destination()))
        await store.transact(
            lambda tx: tx.api_clients.keep_token_key(TokenSigningKey("1", "PRIVATE"))
        )


async def test_after_an_upgrade_no_file_has_secrets_in_plain_text(path: Path) -> None:
    async with opened(path) as store:
        assert found_in(path.parent) == []
        assert await store.transact(lambda tx: tx.accounts.get(OURS)) == upgraded()
    assert found_in(path.parent) == []


async def test_new_secrets_are_never_in_plain_text(sealed: Path) -> None:
    await keep_secrets(sealed)
    async with opened(sealed) as store:
        assert await store.transact(lambda tx: tx.accounts.get(OURS)) == account()
        assert found_in(sealed.parent) == []
        assert b"PRIVATE" not in bytes_of(sealed.parent)
        assert b"s3cret" not in bytes_of(sealed.parent)
        assert await destinations_in(store) == [a_destination()]
        key = await store.transact(lambda tx: tx.api_clients.token_key())
    assert key == TokenSigningKey("1", "PRIVATE")


async def test_a_file_is_not_encrypted_twice(sealed: Path) -> None:
    await keep_secrets(sealed)
    before = values_in(sealed)
    async with opened(sealed):
        pass
    assert values_in(sealed) == before


async def destinations_in(store: Store) -> list[StoredDestinationSettings]:
    return await store.read(lambda tx: tx.destinations.changed_since(0))


def values_in(path: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT auth_token FROM accounts UNION ALL SELECT value FROM webhook_secrets"
            " UNION ALL SELECT private_key FROM token_keys"
            " UNION ALL SELECT secrets FROM destination_settings"
        ).fetchall()


# ---- keys that are replaced ----------------------------------------------------------------------


async def test_a_new_key_reencrypts_everything_and_then_suffices(tmp_path: Path) -> None:
    path = tmp_path / "ringback.db"
    old, new = new_key(), new_key()
    store = SqliteStore.open(path, SecretCipher([old]))
    await store.transact(lambda tx: tx.accounts.add(account(), []))
    await store.transact(lambda tx: tx.api_clients.keep_token_key(TokenSigningKey("1", "PRIVATE")))
    await store.transact(lambda tx: tx.destinations.save(a_destination()))
    await store.close()
    before = values_in(path)
    await SqliteStore.open(path, SecretCipher([new, old])).close()
    store = SqliteStore.open(path, SecretCipher([new]))
    assert await store.transact(lambda tx: tx.accounts.get(OURS)) == account()
    assert await destinations_in(store) == [a_destination()]
    key = await store.transact(lambda tx: tx.api_clients.token_key())
    await store.close()
    assert key == TokenSigningKey("1", "PRIVATE")
    # No secret encrypted with the old key is left in the file.
    assert len(before) == 4
    assert not [value for (value,) in before if value.encode() in bytes_of(tmp_path)]


async def test_without_its_key_a_file_is_refused_by_the_keys_id(sealed: Path) -> None:
    await keep_secrets(sealed)
    before = values_in(sealed)
    other = SecretCipher([OTHER_KEY])
    with pytest.raises(ConfigurationError) as refused:
        SqliteStore.open(sealed, other)
    assert str(refused.value) == (
        f"the secrets in the database are encrypted with the key {VAULT.key_ids[0]},"
        f" but the given key is {other.key_ids[0]}; name the right key file"
        " with --seal-key-file"
    )
    assert values_in(sealed) == before


# ---- crashes, and others -------------------------------------------------------------------------


async def test_a_crash_between_migration_and_encryption_is_repaired(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as crashing:
        crashing.setattr(data_file_opener, "seal_all", crash)
        with pytest.raises(KeyboardInterrupt):
            SqliteStore.open(path, VAULT)
    assert found_in(path.parent)
    async with opened(path) as store:
        assert found_in(path.parent) == []
        assert await store.transact(lambda tx: tx.accounts.get(OURS)) == upgraded()


def break_at(connection: sqlite3.Connection, wanted: str) -> None:
    """Make the database fail at a statement, as a crash would."""

    def see(action: int, one: str | None, two: str | None, *_: str | None) -> int:
        return sqlite3.SQLITE_DENY if wanted in (one, two) else sqlite3.SQLITE_OK

    connection.set_authorizer(see)


async def test_a_crash_between_encryption_and_wiping_is_repaired(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as crashing:
        crashing.setattr("ringback.stores.sqlite.seal_key_rotation._wipe", lambda _: None)
        await SqliteStore.open(path, VAULT).close()
    with closing(sqlite3.connect(path)) as connection:
        assert not is_wiped(connection)
    async with opened(path):
        assert found_in(path.parent) == []
    with closing(sqlite3.connect(path)) as connection:
        assert is_wiped(connection)


async def test_a_file_in_use_is_wiped_by_the_next_process_that_opens_it(path: Path) -> None:
    one = open_as_owner(path, VAULT).connection
    with closing(one), closing(sqlite3.connect(path)) as reading:
        one.execute("UPDATE sealed_with SET is_wiped = false")
        one.execute("PRAGMA busy_timeout = 0")
        reading.execute("BEGIN")
        reading.execute("SELECT * FROM accounts").fetchone()
        seal_all(one, VAULT)
        assert not is_wiped(one)
        reading.execute("COMMIT")
        seal_all(one, VAULT)
        assert is_wiped(one)


def is_wiped(connection: sqlite3.Connection) -> bool:
    (is_it,) = connection.execute("SELECT is_wiped FROM sealed_with").fetchone()
    return bool(is_it)


def test_two_processes_encrypting_at_once_encrypt_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as unsealed:
        unsealed.setattr(data_file_opener, "seal_all", lambda *_: None)
        one, other = open_as_owner(path, VAULT).connection, connect(path, VAULT)

    def be_slower(statement: str) -> None:
        if statement == "BEGIN IMMEDIATE":
            one.set_trace_callback(None)
            seal_all(other, VAULT)

    with closing(one), closing(other):
        one.set_trace_callback(be_slower)
        seal_all(one, VAULT)
        (value,) = one.execute("SELECT auth_token FROM accounts WHERE sid = ?", [OURS]).fetchone()
    assert VAULT.open(value, f"accounts.auth_token of {OURS}") == AUTH_TOKEN


def test_interrupted_encryption_leaves_everything_unchanged(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as unsealed:
        unsealed.setattr(data_file_opener, "seal_all", lambda *_: None)
        connection = open_as_owner(path, VAULT).connection
    with closing(connection):
        break_at(connection, "token_keys")
        with pytest.raises(sqlite3.DatabaseError):
            seal_all(connection, VAULT)
        connection.set_authorizer(None)
        (value,) = connection.execute(
            "SELECT auth_token FROM accounts WHERE sid = ?", [OURS]
        ).fetchone()
        assert value == AUTH_TOKEN
        seal_all(connection, VAULT)
    assert found_in(path.parent) == []
