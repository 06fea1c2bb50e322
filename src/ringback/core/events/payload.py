"""Turns events into callback parameters, with the names and the order that receivers see."""

from collections.abc import Mapping
from typing import Final

from ringback.core.form_encoding import as_field
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.supersim.events import EsimProfileChanged, IpCommandChanged, SmsCommandChanged
from ringback.core.wireless.events import CommandChanged

Event = SimUpdated | SmsCommandChanged | IpCommandChanged | EsimProfileChanged | CommandChanged
"""Any event that a callback can report, of either product."""


def _named(names: str, **fields: str) -> tuple[tuple[str, str], ...]:
    """Return each parameter in `names`, paired with the event's field that gives its value.

    The field is the one that `fields` gives, or else the parameter's name in snake case.
    """
    return tuple((name, fields.get(name) or as_field(name)) for name in names.split())


# For each kind of event: the parameter's name, and the field of the event that gives its value.
# docs/callbacks.md says which of them come from a source and which are our own choice.
PARAMETERS: Final[Mapping[type[Event], tuple[tuple[str, str], ...]]] = {
    # The notice shows the first five in this order, for both products; the errors follow after a
    # failure. The callback of a connectivity reset is published nowhere: ours reports the SIM.
    SimUpdated: _named(
        "ApiVersion SimUniqueName SimSid SimStatus AccountSid ErrorCode ErrorMessage"
    ),
    # In the order of a captured request; `Command` is the payload under an older name.
    SmsCommandChanged: _named(
        "Status ApiVersion Command SimUniqueName Payload SimSid Direction CommandSid AccountSid"
        " PayloadType ErrorCode ErrorMessage",
        Command="payload",
    ),
    # Names and order are like those of an SMS; the others are from the resource's fields.
    IpCommandChanged: _named(
        "Status ApiVersion SimUniqueName Payload SimSid SimIccid Direction DeviceIp DevicePort"
        " CommandSid AccountSid PayloadType ErrorCode ErrorMessage"
    ),
    EsimProfileChanged: _named(
        "AccountSid ApiVersion EsimProfileSid SimSid Iccid Eid Status SmdpPlusAddress MatchingId"
        " ActivationCode ErrorCode ErrorMessage",
        EsimProfileSid="profile_sid",
    ),
    # In the order of the fields of a consumer's model class.
    CommandChanged: _named(
        "CommandSid SimSid SimUniqueName AccountSid ErrorCode ErrorMessage CommandStatus"
        " CommandMode Command ApiVersion"
    ),
}


def parameters_of(event: Event) -> list[tuple[str, str]]:
    """Return an event's parameters as names and values, in order, without empty ones."""
    named = ((name, getattr(event, field)) for name, field in PARAMETERS[type(event)])
    return [(name, str(value)) for name, value in named if value not in (None, "")]
