"""For those who receive callbacks: what a callback tells, as one frozen record for each kind.

Needs the standard library alone. The records are those that the sender's side has, and with them
come the values that they hold, so that an application can match on all of it:

    match read_event(request):
        case SimUpdated(sim_sid=sid, sim_status=SimStatus.ACTIVE): ...
        case SmsCommandChanged(status=MessageStatus.RECEIVED, payload=text): ...
        case TestEvent(): ...
        case UnknownEvent(why=why): ...

May import what `receiver` may.
Start with `parse`.
"""

from ringback.core.sims.message import Direction, MessageStatus, PayloadType
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.supersim.command import IpStatus
from ringback.core.supersim.esim_profile import EsimStatus
from ringback.core.supersim.events import EsimProfileChanged, IpCommandChanged, SmsCommandChanged
from ringback.core.supersim.sim import SimStatus
from ringback.core.wireless.events import CommandChanged
from ringback.core.wireless.sim import WirelessStatus
from ringback.receiver.events.cloud_events import (
    CloudEvent,
    CloudEvents,
    Json,
    TestEvent,
    event_of_json,
)
from ringback.receiver.events.form_events import event_of_form
from ringback.receiver.events.parse import Event, read_event
from ringback.receiver.events.unreadable_event import UnknownEvent

__all__ = [
    "CloudEvent",
    "CloudEvents",
    "CommandChanged",
    "Direction",
    "EsimProfileChanged",
    "EsimStatus",
    "Event",
    "IpCommandChanged",
    "IpStatus",
    "Json",
    "MessageStatus",
    "PayloadType",
    "SimStatus",
    "SimUpdated",
    "SmsCommandChanged",
    "TestEvent",
    "UnknownEvent",
    "WirelessStatus",
    "event_of_form",
    "event_of_json",
    "read_event",
]
