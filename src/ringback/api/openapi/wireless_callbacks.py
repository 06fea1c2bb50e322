"""Describes Programmable Wireless and the callbacks it sends, for its OpenAPI document."""

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

_MEANINGS: Final = {
    "Command": "The content of the Command: text or Base64, depending on `CommandMode`."
}

_SIM_UPDATED: Final = CallbackDescription(
    *("simUpdated", SimUpdated, _SIDS),
    "A change of the SIM, or the reset of its connectivity, has ended; sent again when a SIM that"
    " became `ready` or `deactivated` becomes `active` or `canceled`.",
    {"SimStatus": list(WirelessStatus)},
)
_TO_SIM: Final = CallbackDescription(
    *("commandToSim", CommandChanged, _SIDS),
    "Sending the Command to the device has ended: sent, delivered, or failed; sent only once.",
    {"CommandStatus": [MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.FAILED]},
    meanings=_MEANINGS,
)
_FROM_SIM: Final = CallbackDescription(
    *("commandFromSim", CommandChanged, _SIDS, "The SIM's device has sent a Command."),
    {"CommandStatus": [MessageStatus.RECEIVED]},
    "CommandsCallbackUrl",
    {
        **_MEANINGS,
        "ErrorCode": "33111 if the Command was too long and was cut off; otherwise left out.",
    },
)

PRODUCT: Final = ProductApiDescription(
    "Programmable Wireless",
    WIRELESS,
    {"simUpdated": (_SIM_UPDATED, _FROM_SIM), "commandToSim": (_TO_SIM,)},
)
