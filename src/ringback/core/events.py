"""All that a customer can be told, whatever the product."""

from ringback.core.sim_updated import SimUpdated
from ringback.core.supersim.events import EsimProfileChanged, IpCommandChanged, SmsCommandChanged
from ringback.core.wireless.events import CommandChanged

Event = SimUpdated | SmsCommandChanged | IpCommandChanged | EsimProfileChanged | CommandChanged
