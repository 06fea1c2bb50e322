"""Events to ordered parameters: the names and the order that receivers see, in one table."""

from collections.abc import Mapping
from typing import Final

from ringback.core.form_encoding import as_field
from ringback.core.sims.sim_updated import SimUpdated
from ringback.core.supersim.events import EsimProfileChanged, IpCommandChanged, SmsCommandChanged
from ringback.core.wireless.events import CommandChanged

Event = SimUpdated | SmsCommandChanged | IpCommandChanged | EsimProfileChanged | CommandChanged
"""All kinds of callbacks, of both products."""


def _named(names: str, **fields: str) -> tuple[tuple[str, str], ...]:
    """Return parameters with the fields that give their values: of the same name, or these."""
    return tuple((name, fields.get(name) or as_field(name)) for name in names.split())


# For each kind of event: the parameter's name, and the field of the event that gives its value.
# Which of them are sourced and which inferred is in docs/callbacks.md.
PARAMETERS: Final[Mapping[type[Event], tuple[tuple[str, str], ...]]] = {
    # The notice shows the first five in this order, for both products; the errors follow when it
    # failed. What a connectivity reset reports is published nowhere: ours reports the SIM.
    SimUpdated: _named(
        "ApiVersion SimUniqueName SimSid SimStatus AccountSid ErrorCode ErrorMessage"
    ),
    # In the order of a captured request; `Command` is the payload under an older name.
    SmsCommandChanged: _named(
        "Status ApiVersion Command SimUniqueName Payload SimSid Direction CommandSid AccountSid"
        " PayloadType ErrorCode ErrorMessage",
        Command="payload",
    ),
    # Names and order by analogy with the SMS; the rest from the resource's fields.
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
    """Return the parameters of an event, in order; those without a value are left out."""
    named = ((name, getattr(event, field)) for name, field in PARAMETERS[type(event)])
    return [(name, str(value)) for name, value in named if value not in (None, "")]
