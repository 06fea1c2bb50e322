"""The tables of Super SIM's records."""

from typing import Final

from ringback.core.supersim.command import IpCommand, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile
from ringback.core.supersim.fleet import Fleet, NetworkAccessProfile
from ringback.core.supersim.pending_sim_update import PendingSuperSimUpdate
from ringback.core.supersim.settings_update import OtaSettingsUpdate
from ringback.core.supersim.sim import SuperSim
from ringback.core.supersim.usage import BillingPeriod, SuperSimDataSession
from ringback.ports import SuperSimTables
from ringback.stores.sql.data_sessions import SqlDataSessions
from ringback.stores.sql.field_columns import maybe_to_us
from ringback.stores.sql.record_tables import RowMapping, SqlNamedRecords, SqlRecords, SqlTable
from ringback.stores.sql.write_batch import WriteBatch

ACCESS_PROFILES: Final = RowMapping("access_profiles", NetworkAccessProfile)

FLEETS: Final = RowMapping("fleets", Fleet, "account_sid network_access_profile_sid")

SIMS: Final = RowMapping(
    "sims",
    SuperSim,
    "iccid",
    "account_sid fleet_sid status",
    "account_sid fleet_sid",
    "account_sid status",
)

SIM_UPDATES: Final = RowMapping(
    "sim_updates", PendingSuperSimUpdate, key="sim_sid", order="sim_sid"
)

SMS_COMMANDS: Final = RowMapping(
    "sms_commands", SmsCommand, "account_sid sim_sid", "account_sid status", "account_sid direction"
)

IP_COMMANDS: Final = RowMapping(
    "ip_commands",
    IpCommand,
    "account_sid sim_sid",
    "account_sid sim_iccid",
    "account_sid status",
    "account_sid direction",
)

ESIM_PROFILES: Final = RowMapping(
    "esim_profiles", EsimProfile, "account_sid eid", "account_sid sim_sid", "account_sid status"
)

SETTINGS_UPDATES: Final = RowMapping(
    "settings_updates", OtaSettingsUpdate, "account_sid sim_sid", "account_sid status"
)

BILLING_PERIODS: Final = RowMapping("billing_periods", BillingPeriod, "account_sid sim_sid")

SESSIONS: Final = RowMapping("data_sessions", SuperSimDataSession, "sim_sid", "fleet_sid")


class SqlSuperSimSessions(SqlDataSessions[SuperSimDataSession]):
    """Implements `ports.SuperSimSessions`."""

    def note_report(self, session: SuperSimDataSession) -> None:
        self._session.write(
            "UPDATE data_sessions SET reported_until_us = ?, reported_upload = ?,"
            " reported_download = ? WHERE sid = ?",
            (
                maybe_to_us(session.reported_until),
                session.reported_upload,
                session.reported_download,
                session.sid,
            ),
        )

    def followed(self, sim_sid: str) -> list[SuperSimDataSession]:
        rows = self._session.read(
            "SELECT * FROM data_sessions INDEXED BY data_sessions_followed"
            " WHERE sim_sid = ? AND reported_until_us IS NOT NULL ORDER BY seq",
            [sim_sid],
        )
        return [self._mapping.read(row) for row in rows]


def supersim_tables(session: WriteBatch) -> SuperSimTables:
    """Return Super SIM's tables, which read and write through this batch."""
    return SuperSimTables(
        access_profiles=SqlNamedRecords(session, ACCESS_PROFILES),
        fleets=SqlNamedRecords(session, FLEETS),
        sims=SqlNamedRecords(session, SIMS),
        sim_updates=SqlTable(session, SIM_UPDATES),
        sms_commands=SqlRecords(session, SMS_COMMANDS),
        ip_commands=SqlRecords(session, IP_COMMANDS),
        esim_profiles=SqlRecords(session, ESIM_PROFILES),
        settings_updates=SqlRecords(session, SETTINGS_UPDATES),
        billing_periods=SqlRecords(session, BILLING_PERIODS),
        sessions=SqlSuperSimSessions(session, SESSIONS),
    )
