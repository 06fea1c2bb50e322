"""The Super SIM API in our own words; `tables` explains the notation."""

from typing import Final

from tests.contract.tables import TOLD, Row, deleted, fetched, listed, made, updated

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
    "links": "networks,",
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
# The billed amount is declared as a number, but is a text in every published sample.
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
_HOOKS: Final = ("SmsCommandsUrl", "SmsCommandsMethod", "IpCommandsUrl", "IpCommandsMethod")
_PROFILES: Final = "/v1/NetworkAccessProfiles"
_IN_PROFILE: Final = f"{_PROFILES}/{{NetworkAccessProfileSid}}/Networks"

TABLE: Final = (
    made("/v1/Sims", SIM, "Iccid*", "RegistrationCode*"),
    listed("/v1/Sims", SIM, "sims", "Status", "Fleet", "Iccid"),
    fetched("/v1/Sims/{Sid}", SIM),
    Row(
        "POST",
        "/v1/Sims/{Sid}",
        (200, 202),
        SIM,
        parameters=("UniqueName", "Status", "Fleet", *TOLD, "AccountSid"),
    ),
    listed("/v1/Sims/{SimSid}/BillingPeriods", BILLING_PERIOD, "billing_periods"),
    listed("/v1/Sims/{SimSid}/IpAddresses", IP_ADDRESS, "ip_addresses"),
    made("/v1/SmsCommands", SMS_COMMAND, "Sim*", "Payload*", *TOLD),
    listed("/v1/SmsCommands", SMS_COMMAND, "sms_commands", "Sim", "Status", "Direction"),
    fetched("/v1/SmsCommands/{Sid}", SMS_COMMAND),
    made("/v1/IpCommands", IP_COMMAND, "Sim*", "Payload*", "DevicePort*", "PayloadType", *TOLD),
    listed("/v1/IpCommands", IP_COMMAND, "ip_commands", "Sim", "SimIccid", "Status", "Direction"),
    fetched("/v1/IpCommands/{Sid}", IP_COMMAND),
    made("/v1/ESimProfiles", ESIM_PROFILE, "Eid", "GenerateMatchingId", *TOLD),
    listed("/v1/ESimProfiles", ESIM_PROFILE, "esim_profiles", "Eid", "SimSid", "Status"),
    fetched("/v1/ESimProfiles/{Sid}", ESIM_PROFILE),
    made(
        "/v1/Fleets",
        FLEET,
        *("NetworkAccessProfile*", "UniqueName", "DataEnabled", "DataLimit", "SmsCommandsEnabled"),
        *_HOOKS,
    ),
    listed("/v1/Fleets", FLEET, "fleets", "NetworkAccessProfile"),
    fetched("/v1/Fleets/{Sid}", FLEET),
    updated("/v1/Fleets/{Sid}", FLEET, "UniqueName", "NetworkAccessProfile", "DataLimit", *_HOOKS),
    made(_PROFILES, ACCESS_PROFILE, "UniqueName", "Networks"),
    listed(_PROFILES, ACCESS_PROFILE, "network_access_profiles"),
    fetched(f"{_PROFILES}/{{Sid}}", ACCESS_PROFILE),
    updated(f"{_PROFILES}/{{Sid}}", ACCESS_PROFILE, "UniqueName"),
    made(_IN_PROFILE, NETWORK_IN_PROFILE, "Network*"),
    listed(_IN_PROFILE, NETWORK_IN_PROFILE, "networks"),
    fetched(f"{_IN_PROFILE}/{{Sid}}", NETWORK_IN_PROFILE),
    deleted(f"{_IN_PROFILE}/{{Sid}}"),
    listed("/v1/Networks", NETWORK, "networks", "IsoCountry", "Mcc", "Mnc"),
    fetched("/v1/Networks/{Sid}", NETWORK),
    listed("/v1/SettingsUpdates", SETTINGS_UPDATE, "settings_updates", "Sim", "Status"),
    listed(
        "/v1/UsageRecords",
        USAGE_RECORD,
        "usage_records",
        *("Sim", "Fleet", "Network", "IsoCountry", "Group", "Granularity", "StartTime", "EndTime"),
    ),
)
