"""Columns with secrets, and how they are encrypted again when the encryption key is replaced."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from ringback.core.counted import counted
from ringback.core.errors import ConfigurationError
from ringback.stores.encryption import SecretCipher
from ringback.stores.sql.write_batch import SqlResult

_MOST_NAMED: Final = 20
_log = logging.getLogger(__name__)

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


class OpenedSecrets(NamedTuple):
    """How many secrets there are, and which of them can't be decrypted."""

    number: int
    damaged: Sequence[str]
    """The places of those that can't be decrypted: table, column and owner."""

    @property
    def in_words(self) -> str:
        """What can and what can't be decrypted."""
        found = (
            f"{counted(self.number - len(self.damaged), 'secret')} can be decrypted with the key"
        )
        if not self.damaged:
            return found
        more = len(self.damaged) - _MOST_NAMED
        named = "; ".join(self.damaged[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
        return f"{found}, but {len(self.damaged)} can't: {named}. Replace them"


def open_all(execute: Execute, cipher: SecretCipher) -> OpenedSecrets:
    """Try to decrypt every secret, and return how many there are and which are damaged.

    Raises ConfigurationError if none can be decrypted: the key is wrong then.
    """
    if sealed_with(execute, cipher) is None:
        return OpenedSecrets(0, ())
    secrets = [
        (value, sealed.place(whose))
        for sealed in ALL_SEALED
        for whose, value in _secrets_in(execute, sealed)
    ]
    damaged = [place for value, place in secrets if cipher.open_intact(value, place) is None]
    if damaged and len(damaged) == len(secrets):
        raise _none_opens(len(secrets))
    return OpenedSecrets(len(secrets), damaged)


def warn_of_damaged(execute: Execute, cipher: SecretCipher) -> None:
    """At the start of a server, log which secrets can't be decrypted.

    Raises ConfigurationError if none can be decrypted.
    """
    opened = open_all(execute, cipher)
    if opened.damaged:
        _log.error(
            "%s; what needs them is not sent until then, and all else goes on", opened.in_words
        )


def _none_opens(count: int) -> ConfigurationError:
    return ConfigurationError(
        f"none of the {counted(count, 'secret')} in the database can be decrypted with the given"
        " key: name the right key file with --seal-key-file, or restore a backup"
    )


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

    Those that can't be decrypted stay as they are. Raises ConfigurationError if the cipher lacks
    the key that encrypts them now, or if none can be decrypted.
    """
    before, first = sealed_with(execute, cipher), cipher.key_ids[0]
    if before != first:
        found = [_seal(execute, cipher, one, is_clear=before is None) for one in ALL_SEALED]
        sealed, damaged = (sum(counts) for counts in zip(*found, strict=True))
        if damaged and not sealed:
            raise _none_opens(damaged)
        execute("DELETE FROM sealed_with", ())
        execute("INSERT INTO sealed_with VALUES (?, ?)", (first, not sealed))


def _seal(
    execute: Execute, cipher: SecretCipher, sealed: SealedColumn, *, is_clear: bool
) -> tuple[int, int]:
    """Encrypt a column's secrets with the first key; return how many were, and how many can't be.

    `is_clear` says that they are plain text now.
    """
    table, owner, column = sealed
    count = damaged = 0
    for whose, value in _secrets_in(execute, sealed):
        place = sealed.place(whose)
        secret = value if is_clear else cipher.open_intact(value, place)
        if secret is None:
            damaged += 1
            continue
        count += 1
        execute(
            f"UPDATE {table} SET {column} = ? WHERE {owner} = ?",
            (cipher.seal(secret, place), whose),
        )
    return count, damaged


def _secrets_in(execute: Execute, sealed: SealedColumn) -> list[Any]:
    table, owner, column = sealed
    return execute(
        f"SELECT {owner}, {column} FROM {table} WHERE {column} IS NOT NULL", ()
    ).fetchall()
