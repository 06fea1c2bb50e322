"""The triggers of `ringback trigger`: actions that make a running Ringback send certain callbacks.

May import `portal_client`, `runtime` and `core`.
Start with `trigger`; `supersim` and `wireless` list all triggers.
"""

from collections.abc import Mapping
from typing import Final

from ringback.triggers.supersim import SUPER_SIM
from ringback.triggers.trigger import TriggerDefinition
from ringback.triggers.wireless import WIRELESS

__all__ = ["TRIGGERS", "TriggerDefinition"]

TRIGGERS: Final[Mapping[str, TriggerDefinition]] = {
    trigger.name: trigger for trigger in (*SUPER_SIM, *WIRELESS)
}
