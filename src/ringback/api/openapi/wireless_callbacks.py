"""Programmable Wireless in its document: what it is, and the callbacks that it sends."""

from typing import Final

from ringback.api.host_routing import WIRELESS
from ringback.api.openapi.callbacks import CallbackDescription, ProductApiDescription
from ringback.core.sids import SidKind
from ringback.core.sims.message import MessageStatus
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.wireless.events import CommandChanged
from ringback.core.wireless.sim import WirelessStatus

_SIDS: Final = {
    "AccountSid": SidKind.ACCOUNT,
    "SimSid": SidKind.WIRELESS_SIM,
    "CommandSid": SidKind.COMMAND,
}

_MEANINGS: Final = {"Command": "What was sent, as `CommandMode` says: text, or Base64."}

_SIM_UPDATED: Final = CallbackDescription(
    *("simUpdated", SimUpdated, _SIDS),
    "A change of the SIM, or the reset of its connectivity, is over; sent again when a SIM that"
    " became `ready` or `deactivated` goes on to `active` or `canceled`.",
    {"SimStatus": list(WirelessStatus)},
)
_TO_SIM: Final = CallbackDescription(
    *("commandToSim", CommandChanged, _SIDS),
    "The Command to the device has finished sending; sent once.",
    {"CommandStatus": [MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.FAILED]},
    meanings=_MEANINGS,
)
_FROM_SIM: Final = CallbackDescription(
    *("commandFromSim", CommandChanged, _SIDS, "The SIM's device has sent a Command."),
    {"CommandStatus": [MessageStatus.RECEIVED]},
    "CommandsCallbackUrl",
    {**_MEANINGS, "ErrorCode": "33111 where it was too long, and is cut off; else left out."},
)

PRODUCT: Final = ProductApiDescription(
    "Programmable Wireless",
    WIRELESS,
    {"simUpdated": (_SIM_UPDATED, _FROM_SIM), "commandToSim": (_TO_SIM,)},
)
