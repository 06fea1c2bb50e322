"""Copies all data from one place to another, and compares both row by row.

Each part of the copy is one commit of the target, which also notes how far the copy has come. So a
copy that was interrupted goes on where it was. The data of the source is held meanwhile: nothing
else can change it. When both are equal, the source is marked as copied first, and then the target
as complete. So at no time can both be used.

Both places give and take rows in the same form, that of PostgreSQL's tables; see `TABLES`.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from enum import Enum, auto
from itertools import zip_longest
from typing import Any, Final, NamedTuple, Protocol

from ringback.core.counted import counted
from ringback.core.errors import ConfigurationError
from ringback.ports import Clock, RandomSource
from ringback.stores.encryption import SecretCipher
from ringback.stores.sql.copy_records import CopyNote, CopyProgress, CopyRole
from ringback.stores.sql.sealed_columns import ALL_SEALED

CHUNK: Final = 5_000
"""The number of rows that one commit copies."""
TOLD: Final = 100_000
"""A message says how far the copy has come after this number of rows."""

_ID_BYTES: Final = 16

Row = tuple[Any, ...]
_NO_ROWS: Final[list[Row]] = []


class CopiedTable(NamedTuple):
    """A table, and the columns that identify and order its rows."""

    name: str
    key: tuple[str, ...]


def _tables(*names: str, key: str = "seq") -> tuple[CopiedTable, ...]:
    return tuple(CopiedTable(name, tuple(key.split())) for name in names)


TABLES: Final = (
    *_tables("installation", "policy_versions", key="number"),
    *_tables("retention_times", key="subject kind"),
    *_tables("accounts", key="id"),
    *_tables("webhook_secrets", key="id"),
    *_tables("api_keys", "api_clients", key="rowid"),
    *_tables("token_keys", key="id"),
    *_tables("access_profiles", "fleets", "sims"),
    *_tables("sim_updates", key="sim_sid"),
    *_tables("sms_commands", "ip_commands", "esim_profiles", "settings_updates"),
    *_tables("billing_periods", "data_sessions", "rate_plans", "wireless_sims"),
    *_tables("wireless_updates", key="sim_sid"),
    *_tables("commands", "command_uses", "wireless_sessions"),
    *_tables("scenarios", key="subject_sid"),
    *_tables("console_sessions", "shared_links", "tasks", "jobs", "audit"),
    *_tables("plan_lines", key="account_sid plan_id number"),
    *_tables("receiver_checks", key="account_sid url source"),
    *_tables("stream_sinks", "stream_subscriptions"),
    *_tables("stream_events", key="id"),
    *_tables("stream_pending", key="subscription_sid event_id"),
    *_tables("stream_batches", key="callback_sid"),
    *_tables("removed", "batched_callbacks", key="number"),
    *_tables("lanes", "callback_targets", "bodies", "request_heads", key="id"),
    *_tables("attempt_results", "answer_bodies", "callbacks", key="id"),
    *_tables("idempotency", key="callback_id"),
    *_tables("attempts", key="callback_id number"),
    *_tables("outcomes", key="id"),
    *_tables("destination_settings", key="sid"),
    *_tables("destination_states", key="lane_id"),
    *_tables("order_heads", key="lane_id order_key"),
    *_tables("shadows"),
    *_tables("counters"),
    *_tables("long_responses", key="sid number"),
    *_tables("kept_responses"),
    *_tables("kept_bytes", key="account_sid"),
    *_tables("waiting", "open_attempts", key="id"),
)
"""The tables of PostgreSQL that are copied, in the order that foreign keys require.

SQLite has another form of the last two, which is converted, and has no `idempotency`, which it
reads from `callbacks`. Whether a callback was appointed matters only until its first claim, so that
is not copied for one that is being sent.
"""


IN_NEW_DATA: Final = ("installation", "retention_times")
"""Tables that have rows in new data, too: they do not make it data that a copy would lose."""


class CopySide(Protocol):
    """What a copy needs of both of its places."""

    where: str
    """The place, as messages name it."""
    cipher: SecretCipher
    """Opens the secrets in the data; its first key seals those of a target."""

    def noted(self, role: CopyRole) -> CopyNote | None:
        """Return the note of a copy; for a target, that of an unfinished copy comes first."""
        ...

    def columns(self, table: CopiedTable) -> Sequence[str]:
        """Return the names of the columns to copy."""
        ...

    def rows(
        self, table: CopiedTable, columns: Sequence[str], after: Sequence[Any] = ()
    ) -> Iterator[list[Row]]:
        """Yield the rows whose key is above `after`, ordered by it, in parts of `CHUNK` rows."""
        ...

    def count(self, table: CopiedTable) -> int:
        """Return the number of rows."""
        ...

    def end(self, now: datetime) -> None:
        """Note that the copy is complete."""
        ...


class CopySource(CopySide, Protocol):
    """The place that a copy is made of, held by it."""

    def sealed_with(self) -> str | None:
        """Return the id of the key that seals the secrets; None if they are plain text.

        Raises ConfigurationError if the cipher can open none of them.
        """
        ...

    def begin(self, copy: CopyNote) -> None:
        """Note that a copy of this data has begun."""
        ...

    def forget(self) -> None:
        """Delete that note, so that the copy can't be continued."""
        ...


class CopyTarget(CopySide, Protocol):
    """The place that a copy is made in, held by it."""

    def has_data(self) -> bool:
        """Return True if there is data other than an unfinished copy."""
        ...

    def begin(self, copy: CopyNote) -> None:
        """Remove all data, and note that a copy to here has begun."""
        ...

    def progress(self) -> CopyProgress:
        """Return how far the unfinished copy has come."""
        ...

    def write(
        self,
        table: CopiedTable,
        columns: Sequence[str],
        rows: Sequence[Row],
        progress: CopyProgress,
    ) -> None:
        """Add rows and note the progress, in one commit."""
        ...


class DataCopyResult(NamedTuple):
    """A copy that is complete."""

    copied: int
    """The number of rows that were copied now."""
    compared: int
    """The number of rows that are equal in both places; 0 if the copy was complete before."""


def copy_all(
    source: CopySource,
    target: CopyTarget,
    *,
    clock: Clock,
    random_source: RandomSource,
    tell: Callable[[str], None],
) -> DataCopyResult:
    """Copy all data, or go on with an unfinished copy, and compare it.

    Now and then, `tell` is called with a text that says how far it is. Raises ConfigurationError,
    and changes nothing, if the copy could lose data, or if a key is wrong. Also raises it if the
    copy differs from the source; the next call then begins again.
    """
    key_id = source.sealed_with()
    secrets = _SecretCopy(source.cipher, target.cipher, key_id)
    if source.where == target.where:
        raise ConfigurationError(f"{source.where} can't be copied to itself")
    state = _state(source, target)
    if state is _State.COMPLETE:
        return DataCopyResult(0, 0)
    if state is _State.NEW:
        copy = CopyNote(random_source.bytes(_ID_BYTES).hex(), source.where, clock.now())
        # In this order: a note in the target alone would let the next call begin again, too.
        source.begin(copy._replace(other=target.where))
        target.begin(copy)
    copied = _copy_rows(source, target, secrets, tell)
    compared = _compare(source, target, secrets, tell)
    # Not the other way round: then both could be used.
    source.end(clock.now())
    target.end(clock.now())
    return DataCopyResult(copied, compared)


class _State(Enum):
    NEW = auto()
    UNFINISHED = auto()
    COMPLETE = auto()


def _state(source: CopySource, target: CopyTarget) -> _State:
    """Decide whether to begin, or to go on; raises ConfigurationError to do neither."""
    made, copied = source.noted(CopyRole.TARGET), source.noted(CopyRole.SOURCE)
    theirs, theirs_copied = target.noted(CopyRole.TARGET), target.noted(CopyRole.SOURCE)
    if made is not None and made.ended is None:
        raise ConfigurationError(
            f"the data in {source.where} is itself an unfinished copy of {made.other}: finish that"
            " copy first"
        )
    is_same = copied is not None and theirs is not None and copied.copy_id == theirs.copy_id
    if is_same and theirs is not None and theirs.ended is not None:
        return _State.COMPLETE
    if copied is not None and copied.ended is not None and not is_same:
        raise ConfigurationError(
            f"the data in {source.where} was copied to {copied.other} before, and whatever came"
            " since is only there: copy it from there. To use this data again all the same, start"
            " the server once with --serve-copied"
        )
    is_way_back = (
        made is not None
        and theirs_copied is not None
        and theirs_copied.ended is not None
        and theirs_copied.copy_id == made.copy_id
    )
    if target.has_data() and not is_way_back:
        raise ConfigurationError(
            f"{target.where} has data, which a copy to there would lose: name a new folder or an"
            f" empty database. Only the place that the data in {source.where} was copied from can"
            " take it back, if it has not been used since"
        )
    if is_same:
        return _State.UNFINISHED
    if theirs is not None and theirs.ended is None and theirs.other != source.where:
        raise ConfigurationError(
            f"{target.where} has an unfinished copy of {theirs.other}, not of {source.where}: name"
            " a new folder or an empty database"
        )
    return _State.NEW


def _copy_rows(
    source: CopySource, target: CopyTarget, secrets: "_SecretCopy", tell: Callable[[str], None]
) -> int:
    """Copy the rows that are missing, and return their number."""
    done, after = target.progress()
    count = sum(map(source.count, TABLES))
    copied = before = sum(map(target.count, TABLES[: done + 1])) if done or after else 0
    for number, table in enumerate(TABLES[done:], done):
        columns = _same_columns(source, target, table)
        places = [columns.index(name) for name in table.key]
        seal = secrets.sealing(table, columns)
        for part in source.rows(table, columns, after):
            after = tuple(part[-1][place] for place in places)
            target.write(table, columns, [*map(seal, part)], CopyProgress(number, after))
            copied += len(part)
            if copied % TOLD < len(part):
                tell(f"copied {copied:,} of {count:,} rows")
        target.write(table, columns, [], CopyProgress(number + 1))
        after = ()
    return copied - before


def _compare(
    source: CopySource, target: CopyTarget, secrets: "_SecretCopy", tell: Callable[[str], None]
) -> int:
    """Compare all rows, and return their number; raises ConfigurationError if one differs."""
    compared = 0
    for table in TABLES:
        columns = _same_columns(source, target, table)
        open_, open_copied = secrets.opening(table, columns)
        theirs = target.rows(table, columns)
        pairs = zip_longest(source.rows(table, columns), theirs, fillvalue=_NO_ROWS)
        for part, copied in pairs:
            rows, copied_rows = [*map(open_, part)], [*map(open_copied, copied)]
            if rows != copied_rows:
                source.forget()
                place = _first_difference(rows, copied_rows, columns, table)
                raise ConfigurationError(
                    f"the copy in {target.where} differs from {source.where} in {place}; the next"
                    " call begins again"
                )
            compared += len(part)
            if compared % TOLD < len(part):
                tell(f"compared {compared:,} rows")
    tell(f"compared all {counted(compared, 'row')}: both are equal")
    return compared


def _first_difference(
    rows: Sequence[Row], copied: Sequence[Row], columns: Sequence[str], table: CopiedTable
) -> str:
    """Return where two parts of a table differ first; the values may be secret."""
    pairs = zip_longest(rows, copied)
    row, other = next((one, other) for one, other in pairs if one != other)
    keys = [
        ", ".join(f"{name} {one[columns.index(name)]}" for name in table.key)
        for one in (row, other)
        if one is not None
    ]
    if row is None or other is None or len({*keys}) > 1:
        return f"the table {table.name}: a row is missing at {keys[0]}"
    different = [name for name, one, two in zip(columns, row, other, strict=True) if one != two]
    return f"the table {table.name}, row {keys[0]}: {', '.join(different)}"


def _same_columns(source: CopySide, target: CopySide, table: CopiedTable) -> Sequence[str]:
    columns, others = source.columns(table), target.columns(table)
    if sorted(columns) != sorted(others):
        different = ", ".join(sorted({*columns} ^ {*others}))
        raise ConfigurationError(
            f"the table {table.name} has other columns in {target.where}: {different}; upgrade both"
            " places with `ringback db upgrade`"
        )
    return columns


class _SecretCopy:
    """Seals secrets for the target: as they are, if its key is that of the source."""

    def __init__(self, cipher: SecretCipher, new: SecretCipher, key_id: str | None) -> None:
        self._cipher = cipher
        self._new = new
        self._is_clear = key_id is None
        self._is_same = key_id == new.key_ids[0]

    def sealing(self, table: CopiedTable, columns: Sequence[str]) -> Callable[[Row], Row]:
        """Return a function that turns a row of the source into one of the target."""
        if self._is_same:
            return _unchanged

        def seal(value: str, place: str) -> str:
            secret = value if self._is_clear else self._cipher.open_intact(value, place)
            # A damaged secret stays what it is, so that it can still be named and replaced.
            return value if secret is None else self._new.seal(secret, place)

        return _changing(table, columns, seal)

    def opening(
        self, table: CopiedTable, columns: Sequence[str]
    ) -> tuple[Callable[[Row], Row], Callable[[Row], Row]]:
        """Return functions that open the secrets in rows of the source, and of the target."""
        opened = _unchanged if self._is_clear else _changing(table, columns, _opened(self._cipher))
        return opened, _changing(table, columns, _opened(self._new))


def _opened(cipher: SecretCipher) -> Callable[[str, str], str]:
    """Return a function that opens secrets, and leaves damaged ones as they are."""

    def open_(value: str, place: str) -> str:
        secret = cipher.open_intact(value, place)
        return value if secret is None else secret

    return open_


def _changing(
    table: CopiedTable, columns: Sequence[str], change: Callable[[str, str], str]
) -> Callable[[Row], Row]:
    """Return a function that changes the secrets in a row of this table."""
    sealed = [one for one in ALL_SEALED if one.table == table.name]
    if not sealed:
        return _unchanged
    owner = columns.index(sealed[0].owner)
    places = {columns.index(one.column): one for one in sealed}

    def changed(row: Row) -> Row:
        return tuple(
            change(value, places[at].place(row[owner]))
            if at in places and value is not None
            else value
            for at, value in enumerate(row)
        )

    return changed


def _unchanged(row: Row) -> Row:
    return row
