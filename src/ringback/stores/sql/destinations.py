"""Stores what is set for destinations, and the states of lanes.

What is set, and the states, are few and change rarely, so they are JSON.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from ringback.core.accounts.account import EVERY
from ringback.core.callback_counts import CountSpan
from ringback.core.callbacks.shards import shard_of
from ringback.core.destinations.destination_settings import read_values, write_values
from ringback.core.destinations.destination_state import DestinationState
from ringback.core.destinations.effective_settings import SettingsOwner
from ringback.ports import (
    DestinationPause,
    Lane,
    LanePlace,
    StoredDestinationSettings,
    WaitingCallback,
    WaitingTotals,
)
from ringback.stores.encryption import SecretCipher
from ringback.stores.sql.callbacks import SqlCallbacks
from ringback.stores.sql.field_columns import from_us, maybe_from_us, maybe_to_us, to_us
from ringback.stores.sql.sealed_columns import DESTINATION_SECRETS
from ringback.stores.sql.write_batch import SqlRow, WriteBatch

_COLUMNS: Final = (
    "sid, owner, account_sid, pattern, settings, secrets, paused_us, paused_until_us,"
    " pause_reason, resumed_us, updated_us, revision"
)
_SET: Final = "(settings <> '{}' OR secrets IS NOT NULL OR paused_us IS NOT NULL)"
_USED: Final = " OR ".join(
    f"EXISTS (SELECT 1 FROM counters INDEXED BY counters_of_lane WHERE counters.lane_id = lanes.id"
    f" AND span_s = {int(span.length.total_seconds())} AND began_us >= ?)"
    for span in (CountSpan.MINUTE, CountSpan.HOUR)
)
_DISABLED: Final = '%"disabled":%'
"""What the JSON of the state of a disabled destination is like."""
_ALL: Final = ("headers, certificates or URLs",)
_LONG_AGO: Final = -(2**62)
# A lane without any counts is new, so it is in use.
_NOT_COUNTED: Final = (
    "NOT EXISTS (SELECT 1 FROM counters INDEXED BY counters_of_lane"
    " WHERE counters.lane_id = lanes.id)"
)


class SqlDestinations:
    """Implements `ports.Destinations`; `callbacks` has the lanes, and says which may be changed."""

    def __init__(self, session: WriteBatch, cipher: SecretCipher, callbacks: SqlCallbacks) -> None:
        self._session = session
        self._cipher = cipher
        self._callbacks = callbacks
        self._in_lane = callbacks.unended.waits_in_lane

    def revision(self) -> int:
        row = self._session.read(
            "SELECT destinations_revision FROM installation WHERE number = 1"
        ).fetchone()
        return row[0]

    def changed_since(self, revision: int) -> list[StoredDestinationSettings]:
        rows = self._session.read_secrets(
            f"SELECT {_COLUMNS} FROM destination_settings WHERE revision > ? ORDER BY revision",
            [revision],
        )
        return [self._read(row) for row in rows]

    def find(
        self, owner: SettingsOwner, account_sid: str, pattern: str
    ) -> StoredDestinationSettings | None:
        rows = self._session.read_secrets(
            f"SELECT {_COLUMNS} FROM destination_settings"
            " WHERE owner = ? AND account_sid = ? AND pattern = ?",
            (owner, account_sid, pattern),
        )
        return next(map(self._read, rows), None)

    def save(self, settings: StoredDestinationSettings) -> StoredDestinationSettings:
        # Until this transaction ends, no other one gets a revision: they become known in order.
        row = self._session.write(
            "UPDATE installation SET destinations_revision = destinations_revision + 1"
            " WHERE number = 1 RETURNING destinations_revision"
        ).fetchone()
        revision, pause = row[0], settings.pause
        shown, secret = write_values(settings.given)
        place = DESTINATION_SECRETS.place(settings.sid)
        sealed = self._cipher.seal(json.dumps(secret), place) if secret else settings.unopened
        is_damaged = sealed is not None and sealed == settings.unopened
        self._cipher.note_damaged(_words_for(settings), _ALL if is_damaged else ())
        paused = (
            (None, None, None)
            if pause is None
            else (to_us(pause.since), maybe_to_us(pause.until), pause.reason)
        )
        own = settings.sid, settings.owner, settings.account_sid, settings.pattern
        dates = maybe_to_us(settings.resumed), to_us(settings.date_updated)
        values = (*own, json.dumps(shown), sealed, *paused, *dates, revision)
        changed = ", ".join(f"{one} = excluded.{one}" for one in _COLUMNS.split(", ")[4:])
        self._session.write(
            f"INSERT INTO destination_settings ({_COLUMNS}) VALUES ({', '.join('?' * len(values))})"
            f" ON CONFLICT (sid) DO UPDATE SET {changed}",
            values,
        )
        return replace(settings, revision=revision)

    def number_set(self, owner: SettingsOwner, account_sid: str) -> int:
        (count,) = self._session.read(
            "SELECT count(*) FROM destination_settings"
            f" WHERE owner = ? AND account_sid = ? AND {_SET}",
            (owner, account_sid),
        ).fetchone()
        return count

    def forget_empty(self, before: datetime, *, limit: int) -> int:
        removed = self._session.write(
            "DELETE FROM destination_settings WHERE sid IN (SELECT sid FROM destination_settings"
            f" WHERE NOT {_SET} AND updated_us < ? LIMIT ?)",
            (to_us(before), limit),
        )
        return removed.rowcount

    def forget_states(self, used_since: datetime, *, limit: int) -> int:
        since = to_us(used_since)
        removed = self._session.write(
            "DELETE FROM destination_states WHERE lane_id IN (SELECT lane_id"
            " FROM destination_states CROSS JOIN lanes ON lanes.id = lane_id"
            f" WHERE state NOT LIKE ? AND NOT ({_USED} OR {_NOT_COUNTED})"
            f" AND NOT EXISTS (SELECT 1 FROM waiting WHERE {self._in_lane}) LIMIT ?)",
            (_DISABLED, since, since, limit),
        )
        return removed.rowcount

    def state_of(self, lane: Lane) -> DestinationState | None:
        row = self._session.read(
            "SELECT state FROM lanes JOIN destination_states ON lane_id = lanes.id"
            " WHERE account_sid = ? AND destination = ?",
            tuple(lane),
        ).fetchone()
        return row and DestinationState.read(row[0])

    def states(self, shards: Collection[int] | None = None) -> list[tuple[Lane, DestinationState]]:
        rows = self._session.read(
            "SELECT account_sid, destination, state FROM destination_states"
            " CROSS JOIN lanes ON lanes.id = lane_id"
        ).fetchall()
        return [
            (Lane(account_sid, destination), DestinationState.read(state))
            for account_sid, destination, state in map(tuple, rows)
            if shards is None or shard_of(destination) in shards
        ]

    def save_state(self, lane: Lane, state: DestinationState) -> None:
        if not self._callbacks.may_change(lane):
            return
        lane_id = self._callbacks.lane_id(lane)
        if state.is_plain:
            self._session.write("DELETE FROM destination_states WHERE lane_id = ?", [lane_id])
            return
        self._session.write(
            "INSERT INTO destination_states (lane_id, state) VALUES (?, ?)"
            " ON CONFLICT (lane_id) DO UPDATE SET state = excluded.state",
            (lane_id, state.write()),
        )

    def lanes(
        self,
        account_sid: str,
        *,
        after: Lane | None,
        used_since: datetime,
        limit: int,
        examining: int,
    ) -> tuple[list[Lane], Lane | None]:
        since = to_us(used_since)
        where, values = "account_sid = ? AND destination > ?", [account_sid, ""]
        if account_sid == EVERY:
            where, values = "(account_sid, destination) > (?, ?)", ["", ""]
            values = ["", ""] if after is None else [*after]
        elif after is not None:
            values = [account_sid, after.destination]
        rows = self._session.read_queued(
            f"SELECT account_sid, destination, {_USED} OR {_NOT_COUNTED}"
            f" OR EXISTS (SELECT 1 FROM waiting WHERE {self._in_lane})"
            " OR EXISTS (SELECT 1 FROM destination_states WHERE lane_id = lanes.id) AS is_used"
            f" FROM lanes WHERE {where} ORDER BY account_sid, destination LIMIT ?",
            (since, since, *values, examining),
        ).fetchall()
        found = list[Lane]()
        for row in rows:
            lane = Lane(row[0], row[1])
            if row[2]:
                found.append(lane)
            if len(found) == limit:
                return found, lane
        last = Lane(rows[-1][0], rows[-1][1]) if len(rows) == examining else None
        return found, last

    def has_lane(self, lane: Lane) -> bool:
        row = self._session.read(
            "SELECT 1 FROM lanes WHERE account_sid = ? AND destination = ?", tuple(lane)
        ).fetchone()
        return row is not None

    def waiting_totals(self, lane: Lane, *, limit: int) -> WaitingTotals:
        in_lane = (
            f"FROM lanes JOIN waiting ON {self._in_lane} WHERE account_sid = ? AND destination = ?"
        )
        (count,) = self._session.read_queued(
            f"SELECT count(*) FROM (SELECT 1 AS one {in_lane} LIMIT ?) AS counted",
            (*lane, limit + 1),
        ).fetchone()
        row = self._session.read_queued(
            f"SELECT coalesce(own_due_us, due_us) AS due_us {in_lane}"
            " ORDER BY waiting.due_us, waiting.id LIMIT 1",
            tuple(lane),
        ).fetchone()
        return WaitingTotals(min(count, limit), count > limit, maybe_from_us(row and row[0]))

    def waiting_in(
        self, lane: Lane, *, due_by: datetime, after: LanePlace | None, limit: int
    ) -> Sequence[WaitingCallback]:
        place = (_LONG_AGO, 0) if after is None else (to_us(after.due), after.row_id)
        rows = self._session.read_queued(
            "SELECT callbacks.sid, waiting.due_us, waiting.id"
            f" FROM lanes CROSS JOIN waiting ON {self._in_lane}"
            " CROSS JOIN callbacks ON callbacks.id = waiting.id"
            " WHERE lanes.account_sid = ? AND lanes.destination = ?"
            " AND (waiting.due_us, waiting.id) > (?, ?) AND waiting.due_us <= ?"
            " ORDER BY waiting.due_us, waiting.id LIMIT ?",
            (*lane, *place, to_us(due_by), limit),
        ).fetchall()
        return [
            WaitingCallback(sid, LanePlace(from_us(due), row_id))
            for sid, due, row_id in map(tuple, rows)
        ]

    def _read(self, row: SqlRow) -> StoredDestinationSettings:
        sid, owner, account_sid, pattern, shown, sealed, *paused, resumed, updated, revision = (
            tuple(row)
        )
        secret: dict[str, Any] = {}
        is_damaged = False
        if sealed is not None:
            opened = self._cipher.open_intact(sealed, DESTINATION_SECRETS.place(sid))
            secret, is_damaged = json.loads(opened or "{}"), opened is None
        since, until, reason = paused
        pause = None
        if since is not None:
            pause = DestinationPause(from_us(since), maybe_from_us(until), reason or "")
        stored = StoredDestinationSettings(
            sid=sid,
            owner=SettingsOwner(owner),
            account_sid=account_sid,
            pattern=pattern,
            given=read_values(json.loads(shown), secret),
            pause=pause,
            resumed=maybe_from_us(resumed),
            date_updated=from_us(updated),
            revision=revision,
            unopened=sealed if is_damaged else None,
        )
        if is_damaged or self._cipher.damaged:
            self._cipher.note_damaged(_words_for(stored), _ALL if is_damaged else ())
        return stored


def _words_for(settings: StoredDestinationSettings) -> str:
    return f"the destinations {settings.pattern} (account {settings.account_sid})"
