"""The Super SIM API in our own words: every path, verb, parameter and field, and what it can be.

A kind is the two letters of a SID; `text`, `flag`, `number`, `time`, `url`, `list`; or the options
with `|` between them. `?` behind it stands for null, `*` behind a parameter for required.
"""

from typing import Final, NamedTuple

SIM: Final = {
    "sid": "HS",
    "unique_name": "text?",
    "account_sid": "AC",
    "iccid": "text",
    "status": "new|ready|active|inactive|scheduled",
    "fleet_sid": "HF?",
    "date_created": "time",
    "date_updated": "time",
    "url": "url",
    "links": "billing_periods,sim_ip_addresses",
}
SMS_COMMAND: Final = {
    "sid": "HC",
    "account_sid": "AC",
    "sim_sid": "HS",
    "payload": "text",
    "status": "queued|sent|delivered|received|failed",
    "direction": "to_sim|from_sim",
    "date_created": "time",
    "date_updated": "time",
    "url": "url",
}
IP_COMMAND: Final = {
    "sid": "HG",
    "account_sid": "AC",
    "sim_sid": "HS",
    "sim_iccid": "text",
    "status": "queued|sent|received|failed",
    "direction": "to_sim|from_sim",
    "device_ip": "text?",
    "device_port": "number",
    "payload_type": "text|binary",
    "payload": "text",
    "date_created": "time",
    "date_updated": "time",
    "url": "url",
}
ESIM_PROFILE: Final = {
    "sid": "HP",
    "account_sid": "AC",
    "iccid": "text?",
    "sim_sid": "HS?",
    "status": "new|reserving|available|downloaded|installed|failed",
    "eid": "text?",
    "smdp_plus_address": "text?",
    "matching_id": "text?",
    "activation_code": "text?",
    "error_code": "text?",
    "error_message": "text?",
    "date_created": "time",
    "date_updated": "time",
    "url": "url",
}
FLEET: Final = {
    "account_sid": "AC",
    "sid": "HF",
    "unique_name": "text?",
    "date_created": "time",
    "date_updated": "time",
    "url": "url",
    "data_enabled": "flag",
    "data_limit": "number",
    "data_metering": "payg",
    "sms_commands_enabled": "flag",
    "sms_commands_url": "url?",
    "sms_commands_method": "GET|POST",
    "network_access_profile_sid": "HA",
    "ip_commands_url": "url?",
    "ip_commands_method": "GET|POST",
}
ACCESS_PROFILE: Final = {
    "sid": "HA",
    "unique_name": "text?",
    "account_sid": "AC",
    "date_created": "time",
    "date_updated": "time",
    "url": "url",
    "links": "networks",
}
NETWORK_IN_PROFILE: Final = {
    "sid": "HW",
    "network_access_profile_sid": "HA",
    "friendly_name": "text",
    "iso_country": "text",
    "identifiers": "list",
    "url": "url",
}
NETWORK: Final = {
    "sid": "HW",
    "friendly_name": "text",
    "url": "url",
    "iso_country": "text",
    "identifiers": "list",
}
SETTINGS_UPDATE: Final = {
    "sid": "OB",
    "iccid": "text",
    "sim_sid": "HS",
    "status": "scheduled|in-progress|successful|failed",
    "packages": "list",
    "date_completed": "time?",
    "date_created": "time",
    "date_updated": "time",
}
BILLING_PERIOD: Final = {
    "sid": "HB",
    "account_sid": "AC",
    "sim_sid": "HS",
    "start_time": "time",
    "end_time": "time",
    "period_type": "ready|active",
    "date_created": "time",
    "date_updated": "time",
}
IP_ADDRESS: Final = {"ip_address": "text", "ip_address_version": "IPv4|IPv6"}
# What is billed is declared to be a number, and a text in every published sample.
USAGE_RECORD: Final = {
    "account_sid": "AC",
    "sim_sid": "HS?",
    "network_sid": "HW?",
    "fleet_sid": "HF?",
    "iso_country": "text?",
    "period": "start_time,end_time",
    "data_upload": "number",
    "data_download": "number",
    "data_total": "number",
    "data_total_billed": "text",
    "billed_unit": "text?",
}
META: Final = {
    "first_page_url": "url",
    "key": "text",
    "next_page_url": "url?",
    "page": "number",
    "page_size": "number",
    "previous_page_url": "url?",
    "url": "url",
}

PAGES: Final = ("PageSize", "Page", "PageToken")
TOLD: Final = ("CallbackUrl", "CallbackMethod")
_HOOKS: Final = ("SmsCommandsUrl", "SmsCommandsMethod", "IpCommandsUrl", "IpCommandsMethod")


class Row(NamedTuple):
    """A verb on a path."""

    verb: str
    path: str
    statuses: tuple[int, ...]
    fields: dict[str, str]
    """Of the record that is answered, or of each in the list."""
    key: str | None = None
    """Of the list; None where one record is answered."""
    parameters: tuple[str, ...] = ()


def _made(path: str, fields: dict[str, str], *parameters: str) -> Row:
    return Row("POST", path, (201,), fields, parameters=parameters)


def _listed(path: str, fields: dict[str, str], key: str, *filters: str) -> Row:
    return Row("GET", path, (200,), fields, key, (*filters, *PAGES))


def _fetched(path: str, fields: dict[str, str]) -> Row:
    return Row("GET", path, (200,), fields)


_PROFILES: Final = "/v1/NetworkAccessProfiles"
_IN_PROFILE: Final = f"{_PROFILES}/{{NetworkAccessProfileSid}}/Networks"

TABLE: Final = (
    _made("/v1/Sims", SIM, "Iccid*", "RegistrationCode*"),
    _listed("/v1/Sims", SIM, "sims", "Status", "Fleet", "Iccid"),
    _fetched("/v1/Sims/{Sid}", SIM),
    Row(
        "POST",
        "/v1/Sims/{Sid}",
        (200, 202),
        SIM,
        parameters=("UniqueName", "Status", "Fleet", *TOLD, "AccountSid"),
    ),
    _listed("/v1/Sims/{SimSid}/BillingPeriods", BILLING_PERIOD, "billing_periods"),
    _listed("/v1/Sims/{SimSid}/IpAddresses", IP_ADDRESS, "ip_addresses"),
    _made("/v1/SmsCommands", SMS_COMMAND, "Sim*", "Payload*", *TOLD),
    _listed("/v1/SmsCommands", SMS_COMMAND, "sms_commands", "Sim", "Status", "Direction"),
    _fetched("/v1/SmsCommands/{Sid}", SMS_COMMAND),
    _made("/v1/IpCommands", IP_COMMAND, "Sim*", "Payload*", "DevicePort*", "PayloadType", *TOLD),
    _listed("/v1/IpCommands", IP_COMMAND, "ip_commands", "Sim", "SimIccid", "Status", "Direction"),
    _fetched("/v1/IpCommands/{Sid}", IP_COMMAND),
    _made("/v1/ESimProfiles", ESIM_PROFILE, "Eid", "GenerateMatchingId", *TOLD),
    _listed("/v1/ESimProfiles", ESIM_PROFILE, "esim_profiles", "Eid", "SimSid", "Status"),
    _fetched("/v1/ESimProfiles/{Sid}", ESIM_PROFILE),
    _made(
        "/v1/Fleets",
        FLEET,
        *("NetworkAccessProfile*", "UniqueName", "DataEnabled", "DataLimit", "SmsCommandsEnabled"),
        *_HOOKS,
    ),
    _listed("/v1/Fleets", FLEET, "fleets", "NetworkAccessProfile"),
    _fetched("/v1/Fleets/{Sid}", FLEET),
    Row(
        "POST",
        "/v1/Fleets/{Sid}",
        (200,),
        FLEET,
        parameters=("UniqueName", "NetworkAccessProfile", "DataLimit", *_HOOKS),
    ),
    _made(_PROFILES, ACCESS_PROFILE, "UniqueName", "Networks"),
    _listed(_PROFILES, ACCESS_PROFILE, "network_access_profiles"),
    _fetched(f"{_PROFILES}/{{Sid}}", ACCESS_PROFILE),
    Row("POST", f"{_PROFILES}/{{Sid}}", (200,), ACCESS_PROFILE, parameters=("UniqueName",)),
    _made(_IN_PROFILE, NETWORK_IN_PROFILE, "Network*"),
    _listed(_IN_PROFILE, NETWORK_IN_PROFILE, "networks"),
    _fetched(f"{_IN_PROFILE}/{{Sid}}", NETWORK_IN_PROFILE),
    Row("DELETE", f"{_IN_PROFILE}/{{Sid}}", (204,), {}),
    _listed("/v1/Networks", NETWORK, "networks", "IsoCountry", "Mcc", "Mnc"),
    _fetched("/v1/Networks/{Sid}", NETWORK),
    _listed("/v1/SettingsUpdates", SETTINGS_UPDATE, "settings_updates", "Sim", "Status"),
    _listed(
        "/v1/UsageRecords",
        USAGE_RECORD,
        "usage_records",
        *("Sim", "Fleet", "Network", "IsoCountry", "Group", "Granularity", "StartTime", "EndTime"),
    ),
)
