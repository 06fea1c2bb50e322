"""Reads the event of a request, from its parameters or from CloudEvents in JSON."""

from ringback.core.events.payload import Event as SenderEvent
from ringback.receiver.events.cloud_events import CloudEvents, TestEvent, event_of_json
from ringback.receiver.events.form_events import event_of_form
from ringback.receiver.events.unreadable_event import UnknownEvent
from ringback.receiver.verification import ReceivedRequest

Event = SenderEvent | TestEvent | CloudEvents | UnknownEvent
"""All types that `read_event` returns; the first five are the sender's own records."""


def read_event(request: ReceivedRequest) -> Event:
    """Return the event of a request, or an UnknownEvent; never raises, and verifies no signature.

    A test event sent by GET is an UnknownEvent, since it has no parameters.
    """
    parameters = request.parameters
    if not parameters and request.is_json and request.method != "GET":
        return event_of_json(request.body)
    return event_of_form(parameters)
