"""Reads the event of a request, from its parameters or from CloudEvents in JSON."""

from ringback.core.events.form_names import unknown_names
from ringback.core.events.payload import Event as SenderEvent
from ringback.receiver.events.cloud_events import CloudEvents, event_of_json
from ringback.receiver.events.connection_event import TypedEvent
from ringback.receiver.events.form_events import event_of_form
from ringback.receiver.events.unreadable_event import UnknownEvent
from ringback.receiver.verification import ReceivedRequest

Event = SenderEvent | CloudEvents | TypedEvent | UnknownEvent
"""All types of events; those of SenderEvent are the sender's own records.

`read_event` returns CloudEvents for a batch of a stream, and `typed_event` each event of it.
"""


def read_event(request: ReceivedRequest) -> Event:
    """Return the event of a request, or an UnknownEvent; never raises, and verifies no signature.

    A test event sent by GET without a body is an UnknownEvent, since it has no parameters.
    """
    parameters = [] if _has_cloud_events(request) else request.parameters
    if not parameters and request.is_json and (request.body or request.method != "GET"):
        return event_of_json(request.body)
    return event_of_form(parameters)


def unknown_names_in(request: ReceivedRequest) -> tuple[str, ...]:
    """Return the names in a request's form that no callback of its kind has; never raises.

    Empty for a GET, which has the parameters of the receiver's own URL too, for a body that is not
    a form, and for a form of no known kind, which is an UnknownEvent.
    """
    if request.method == "GET" or not request.is_form:
        return ()
    return unknown_names(request.parameters)


def _has_cloud_events(request: ReceivedRequest) -> bool:
    """Return True if the body is what an event stream sends, and no JSON with parameters.

    A GET of a stream has its events in the body, and only Twilio's `bodySHA256` in the query.
    """
    if not request.is_json:
        return False
    body = request.body.lstrip()
    return body.startswith(b"[") or (body.startswith(b"{") and b'"specversion"' in body)
