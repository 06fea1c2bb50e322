"""Fleets, SIMs and their running changes in SQLite."""

import sqlite3
from datetime import datetime
from typing import Any

from ringback.core.callback import Method
from ringback.core.sim import Fleet, Sim, SimStatus
from ringback.core.sim_update import SimUpdate
from ringback.ports import SimFilter, Window
from ringback.stores.sqlite.columns import (
    from_us,
    maybe_from_us,
    read_url,
    to_us,
    write_warnings,
)
from ringback.stores.sqlite.pages import read_page
from ringback.stores.sqlite.session import Session


class SqliteFleets:
    """Answers `ports.Fleets`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, fleet: Fleet) -> None:
        self._session.write(
            "INSERT INTO fleets (sid, account_sid, unique_name, created_us, updated_us)"
            " VALUES (?, ?, ?, ?, ?)",
            (
                fleet.sid,
                fleet.account_sid,
                fleet.unique_name,
                to_us(fleet.date_created),
                to_us(fleet.date_updated),
            ),
        )

    def find(self, account_sid: str, sid_or_name: str) -> Fleet | None:
        row = _find(self._session, "fleets", account_sid, sid_or_name)
        return row and Fleet(
            sid=row["sid"],
            account_sid=row["account_sid"],
            unique_name=row["unique_name"],
            date_created=from_us(row["created_us"]),
            date_updated=from_us(row["updated_us"]),
        )


class SqliteSims:
    """Answers `ports.Sims`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, sim: Sim) -> None:
        self._session.write(
            "INSERT INTO sims (sid, account_sid, iccid, unique_name, status, fleet_sid,"
            " created_us, updated_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                sim.sid,
                sim.account_sid,
                sim.iccid,
                sim.unique_name,
                sim.status,
                sim.fleet_sid,
                to_us(sim.date_created),
                to_us(sim.date_updated),
            ),
        )

    def save(self, sim: Sim) -> None:
        self._session.write(
            "UPDATE sims SET unique_name = ?, status = ?, fleet_sid = ?, updated_us = ?"
            " WHERE sid = ?",
            (sim.unique_name, sim.status, sim.fleet_sid, to_us(sim.date_updated), sim.sid),
        )

    def get(self, sid: str) -> Sim | None:
        row = self._session.read("SELECT * FROM sims WHERE sid = ?", [sid]).fetchone()
        return row and _read_sim(row)

    def find(self, account_sid: str, sid_or_name: str) -> Sim | None:
        row = _find(self._session, "sims", account_sid, sid_or_name)
        return row and _read_sim(row)

    def with_iccid(self, iccid: str) -> Sim | None:
        row = self._session.read("SELECT * FROM sims WHERE iccid = ?", [iccid]).fetchone()
        return row and _read_sim(row)

    def page(self, account_sid: str, which: SimFilter, window: Window) -> list[Sim]:
        conditions = (
            ("status = ?", which.status),
            ("fleet_sid = ?", which.fleet_sid),
            ("iccid = ?", which.iccid),
        )
        rows = read_page(
            self._session,
            "sims",
            account_sid=account_sid,
            conditions=conditions,
            window=window,
        )
        return [_read_sim(row) for row in rows]

    def begin_update(self, update: SimUpdate) -> None:
        url = update.callback_url
        self._session.write(
            "INSERT INTO sim_updates VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                update.sim_sid,
                update.account_sid,
                update.from_status,
                update.to_status,
                update.to_fleet_sid,
                url and url.shown,
                url and url.credentials,
                write_warnings(url),
                update.callback_method,
                to_us(update.due),
            ),
        )

    def due_updates(self, now: datetime, *, limit: int) -> list[SimUpdate]:
        rows = self._session.read(
            "SELECT * FROM sim_updates WHERE due_us <= ? ORDER BY due_us LIMIT ?",
            (to_us(now), limit),
        )
        return [_read_update(row) for row in rows]

    def next_update_due(self) -> datetime | None:
        row = self._session.read("SELECT min(due_us) AS due_us FROM sim_updates").fetchone()
        return maybe_from_us(row["due_us"])

    def end_update(self, sim_sid: str) -> SimUpdate | None:
        row = self._session.write(
            "DELETE FROM sim_updates WHERE sim_sid = ? RETURNING *", [sim_sid]
        ).fetchone()
        return row and _read_update(row)


def _find(session: Session, table: str, account_sid: str, sid_or_name: str) -> Any:
    # A SID goes before a unique name that happens to look like one.
    return session.read(
        f"SELECT * FROM {table} WHERE account_sid = ? AND (sid = ? OR unique_name = ?)"
        " ORDER BY sid = ? DESC LIMIT 1",
        (account_sid, sid_or_name, sid_or_name, sid_or_name),
    ).fetchone()


def _read_sim(row: sqlite3.Row) -> Sim:
    return Sim(
        sid=row["sid"],
        account_sid=row["account_sid"],
        iccid=row["iccid"],
        unique_name=row["unique_name"],
        status=SimStatus(row["status"]),
        fleet_sid=row["fleet_sid"],
        date_created=from_us(row["created_us"]),
        date_updated=from_us(row["updated_us"]),
    )


def _read_update(row: sqlite3.Row) -> SimUpdate:
    url = row["callback_url"]
    return SimUpdate(
        sim_sid=row["sim_sid"],
        account_sid=row["account_sid"],
        from_status=SimStatus(row["from_status"]),
        to_status=SimStatus(row["to_status"]),
        to_fleet_sid=row["to_fleet_sid"],
        callback_url=url and read_url(url, row["callback_credentials"], row["callback_warnings"]),
        callback_method=Method(row["callback_method"]),
        due=from_us(row["due_us"]),
    )
