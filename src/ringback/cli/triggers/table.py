"""All that `ringback trigger` can have happen."""

from collections.abc import Mapping
from typing import Final

from ringback.cli.triggers.supersim import SUPER_SIM
from ringback.cli.triggers.trigger import Trigger
from ringback.cli.triggers.wireless import WIRELESS

TRIGGERS: Final[Mapping[str, Trigger]] = {
    trigger.name: trigger for trigger in (*SUPER_SIM, *WIRELESS)
}
