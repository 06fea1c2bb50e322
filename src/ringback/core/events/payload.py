"""Turns events into callback parameters, with the names and the order that receivers see."""

from collections.abc import Mapping
from typing import Final

from ringback.core.form_encoding import as_field
from ringback.core.sids import SidKind
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


# For each kind of event, the names of its parameters in their order.
# docs/callbacks.md says which of the names come from a source and which are our own choice.
_NAMES: Final[Mapping[type[Event], str]] = {
    # The notice shows the first five in this order, for both products; the errors follow after a
    # failure. The callback of a connectivity reset is published nowhere: ours reports the SIM.
    SimUpdated: "ApiVersion SimUniqueName SimSid SimStatus AccountSid ErrorCode ErrorMessage",
    # In the order of a captured request; `Command` is the payload under an older name.
    SmsCommandChanged: (
        "Status ApiVersion Command SimUniqueName Payload SimSid Direction CommandSid"
        " AccountSid PayloadType ErrorCode ErrorMessage"
    ),
    # Names and order are like those of an SMS; the others are from the resource's fields.
    IpCommandChanged: (
        "Status ApiVersion SimUniqueName Payload SimSid SimIccid Direction DeviceIp DevicePort"
        " CommandSid AccountSid PayloadType ErrorCode ErrorMessage"
    ),
    EsimProfileChanged: (
        "AccountSid ApiVersion EsimProfileSid SimSid Iccid Eid Status SmdpPlusAddress"
        " MatchingId ActivationCode ErrorCode ErrorMessage"
    ),
    # In the order of the fields of a consumer's model class.
    CommandChanged: (
        "CommandSid SimSid SimUniqueName AccountSid ErrorCode ErrorMessage CommandStatus"
        " CommandMode Command ApiVersion"
    ),
}
_OTHER_FIELDS: Final[Mapping[type[Event], Mapping[str, str]]] = {
    SmsCommandChanged: {"Command": "payload"},
    EsimProfileChanged: {"EsimProfileSid": "profile_sid"},
}

PARAMETERS: Final[Mapping[type[Event], tuple[tuple[str, str], ...]]] = {
    event: _named(names, **_OTHER_FIELDS.get(event, {})) for event, names in _NAMES.items()
}
"""For each kind of event: the parameter's name, and the field of the event with its value."""

EVENTS_BY_SID: Final[Mapping[str, type[Event]]] = {
    SidKind.ESIM_PROFILE: EsimProfileChanged,
    SidKind.SMS_COMMAND: SmsCommandChanged,
    SidKind.IP_COMMAND: IpCommandChanged,
    SidKind.COMMAND: CommandChanged,
    SidKind.SIM: SimUpdated,
    SidKind.WIRELESS_SIM: SimUpdated,
}
"""The kinds of event by the prefix of the SID in their `EventMark`."""


def parameters_of(event: Event) -> list[tuple[str, str]]:
    """Return an event's parameters as names and values, in order, without empty ones."""
    named = ((name, getattr(event, field)) for name, field in PARAMETERS[type(event)])
    return [(name, str(value)) for name, value in named if value not in (None, "")]
