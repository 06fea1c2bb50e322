"""How the resources of Super SIM stand in their tables."""

from datetime import datetime
from typing import Final

from ringback.core.access_profile import NetworkAccessProfile
from ringback.core.billing import BillingPeriod, PeriodType
from ringback.core.command import (
    Direction,
    IpCommand,
    IpStatus,
    PayloadType,
    SmsCommand,
    SmsStatus,
)
from ringback.core.esim_profile import EsimProfile, EsimStatus
from ringback.core.fleet import Fleet
from ringback.core.method import Method
from ringback.core.settings_update import SettingsStatus, SettingsUpdate
from ringback.core.sim import Sim, SimStatus
from ringback.core.sim_update import SimUpdate
from ringback.core.usage import DataSession
from ringback.ports import Which, Window
from ringback.stores.sqlite.columns import maybe_to_us, to_us
from ringback.stores.sqlite.pages import read_page
from ringback.stores.sqlite.records import (
    DATED,
    OWNED,
    Shape,
    SqliteRecords,
    flag,
    instant,
    maybe_instant,
    one_of,
    plain,
    texts,
    url,
)
from ringback.stores.sqlite.session import Session

_CALLED_BACK = (url("callback_url"), one_of("callback_method", Method))


ACCESS_PROFILES: Final = Shape(
    "access_profiles",
    NetworkAccessProfile,
    *OWNED,
    plain("unique_name"),
    texts("network_sids"),
    *DATED,
)

FLEETS: Final = Shape(
    "fleets",
    Fleet,
    *OWNED,
    plain("unique_name"),
    plain("network_access_profile_sid"),
    flag("data_enabled"),
    plain("data_limit"),
    flag("sms_commands_enabled"),
    url("sms_commands_url"),
    one_of("sms_commands_method", Method),
    url("ip_commands_url"),
    one_of("ip_commands_method", Method),
    *DATED,
)

SIMS: Final = Shape(
    "sims",
    Sim,
    *OWNED,
    plain("iccid"),
    plain("unique_name"),
    one_of("status", SimStatus),
    plain("fleet_sid"),
    plain("device_ip"),
    maybe_instant("ready_since", "ready_since_us"),
    plain("sms_while_ready"),
    *DATED,
)

SMS_COMMANDS: Final = Shape(
    "sms_commands",
    SmsCommand,
    *OWNED,
    plain("sim_sid"),
    plain("payload"),
    one_of("status", SmsStatus),
    one_of("direction", Direction),
    *_CALLED_BACK,
    *DATED,
)

IP_COMMANDS: Final = Shape(
    "ip_commands",
    IpCommand,
    *OWNED,
    plain("sim_sid"),
    plain("sim_iccid"),
    one_of("status", IpStatus),
    one_of("direction", Direction),
    plain("device_ip"),
    plain("device_port"),
    one_of("payload_type", PayloadType),
    plain("payload"),
    *_CALLED_BACK,
    *DATED,
)

ESIM_PROFILES: Final = Shape(
    "esim_profiles",
    EsimProfile,
    *OWNED,
    one_of("status", EsimStatus),
    plain("eid"),
    flag("has_matching_id"),
    plain("iccid"),
    plain("sim_sid"),
    plain("smdp_plus_address"),
    plain("matching_id"),
    plain("error_code"),
    plain("error_message"),
    *_CALLED_BACK,
    *DATED,
)

SETTINGS_UPDATES: Final = Shape(
    "settings_updates",
    SettingsUpdate,
    *OWNED,
    plain("iccid"),
    plain("sim_sid"),
    one_of("status", SettingsStatus),
    maybe_instant("date_completed", "completed_us"),
    *DATED,
)

BILLING_PERIODS: Final = Shape(
    "billing_periods",
    BillingPeriod,
    *OWNED,
    plain("sim_sid"),
    one_of("period_type", PeriodType),
    instant("start_time", "start_us"),
    instant("end_time", "end_us"),
    *DATED,
)

_SESSIONS: Final = Shape(
    "data_sessions",
    DataSession,
    *OWNED,
    plain("sim_sid"),
    plain("fleet_sid"),
    plain("network_sid"),
    plain("iso_country"),
    plain("upload_per_hour"),
    plain("download_per_hour"),
    instant("date_created", "created_us"),
    maybe_instant("date_ended", "ended_us"),
)

_SIM_UPDATES: Final = Shape(
    "sim_updates",
    SimUpdate,
    plain("sim_sid"),
    plain("account_sid"),
    one_of("from_status", SimStatus),
    one_of("to_status", SimStatus),
    plain("to_fleet_sid"),
    *_CALLED_BACK,
)


class SqliteSessions:
    """Answers `ports.Sessions`."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._records = SqliteRecords(session, _SESSIONS)

    def add(self, session: DataSession) -> None:
        self._records.add(session)

    def get(self, sid: str) -> DataSession | None:
        return self._records.get(sid)

    def end(self, sid: str, at: datetime | None) -> None:
        self._session.write(
            "UPDATE data_sessions SET ended_us = ? WHERE sid = ?", (maybe_to_us(at), sid)
        )

    def of_sim(self, sim_sid: str, *, since: datetime) -> list[DataSession]:
        rows = self._session.read(
            "SELECT * FROM data_sessions WHERE sim_sid = ? AND (ended_us IS NULL OR ended_us > ?)"
            " ORDER BY seq",
            (sim_sid, to_us(since)),
        )
        return [_SESSIONS.read(row) for row in rows]

    def between(
        self, account_sid: str, which: Which, start: datetime, end: datetime, window: Window
    ) -> list[DataSession]:
        rows = read_page(
            self._session.read,
            _SESSIONS.table,
            account_sid=account_sid,
            conditions=[
                *_SESSIONS.conditions(which),
                ("created_us < ?", to_us(end)),
                ("(ended_us IS NULL OR ended_us > ?)", to_us(start)),
            ],
            window=window,
        )
        return [_SESSIONS.read(row) for row in rows]


class SqliteSimUpdates:
    """Answers `ports.SimUpdates`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, update: SimUpdate) -> None:
        self._session.write(_SIM_UPDATES.insert, _SIM_UPDATES.values(update))

    def get(self, sim_sid: str) -> SimUpdate | None:
        row = self._session.read(
            "SELECT * FROM sim_updates WHERE sim_sid = ?", [sim_sid]
        ).fetchone()
        return row and _SIM_UPDATES.read(row)

    def end(self, sim_sid: str) -> None:
        self._session.write("DELETE FROM sim_updates WHERE sim_sid = ?", [sim_sid])
