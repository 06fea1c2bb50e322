"""The key of a data file is created with the file, and never again."""

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from ringback.core.errors import ConfigurationError
from ringback.data_folder import DATA_FILE, KEY_FILE, DataFolder
from ringback.stores.encryption import SecretCipher, make_key_file, new_key
from ringback.stores.sqlite.data_file_opener import is_sealed
from ringback.stores.sqlite.store import SqliteStore
from tests.stores.records import OURS, account


@pytest.fixture
async def sealed(tmp_path: Path) -> Path:
    """A data folder with a secret in it."""
    store = DataFolder(tmp_path).open_beside()
    await store.transact(lambda tx: tx.accounts.add(account(), []))
    await store.close()
    return tmp_path


async def token_in(folder: Path, *, key: str | None = None, file: Path | None = None) -> str:
    store = DataFolder(folder, seal_key=key, seal_key_file=file).open_beside()
    try:
        found = await store.transact(lambda tx: tx.accounts.get(OURS))
    finally:
        await store.close()
    assert found is not None
    return found.auth_token


def refusal_of(folder: Path, *, key: str | None = None, file: Path | None = None) -> str:
    with pytest.raises(ConfigurationError) as refused:
        DataFolder(folder, seal_key=key, seal_key_file=file).open_beside()
    return str(refused.value)


# ---- created, and found again --------------------------------------------------------------------


async def test_a_new_data_file_gets_a_key_that_only_its_owner_can_read(sealed: Path) -> None:
    assert stat.S_IMODE((sealed / KEY_FILE).stat().st_mode) == 0o600
    assert await token_in(sealed) == account().auth_token


async def test_the_key_can_be_given_directly_or_in_a_file_elsewhere(
    sealed: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = (sealed / KEY_FILE).rename(tmp_path_factory.mktemp("safe") / "key")
    assert await token_in(sealed, file=elsewhere) == account().auth_token
    assert await token_in(sealed, key=elsewhere.read_text().strip()) == account().auth_token
    assert not (sealed / KEY_FILE).exists()


def test_an_existing_key_stays(tmp_path: Path) -> None:
    path = tmp_path / KEY_FILE
    make_key_file(path)
    before = path.read_text()
    make_key_file(path)
    assert path.read_text() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "why"), [("none/key", "No such file or directory"), ("k" * 300, "File name too long")]
)
def test_a_key_file_that_cannot_be_created_is_refused_by_its_name(
    name: str, why: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    assert refusal_of(tmp_path, file=path) == (
        f"the key file {path} can't be used: {why}; name another one with --seal-key-file"
    )


async def test_a_new_key_in_front_replaces_the_old_one_which_can_then_be_removed(
    sealed: Path,
) -> None:
    file, newer = sealed / KEY_FILE, new_key()
    file.write_text(f"{newer}\n{file.read_text()}")
    assert await token_in(sealed) == account().auth_token
    file.write_text(newer)
    assert await token_in(sealed) == account().auth_token


@pytest.mark.parametrize("text", ["", "letter", "\udc80"])
def test_an_invalid_key_is_refused_without_being_shown(text: str, tmp_path: Path) -> None:
    path = tmp_path / "our.key"
    path.write_bytes(text.encode(errors="surrogateescape"))
    refusal = refusal_of(tmp_path, file=path)
    assert refusal.startswith(f"{path} is not a key file: ")
    assert "letter" not in refusal


# ---- lost ----------------------------------------------------------------------------------------


def test_no_other_key_is_created_beside_an_encrypted_data_file(sealed: Path) -> None:
    (sealed / KEY_FILE).unlink()
    assert refusal_of(sealed) == (
        f"the key file {sealed / KEY_FILE} does not exist, and the secrets"
        " in the data file can't be decrypted without it: put your copy"
        " of the key file there, or give its key with --seal-key-file or"
        " RINGBACK_SEAL_KEY"
    )
    assert not (sealed / KEY_FILE).exists()


def test_a_named_key_file_is_not_created_beside_it_either(sealed: Path) -> None:
    path = sealed / "other.key"
    assert refusal_of(sealed, file=path).startswith(f"the key file {path} does not exist")
    assert not path.exists()


async def test_a_restored_key_opens_the_data_again(sealed: Path) -> None:
    text = (sealed / KEY_FILE).read_text()
    (sealed / KEY_FILE).unlink()
    refusal_of(sealed)
    (sealed / KEY_FILE).write_text(text)
    assert await token_in(sealed) == account().auth_token


def test_another_key_is_refused_and_neither_is_shown(sealed: Path) -> None:
    other = new_key()
    refusal = refusal_of(sealed, key=other)
    assert refusal.startswith("the secrets in the database are encrypted with the key ")
    assert other not in refusal
    assert (sealed / KEY_FILE).read_text().strip() not in refusal


# ---- sealed or not -------------------------------------------------------------------------------


def test_a_missing_or_empty_file_is_not_encrypted(tmp_path: Path) -> None:
    path = tmp_path / DATA_FILE
    assert not is_sealed(path)
    assert not path.exists()
    path.touch()
    assert not is_sealed(path)


async def test_a_file_is_encrypted_from_its_first_opening_even_if_in_use(tmp_path: Path) -> None:
    path = tmp_path / DATA_FILE
    store = SqliteStore.open(path, SecretCipher([new_key()]))
    assert is_sealed(path)
    await store.close()
    assert is_sealed(path)


async def test_a_file_from_before_encryption_gets_a_key(sealed: Path) -> None:
    (sealed / KEY_FILE).unlink()
    with closing(sqlite3.connect(sealed / DATA_FILE, isolation_level=None)) as connection:
        connection.execute("DELETE FROM sealed_with")
        connection.execute("UPDATE accounts SET auth_token = 'clear'")
        connection.execute("DELETE FROM webhook_secrets")
    assert await token_in(sealed) == "clear"
    assert (sealed / KEY_FILE).exists()


def test_a_backup_letter_gets_no_key_file(tmp_path: Path) -> None:
    (tmp_path / DATA_FILE).write_bytes(b"This is not a database, it is a poem. " * 100)
    assert refusal_of(tmp_path).endswith("file is not a database")
    assert not (tmp_path / KEY_FILE).exists()
