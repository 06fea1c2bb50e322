"""Event to ordered parameters: the names and the order that receivers see, in one table."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from ringback.core.events import Event, SimUpdated

# For each kind of event: the parameter's name, and the field of the event that gives its value.
# SimUpdated: the notice shows the first five in this order; the errors follow when it failed.
PARAMETERS: Final[Mapping[type[Event], tuple[tuple[str, str], ...]]] = {
    SimUpdated: (
        ("ApiVersion", "api_version"),
        ("SimUniqueName", "sim_unique_name"),
        ("SimSid", "sim_sid"),
        ("SimStatus", "sim_status"),
        ("AccountSid", "account_sid"),
        ("ErrorCode", "error_code"),
        ("ErrorMessage", "error_message"),
    ),
}


def parameters_of(event: Event) -> list[tuple[str, str]]:
    """Return what is told of this event, in order; a parameter without a value is left out."""
    named = ((name, getattr(event, field)) for name, field in PARAMETERS[type(event)])
    return [(name, str(value)) for name, value in named if value not in (None, "")]


def encode(parameters: list[tuple[str, str]]) -> str:
    """Return the parameters as a form: the body of a POST, the end of a GET's query.

    Spaces become `+`, and everything but letters, digits and `_.-~` a percent escape.

    >>> encode([("Payload", "Hello;1 testing@!#")])
    'Payload=Hello%3B1+testing%40%21%23'
    """
    return urlencode(parameters)
