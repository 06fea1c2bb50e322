"""Read a callback's event as a typed record, such as SimUpdated or SmsCommandChanged.

    match read_event(request):
        case SimUpdated(sim_sid=sid, sim_status=SimStatus.ACTIVE): ...
        case SmsCommandChanged(status=MessageStatus.RECEIVED, payload=text): ...
        case CloudEvents(events=events): ...  # each of them: typed_event(event)
        case TestEvent(): ...
        case UnknownEvent(why=why): ...

The records are those that the sender uses. Needs nothing but the standard library.

May import the same as `receiver`.
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
from ringback.receiver.events.connection_event import (
    CellLocation,
    ConnectionEvent,
    ConnectionEventType,
    EventError,
    TypedEvent,
    VisitedNetwork,
    event_sid_of,
    typed_event,
)
from ringback.receiver.events.form_events import event_of_form
from ringback.receiver.events.parse import Event, read_event, unknown_names_in
from ringback.receiver.events.unreadable_event import UnknownEvent

__all__ = [
    "CellLocation",
    "CloudEvent",
    "CloudEvents",
    "CommandChanged",
    "ConnectionEvent",
    "ConnectionEventType",
    "Direction",
    "EsimProfileChanged",
    "EsimStatus",
    "Event",
    "EventError",
    "IpCommandChanged",
    "IpStatus",
    "Json",
    "MessageStatus",
    "PayloadType",
    "SimStatus",
    "SimUpdated",
    "SmsCommandChanged",
    "TestEvent",
    "TypedEvent",
    "UnknownEvent",
    "VisitedNetwork",
    "WirelessStatus",
    "event_of_form",
    "event_of_json",
    "event_sid_of",
    "read_event",
    "typed_event",
    "unknown_names_in",
]
