"""All that a customer can be told, whatever the product."""

from ringback.core.supersim.events import (
    EsimProfileChanged,
    IpCommandChanged,
    SimUpdated,
    SmsCommandChanged,
)

Event = SimUpdated | SmsCommandChanged | IpCommandChanged | EsimProfileChanged
