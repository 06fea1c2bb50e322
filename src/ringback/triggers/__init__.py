"""All that `ringback trigger` can have happen: each a name, steps, and what arrives.

May import `portal_client`, `runtime` and `core`.
Start with `trigger`; `supersim` and `wireless` have the tables.
"""

from collections.abc import Mapping
from typing import Final

from ringback.triggers.supersim import SUPER_SIM
from ringback.triggers.trigger import Trigger
from ringback.triggers.wireless import WIRELESS

__all__ = ["TRIGGERS", "Trigger"]

TRIGGERS: Final[Mapping[str, Trigger]] = {
    trigger.name: trigger for trigger in (*SUPER_SIM, *WIRELESS)
}
