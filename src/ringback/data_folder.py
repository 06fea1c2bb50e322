"""The data folder: its file, and the key that seals it; with wiring, the only one to name a store.

It is apart from wiring since most commands work on the data and serve nothing: they start in half
of the time.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from ringback.core.errors import Unusable
from ringback.core.response_storage import StorageBudget
from ringback.stores.sqlite.store import SqliteStore
from ringback.stores.vault import Vault, has_key_file, make_key_file, new_key

DATA_FILE: Final = "ringback.db"
KEY_FILE: Final = "ringback.key"
_BUDGET: Final = StorageBudget()


def open_to_serve(
    folder: Path,
    *,
    seal_key: str | None,
    seal_key_file: Path | None,
    committed: Callable[[float], None],
    budget: StorageBudget = _BUDGET,
) -> SqliteStore:
    """Open the data in this folder as its only server; `committed` is told how long commits took.

    `budget` is how much may be kept of long answers.

    Raises Unusable where the folder or a file can't be used, or another server has it.
    """
    path = _data_file(folder)
    vault = _vault_of(folder, seal_key, seal_key_file)
    return SqliteStore.open(path, vault, committed=committed, budget=budget)


def open_beside(
    folder: Path, *, seal_key: str | None = None, seal_key_file: Path | None = None
) -> SqliteStore:
    """Open the data in this folder for short work, also while a server uses it.

    Raises Unusable where the folder or the file can't be used.
    """
    path = _data_file(folder)
    return SqliteStore.beside(path, _vault_of(folder, seal_key, seal_key_file))


def new_seal_key() -> str:
    """Return a new key to seal the secrets of a data file with."""
    return new_key()


def _vault_of(folder: Path, keys: str | None, file: Path | None) -> Vault:
    if keys is not None:
        return Vault(keys.split(","))
    path = file or folder / KEY_FILE
    # Beside a sealed data file a new key would open nothing, and pass for the one that was lost.
    if not has_key_file(path) and not SqliteStore.is_sealed(folder / DATA_FILE):
        make_key_file(path)
    return Vault.in_file(path)


def _data_file(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as failure:
        raise Unusable(
            f"the data folder {folder} can't be made: {failure.strerror};"
            " choose another with --data"
        ) from failure
    return folder / DATA_FILE
