"""Encrypts all secrets in a data file again when the encryption key is replaced."""

import logging
import sqlite3

from ringback.runtime.undo import on_failure
from ringback.stores.encryption import SecretCipher
from ringback.stores.sql.sealed_columns import seal_anew, sealed_with
from ringback.stores.sqlite.write_batch import any_bytes

_log = logging.getLogger(__name__)


def seal_all(connection: sqlite3.Connection, cipher: SecretCipher) -> None:
    """Encrypt all secrets with the cipher's first key, and wipe their old form from the file.

    Does nothing if this key encrypts them already. Raises ConfigurationError if the cipher lacks
    the key that encrypts them now.
    """
    if sealed_with(connection.execute, cipher) != cipher.key_ids[0]:
        connection.execute("BEGIN IMMEDIATE")
        with on_failure(lambda: connection.execute("ROLLBACK")), any_bytes(connection):
            # Another process may have encrypted them since the check.
            seal_anew(connection.execute, cipher)
        connection.execute("COMMIT")
    (is_wiped,) = connection.execute("SELECT is_wiped FROM sealed_with").fetchone()
    if not is_wiped:
        _wipe(connection)


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
