"""Secrets that are given as a value, or in a file, as orchestrators mount them; never as both."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ringback.core.errors import ConfigurationError
from ringback.runtime.os_error_messages import refusing
from ringback.settings.setting_definitions import DATABASE, DATABASE_FILE, SEAL_KEY, SEAL_KEY_FILE

_LONGEST: Final = 65_536
"""Bytes; a longer file was not meant."""


def database_in(environment: Mapping[str, str]) -> str | None:
    """Return the address of the database that the environment names; None if it names none.

    Raises ConfigurationError if it is not valid, is given twice, or can't be read from its file.
    """
    given, file = (environment.get(one.variable) for one in (DATABASE, DATABASE_FILE))
    refuse_both(given, DATABASE.variable, file, DATABASE_FILE.variable)
    if file:
        return database_in_file(Path(file), DATABASE_FILE.variable)
    return read_address(given, DATABASE.variable) if given else None


def database_in_file(path: Path, where: str) -> str:
    """Return the address in a file that the setting at `where` names; raises ConfigurationError."""
    return read_address(_text_in(path, where), f"{where}: {path}")


def read_address(text: str, where: str) -> str:
    """Return the valid address of a database; raises ConfigurationError, naming its place."""
    try:
        return DATABASE.form.read(text)
    except ValueError as problem:
        raise ConfigurationError(f"{where}: {problem}") from None


def seal_key_in(environment: Mapping[str, str], file: Path | None) -> str | None:
    """Return the key that the environment gives; None if it gives none.

    Raises ConfigurationError if `file`, the value of --seal-key-file, is given as well.
    """
    given = environment.get(SEAL_KEY.variable) or None
    where = SEAL_KEY_FILE.flag
    if str(file) == environment.get(SEAL_KEY_FILE.variable):
        where = SEAL_KEY_FILE.variable
    refuse_both(given, SEAL_KEY.variable, file, where)
    return given


def refuse_both(value: object, where: str, file: object, where_file: str) -> None:
    """Raise ConfigurationError if both a secret and a file with it are given."""
    if value and file:
        raise ConfigurationError(
            f"{where} and {where_file} are both given, and only one of them can count: remove one"
        )


def _text_in(path: Path, where: str) -> str:
    with refusing(f"{where}: the file {path} can't be read"), path.open("rb") as file:
        found = file.read(_LONGEST)
    try:
        text = found.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{where}: the file {path} is not UTF-8") from None
    if not text.strip():
        raise ConfigurationError(f"{where}: the file {path} is empty")
    return text
