"""Describes Super SIM and the callbacks that it sends, for its OpenAPI document."""

from typing import Final

from ringback.api.host_routing import SUPER_SIM
from ringback.api.openapi.callbacks import CallbackDescription, Callbacks, ProductApiDescription
from ringback.core.sids import SidKind
from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.supersim.command import IpStatus
from ringback.core.supersim.esim_profile import EsimStatus
from ringback.core.supersim.events import EsimProfileChanged, IpCommandChanged, SmsCommandChanged
from ringback.core.supersim.sim import SimStatus

_SIDS: Final = {"AccountSid": SidKind.ACCOUNT, "SimSid": SidKind.SIM}
_OF_SMS: Final = {**_SIDS, "CommandSid": SidKind.SMS_COMMAND}
_OF_DATAGRAM: Final = {**_SIDS, "CommandSid": SidKind.IP_COMMAND}

_SIM_UPDATED: Final = CallbackDescription(
    *("simUpdated", SimUpdated, _SIDS),
    "The update of the SIM has ended: with the requested status, or with an error and the status"
    " that it had before.",
    {"SimStatus": [status for status in SimStatus if status is not SimStatus.SCHEDULED]},
)
_SMS_TO_SIM: Final = CallbackDescription(
    *("smsCommandToSim", SmsCommandChanged, _OF_SMS),
    "The status of the SMS to the device has changed; sent for each new status.",
    {
        "Status": [MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.FAILED],
        "Direction": [Direction.TO_SIM],
    },
)
_SMS_FROM_SIM: Final = CallbackDescription(
    *("smsCommandFromSim", SmsCommandChanged, _OF_SMS, "A device of the fleet has sent an SMS."),
    {"Status": [MessageStatus.RECEIVED], "Direction": [Direction.FROM_SIM]},
    url_parameter="SmsCommandsUrl",
)
_IP_TO_SIM: Final = CallbackDescription(
    *("ipCommandToSim", IpCommandChanged, _OF_DATAGRAM),
    "The datagram to the device was sent, or sending it failed.",
    {"Status": [IpStatus.SENT, IpStatus.FAILED], "Direction": [Direction.TO_SIM]},
)
_IP_FROM_SIM: Final = CallbackDescription(
    *("ipCommandFromSim", IpCommandChanged, _OF_DATAGRAM),
    "A device of the fleet has sent a datagram.",
    {
        "Status": [IpStatus.RECEIVED],
        "Direction": [Direction.FROM_SIM],
        "PayloadType": [PayloadType.BINARY],
    },
    url_parameter="IpCommandsUrl",
)
_ESIM_CHANGED: Final = CallbackDescription(
    *("esimProfileChanged", EsimProfileChanged, {**_SIDS, "EsimProfileSid": SidKind.ESIM_PROFILE}),
    "The eSIM Profile is available for download, was downloaded, or failed.",
    {"Status": [EsimStatus.AVAILABLE, EsimStatus.DOWNLOADED, EsimStatus.FAILED]},
)

_CALLBACKS: Final[Callbacks] = {
    **{one.name: (one,) for one in (_SIM_UPDATED, _SMS_TO_SIM, _IP_TO_SIM, _ESIM_CHANGED)},
    "commandFromSim": (_SMS_FROM_SIM, _IP_FROM_SIM),
}

PRODUCT: Final = ProductApiDescription("Super SIM", SUPER_SIM, _CALLBACKS)
