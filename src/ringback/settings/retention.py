"""Reads the `[retention]` table, and `[retention.accounts.AC…]`: how long what is kept."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, cast

from ringback.core.accounts.account import EVERY
from ringback.core.errors import ConfigurationError
from ringback.core.retention import KINDS, StoredTimes, TimeSubject, read_time
from ringback.core.sids import SidKind, is_sid
from ringback.core.toml_table import TomlTableError, check_keys, read_text
from ringback.settings.file import SettingsFile
from ringback.settings.toml_tables import naming_the_line

TABLE: Final = "retention"
_ACCOUNTS: Final = "accounts"
_FORM: Final = (
    f"the table [{TABLE}] and each [{TABLE}.{_ACCOUNTS}.AC…] may have {', '.join(KINDS)}, each a"
    ' time like "30d" or "forever"'
)


def read_retention(file: SettingsFile) -> StoredTimes:
    """Return the times in the settings file, by account or for the whole server.

    Raises ConfigurationError, naming the line, if one is invalid.
    """
    table = _table(file, file.table.get(TABLE, {}), TABLE)
    accounts = _table(file, table.get(_ACCOUNTS, {}), TABLE, _ACCOUNTS)
    own = {key: value for key, value in table.items() if key != _ACCOUNTS}
    found = _times_of(EVERY, own, file, TABLE)
    for sid, value in accounts.items():
        keys = TABLE, _ACCOUNTS, sid
        if not is_sid(sid, SidKind.ACCOUNT):
            raise ConfigurationError(
                f"{file.place(*keys)}: {sid!r} is not the SID of an account (AC…); {_FORM}"
            )
        # SIDs are looked up with their kind in upper case and their digits in lower case.
        subject = sid[:2] + sid[2:].lower()
        found |= _times_of(subject, _table(file, value, *keys), file, *keys)
    return found


def _times_of(
    subject: str, entry: Mapping[str, Any], file: SettingsFile, *keys: str
) -> dict[TimeSubject, timedelta | None]:
    found = dict[TimeSubject, timedelta | None]()
    with naming_the_line(file, *keys, form=_FORM):
        check_keys(entry, must=(), may=KINDS)
        for kind in entry:
            try:
                found[TimeSubject(subject, kind)] = read_time(kind, read_text(entry, kind))
            except TomlTableError:
                raise
            except ValueError as problem:
                raise TomlTableError(kind, f"{kind}: {problem}") from None
    return found


def _table(file: SettingsFile, value: Any, *keys: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{file.place(*keys)}: {'.'.join(keys)} must be a table; {_FORM}")
    return cast("dict[str, Any]", value)
