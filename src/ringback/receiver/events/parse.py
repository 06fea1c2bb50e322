"""A request -> what it tells, whatever its form."""

from ringback.core.events.payload import Event as Told
from ringback.receiver.events.cloud_events import CloudEvents, TestEvent, event_of_json
from ringback.receiver.events.form_events import event_of_form
from ringback.receiver.events.unknown_event import UnknownEvent
from ringback.receiver.verification import ReceivedRequest

Event = Told | TestEvent | CloudEvents | UnknownEvent
"""All that a request can tell; the first five are the sender's own records."""


def read_event(request: ReceivedRequest) -> Event:
    """Return what a request tells; never raises, and does not ask whether it is genuine.

    By GET a test event tells nothing, since it has no parameters: that is an UnknownEvent.
    """
    if request.is_json and request.method != "GET":
        return event_of_json(request.body)
    return event_of_form(request.parameters)
