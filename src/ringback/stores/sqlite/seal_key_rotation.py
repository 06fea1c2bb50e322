"""Encrypts all secrets in the database again when the encryption key is replaced."""

import logging
import sqlite3
from typing import Final, NamedTuple

from ringback.core.errors import ConfigurationError
from ringback.runtime.undo import on_failure
from ringback.stores.encryption import SecretCipher

_log = logging.getLogger(__name__)


class SealedColumn(NamedTuple):
    """A column with encrypted secrets, and the column that identifies each secret's owner."""

    table: str
    owner: str
    column: str

    def place(self, owner: str) -> str:
        """Return the place to which this owner's secret is bound: table, column and owner."""
        return f"{self.table}.{self.column} of {owner}"


AUTH_TOKEN: Final = SealedColumn("accounts", "sid", "auth_token")
SECONDARY_AUTH_TOKEN: Final = SealedColumn("accounts", "sid", "secondary_auth_token")
WEBHOOK_SECRET: Final = SealedColumn("webhook_secrets", "id", "value")
TOKEN_KEY: Final = SealedColumn("token_keys", "id", "private_key")

_ALL: Final = (AUTH_TOKEN, SECONDARY_AUTH_TOKEN, WEBHOOK_SECRET, TOKEN_KEY)


def seal_all(connection: sqlite3.Connection, cipher: SecretCipher) -> None:
    """Encrypt all secrets with the cipher's first key, and wipe their old form from the file.

    Does nothing if this key encrypts them already. Raises ConfigurationError if the cipher lacks
    the key that encrypts them now.
    """
    if _sealed_with(connection, cipher) != cipher.key_ids[0]:
        _seal_anew(connection, cipher)
    (is_wiped,) = connection.execute("SELECT is_wiped FROM sealed_with").fetchone()
    if not is_wiped:
        _wipe(connection)


def open_all(connection: sqlite3.Connection, cipher: SecretCipher) -> int:
    """Check that every secret can be decrypted, and return the number of secrets.

    Raises ConfigurationError for the first secret that can't be decrypted.
    """
    if _sealed_with(connection, cipher) is None:
        return 0
    count = 0
    for sealed in _ALL:
        table, owner, column = sealed
        for whose, value in connection.execute(
            f"SELECT {owner}, {column} FROM {table} WHERE {column} IS NOT NULL"
        ):
            cipher.open(value, sealed.place(whose))
            count += 1
    return count


def _sealed_with(connection: sqlite3.Connection, cipher: SecretCipher) -> str | None:
    """Return the id of the key that encrypts the secrets now; None if they are plain text.

    Raises ConfigurationError if the cipher lacks that key.
    """
    row = connection.execute("SELECT key_id FROM sealed_with").fetchone()
    if row is not None and row["key_id"] not in cipher.key_ids:
        raise ConfigurationError(
            f"the secrets in the data file are encrypted with the key {row['key_id']},"
            f" but the given key is {', '.join(cipher.key_ids)}; name the right"
            " key file with --seal-key-file"
        )
    return row and row["key_id"]


def _seal_anew(connection: sqlite3.Connection, cipher: SecretCipher) -> None:
    first = cipher.key_ids[0]
    connection.execute("BEGIN IMMEDIATE")
    with on_failure(lambda: connection.execute("ROLLBACK")):
        # Another process may have encrypted them between the check and this transaction.
        before = _sealed_with(connection, cipher)
        if before != first:
            sealed = sum(_seal(connection, cipher, one, is_clear=before is None) for one in _ALL)
            connection.execute("DELETE FROM sealed_with")
            connection.execute("INSERT INTO sealed_with VALUES (?, ?)", (first, not sealed))
    connection.execute("COMMIT")


def _seal(
    connection: sqlite3.Connection, cipher: SecretCipher, sealed: SealedColumn, *, is_clear: bool
) -> int:
    """Encrypt a column's secrets with the first key, and return the number of secrets.

    `is_clear` says that they are plain text now.
    """
    table, owner, column = sealed
    rows = connection.execute(
        f"SELECT {owner}, {column} FROM {table} WHERE {column} IS NOT NULL"
    ).fetchall()
    for whose, value in rows:
        place = sealed.place(whose)
        secret = value if is_clear else cipher.open(value, place)
        connection.execute(
            f"UPDATE {table} SET {column} = ? WHERE {owner} = ?",
            (cipher.seal(secret, place), whose),
        )
    return len(rows)


def _wipe(connection: sqlite3.Connection) -> None:
    """Rewrite the file, so that its free pages contain no deleted or replaced secrets.

    If another process is using the file, this is done again when the file is opened next.
    """
    try:
        connection.execute("VACUUM")
        (is_busy, *_) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not is_busy:
            connection.execute("UPDATE sealed_with SET is_wiped = true")
    except sqlite3.OperationalError as failure:
        _log.warning("the data file may still contain secrets in plain text: %s", failure)
