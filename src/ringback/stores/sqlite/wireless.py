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
from ringback.stores.sqlite import fields
from ringback.stores.sqlite.fields import to_us
from ringback.stores.sqlite.flows import SqliteFlows
from ringback.stores.sqlite.records import Shape, SqliteNamedRecords, SqliteRecords, SqliteUpdates
from ringback.stores.sqlite.session import Session


def listener(name: str) -> fields.Field:
    """Return a field that is a listener: a callback URL or none, and a method, in four columns."""
    told, way = fields.url(f"{name}_url"), fields.one_of(f"{name}_method", HttpMethod)
    return fields.Field(
        name,
        (*told.columns, *way.columns),
        lambda value: (*told.write(value.url), *way.write(value.method)),
        lambda row: CallbackTarget(told.read(row), way.read(row)),
    )


RATE_PLANS: Final = Shape(
    "rate_plans",
    RatePlan,
    *(*fields.OWNED, *fields.DATED, fields.plain("unique_name"), fields.plain("friendly_name")),
    *(
        fields.flag("data_enabled"),
        fields.plain("data_limit"),
        fields.one_of("data_metering", DataMetering),
    ),
    *(
        fields.flag("messaging_enabled"),
        fields.flag("voice_enabled"),
        fields.flag("national_roaming_enabled"),
    ),
    *(
        fields.plain("national_roaming_data_limit"),
        fields.plain("international_roaming_data_limit"),
    ),
    *(
        fields.texts("international_roaming"),
        fields.one_of("data_limit_strategy", DataLimitStrategy),
    ),
    *(
        fields.plain("usage_notification_url"),
        fields.one_of("usage_notification_method", HttpMethod),
    ),
)

SIMS: Final = Shape(
    "wireless_sims",
    WirelessSim,
    *(*fields.OWNED, *fields.DATED, fields.plain("iccid"), fields.one_of("status", WirelessStatus)),
    *(fields.plain("unique_name"), fields.plain("friendly_name"), fields.plain("rate_plan_sid")),
    *(fields.plain("eid"), fields.plain("registration_code"), fields.flag("is_narrowband")),
    *(listener("commands_to"), fields.pairs("handlers")),
    *(fields.flag("is_resetting"), listener("reset_to"), listener("final_to")),
    *(
        fields.maybe_instant("status_since", "status_since_us"),
        fields.plain("commands_while_ready"),
    ),
    fields.maybe_instant("metered_since", "metered_since_us"),
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

SIM_UPDATES: Final = Shape(
    "wireless_updates",
    WirelessSimUpdate,
    *(
        fields.plain("sim_sid"),
        fields.plain("account_sid"),
        fields.plain("to_rate_plan_sid"),
        listener("told"),
    ),
    *(fields.one_of("from_status", WirelessStatus), fields.one_of("to_status", WirelessStatus)),
)

COMMANDS: Final = Shape(
    "commands",
    WirelessCommand,
    *(
        *fields.OWNED,
        *fields.DATED,
        fields.plain("sim_sid"),
        fields.plain("command"),
        listener("told"),
    ),
    *(fields.one_of("command_mode", PayloadType), fields.one_of("transport", CommandTransport)),
    *(fields.one_of("status", MessageStatus), fields.one_of("direction", Direction)),
    *(fields.one_of("include_sid", SidPlacement), fields.flag("delivery_receipt_requested")),
    indexes=(
        ("account_sid", "sim_sid", "status"),
        ("account_sid", "sim_sid"),
        ("account_sid", "status"),
        ("account_sid", "direction"),
        ("account_sid", "transport"),
    ),
)

SESSIONS: Final = Shape(
    "wireless_sessions",
    WirelessDataSession,
    *(
        *fields.OWNED,
        fields.plain("sim_sid"),
        fields.plain("network_sid"),
        fields.plain("rate_plan_sid"),
        fields.plain("iccid"),
    ),
    *(
        fields.plain("upload_per_hour"),
        fields.plain("download_per_hour"),
        fields.one_of("radio_link", RadioLink),
    ),
    *(fields.instant("date_created", "created_us"), fields.maybe_instant("date_ended", "ended_us")),
    indexes=(("sim_sid",),),
)


class SqliteCommandUses:
    """Answers `ports.tables.CommandUsageTable`."""

    def __init__(self, session: Session) -> None:
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

    def __init__(self, session: Session) -> None:
        self.rate_plans = SqliteNamedRecords(session, RATE_PLANS)
        self.sims = SqliteNamedRecords(session, SIMS)
        self.command_uses = SqliteCommandUses(session)
        self.commands = SqliteRecords(session, COMMANDS)
        self.sim_updates = SqliteUpdates(session, SIM_UPDATES)
        self.sessions = SqliteFlows(session, SESSIONS)
