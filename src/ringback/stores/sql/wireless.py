"""The tables of Programmable Wireless's records."""

from typing import Final

from ringback.core.sims.message import Direction
from ringback.core.wireless.command import WirelessCommand
from ringback.core.wireless.data_session import WirelessDataSession
from ringback.core.wireless.pending_sim_update import PendingWirelessSimUpdate
from ringback.core.wireless.rate_plan import RatePlan
from ringback.core.wireless.sim import WirelessSim
from ringback.core.wireless.usage import CommandCount, MeteredCommand, WirelessUsageQuery
from ringback.ports import WirelessTables
from ringback.stores.sql.data_sessions import SqlDataSessions
from ringback.stores.sql.field_columns import to_us
from ringback.stores.sql.record_tables import RowMapping, SqlNamedRecords, SqlRecords, SqlTable
from ringback.stores.sql.write_batch import WriteBatch

RATE_PLANS: Final = RowMapping("rate_plans", RatePlan)

SIMS: Final = RowMapping(
    "wireless_sims",
    WirelessSim,
    "iccid",
    "account_sid registration_code",
    "account_sid eid",
    "account_sid rate_plan_sid status",
    "account_sid rate_plan_sid",
    "account_sid status",
    "rate_plan_sid",
)

SIM_UPDATES: Final = RowMapping(
    "wireless_updates", PendingWirelessSimUpdate, key="sim_sid", order="sim_sid"
)

COMMANDS: Final = RowMapping(
    "commands",
    WirelessCommand,
    "account_sid sim_sid status",
    "account_sid sim_sid",
    "account_sid status",
    "account_sid direction",
    "account_sid transport",
)

COMMAND_USES: Final = RowMapping("command_uses", MeteredCommand)

SESSIONS: Final = RowMapping("wireless_sessions", WirelessDataSession, "sim_sid")


class SqlCommandUsageTable(SqlTable[MeteredCommand]):
    """Implements `ports.CommandUsageTable`."""

    def __init__(self, session: WriteBatch) -> None:
        super().__init__(session, COMMAND_USES)

    def count(
        self, account_sid: str, sim_sid: str | None, query: WirelessUsageQuery
    ) -> list[CommandCount]:
        start, end = to_us(query.start), to_us(query.end)
        span = end - start if query.span is None else round(query.span.total_seconds() * 1e6)
        owner, whose = ("account_sid", account_sid) if sim_sid is None else ("sim_sid", sim_sid)
        rows = self._session.read(
            "SELECT (at_us - ?) / ? AS slot, network_sid, direction, count(*) AS count"
            f" FROM command_uses WHERE {owner} = ? AND account_sid = ?"
            " AND at_us >= ? AND at_us < ? GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            (start, max(span, 1), whose, account_sid, start, end),
        )
        return [
            CommandCount(row["slot"], row["network_sid"], Direction(row["direction"]), row["count"])
            for row in rows
        ]


def wireless_tables(session: WriteBatch) -> WirelessTables:
    """Return Programmable Wireless's tables, which read and write through this batch."""
    return WirelessTables(
        rate_plans=SqlNamedRecords(session, RATE_PLANS),
        sims=SqlNamedRecords(session, SIMS),
        command_uses=SqlCommandUsageTable(session),
        commands=SqlRecords(session, COMMANDS),
        sim_updates=SqlTable(session, SIM_UPDATES),
        sessions=SqlDataSessions(session, SESSIONS),
    )
