"""How the resources of Super SIM stand in their tables."""

from typing import Final

from ringback.core.callback_urls.callback_url import HttpMethod
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.supersim.command import IpCommand, IpStatus, SmsCommand
from ringback.core.supersim.esim_profile import EsimProfile, EsimStatus
from ringback.core.supersim.fleet import Fleet, NetworkAccessProfile
from ringback.core.supersim.settings_update import SettingsUpdate, SettingsUpdateStatus
from ringback.core.supersim.sim import SimStatus, SuperSim
from ringback.core.supersim.sim_update import SuperSimUpdate
from ringback.core.supersim.usage import BillingPeriod, BillingPeriodType, SuperSimDataSession
from ringback.stores.sqlite.field_columns import (
    DATED,
    OWNED,
    flag,
    instant,
    maybe_instant,
    one_of,
    plain,
    texts,
    url,
)
from ringback.stores.sqlite.intervals import SqliteDataFlows
from ringback.stores.sqlite.record_tables import (
    RowMapping,
    SqliteNamedRecords,
    SqlitePendingUpdates,
    SqliteRecords,
)
from ringback.stores.sqlite.write_batch import WriteBatch

_CALLED_BACK = (url("callback_url"), one_of("callback_method", HttpMethod))


ACCESS_PROFILES: Final = RowMapping(
    "access_profiles",
    NetworkAccessProfile,
    *OWNED,
    plain("unique_name"),
    texts("network_sids"),
    *DATED,
)

FLEETS: Final = RowMapping(
    "fleets",
    Fleet,
    *OWNED,
    plain("unique_name"),
    plain("network_access_profile_sid"),
    flag("data_enabled"),
    plain("data_limit"),
    flag("sms_commands_enabled"),
    url("sms_commands_url"),
    one_of("sms_commands_method", HttpMethod),
    url("ip_commands_url"),
    one_of("ip_commands_method", HttpMethod),
    *DATED,
    indexes=(("account_sid", "network_access_profile_sid"),),
)

SIMS: Final = RowMapping(
    "sims",
    SuperSim,
    *OWNED,
    plain("iccid"),
    plain("unique_name"),
    one_of("status", SimStatus),
    plain("fleet_sid"),
    plain("device_ip"),
    maybe_instant("ready_since", "ready_since_us"),
    plain("sms_while_ready"),
    *DATED,
    indexes=(
        ("iccid",),
        ("account_sid", "fleet_sid", "status"),
        ("account_sid", "fleet_sid"),
        ("account_sid", "status"),
    ),
)

SMS_COMMANDS: Final = RowMapping(
    "sms_commands",
    SmsCommand,
    *OWNED,
    plain("sim_sid"),
    plain("payload"),
    one_of("status", MessageStatus),
    one_of("direction", Direction),
    *_CALLED_BACK,
    *DATED,
    indexes=(
        ("account_sid", "sim_sid"),
        ("account_sid", "status"),
        ("account_sid", "direction"),
    ),
)

IP_COMMANDS: Final = RowMapping(
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
    indexes=(
        ("account_sid", "sim_sid"),
        ("account_sid", "sim_iccid"),
        ("account_sid", "status"),
        ("account_sid", "direction"),
    ),
)

ESIM_PROFILES: Final = RowMapping(
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
    indexes=(
        ("account_sid", "eid"),
        ("account_sid", "sim_sid"),
        ("account_sid", "status"),
    ),
)

SETTINGS_UPDATES: Final = RowMapping(
    "settings_updates",
    SettingsUpdate,
    *OWNED,
    plain("iccid"),
    plain("sim_sid"),
    one_of("status", SettingsUpdateStatus),
    maybe_instant("date_completed", "completed_us"),
    *DATED,
    indexes=(
        ("account_sid", "sim_sid"),
        ("account_sid", "status"),
    ),
)

BILLING_PERIODS: Final = RowMapping(
    "billing_periods",
    BillingPeriod,
    *OWNED,
    plain("sim_sid"),
    one_of("period_type", BillingPeriodType),
    instant("start_time", "start_us"),
    instant("end_time", "end_us"),
    *DATED,
    indexes=(("account_sid", "sim_sid"),),
)

SESSIONS: Final = RowMapping(
    "data_sessions",
    SuperSimDataSession,
    *OWNED,
    plain("sim_sid"),
    plain("fleet_sid"),
    plain("network_sid"),
    plain("iso_country"),
    plain("upload_per_hour"),
    plain("download_per_hour"),
    instant("date_created", "created_us"),
    maybe_instant("date_ended", "ended_us"),
    indexes=(
        ("sim_sid",),
        ("fleet_sid",),
    ),
)

SIM_UPDATES: Final = RowMapping(
    "sim_updates",
    SuperSimUpdate,
    plain("sim_sid"),
    plain("account_sid"),
    one_of("from_status", SimStatus),
    one_of("to_status", SimStatus),
    plain("to_fleet_sid"),
    *_CALLED_BACK,
)


class SqliteSuperSim:
    """Answers `ports.SuperSimTables`."""

    def __init__(self, session: WriteBatch) -> None:
        self.access_profiles = SqliteNamedRecords(session, ACCESS_PROFILES)
        self.fleets = SqliteNamedRecords(session, FLEETS)
        self.sims = SqliteNamedRecords(session, SIMS)
        self.sim_updates = SqlitePendingUpdates(session, SIM_UPDATES)
        self.sms_commands = SqliteRecords(session, SMS_COMMANDS)
        self.ip_commands = SqliteRecords(session, IP_COMMANDS)
        self.esim_profiles = SqliteRecords(session, ESIM_PROFILES)
        self.settings_updates = SqliteRecords(session, SETTINGS_UPDATES)
        self.billing_periods = SqliteRecords(session, BILLING_PERIODS)
        self.sessions = SqliteDataFlows(session, SESSIONS)
