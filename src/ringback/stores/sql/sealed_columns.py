"""Columns with secrets, and how they are encrypted again when the encryption key is replaced."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from ringback.core.errors import ConfigurationError
from ringback.stores.encryption import SecretCipher
from ringback.stores.sql.write_batch import SqlResult

Execute = Callable[[str, Sequence[Any]], SqlResult]
"""Runs a statement, which has a `?` for each value."""


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
DESTINATION_SECRETS: Final = SealedColumn("destination_settings", "sid", "secrets")

ALL_SEALED: Final = (
    *(AUTH_TOKEN, SECONDARY_AUTH_TOKEN, WEBHOOK_SECRET, TOKEN_KEY),
    DESTINATION_SECRETS,
)
"""All columns with secrets."""


def open_all(execute: Execute, cipher: SecretCipher) -> int:
    """Check that every secret can be decrypted, and return the number of secrets.

    Raises ConfigurationError for the first secret that can't be decrypted.
    """
    if sealed_with(execute, cipher) is None:
        return 0
    count = 0
    for sealed in ALL_SEALED:
        for whose, value in _secrets_in(execute, sealed):
            cipher.open(value, sealed.place(whose))
            count += 1
    return count


def sealed_with(execute: Execute, cipher: SecretCipher) -> str | None:
    """Return the id of the key that encrypts the secrets now; None if they are plain text.

    Raises ConfigurationError if the cipher lacks that key.
    """
    row = execute("SELECT key_id FROM sealed_with", ()).fetchone()
    if row is not None and row["key_id"] not in cipher.key_ids:
        raise ConfigurationError(
            f"the secrets in the database are encrypted with the key {row['key_id']},"
            f" but the given key is {', '.join(cipher.key_ids)}; name the right"
            " key file with --seal-key-file"
        )
    return row and row["key_id"]


def seal_anew(execute: Execute, cipher: SecretCipher) -> None:
    """In a transaction, encrypt all secrets with the cipher's first key, unless they already are.

    Raises ConfigurationError if the cipher lacks the key that encrypts them now.
    """
    before, first = sealed_with(execute, cipher), cipher.key_ids[0]
    if before != first:
        sealed = sum(_seal(execute, cipher, one, is_clear=before is None) for one in ALL_SEALED)
        execute("DELETE FROM sealed_with", ())
        execute("INSERT INTO sealed_with VALUES (?, ?)", (first, not sealed))


def _seal(execute: Execute, cipher: SecretCipher, sealed: SealedColumn, *, is_clear: bool) -> int:
    """Encrypt a column's secrets with the first key, and return the number of secrets.

    `is_clear` says that they are plain text now.
    """
    table, owner, column = sealed
    rows = _secrets_in(execute, sealed)
    for whose, value in rows:
        place = sealed.place(whose)
        secret = value if is_clear else cipher.open(value, place)
        execute(
            f"UPDATE {table} SET {column} = ? WHERE {owner} = ?",
            (cipher.seal(secret, place), whose),
        )
    return len(rows)


def _secrets_in(execute: Execute, sealed: SealedColumn) -> list[Any]:
    table, owner, column = sealed
    return execute(
        f"SELECT {owner}, {column} FROM {table} WHERE {column} IS NOT NULL", ()
    ).fetchall()
