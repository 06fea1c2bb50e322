"""How the resources of Programmable Wireless stand in their tables."""

from typing import Final

from ringback.core.callback_urls.callback_target import CallbackTarget
from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.wireless.command import CommandTransport, SidPlacement, WirelessCommand
from ringback.core.wireless.data_session import WirelessDataSession
from ringback.core.wireless.radio import RadioLink
from ringback.core.wireless.rate_plan import DataLimitStrategy, DataMetering, RatePlan
from ringback.core.wireless.sim import WirelessSim, WirelessStatus
from ringback.core.wireless.sim_update import WirelessSimUpdate
from ringback.core.wireless.usage import CommandCount, CommandUsage, WirelessUsageQuery
from ringback.stores.sqlite import field_columns
from ringback.stores.sqlite.field_columns import to_us
from ringback.stores.sqlite.intervals import SqliteDataFlows
from ringback.stores.sqlite.record_tables import (
    RowMapping,
    SqliteNamedRecords,
    SqlitePendingUpdates,
    SqliteRecords,
)
from ringback.stores.sqlite.write_batch import WriteBatch


def listener(name: str) -> field_columns.FieldColumns:
    """Return a field that is a listener: a callback URL or none, and a method, in four columns."""
    told, way = field_columns.url(f"{name}_url"), field_columns.one_of(f"{name}_method", HttpMethod)
    return field_columns.FieldColumns(
        name,
        (*told.columns, *way.columns),
        lambda value: (*told.write(value.url), *way.write(value.method)),
        lambda row: CallbackTarget(told.read(row), way.read(row)),
    )


RATE_PLANS: Final = RowMapping(
    "rate_plans",
    RatePlan,
    *(
        *field_columns.OWNED,
        *field_columns.DATED,
        field_columns.plain("unique_name"),
        field_columns.plain("friendly_name"),
    ),
    *(
        field_columns.flag("data_enabled"),
        field_columns.plain("data_limit"),
        field_columns.one_of("data_metering", DataMetering),
    ),
    *(
        field_columns.flag("messaging_enabled"),
        field_columns.flag("voice_enabled"),
        field_columns.flag("national_roaming_enabled"),
    ),
    *(
        field_columns.plain("national_roaming_data_limit"),
        field_columns.plain("international_roaming_data_limit"),
    ),
    *(
        field_columns.texts("international_roaming"),
        field_columns.one_of("data_limit_strategy", DataLimitStrategy),
    ),
    *(
        field_columns.plain("usage_notification_url"),
        field_columns.one_of("usage_notification_method", HttpMethod),
    ),
)

SIMS: Final = RowMapping(
    "wireless_sims",
    WirelessSim,
    *(
        *field_columns.OWNED,
        *field_columns.DATED,
        field_columns.plain("iccid"),
        field_columns.one_of("status", WirelessStatus),
    ),
    *(
        field_columns.plain("unique_name"),
        field_columns.plain("friendly_name"),
        field_columns.plain("rate_plan_sid"),
    ),
    *(
        field_columns.plain("eid"),
        field_columns.plain("registration_code"),
        field_columns.flag("is_narrowband"),
    ),
    *(listener("commands_to"), field_columns.pairs("handlers")),
    *(field_columns.flag("is_resetting"), listener("reset_to"), listener("final_to")),
    *(
        field_columns.maybe_instant("status_since", "status_since_us"),
        field_columns.plain("commands_while_ready"),
    ),
    field_columns.maybe_instant("metered_since", "metered_since_us"),
    indexes=(
        ("iccid",),
        ("account_sid", "registration_code"),
        ("account_sid", "eid"),
        ("account_sid", "rate_plan_sid", "status"),
        ("account_sid", "rate_plan_sid"),
        ("account_sid", "status"),
        ("rate_plan_sid",),
    ),
)

SIM_UPDATES: Final = RowMapping(
    "wireless_updates",
    WirelessSimUpdate,
    *(
        field_columns.plain("sim_sid"),
        field_columns.plain("account_sid"),
        field_columns.plain("to_rate_plan_sid"),
        listener("told"),
    ),
    *(
        field_columns.one_of("from_status", WirelessStatus),
        field_columns.one_of("to_status", WirelessStatus),
    ),
)

COMMANDS: Final = RowMapping(
    "commands",
    WirelessCommand,
    *(
        *field_columns.OWNED,
        *field_columns.DATED,
        field_columns.plain("sim_sid"),
        field_columns.plain("command"),
        listener("told"),
    ),
    *(
        field_columns.one_of("command_mode", PayloadType),
        field_columns.one_of("transport", CommandTransport),
    ),
    *(field_columns.one_of("status", MessageStatus), field_columns.one_of("direction", Direction)),
    *(
        field_columns.one_of("include_sid", SidPlacement),
        field_columns.flag("delivery_receipt_requested"),
    ),
    indexes=(
        ("account_sid", "sim_sid", "status"),
        ("account_sid", "sim_sid"),
        ("account_sid", "status"),
        ("account_sid", "direction"),
        ("account_sid", "transport"),
    ),
)

SESSIONS: Final = RowMapping(
    "wireless_sessions",
    WirelessDataSession,
    *(
        *field_columns.OWNED,
        field_columns.plain("sim_sid"),
        field_columns.plain("network_sid"),
        field_columns.plain("rate_plan_sid"),
        field_columns.plain("iccid"),
    ),
    *(
        field_columns.plain("upload_per_hour"),
        field_columns.plain("download_per_hour"),
        field_columns.one_of("radio_link", RadioLink),
    ),
    *(
        field_columns.instant("date_created", "created_us"),
        field_columns.maybe_instant("date_ended", "ended_us"),
    ),
    indexes=(("sim_sid",),),
)


class SqliteCommandUses:
    """Answers `ports.tables.CommandUsageTable`."""

    def __init__(self, session: WriteBatch) -> None:
        self._session = session

    def add(self, use: CommandUsage) -> None:
        values = (use.account_sid, use.sim_sid, use.network_sid, use.direction, to_us(use.at))
        self._session.write(
            "INSERT INTO command_uses (account_sid, sim_sid, network_sid, direction, at_us)"
            " VALUES (?, ?, ?, ?, ?)",
            values,
        )

    def tally(
        self, account_sid: str, sim_sid: str | None, question: WirelessUsageQuery
    ) -> list[CommandCount]:
        start, end = to_us(question.start), to_us(question.end)
        span = end - start if question.span is None else round(question.span.total_seconds() * 1e6)
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


class SqliteWireless:
    """Answers `ports.WirelessTables`."""

    def __init__(self, session: WriteBatch) -> None:
        self.rate_plans = SqliteNamedRecords(session, RATE_PLANS)
        self.sims = SqliteNamedRecords(session, SIMS)
        self.command_uses = SqliteCommandUses(session)
        self.commands = SqliteRecords(session, COMMANDS)
        self.sim_updates = SqlitePendingUpdates(session, SIM_UPDATES)
        self.sessions = SqliteDataFlows(session, SESSIONS)
