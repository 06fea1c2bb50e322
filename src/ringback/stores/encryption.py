"""Encrypts secrets before they are stored, so that the database alone reveals none of them.

An encrypted secret is called sealed. It can only be opened in the place for which it was sealed
(table, column and owner), so copying it to another row is of no use to an attacker.

A cipher can have several keys, so that a key can be replaced: the first key seals, and any of them
opens.
"""

import hashlib
import logging
import os
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import Final, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from ringback.core.errors import ConfigurationError
from ringback.runtime.disk_sync import sync
from ringback.runtime.os_error_messages import refusing

_MOST_REMEMBERED: Final = 16_384
_BACKUP_MAC: Final = b"ringback: MAC of backups, 1"
"""What a key that is derived from another is for; part of the form of a backup."""
_log = logging.getLogger(__name__)


class SecretCipher:
    """Encrypts (seals) and decrypts (opens) secrets; the first of its keys seals."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Create a cipher with one or more keys, the newest first.

        Raises ConfigurationError if a key is malformed.
        """
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError:
            raise ConfigurationError(
                "a key must be 32 bytes in URL-safe Base64, like those that"
                " `ringback accounts new-key` prints"
            ) from None
        self.keys = keys
        self.key_ids = [hashlib.sha256(key.encode()).hexdigest()[:16] for key in keys]
        """A hash of each key, which reveals nothing about the key; the first key seals."""
        # Each commit reads its accounts again; the cache saves decrypting their secrets each time.
        self._opened = lru_cache(_MOST_REMEMBERED)(self._open)
        self.damaged = dict[str, Sequence[str]]()
        """The names of the secrets that could not be decrypted, by the record that has them.

        It is how this process has read them last.
        """

    @classmethod
    def in_file(cls, path: Path) -> Self:
        """Return the cipher whose keys are the lines of a file.

        Raises ConfigurationError if the file is missing, can't be read, or contains anything but
        keys.
        """
        with _refusing_unusable(path):
            try:
                return cls(path.read_text("utf-8").split())
            except FileNotFoundError:
                raise ConfigurationError(
                    f"the key file {path} does not exist, and the secrets in the data"
                    " file can't be decrypted without it: put your copy of the key file"
                    " there, or give its key with --seal-key-file or RINGBACK_SEAL_KEY"
                ) from None
            except (ConfigurationError, UnicodeDecodeError) as problem:
                raise ConfigurationError(f"{path} is not a key file: {problem}") from None

    def seal(self, secret: str, place: str) -> str:
        """Return the encrypted secret, which can only be opened for this place in the database."""
        return self._fernet.encrypt(f"{place}\n{secret}".encode()).decode()

    def open(self, sealed: str, place: str) -> str:
        """Return the decrypted secret that was sealed for this place.

        Raises ConfigurationError if the secret was sealed with another key or for another place.
        """
        return self._opened(sealed, place)

    def open_intact(self, sealed: str, place: str) -> str | None:
        """Return the decrypted secret; None if it is damaged, or was sealed for another place."""
        try:
            return self._opened(sealed, place)
        except ConfigurationError:
            return None

    def note_damaged(self, owner: str, names: Sequence[str]) -> None:
        """Note which secrets of a record can't be decrypted, and log it if that is new."""
        if names == self.damaged.get(owner, ()):
            return
        if names:
            _log.error(
                "secrets of %s can't be decrypted: %s; what needs them is not sent until they are"
                " replaced",
                owner,
                ", ".join(names),
            )
            self.damaged[owner] = names
        elif self.damaged.pop(owner, None):
            _log.warning("all secrets of %s can be decrypted again", owner)

    def mac_key(self, key_id: str) -> bytes | None:
        """Return the key for MACs of backups that belongs to the key with this id, if it is here.

        It is derived from that key, so neither is of use in the place of the other.
        """
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 (rarely needed)
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415 (rarely needed)

        key = dict(zip(self.key_ids, self.keys, strict=True)).get(key_id)
        if key is None:
            return None
        derivation = HKDF(SHA256(), length=32, salt=None, info=_BACKUP_MAC)
        return derivation.derive(urlsafe_b64decode(key))

    def _open(self, sealed: str, place: str) -> str:
        try:
            opened = self._fernet.decrypt(sealed).decode()
        except (InvalidToken, ValueError, TypeError):
            raise ConfigurationError(
                f"the secret in {place} was encrypted with another key; give the"
                " right key file with --seal-key-file"
            ) from None
        kept_at, _, secret = opened.partition("\n")
        if kept_at != place:
            raise ConfigurationError(
                f"the encrypted secret in {place} belongs to {kept_at}, so the data"
                " file was altered; restore it from a backup"
            )
        return secret


def new_key() -> str:
    """Return a new random key, as text for one line of a key file."""
    return Fernet.generate_key().decode()


def has_key_file(path: Path) -> bool:
    """Return True if a key file exists at this path, whatever it contains.

    Raises ConfigurationError if the folder can't be read.
    """
    with _refusing_unusable(path):
        return path.exists()


def make_key_file(path: Path) -> None:
    """Create a key file with a new key; if the file exists, leave it unchanged.

    The new file is synced to disk when this returns. Raises ConfigurationError if the file can't be
    created.
    """
    # Two processes may start at once, so the file must never be visible without a whole key in it.
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with _refusing_unusable(path):
        _write_to_disk(draft, f"{new_key()}\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            return
        finally:
            draft.unlink()
        sync(path.parent)


def _write_to_disk(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _refusing_unusable(path: Path) -> AbstractContextManager[None]:
    return refusing(f"the key file {path} can't be used", "name another one with --seal-key-file")
