"""Events to ordered parameters: the names and the order that receivers see, in one table."""

from collections.abc import Mapping
from typing import Final

from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.supersim.events import EsimProfileChanged, IpCommandChanged, SmsCommandChanged
from ringback.core.wireless.events import CommandChanged

Event = SimUpdated | SmsCommandChanged | IpCommandChanged | EsimProfileChanged | CommandChanged
"""All kinds of callbacks, of both products."""


# For each kind of event: the parameter's name, and the field of the event that gives its value.
# Which of them are sourced and which inferred is in docs/callbacks.md.
PARAMETERS: Final[Mapping[type[Event], tuple[tuple[str, str], ...]]] = {
    # The notice shows the first five in this order, for both products; the errors follow when it
    # failed. What a connectivity reset reports is published nowhere: ours reports the SIM.
    SimUpdated: (
        ("ApiVersion", "api_version"),
        ("SimUniqueName", "sim_unique_name"),
        ("SimSid", "sim_sid"),
        ("SimStatus", "sim_status"),
        ("AccountSid", "account_sid"),
        ("ErrorCode", "error_code"),
        ("ErrorMessage", "error_message"),
    ),
    # In the order of a captured request; `Command` is the payload under an older name.
    SmsCommandChanged: (
        ("Status", "status"),
        ("ApiVersion", "api_version"),
        ("Command", "payload"),
        ("SimUniqueName", "sim_unique_name"),
        ("Payload", "payload"),
        ("SimSid", "sim_sid"),
        ("Direction", "direction"),
        ("CommandSid", "command_sid"),
        ("AccountSid", "account_sid"),
        ("PayloadType", "payload_type"),
        ("ErrorCode", "error_code"),
        ("ErrorMessage", "error_message"),
    ),
    # Names and order by analogy with the SMS; the rest from the resource's fields.
    IpCommandChanged: (
        ("Status", "status"),
        ("ApiVersion", "api_version"),
        ("SimUniqueName", "sim_unique_name"),
        ("Payload", "payload"),
        ("SimSid", "sim_sid"),
        ("SimIccid", "sim_iccid"),
        ("Direction", "direction"),
        ("DeviceIp", "device_ip"),
        ("DevicePort", "device_port"),
        ("CommandSid", "command_sid"),
        ("AccountSid", "account_sid"),
        ("PayloadType", "payload_type"),
        ("ErrorCode", "error_code"),
        ("ErrorMessage", "error_message"),
    ),
    EsimProfileChanged: (
        ("AccountSid", "account_sid"),
        ("ApiVersion", "api_version"),
        ("EsimProfileSid", "profile_sid"),
        ("SimSid", "sim_sid"),
        ("Iccid", "iccid"),
        ("Eid", "eid"),
        ("Status", "status"),
        ("SmdpPlusAddress", "smdp_plus_address"),
        ("MatchingId", "matching_id"),
        ("ActivationCode", "activation_code"),
        ("ErrorCode", "error_code"),
        ("ErrorMessage", "error_message"),
    ),
    # In the order of the fields of a consumer's model class.
    CommandChanged: (
        ("CommandSid", "command_sid"),
        ("SimSid", "sim_sid"),
        ("SimUniqueName", "sim_unique_name"),
        ("AccountSid", "account_sid"),
        ("ErrorCode", "error_code"),
        ("ErrorMessage", "error_message"),
        ("CommandStatus", "command_status"),
        ("CommandMode", "command_mode"),
        ("Command", "command"),
        ("ApiVersion", "api_version"),
    ),
}


def parameters_of(event: Event) -> list[tuple[str, str]]:
    """Return the parameters of an event, in order; those without a value are left out."""
    named = ((name, getattr(event, field)) for name, field in PARAMETERS[type(event)])
    return [(name, str(value)) for name, value in named if value not in (None, "")]
