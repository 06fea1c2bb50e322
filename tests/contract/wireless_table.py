"""The Programmable Wireless API in our own words, at the host names of either vendor.

`tables` explains the notation. Where KORE's file differs from Twilio's, there is a separate value.
"""

from collections.abc import Mapping
from typing import Final

from tests.contract.tables import META, TOLD, Row, deleted, fetched, listed, made, updated

_METHOD: Final = "GET|POST"
_HANDLERS: Final = ("Sms", "SmsFallback", "Voice", "VoiceFallback")

SIM: Final = {
    "sid": "DE",
    "unique_name": "text?",
    "account_sid": "AC",
    "rate_plan_sid": "WP?",
    "friendly_name": "text?",
    "iccid": "text",
    "e_id": "text?",
    "status": "new|ready|active|suspended|deactivated|canceled|scheduled|updating",
    "reset_status": "resetting?",
    "commands_callback_url": "url?",
    "commands_callback_method": _METHOD,
    "sms_url": "url?",
    "sms_method": _METHOD,
    "sms_fallback_url": "url?",
    "sms_fallback_method": _METHOD,
    "voice_url": "url?",
    "voice_method": _METHOD,
    "voice_fallback_url": "url?",
    "voice_fallback_method": _METHOD,
    "date_created": "time",
    "date_updated": "time",
    "url": "url",
    "links": "data_sessions,rate_plan,usage_records",
    "ip_address": "text?",
}
COMMAND: Final = {
    "sid": "DC",
    "account_sid": "AC",
    "sim_sid": "DE",
    "command": "text",
    "command_mode": "text|binary",
    "transport": "sms|ip",
    "delivery_receipt_requested": "flag",
    "status": "queued|sent|delivered|received|failed",
    "direction": "from_sim|to_sim",
    "date_created": "time",
    "date_updated": "time",
    "url": "url",
}
RATE_PLAN: Final = {
    "sid": "WP",
    "unique_name": "text?",
    "account_sid": "AC",
    "friendly_name": "text?",
    "data_enabled": "flag",
    "data_metering": "payg|quota-1|quota-10|quota-50",
    "data_limit": "number",
    "messaging_enabled": "flag",
    "voice_enabled": "flag",
    "national_roaming_enabled": "flag",
    "national_roaming_data_limit": "number",
    "international_roaming": "list",
    "international_roaming_data_limit": "number",
    "date_created": "time",
    "date_updated": "time",
    "url": "url",
}
_BY_PLACE: Final = "home,national_roaming,international_roaming"
USAGE: Final = {
    "account_sid": "AC",
    "commands": f"billing_units,billed,total,from_sim,to_sim,{_BY_PLACE}",
    "data": f"billing_units,billed,total,upload,download,units,{_BY_PLACE}",
    "period": "start,end",
}
DATA_SESSION: Final = {
    "sid": "WN",
    "sim_sid": "DE",
    "account_sid": "AC",
    "radio_link": "LTE|3G|NB-IoT",
    "operator_mcc": "text",
    "operator_mnc": "text",
    "operator_country": "text",
    "operator_name": "text",
    "cell_id": "text",
    "cell_location_estimate": "lat,lon",
    "packets_uploaded": "number",
    "packets_downloaded": "number",
    "last_updated": "time",
    "start": "time",
    "end": "time?",
    "imei": "text?",
}

_KORES_SIM: Final = {"eid" if name == "e_id" else name: kind for name, kind in SIM.items()}
_KORES_RATE_PLAN: Final = {
    **RATE_PLAN,
    "usage_notification_url": "url~",
    "usage_notification_method": _METHOD,
    "data_limit_strategy": "block|throttle",
}
# Only for usage. The file requires the last two, and describes neither.
_KORES_META_OF_USAGE: Final = {
    **META,
    "next_page_url": "url~",
    "previous_page_url": "url~",
    "list_key": "text",
    "direct_token": "flag",
}

_NAMES: Final = ("UniqueName", "FriendlyName")
# They are in a published sample of Twilio's, and in KORE's answers.
_NOTIFICATION: Final = ("UsageNotificationUrl+", "UsageNotificationMethod+")
_ALLOWED: Final = (
    *("DataEnabled", "DataLimit", "DataMetering", "MessagingEnabled", "VoiceEnabled"),
    *("NationalRoamingEnabled", "InternationalRoaming"),
    *("NationalRoamingDataLimit", "InternationalRoamingDataLimit"),
)
_SETTINGS_OF_SIM: Final = (
    *(*_NAMES, *TOLD, "RatePlan", "Status", "ResetStatus", "AccountSid"),
    *("CommandsCallbackUrl", "CommandsCallbackMethod"),
    *(f"{name}{half}" for name in _HANDLERS for half in ("Url", "Method")),
)
_SETTINGS_OF_COMMAND: Final = ("CommandMode", "IncludeSid", "DeliveryReceiptRequested")


def _table(
    sim: dict[str, str],
    plan: dict[str, str],
    *,
    parent: str,
    made_with: int,
    strategy: str,
    usage_meta: Mapping[str, str] = META,
) -> tuple[Row, ...]:
    """Return the table of one vendor; `parent` is its name for the SIM that a list belongs to."""
    under = f"/v1/Sims/{{{parent}}}"
    asked = ("Start", "End", "Granularity")
    filters = ("Status", "Iccid", "RatePlan", "EId", "SimRegistrationCode")
    return (
        listed("/v1/Sims", sim, "sims", *filters),
        fetched("/v1/Sims/{Sid}", sim),
        updated("/v1/Sims/{Sid}", sim, *_SETTINGS_OF_SIM),
        deleted("/v1/Sims/{Sid}"),
        listed(f"{under}/DataSessions", DATA_SESSION, "data_sessions"),
        listed(
            f"{under}/UsageRecords",
            {"sim_sid": "DE", **USAGE},
            "usage_records",
            *asked,
            meta=usage_meta,
        ),
        # Sending a Command needs a SIM.
        made("/v1/Commands", COMMAND, "Command*", "Sim+*", *TOLD, *_SETTINGS_OF_COMMAND),
        listed("/v1/Commands", COMMAND, "commands", "Sim", "Status", "Direction", "Transport"),
        fetched("/v1/Commands/{Sid}", COMMAND),
        deleted("/v1/Commands/{Sid}"),
        made(
            "/v1/RatePlans", plan, *(*_NAMES, *_ALLOWED, strategy, *_NOTIFICATION), status=made_with
        ),
        listed("/v1/RatePlans", plan, "rate_plans"),
        fetched("/v1/RatePlans/{Sid}", plan),
        updated("/v1/RatePlans/{Sid}", plan, *_NAMES, *_NOTIFICATION),
        deleted("/v1/RatePlans/{Sid}"),
        listed("/v1/UsageRecords", USAGE, "usage_records", *asked, meta=usage_meta),
    )


TWILIO: Final = _table(SIM, RATE_PLAN, parent="SimSid", made_with=201, strategy="DataLimitStrategy")
KORE: Final = _table(
    _KORES_SIM,
    _KORES_RATE_PLAN,
    parent="Sid",
    made_with=200,
    strategy="DataLimitStrategy+",
    usage_meta=_KORES_META_OF_USAGE,
)
